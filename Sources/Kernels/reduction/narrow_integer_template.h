// Sum, maximum and minimum of integers narrower than int64, in vectors of their own width. Included
// with TYPE, UNSIGNED, WIDE (an unsigned type of twice the width), LANES (of 64 bytes), SIGN (the sign
// bit of a signed type, else 0), STEPS (vectors whose pairs WIDE can add up), IN (adds the suffix).
// Integers may be reduced in any order: sums wrap, so that no order shows.

typedef DUET_LANES(TYPE, LANES) IN(vector);
typedef DUET_LANES(UNSIGNED, LANES) IN(unsigned_vector);
typedef DUET_LANES(WIDE, LANES / 2) IN(wide_vector);

DUET_INLINE IN(vector) IN(load)(const void *p) {
  IN(vector) v;
  memcpy(&v, p, sizeof v);
  return v;
}

DUET_INLINE IN(wide_vector) IN(load_wide)(const WIDE *p) {
  return *(const IN(wide_vector) *)p;
}

// The sums of neighbours, each offset by SIGN so that it is not negative.
DUET_INLINE IN(wide_vector) IN(pairs)(const void *p) {
  IN(wide_vector) v = (IN(wide_vector))((IN(unsigned_vector))IN(load)(p) ^ (UNSIGNED)SIGN);
  return (v & (WIDE)(UNSIGNED)-1) + (v >> (8 * sizeof(TYPE)));
}

DUET_INLINE uint64_t IN(total)(IN(wide_vector) v) {
  uint64_t sum = 0;
  for (int l = 0; l < LANES / 2; l++) sum += v[l];
  return sum;
}

static int64_t IN(narrow_sum)(const void *from, int64_t count) {
  const TYPE *x = from;
  uint64_t sum = 0;
  int64_t i = 0, whole = count / LANES * LANES;
  while (i < whole) {
    int64_t end = duet_least(whole, i + (int64_t)STEPS * LANES);
    IN(wide_vector) a = 0, b = 0;
    for (; i + 2 * LANES <= end; i += 2 * LANES) {
      a += IN(pairs)(x + i);
      b += IN(pairs)(x + i + LANES);
    }
    if (i < end) {
      a += IN(pairs)(x + i);
      i += LANES;
    }
    sum += IN(total)(a) + IN(total)(b);
  }
  sum -= (uint64_t)whole * (uint64_t)(SIGN);
  for (; i < count; i++) sum += (uint64_t)(int64_t)x[i];
  return (int64_t)sum;
}

#define EXTREMES(name, better, combine, reduce)                                               \
  static int64_t IN(name)(const void *from, int64_t count) {                                  \
    const TYPE *x = from;                                                                     \
    TYPE best = x[0];                                                                         \
    int64_t i = 0;                                                                            \
    if (count >= 4 * LANES) {                                                                 \
      IN(vector) a = IN(load)(x), b = a, c = a, d = a;                                        \
      for (; i + 4 * LANES <= count; i += 4 * LANES) {                                        \
        a = combine(a, IN(load)(x + i));                                                      \
        b = combine(b, IN(load)(x + i + LANES));                                              \
        c = combine(c, IN(load)(x + i + 2 * LANES));                                          \
        d = combine(d, IN(load)(x + i + 3 * LANES));                                          \
      }                                                                                       \
      a = combine(combine(a, b), combine(c, d));                                              \
      best = reduce(a);                                                                       \
    }                                                                                         \
    for (; i < count; i++) best = x[i] better best ? x[i] : best;                             \
    return best;                                                                              \
  }                                                                                           \
  static void IN(name##_columns)(int64_t *out, const char *x, int64_t rows, int64_t stride,   \
                                 int64_t columns) {                                           \
    _Alignas(64) TYPE best[DUET_INTEGER_COLUMNS];                                             \
    int64_t whole = columns / LANES * LANES;                                                  \
    memcpy(best, x, (size_t)columns * sizeof(TYPE));                                          \
    /* Four distant streams of rows; what is left over one by one. */                         \
    int64_t quarter = rows / 4, apart = quarter * stride;                                     \
    for (int64_t r = 0; r < quarter; r++) {                                                   \
      const char *row = x + r * stride;                                                       \
      for (int64_t c = 0; c < whole; c += LANES) {                                            \
        const char *at = row + c * (int64_t)sizeof(TYPE);                                     \
        IN(vector) a = combine(IN(load)(at), IN(load)(at + apart));                           \
        IN(vector) b = combine(IN(load)(at + 2 * apart), IN(load)(at + 3 * apart));           \
        *(IN(vector) *)(best + c) = combine(IN(load)(best + c), combine(a, b));               \
      }                                                                                       \
    }                                                                                         \
    for (int64_t r = 0; r < rows; r++) {                                                      \
      const TYPE *row = (const TYPE *)(x + r * stride);                                       \
      for (int64_t c = r < 4 * quarter ? whole : 0; c < columns; c++)                         \
        best[c] = row[c] better best[c] ? row[c] : best[c];                                   \
    }                                                                                         \
    for (int64_t c = 0; c < columns; c++) out[c] = best[c];                                   \
  }
