// Layer norm and root-mean-square norm of rows in one type. Several rows are taken side by side, which
// hides the latency of the chains of additions and uses a scale's vector several times; rows stay in
// the first caches between the passes. How many makes no difference to any result.

// What a row is normalised by: x̂ = (x - mean) r + shift.
typedef struct {
  TYPE mean[4], r[4], shift[4];
} IN(row_statistics);

// Where at least LEAST_FETCHED rows are taken together, the next ones are fetched while these are finished:
// every row may be a page of its own, where the processor would have to find out anew. One row after the
// other it follows by itself.
#define PREFETCH(p) \
  if (rows >= LEAST_FETCHED) __builtin_prefetch(p, 0, 2)

typedef VECTOR IN(line) __attribute__((aligned(64)));

// x̂ of a vector of row k.
#define NORMALIZED(x, s, k) \
  (is_rms ? (x) * (VECTOR)(s)->r[k] : FMA((x) - (VECTOR)(s)->mean[k], (s)->r[k], (s)->shift[k]))

DUET_INLINE void IN(row_statistics_of)(IN(row_statistics) *s, const TYPE *x, int64_t columns,
                                       int rows, TYPE eps, int is_rms) {
  IN(chunk_sums) sums;
  TYPE value[8] = {0};
  if (!is_rms) {
    sums.done = 0;
    for (int64_t at = 0; at < columns; at += DUET_CHUNK) {
      int64_t end = duet_least(columns, at + DUET_CHUNK), i = at;
      VECTOR sum[4] = {NOTHING, NOTHING, NOTHING, NOTHING};
      for (; i + 16 <= end; i += 16)
        for (int k = 0; k < rows; k++) sum[k] += LOAD(x + k * columns + i);
      if (i < end)
        for (int k = 0; k < rows; k++) sum[k] += PART(x + k * columns + i, end - i, -0.0);
      for (int k = 0; k < rows; k++) value[k] = TREE(sum[k], ADD);
      IN(push)(&sums, value, rows);
    }
    IN(total)(&sums, value, rows);
    for (int k = 0; k < rows; k++) s->mean[k] = value[k] / (TYPE)columns;
  }
  // Deviations and their squares; of a root mean square the squares alone.
  sums.done = 0;
  for (int64_t at = 0; at < columns; at += DUET_CHUNK) {
    int64_t end = duet_least(columns, at + DUET_CHUNK), i = at;
    VECTOR sum[4] = {NOTHING, NOTHING, NOTHING, NOTHING};
    VECTOR square[4] = {NOTHING, NOTHING, NOTHING, NOTHING};
    for (; i + 16 <= end; i += 16)
      for (int k = 0; k < rows; k++) {
        VECTOR d = LOAD(x + k * columns + i);
        if (!is_rms) {
          d -= (VECTOR)s->mean[k];
          sum[k] += d;
        }
        square[k] = FMA(d, d, square[k]);
      }
    if (i < end)
      for (int k = 0; k < rows; k++) {
        TYPE mean = is_rms ? 0 : s->mean[k];
        VECTOR d = PART(x + k * columns + i, end - i, mean) - (VECTOR)mean;
        sum[k] += d;
        square[k] = FMA(d, d, square[k]);
      }
    for (int k = 0; k < rows; k++) {
      value[k] = TREE(square[k], ADD);
      value[4 + k] = is_rms ? 0 : TREE(sum[k], ADD);
    }
    IN(push)(&sums, value, is_rms ? rows : 8);
  }
  IN(total)(&sums, value, is_rms ? rows : 8);
  for (int k = 0; k < rows; k++) {
    TYPE correction = is_rms ? 0 : value[4 + k] / (TYPE)columns;
    TYPE variance = value[k] / (TYPE)columns - correction * correction;
    // Rounding can leave it a little below zero. NaN stays.
    if (variance < 0) variance = 0;
    s->r[k] = 1 / SQUARE_ROOT(variance + eps);
    s->shift[k] = -(correction * s->r[k]);
  }
}

