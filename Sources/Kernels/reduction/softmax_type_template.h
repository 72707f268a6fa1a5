// Softmax, its logarithm and their gradients in one type. Included with TYPE, VECTOR, IN (adds the
// suffix). NaN needs no care in the maximum: it makes the sum NaN and with it the row, as does a
// row of -inf alone. A quotient is a product with the sum's reciprocal: the sum is at least 1.

#define LOAD(p) JOIN(load_, VECTOR)(p)
#define STORE(p, v) JOIN(store_, VECTOR)(p, v)
#define PART(p, n, rest) JOIN(part_, VECTOR)(p, n, (VECTOR)(TYPE)(rest))
#define STORE_PART(p, v, n) JOIN(store_part_, VECTOR)(p, v, n)
#define EXP(v) JOIN(exp_, VECTOR)(v)  // of none above 0
#define ANY_EXP(v) JOIN(any_exp_, VECTOR)(v)
#define LOG(v) JOIN(log_, VECTOR)(v)
#define LARGER(x, y) ((x) > (y) ? (x) : (y))

#include "rows_as_lanes_template.h"

// The sums of a row's chunks combined as a tree: level[k] holds the sum of 2^k neighbouring chunks
// where bit k of `done` is set.
typedef struct {
  TYPE level[48];
  uint64_t done;
} IN(row_sums);

DUET_INLINE void IN(add_chunk)(IN(row_sums) *sums, TYPE value) {
  int k = 0;
  for (; sums->done >> k & 1; k++) value = sums->level[k] + value;
  sums->level[k] = value;
  sums->done++;
}

DUET_INLINE TYPE IN(row_total)(const IN(row_sums) *sums) {
  int k = __builtin_ctzll(sums->done);
  TYPE value = sums->level[k];
  for (k++; sums->done >> k; k++)
    if (sums->done >> k & 1) value = sums->level[k] + value;
  return value;
}

DUET_INLINE TYPE IN(row_maximum)(const TYPE *x, int64_t columns) {
  const TYPE least = -(TYPE)__builtin_inff();
  VECTOR m0 = least, m1 = m0, m2 = m0, m3 = m0;
  int64_t i = 0;
  for (; i + 64 <= columns; i += 64) {
    m0 = LARGER(LOAD(x + i), m0);
    m1 = LARGER(LOAD(x + i + 16), m1);
    m2 = LARGER(LOAD(x + i + 32), m2);
    m3 = LARGER(LOAD(x + i + 48), m3);
  }
  for (; i + 16 <= columns; i += 16) m0 = LARGER(LOAD(x + i), m0);
  if (i < columns) m1 = LARGER(PART(x + i, columns - i, least), m1);
  m0 = LARGER(LARGER(m0, m1), LARGER(m2, m3));
  return TREE(m0, LARGER);
}

// Brings what lies `bytes` behind the vectors at x and y close: the next row, while this one is
// computed.
DUET_INLINE void IN(prefetch)(const TYPE *x, TYPE *y, int64_t distance) {
  for (int64_t at = 0; at < 16; at += 64 / (int64_t)sizeof(TYPE)) {
    __builtin_prefetch(x + distance + at, 0, 3);
    __builtin_prefetch(y + distance + at, 1, 3);
  }
}

DUET_INLINE void IN(softmax_row)(TYPE *y, const TYPE *x, int64_t columns, int64_t next, int is_log) {
  const TYPE least = -(TYPE)__builtin_inff();
  VECTOR m = IN(row_maximum)(x, columns);
  IN(row_sums) sums;
  sums.done = 0;
  for (int64_t at = 0; at < columns; at += DUET_CHUNK) {
    int64_t end = duet_least(columns, at + DUET_CHUNK), i = at;
    VECTOR sum = (TYPE)-0.0;
    for (; i + 16 <= end; i += 16) {
      if (next) IN(prefetch)(x + i, y + i, next);
      VECTOR e = EXP(LOAD(x + i) - m);
      if (!is_log) STORE(y + i, e);
      sum += e;
    }
    if (i < end) {
      // Lanes behind the end add exp(-inf) = 0, which no sum shows: a row's sum is at least 1, or
      // NaN.
      VECTOR e = EXP(PART(x + i, end - i, least) - m);
      if (!is_log) STORE_PART(y + i, e, end - i);
      sum += e;
    }
    IN(add_chunk)(&sums, TREE(sum, ADD));
  }
  VECTOR total = IN(row_total)(&sums);
  total = is_log ? LOG(total) : 1 / total;
  int64_t i = 0;
  for (; i + 16 <= columns; i += 16)
    STORE(y + i, is_log ? LOAD(x + i) - m - total : LOAD(y + i) * total);
  if (i < columns) {
    int64_t n = columns - i;
    STORE_PART(y + i, is_log ? PART(x + i, n, 0) - m - total : PART(y + i, n, 0) * total, n);
  }
}