EXTREMES(narrow_max, >, __builtin_elementwise_max, __builtin_reduce_max)
EXTREMES(narrow_min, <, __builtin_elementwise_min, __builtin_reduce_min)
#undef EXTREMES

// Even and odd columns are added up apart, in place of the vector that they come from.
DUET_INLINE void IN(add_rows)(WIDE *sum, const char *x, int64_t rows, int64_t stride,
                              int64_t columns) {
  for (int64_t c = 0; c < columns; c += LANES) {
    IN(wide_vector) even = IN(load_wide)(sum + c), odd = IN(load_wide)(sum + c + LANES / 2);
#pragma clang loop unroll(full)
    for (int64_t k = 0; k < rows; k++) {
      IN(vector) own = IN(load)(x + k * stride + c * (int64_t)sizeof(TYPE));
      IN(wide_vector) v = (IN(wide_vector))((IN(unsigned_vector))own ^ (UNSIGNED)SIGN);
      even += v & (WIDE)(UNSIGNED)-1;
      odd += v >> (8 * sizeof(TYPE));
    }
    *(IN(wide_vector) *)(sum + c) = even;
    *(IN(wide_vector) *)(sum + c + LANES / 2) = odd;
  }
}

static void IN(narrow_sum_columns)(int64_t *out, const char *x, int64_t rows, int64_t stride,
                                   int64_t columns) {
  _Alignas(64) WIDE sum[DUET_INTEGER_COLUMNS];
  int64_t whole = columns / LANES * LANES;
  for (int64_t c = 0; c < columns; c++) out[c] = 0;
  for (int64_t first = 0; first < rows; first += STEPS) {
    int64_t last = duet_least(rows, first + (int64_t)STEPS);
    memset(sum, 0, (size_t)whole * sizeof(WIDE));
    // Four distant streams of rows; what is left over one by one.
    int64_t n = last - first, quarter = n / 4;
    for (int64_t r = 0; r < quarter; r++)
      IN(add_rows)(sum, x + r * stride, 4, quarter * stride, whole);
    for (int64_t r = 4 * quarter; r < n; r++) IN(add_rows)(sum, x + r * stride, 1, 0, whole);
    for (int64_t r = 0; r < n && whole < columns; r++) {
      const TYPE *row = (const TYPE *)(x + r * stride);
      for (int64_t c = whole; c < columns; c++)
        out[c] = (int64_t)((uint64_t)out[c] + (uint64_t)(int64_t)row[c]);
    }
    x += n * stride;
    uint64_t offset = (uint64_t)(last - first) * (uint64_t)(SIGN);
    for (int64_t c = 0; c < whole; c += LANES)
      for (int64_t l = 0; l < LANES / 2; l++) {
        uint64_t *own = (uint64_t *)out + c + 2 * l;
        own[0] += sum[c + l] - offset;
        own[1] += sum[c + LANES / 2 + l] - offset;
      }
  }
}

#undef TYPE
#undef UNSIGNED
#undef WIDE
#undef LANES
#undef SIGN
#undef STEPS
#undef IN