DUET_INLINE void IN(normalize_rows)(TYPE *y, const TYPE *x, const TYPE *scale, const TYPE *offset,
                                    int64_t columns, int rows, int streams, TYPE eps, int is_rms) {
  IN(row_statistics) s;
  IN(row_statistics_of)(&s, x, columns, rows, eps, is_rms);
  int64_t i = 0;
  for (; i + 16 <= columns; i += 16) {
    VECTOR w = LOAD(scale + i), b = is_rms ? NOTHING : LOAD(offset + i);
    for (int k = 0; k < rows; k++) {
      VECTOR v = LOAD(x + k * columns + i);
      PREFETCH(x + (k + rows) * columns + i);
      v = NORMALIZED(v, &s, k);
      v = is_rms ? v * w : FMA(v, w, b);
      if (streams)
        __builtin_nontemporal_store(v, (IN(line) *)(y + k * columns + i));
      else
        STORE(y + k * columns + i, v);
    }
  }
  if (i == columns) return;
  int64_t n = columns - i;
  VECTOR w = PART(scale + i, n, 0), b = is_rms ? NOTHING : PART(offset + i, n, 0);
  for (int k = 0; k < rows; k++) {
    VECTOR v = PART(x + k * columns + i, n, 0);
    v = NORMALIZED(v, &s, k);
    STORE_PART(y + k * columns + i, is_rms ? v * w : FMA(v, w, b), n);
  }
}

DUET_INLINE void IN(differentiate_rows)(TYPE *dx, const TYPE *x, const TYPE *scale, const TYPE *dy,
                                        int64_t columns, int rows, TYPE eps, int is_rms) {
  IN(row_statistics) s;
  IN(row_statistics_of)(&s, x, columns, rows, eps, is_rms);
  IN(chunk_sums) sums;
  TYPE value[8] = {0};
  sums.done = 0;
  for (int64_t at = 0; at < columns; at += DUET_CHUNK) {
    int64_t end = duet_least(columns, at + DUET_CHUNK), i = at;
    VECTOR sum[4] = {NOTHING, NOTHING, NOTHING, NOTHING};
    VECTOR product[4] = {NOTHING, NOTHING, NOTHING, NOTHING};
    for (; i + 16 <= end; i += 16) {
      VECTOR w = LOAD(scale + i);
      for (int k = 0; k < rows; k++) {
        VECTOR v = LOAD(x + k * columns + i), g = LOAD(dy + k * columns + i) * w;
        product[k] = FMA(g, NORMALIZED(v, &s, k), product[k]);
        if (!is_rms) sum[k] += g;
      }
    }
    if (i < end) {
      int64_t n = end - i;
      VECTOR w = PART(scale + i, n, 0);
      for (int k = 0; k < rows; k++) {
        VECTOR v = PART(x + k * columns + i, n, is_rms ? 0 : s.mean[k]);
        VECTOR g = PART(dy + k * columns + i, n, 0) * w;
        product[k] = FMA(g, NORMALIZED(v, &s, k), product[k]);
        if (!is_rms) sum[k] += g;
      }
    }
    for (int k = 0; k < rows; k++) {
      value[k] = TREE(product[k], ADD);
      value[4 + k] = is_rms ? 0 : TREE(sum[k], ADD);
    }
    IN(push)(&sums, value, is_rms ? rows : 8);
  }
  IN(total)(&sums, value, is_rms ? rows : 8);
  TYPE product[4], sum[4];
  for (int k = 0; k < rows; k++) {
    product[k] = -(value[k] / (TYPE)columns);
    sum[k] = is_rms ? 0 : value[4 + k] / (TYPE)columns;
  }
#define GRADIENT(v, g, k) \
  (FMA(NORMALIZED(v, &s, k), product[k], is_rms ? (g) : (g) - (VECTOR)sum[k]) * (VECTOR)s.r[k])
  int64_t i = 0;
  for (; i + 16 <= columns; i += 16) {
    VECTOR w = LOAD(scale + i);
    for (int k = 0; k < rows; k++) {
      VECTOR v = LOAD(x + k * columns + i), g = LOAD(dy + k * columns + i) * w;
      PREFETCH(x + (k + rows) * columns + i);
      PREFETCH(dy + (k + rows) * columns + i);
      STORE(dx + k * columns + i, GRADIENT(v, g, k));
    }
  }
  if (i == columns) return;
  int64_t n = columns - i;
  VECTOR w = PART(scale + i, n, 0);
  for (int k = 0; k < rows; k++) {
    VECTOR v = PART(x + k * columns + i, n, 0), g = PART(dy + k * columns + i, n, 0) * w;
    STORE_PART(dx + k * columns + i, GRADIENT(v, g, k), n);
  }
#undef GRADIENT
}