// y (dy - sum of y dy), or dy - exp(y) sum of dy for the logarithm.
DUET_INLINE VECTOR IN(gradient_term)(VECTOR y, VECTOR dy, int is_log) { return is_log ? dy : y * dy; }
DUET_INLINE VECTOR IN(gradient)(VECTOR y, VECTOR dy, VECTOR total, int is_log) {
  return is_log ? dy - ANY_EXP(y) * total : y * (dy - total);
}

DUET_INLINE void IN(gradient_row)(TYPE *dx, const TYPE *y, const TYPE *dy, int64_t columns,
                                  int is_log) {
  IN(row_sums) sums;
  sums.done = 0;
  for (int64_t at = 0; at < columns; at += DUET_CHUNK) {
    int64_t end = duet_least(columns, at + DUET_CHUNK), i = at;
    VECTOR sum = (TYPE)-0.0;
    for (; i + 16 <= end; i += 16) sum += IN(gradient_term)(LOAD(y + i), LOAD(dy + i), is_log);
    if (i < end) {
      VECTOR last = PART(y + i, end - i, 1);
      sum += IN(gradient_term)(last, PART(dy + i, end - i, -0.0), is_log);
    }
    IN(add_chunk)(&sums, TREE(sum, ADD));
  }
  VECTOR total = IN(row_total)(&sums);
  int64_t i = 0;
  for (; i + 16 <= columns; i += 16)
    STORE(dx + i, IN(gradient)(LOAD(y + i), LOAD(dy + i), total, is_log));
  if (i < columns) {
    int64_t n = columns - i;
    STORE_PART(dx + i, IN(gradient)(PART(y + i, n, 0), PART(dy + i, n, 0), total, is_log), n);
  }
}

// Gradients need little else than their sums, which rows of whole vectors add quickly, and parts of
// vectors, too, where there are masks for all accesses.
#if defined(DUET_ISA_AVX512)
#define HAS_SHORT_GRADIENT(columns) ((columns) < 16)
#else
#define HAS_SHORT_GRADIENT(columns) ((columns) < IN(LONG_ROW) && (columns) % 16 != 0)
#endif

// Sixteen rows of less than LONG_ROW columns.
DUET_INLINE void IN(softmax_of_lanes)(TYPE *y, const TYPE *x, int64_t columns, int is_log) {
  VECTOR block[IN(LONG_ROW)], lane[16];
  TYPE *t = (TYPE *)block, *sums = (TYPE *)lane;
  IN(rows_to_lanes)(t, x, columns);
  VECTOR m = IN(largest_of_lanes)(t, 16, columns);
  for (int64_t c = 0; c < columns; c++) {
    VECTOR e = EXP(LOAD(t + c * 16) - m);
    if (!is_log) STORE(t + c * 16, e);
    IN(add_to_lane)(sums, e, c);
  }
  VECTOR total = IN(folded)(sums, columns);
  total = is_log ? LOG(total) : 1 / total;
  for (int64_t c = 0; c < columns; c++) {
    VECTOR v = LOAD(t + c * 16);
    STORE(t + c * 16, is_log ? v - m - total : v * total);
  }
  IN(lanes_to_rows)(y, t, columns);
}

// Sums begin at -0: lanes behind the end of a row hold that, which adds nothing.
DUET_INLINE void IN(gradient_of_lanes)(TYPE *dx, const TYPE *y, const TYPE *dy, int64_t columns,
                                       int is_log) {
  VECTOR block[IN(LONG_ROW)], other[IN(LONG_ROW)], lane[16];
  TYPE *t = (TYPE *)block, *u = (TYPE *)other, *sums = (TYPE *)lane;
  IN(rows_to_lanes)(t, y, columns);
  IN(rows_to_lanes)(u, dy, columns);
  for (int64_t c = 0; c < columns; c++) {
    VECTOR term = IN(gradient_term)(LOAD(t + c * 16), LOAD(u + c * 16), is_log);
    IN(add_to_lane)(sums, term, c);
  }
  VECTOR total = IN(folded)(sums, columns);
  for (int64_t c = 0; c < columns; c++)
    STORE(t + c * 16, IN(gradient)(LOAD(t + c * 16), LOAD(u + c * 16), total, is_log));
  IN(lanes_to_rows)(dx, t, columns);
}

