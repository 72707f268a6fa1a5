// Packing of panels, for elements of 4 and 8 bytes. Only moves bits.
//
// The transposing loops store whole groups of items (8 or 4). Where the width is not a multiple of
// the group, a store reaches into the next row of the panel; groups run downwards and rows upwards,
// so that whatever was overwritten is written afterwards.
typedef DUET_LANES(uint32_t, 4) DUET_SUFFIX(u32x4);
typedef DUET_LANES(uint32_t, 8) DUET_SUFFIX(u32x8);
typedef DUET_LANES(uint64_t, 2) DUET_SUFFIX(u64x2);
typedef DUET_LANES(uint64_t, 4) DUET_SUFFIX(u64x4);
typedef DUET_SUFFIX(u32x4) DUET_SUFFIX(u32x4_any) __attribute__((aligned(4)));
typedef DUET_SUFFIX(u32x8) DUET_SUFFIX(u32x8_any) __attribute__((aligned(4)));
typedef DUET_SUFFIX(u64x2) DUET_SUFFIX(u64x2_any) __attribute__((aligned(8)));
typedef DUET_SUFFIX(u64x4) DUET_SUFFIX(u64x4_any) __attribute__((aligned(8)));

// 8 rows of 4 elements become 4 rows of 8.
DUET_INLINE void DUET_SUFFIX(transpose_8x4_u32)(uint32_t *to, int64_t width,
                                                const uint32_t *const *row,
                                                int64_t at) {
  typedef DUET_SUFFIX(u32x4_any) quarter;
  typedef DUET_SUFFIX(u32x8) vector;
  typedef DUET_SUFFIX(u32x8_any) vector_any;
  vector v[4];
#pragma clang loop unroll(full)
  for (int i = 0; i < 4; i++)
    v[i] = __builtin_shufflevector(*(const quarter *)(row[i] + at),
                                   *(const quarter *)(row[i + 4] + at),
                                   0, 1, 2, 3, 4, 5, 6, 7);
  vector t0 = __builtin_shufflevector(v[0], v[1], 0, 8, 1, 9, 4, 12, 5, 13);
  vector t1 = __builtin_shufflevector(v[0], v[1], 2, 10, 3, 11, 6, 14, 7, 15);
  vector t2 = __builtin_shufflevector(v[2], v[3], 0, 8, 1, 9, 4, 12, 5, 13);
  vector t3 = __builtin_shufflevector(v[2], v[3], 2, 10, 3, 11, 6, 14, 7, 15);
  *(vector_any *)to = __builtin_shufflevector(t0, t2, 0, 1, 8, 9, 4, 5, 12, 13);
  *(vector_any *)(to + width) = __builtin_shufflevector(t0, t2, 2, 3, 10, 11, 6, 7, 14, 15);
  *(vector_any *)(to + 2 * width) = __builtin_shufflevector(t1, t3, 0, 1, 8, 9, 4, 5, 12, 13);
  *(vector_any *)(to + 3 * width) = __builtin_shufflevector(t1, t3, 2, 3, 10, 11, 6, 7, 14, 15);
}

// 4 rows of 2 elements become 2 rows of 4.
DUET_INLINE void DUET_SUFFIX(transpose_4x2_u64)(uint64_t *to, int64_t width,
                                                const uint64_t *const *row,
                                                int64_t at) {
  typedef DUET_SUFFIX(u64x2_any) pair;
  typedef DUET_SUFFIX(u64x4) vector;
  typedef DUET_SUFFIX(u64x4_any) vector_any;
  vector v0 = __builtin_shufflevector(*(const pair *)(row[0] + at), *(const pair *)(row[2] + at),
                                      0, 1, 2, 3);
  vector v1 = __builtin_shufflevector(*(const pair *)(row[1] + at), *(const pair *)(row[3] + at),
                                      0, 1, 2, 3);
  *(vector_any *)to = __builtin_shufflevector(v0, v1, 0, 4, 2, 6);
  *(vector_any *)(to + width) = __builtin_shufflevector(v0, v1, 1, 5, 3, 7);
}

// One cache line of each row is read at a time: rows a power of two apart share a set of the cache.
// So many short reads in turn are beyond what processors prefetch by themselves.
#define PACK_TRANSPOSED(type, group, step, transpose)                                       \
  const int64_t line = 64 / sizeof(type);                                                   \
  int64_t p = 0;                                                                            \
  while (k - p >= step) {                                                                   \
    int64_t steps = (k - p < line ? k - p : line) / step * step;                            \
    for (int64_t i0 = (count - 1) / group * group; i0 >= 0; i0 -= group) {                  \
      const type *row[group];                                                               \
      for (int64_t i = 0; i < group; i++) {                                                 \
        row[i] = from + (i0 + i < count ? i0 + i : count - 1) * item_stride + p;            \
        __builtin_prefetch(row[i] + 4 * line);                                              \
      }                                                                                     \
      for (int64_t q = 0; q < steps; q += step) transpose(to + (p + q) * width + i0, width, row, q); \
    }                                                                                       \
    p += steps;                                                                             \
  }                                                                                         \
  for (; p < k; p++)                                                                        \
    for (int64_t i = 0; i < count; i++) to[p * width + i] = from[i * item_stride + p];