DUET_INLINE void IN(add_rows)(TYPE *sums, const TYPE *x, const TYPE *dy, int64_t columns, int rows,
                              TYPE eps, int fresh, int is_rms) {
  IN(row_statistics) s;
  IN(row_statistics_of)(&s, x, columns, rows, eps, is_rms);
  int64_t i = 0;
  for (; i + 16 <= columns; i += 16) {
    VECTOR product = fresh ? NOTHING : LOAD(sums + i);
    VECTOR sum = fresh || is_rms ? NOTHING : LOAD(sums + columns + i);
    for (int k = 0; k < rows; k++) {
      VECTOR v = LOAD(x + k * columns + i), g = LOAD(dy + k * columns + i);
      PREFETCH(x + (k + rows) * columns + i);
      PREFETCH(dy + (k + rows) * columns + i);
      product = FMA(g, NORMALIZED(v, &s, k), product);
      sum += g;
    }
    STORE(sums + i, product);
    if (!is_rms) STORE(sums + columns + i, sum);
  }
  if (i == columns) return;
  int64_t n = columns - i;
  VECTOR product = fresh ? NOTHING : PART(sums + i, n, 0);
  VECTOR sum = fresh || is_rms ? NOTHING : PART(sums + columns + i, n, 0);
  for (int k = 0; k < rows; k++) {
    VECTOR v = PART(x + k * columns + i, n, 0), g = PART(dy + k * columns + i, n, 0);
    product = FMA(g, NORMALIZED(v, &s, k), product);
    sum += g;
  }
  STORE_PART(sums + i, product, n);
  if (!is_rms) STORE_PART(sums + columns + i, sum, n);
}

#define FOR_ROWS(step)                        \
  int64_t i = 0;                              \
  if (together == 4)                          \
    for (; i + 4 <= rows; i += 4) step(4);    \
  if (together >= 2)                          \
    for (; i + 2 <= rows; i += 2) step(2);    \
  for (; i < rows; i++) step(1);

#define ENTRIES(name, is_rms)                                                                     \
  static void IN(name##_rows)(void *y, const void *x, const void *scale, const void *offset,      \
                              int64_t rows, int64_t columns, double eps, int together) {          \
    TYPE *to = y;                                                                                 \
    const TYPE *from = x;                                                                         \
    FOR_ROWS(NORMALIZE_##is_rms)                                                                  \
  }                                                                                               \
  static void IN(name##_streamed)(void *y, const void *x, const void *scale, const void *offset,  \
                                  int64_t rows, int64_t columns, double eps) {                    \
    TYPE *to = y;                                                                                 \
    const TYPE *from = x;                                                                         \
    for (int64_t i = 0; i < rows; i++) NORMALIZE(1, 1, is_rms);                                   \
  }                                                                                               \
  static void IN(name##_input_gradient)(void *dx, const void *x, const void *scale,               \
                                        const void *dy, int64_t rows, int64_t columns,            \
                                        double eps, int together) {                               \
    TYPE *to = dx;                                                                                \
    const TYPE *from = x, *cotangent = dy;                                                        \
    FOR_ROWS(DIFFERENTIATE_##is_rms)                                                              \
  }                                                                                               \
  static void IN(name##_parameter_gradient)(void *sums, const void *x, const void *dy,            \
                                            int64_t rows, int64_t columns, double eps,            \
                                            int fresh, int together) {                            \
    const TYPE *from = x, *cotangent = dy;                                                        \
    FOR_ROWS(ADD_ROWS_##is_rms)                                                                   \
  }
#define NORMALIZE(n, streams, is_rms)                                                     \
  IN(normalize_rows)(to + i * columns, from + i * columns, scale, offset, columns, n,     \
                     streams, (TYPE)eps, is_rms)
#define NORMALIZE_0(n) NORMALIZE(n, 0, 0)
#define NORMALIZE_1(n) NORMALIZE(n, 0, 1)
#define DIFFERENTIATE(n, is_rms)                                                          \
  IN(differentiate_rows)(to + i * columns, from + i * columns, scale,                     \
                         cotangent + i * columns, columns, n, (TYPE)eps, is_rms)
#define DIFFERENTIATE_0(n) DIFFERENTIATE(n, 0)
#define DIFFERENTIATE_1(n) DIFFERENTIATE(n, 1)
#define ADD_ROWS(n, is_rms)                                                               \
  IN(add_rows)(sums, from + i * columns, cotangent + i * columns, columns, n, (TYPE)eps,  \
               fresh && i == 0, is_rms)
#define ADD_ROWS_0(n) ADD_ROWS(n, 0)
#define ADD_ROWS_1(n) ADD_ROWS(n, 1)
ENTRIES(layer_norm, 0)
ENTRIES(rms_norm, 1)

#undef FOR_ROWS
#undef PREFETCH
#undef ENTRIES
#undef NORMALIZE
#undef NORMALIZE_0
#undef NORMALIZE_1
#undef DIFFERENTIATE
#undef DIFFERENTIATE_0
#undef DIFFERENTIATE_1
#undef ADD_ROWS
#undef ADD_ROWS_0
#undef ADD_ROWS_1
#undef NORMALIZED