#define LOAD_SOME(p, n) ((n) >= 16 ? LOAD(p) : PART(p, n, 0))
#define STORE_SOME(p, v, n)  \
  do {                       \
    if ((n) >= 16)           \
      STORE(p, v);           \
    else                     \
      STORE_PART(p, v, n);   \
  } while (0)

// Positions behind the axis side by side: each column of the axis is a row of `width` positions, and
// sixteen rows of sums are the lanes. `scratch` is taken apart as
typedef struct {
  TYPE *most, *total;  // of each position: [padded]
  TYPE *lanes;         // [16, padded]
  TYPE *levels;        // the tree over chunks: [levels, padded]
  int64_t padded;      // the width as whole vectors
  uint64_t done;
} IN(positions);

DUET_INLINE IN(positions) IN(open_positions)(TYPE *scratch, int64_t width) {
  int64_t padded = (width + 15) / 16 * 16;
  return (IN(positions)){.most = scratch, .total = scratch + padded, .lanes = scratch + 2 * padded,
                         .levels = scratch + 18 * padded, .padded = padded};
}

// The lanes of a chunk of `columns` combined, and the result joined to those of earlier chunks.
static void IN(close_chunk)(IN(positions) *p, int64_t columns) {
  for (int64_t half = 8; half > 0; half /= 2)
    for (int64_t l = 0; l < half && l + half < columns; l++) {
      TYPE *a = p->lanes + l * p->padded, *b = p->lanes + (l + half) * p->padded;
      for (int64_t i = 0; i < p->padded; i += 16) STORE(a + i, LOAD(a + i) + LOAD(b + i));
    }
  int k = 0;
  for (; p->done >> k & 1; k++) {
    TYPE *level = p->levels + k * p->padded;
    for (int64_t i = 0; i < p->padded; i += 16)
      STORE(p->lanes + i, LOAD(level + i) + LOAD(p->lanes + i));
  }
  memcpy(p->levels + k * p->padded, p->lanes, (size_t)p->padded * sizeof(TYPE));
  p->done++;
}

static void IN(close_positions)(IN(positions) *p) {
  int k = __builtin_ctzll(p->done);
  memcpy(p->total, p->levels + k * p->padded, (size_t)p->padded * sizeof(TYPE));
  for (k++; p->done >> k; k++) {
    if (!(p->done >> k & 1)) continue;
    const TYPE *level = p->levels + k * p->padded;
    for (int64_t i = 0; i < p->padded; i += 16)
      STORE(p->total + i, LOAD(level + i) + LOAD(p->total + i));
  }
}

DUET_INLINE void IN(softmax_across)(TYPE *y, const TYPE *x, TYPE *scratch, int64_t columns,
                                    int64_t stride, int64_t width, int is_log) {
  IN(positions) p = IN(open_positions)(scratch, width);
  for (int64_t i = 0; i < p.padded; i += 16) STORE(p.most + i, (VECTOR)(-(TYPE)__builtin_inff()));
  for (int64_t c = 0; c < columns; c++)
    for (int64_t i = 0; i < width; i += 16)
      STORE(p.most + i, LARGER(LOAD_SOME(x + c * stride + i, width - i), LOAD(p.most + i)));
  for (int64_t c = 0; c < columns; c++) {
    TYPE *lane = p.lanes + (c & 15) * p.padded;
    int is_first = c % DUET_CHUNK < 16;
    for (int64_t i = 0; i < width; i += 16) {
      VECTOR e = EXP(LOAD_SOME(x + c * stride + i, width - i) - LOAD(p.most + i));
      if (!is_log) STORE_SOME(y + c * stride + i, e, width - i);
      STORE(lane + i, is_first ? e : LOAD(lane + i) + e);
    }
    if (c % DUET_CHUNK == DUET_CHUNK - 1 || c == columns - 1)
      IN(close_chunk)(&p, c % DUET_CHUNK + 1);
  }
  IN(close_positions)(&p);
  for (int64_t i = 0; i < p.padded; i += 16)
    STORE(p.total + i, is_log ? LOG(LOAD(p.total + i)) : 1 / LOAD(p.total + i));
  for (int64_t c = 0; c < columns; c++)
    for (int64_t i = 0; i < width; i += 16) {
      const TYPE *from = (is_log ? x : y) + c * stride + i;
      VECTOR v = LOAD_SOME(from, width - i), total = LOAD(p.total + i);
      v = is_log ? v - LOAD(p.most + i) - total : v * total;
      STORE_SOME(y + c * stride + i, v, width - i);
    }
}