// Rows far apart are beyond what processors prefetch by themselves.
#define PACK_COPIED(type, whole_any, vector_any, group)                                     \
  const int64_t ahead = 16;                                                                 \
  for (int64_t p = 0; p < k; p++, from += k_stride, to += width) {                          \
    int64_t i = 0;                                                                          \
    if (p + ahead < k) {                                                                    \
      __builtin_prefetch(from + ahead * k_stride);                                          \
      __builtin_prefetch(from + ahead * k_stride + count - 1);                              \
    }                                                                                       \
    for (; i + 64 / (int64_t)sizeof(type) <= count; i += 64 / sizeof(type))                 \
      *(whole_any *)(to + i) = *(const whole_any *)(from + i);                              \
    for (; i + group <= count; i += group) *(vector_any *)(to + i) = *(const vector_any *)(from + i); \
    for (; i < count; i++) to[i] = from[i];                                                 \
  }

#define PACK_STRIDED                                                                        \
  for (int64_t p = 0; p < k; p++)                                                           \
    for (int64_t i = 0; i < count; i++)                                                     \
      to[p * width + i] = from[i * item_stride + p * k_stride];

static void DUET_SUFFIX(pack_u32)(void *panel, int64_t width, const void *source, int64_t count,
                                  int64_t k,
                                  int64_t item_stride, int64_t k_stride) {
  const uint32_t *from = source;
  uint32_t *to = panel;
  if (count <= 0) return;
  if (item_stride == 1 && count >= 4) {
    PACK_COPIED(uint32_t, i32x16_any, DUET_SUFFIX(u32x4_any), 4)
  } else if (k_stride == 1) {
    PACK_TRANSPOSED(uint32_t, 8, 4, DUET_SUFFIX(transpose_8x4_u32))
  } else {
    PACK_STRIDED
  }
}

static void DUET_SUFFIX(pack_u64)(void *panel, int64_t width, const void *source, int64_t count,
                                  int64_t k,
                                  int64_t item_stride, int64_t k_stride) {
  const uint64_t *from = source;
  uint64_t *to = panel;
  if (count <= 0) return;
  if (item_stride == 1 && count >= 4) {
    PACK_COPIED(uint64_t, i64x8_any, DUET_SUFFIX(u64x4_any), 4)
  } else if (k_stride == 1) {
    PACK_TRANSPOSED(uint64_t, 4, 2, DUET_SUFFIX(transpose_4x2_u64))
  } else {
    PACK_STRIDED
  }
}

// Whole rows, four at a time: enough streams to keep memory busy.
#define SPREAD_ROWS(type, vector, vector_any)                                               \
  const int64_t group = 64 / sizeof(type);                                                  \
  int64_t p = 0;                                                                            \
  for (; p + 4 <= k; p += 4, from += 4 * k_stride)                                          \
    for (int64_t j = 0; j < panels; j++)                                                    \
      for (int64_t i = 0; i < width; i += group)                                            \
        for (int64_t r = 0; r < 4; r++) {                                                   \
          const vector lanes = *(const vector_any *)(from + r * k_stride + j * width + i);  \
          type *line = to + (j * k + p + r) * width + i;                                    \
          if (past_caches)                                                                  \
            __builtin_nontemporal_store(lanes, (vector *)line);                             \
          else                                                                              \
            *(vector_any *)line = lanes;                                                    \
        }                                                                                   \
  for (; p < k; p++, from += k_stride)                                                      \
    for (int64_t j = 0; j < panels; j++)                                                    \
      memcpy(to + (j * k + p) * width, from + j * width, width * sizeof(type));

DUET_INLINE void DUET_SUFFIX(spread_rows_u32)(uint32_t *to, int64_t width, const uint32_t *from,
                                              int64_t panels, int64_t k, int64_t k_stride,
                                              const int past_caches) {
  SPREAD_ROWS(uint32_t, i32x16, i32x16_any)
}

DUET_INLINE void DUET_SUFFIX(spread_rows_u64)(uint64_t *to, int64_t width, const uint64_t *from,
                                              int64_t panels, int64_t k, int64_t k_stride,
                                              const int past_caches) {
  SPREAD_ROWS(uint64_t, i64x8, i64x8_any)
}

#define SPREAD_FUNCTIONS(name, past_caches)                                                 \
  static void DUET_SUFFIX(name##_u32)(void *panels, int64_t width, const void *source,      \
                                      int64_t count, int64_t k, int64_t k_stride) {         \
    DUET_SUFFIX(spread_rows_u32)(panels, width, source, count, k, k_stride, past_caches);   \
  }                                                                                         \
  static void DUET_SUFFIX(name##_u64)(void *panels, int64_t width, const void *source,      \
                                      int64_t count, int64_t k, int64_t k_stride) {         \
    DUET_SUFFIX(spread_rows_u64)(panels, width, source, count, k, k_stride, past_caches);   \
  }
SPREAD_FUNCTIONS(spread, 0)
SPREAD_FUNCTIONS(spread_past_caches, 1)

#undef SPREAD_FUNCTIONS
#undef SPREAD_ROWS
#undef PACK_TRANSPOSED
#undef PACK_COPIED
#undef PACK_STRIDED