DUET_INLINE void IN(gradient_across)(TYPE *dx, const TYPE *y, const TYPE *dy, TYPE *scratch,
                                     int64_t columns, int64_t stride, int64_t width, int is_log) {
  IN(positions) p = IN(open_positions)(scratch, width);
  for (int64_t c = 0; c < columns; c++) {
    TYPE *lane = p.lanes + (c & 15) * p.padded;
    int is_first = c % DUET_CHUNK < 16;
    for (int64_t i = 0; i < width; i += 16) {
      int64_t at = c * stride + i, n = width - i;
      VECTOR term = IN(gradient_term)(LOAD_SOME(y + at, n), LOAD_SOME(dy + at, n), is_log);
      STORE(lane + i, is_first ? term : LOAD(lane + i) + term);
    }
    if (c % DUET_CHUNK == DUET_CHUNK - 1 || c == columns - 1)
      IN(close_chunk)(&p, c % DUET_CHUNK + 1);
  }
  IN(close_positions)(&p);
  for (int64_t c = 0; c < columns; c++)
    for (int64_t i = 0; i < width; i += 16) {
      int64_t at = c * stride + i, n = width - i;
      VECTOR v = IN(gradient)(LOAD_SOME(y + at, n), LOAD_SOME(dy + at, n), LOAD(p.total + i),
                              is_log);
      STORE_SOME(dx + at, v, n);
    }
}

#define ENTRIES(prefix, is_log)                                                                  \
  static void IN(prefix##_rows)(void *y, const void *x, const void *unused, int64_t rows,        \
                                int64_t columns) {                                               \
    (void)unused;                                                                                \
    int64_t r = 0;                                                                               \
    for (; columns < IN(LONG_ROW) && r + 16 <= rows; r += 16)                                    \
      IN(softmax_of_lanes)((TYPE *)y + r * columns, (const TYPE *)x + r * columns, columns,      \
                           is_log);                                                              \
    for (; r < rows; r++)                                                                        \
      IN(softmax_row)((TYPE *)y + r * columns, (const TYPE *)x + r * columns, columns,           \
                      r + 1 < rows && columns >= 256 ? columns : 0, is_log);                     \
  }                                                                                              \
  static void IN(prefix##_across)(void *y, const void *x, const void *unused, void *scratch,     \
                                  int64_t columns, int64_t stride, int64_t width) {              \
    (void)unused;                                                                                \
    IN(softmax_across)(y, x, scratch, columns, stride, width, is_log);                           \
  }                                                                                              \
  static void IN(prefix##_gradient_rows)(void *dx, const void *y, const void *dy, int64_t rows,  \
                                         int64_t columns) {                                      \
    int64_t at = 0;                                                                              \
    for (; HAS_SHORT_GRADIENT(columns) && at + 16 * columns <= rows * columns;                   \
         at += 16 * columns)                                                                     \
      IN(gradient_of_lanes)((TYPE *)dx + at, (const TYPE *)y + at, (const TYPE *)dy + at,        \
                            columns, is_log);                                                    \
    for (; at < rows * columns; at += columns)                                                   \
      IN(gradient_row)((TYPE *)dx + at, (const TYPE *)y + at, (const TYPE *)dy + at, columns,    \
                       is_log);                                                                  \
  }                                                                                              \
  static void IN(prefix##_gradient_across)(void *dx, const void *y, const void *dy,              \
                                           void *scratch, int64_t columns, int64_t stride,       \
                                           int64_t width) {                                      \
    IN(gradient_across)(dx, y, dy, scratch, columns, stride, width, is_log);                     \
  }
ENTRIES(plain, 0)
ENTRIES(log, 1)

#undef ENTRIES
#undef HAS_SHORT_GRADIENT
#undef LOAD_SOME
#undef STORE_SOME
#undef LOAD
#undef STORE
#undef PART
#undef STORE_PART
#undef EXP
#undef ANY_EXP
#undef LOG
#undef LARGER
#undef TYPE
#undef VECTOR
#undef IN
