// Loops of batch normalisation in one type. Four channels are summed side by side, which hides the
// latency of the chains of additions.

static void IN(clear)(void *lanes) {
  for (int i = 0; i < 8; i++) STORE((TYPE *)lanes + i * 16, NOTHING);
}

static void IN(fold)(void *values, const void *lanes) {
  for (int i = 0; i < 8; i++) {
    VECTOR v = LOAD((const TYPE *)lanes + i * 16);
    ((TYPE *)values)[i] = TREE(v, ADD);
  }
}

static void IN(join)(void *a, const void *b, int64_t count) {
  TYPE *to = a;
  const TYPE *from = b;
  int64_t i = 0;
  for (; i + 16 <= count; i += 16) STORE(to + i, LOAD(to + i) + LOAD(from + i));
  if (i < count)
    STORE_PART(to + i, PART(to + i, count - i, 0) + PART(from + i, count - i, 0), count - i);
}

DUET_INLINE void IN(add_channels)(TYPE *lanes, const TYPE *x, int64_t stride, int64_t length,
                                  int channels) {
  VECTOR sum[4];
  for (int k = 0; k < channels; k++) sum[k] = LOAD(lanes + k * 16);
  int64_t i = 0;
  for (; i + 16 <= length; i += 16)
    for (int k = 0; k < channels; k++) sum[k] += LOAD(x + k * stride + i);
  if (i < length)
    for (int k = 0; k < channels; k++) sum[k] += PART(x + k * stride + i, length - i, -0.0);
  for (int k = 0; k < channels; k++) STORE(lanes + k * 16, sum[k]);
}

DUET_INLINE void IN(add_centred_channels)(TYPE *lanes, const TYPE *x, const TYPE *mean,
                                          int64_t stride, int64_t length, int channels) {
  VECTOR sum[4], square[4];
  for (int k = 0; k < channels; k++) {
    sum[k] = LOAD(lanes + k * 16);
    square[k] = LOAD(lanes + 64 + k * 16);
  }
  int64_t i = 0;
  for (; i + 16 <= length; i += 16)
    for (int k = 0; k < channels; k++) {
      VECTOR d = LOAD(x + k * stride + i) - (VECTOR)mean[k];
      sum[k] += d;
      square[k] = FMA(d, d, square[k]);
    }
  if (i < length)
    for (int k = 0; k < channels; k++) {
      VECTOR d = PART(x + k * stride + i, length - i, mean[k]) - (VECTOR)mean[k];
      sum[k] += d;
      square[k] = FMA(d, d, square[k]);
    }
  for (int k = 0; k < channels; k++) {
    STORE(lanes + k * 16, sum[k]);
    STORE(lanes + 64 + k * 16, square[k]);
  }
}

DUET_INLINE void IN(add_product_channels)(TYPE *lanes, const TYPE *x, const TYPE *dy,
                                          const TYPE *mean, int64_t stride, int64_t length,
                                          int channels) {
  VECTOR sum[4], product[4];
  for (int k = 0; k < channels; k++) {
    product[k] = LOAD(lanes + k * 16);
    sum[k] = LOAD(lanes + 64 + k * 16);
  }
  int64_t i = 0;
  for (; i + 16 <= length; i += 16)
    for (int k = 0; k < channels; k++) {
      VECTOR g = LOAD(dy + k * stride + i);
      product[k] = FMA(g, LOAD(x + k * stride + i) - (VECTOR)mean[k], product[k]);
      sum[k] += g;
    }
  if (i < length)
    for (int k = 0; k < channels; k++) {
      VECTOR g = PART(dy + k * stride + i, length - i, 0);
      VECTOR d = PART(x + k * stride + i, length - i, mean[k]) - (VECTOR)mean[k];
      product[k] = FMA(g, d, product[k]);
      sum[k] += g;
    }
  for (int k = 0; k < channels; k++) {
    STORE(lanes + k * 16, product[k]);
    STORE(lanes + 64 + k * 16, sum[k]);
  }
}

// All four channels, or one after the other: which makes no difference to their sums.
#define FOUR_OR_ONE(call_for_four, call_for_one)          \
  if (channels == 4) {                                    \
    call_for_four;                                        \
  } else {                                                \
    for (int64_t k = 0; k < channels; k++) call_for_one;  \
  }

static void IN(add)(void *lanes, const void *x, int64_t stride, int64_t length, int64_t channels) {
  TYPE *to = lanes;
  const TYPE *from = x;
  FOUR_OR_ONE(IN(add_channels)(to, from, stride, length, 4),
              IN(add_channels)(to + k * 16, from + k * stride, stride, length, 1))
}

static void IN(add_centred)(void *lanes, const void *x, const void *mean, int64_t stride,
                            int64_t length, int64_t channels) {
  TYPE *to = lanes;
  const TYPE *from = x, *m = mean;
  FOUR_OR_ONE(
      IN(add_centred_channels)(to, from, m, stride, length, 4),
      IN(add_centred_channels)(to + k * 16, from + k * stride, m + k, stride, length, 1))
}

static void IN(add_products)(void *lanes, const void *x, const void *dy, const void *mean,
                             int64_t stride, int64_t length, int64_t channels) {
  TYPE *to = lanes;
  const TYPE *from = x, *g = dy, *m = mean;
  FOUR_OR_ONE(IN(add_product_channels)(to, from, g, m, stride, length, 4),
              IN(add_product_channels)(to + k * 16, from + k * stride, g + k * stride, m + k,
                                       stride, length, 1))
}

// Sixteen columns: row r goes to lane r % 16, and lanes are combined like those of one channel. Eight
// lanes at a time stay in registers.
#define COLUMN(p, row) \
  (width == 16 ? LOAD((p) + (row) * stride) : PART((p) + (row) * stride, width, 0))
#define FOR_COLUMN_ROWS(step)                                       \
  for (int h = 0; h < 16; h += 8) {                                 \
    int64_t r = h;                                                  \
    VECTOR first[8], second[8];                                     \
    for (int l = 0; l < 8; l++) first[l] = second[l] = NOTHING;     \
    for (; r + 8 <= rows; r += 16) {                                \
      _Pragma("unroll") for (int l = 0; l < 8; l++) { step(r + l) } \
    }                                                               \
    _Pragma("unroll") for (int l = 0; l < 8; l++) {                 \
      if (r + l < rows) { step(r + l) }                             \
    }                                                               \
    for (int l = 0; l < 8; l++) {                                   \
      lane[0][h + l] = first[l];                                    \
      lane[1][h + l] = second[l];                                   \
    }                                                               \
  }

DUET_INLINE void IN(fold_columns)(TYPE *values, VECTOR *lane) {
  for (int half = 8; half > 0; half /= 2)
    for (int l = 0; l < half; l++) lane[l] += lane[l + half];
  STORE(values, lane[0]);
}

DUET_INLINE void IN(sum_columns)(TYPE *values, const TYPE *x, int64_t stride, int64_t rows,
                                 int64_t width) {
  VECTOR lane[2][16];
#define STEP(row) first[l] += COLUMN(x, row);
  FOR_COLUMN_ROWS(STEP)
#undef STEP
  IN(fold_columns)(values, lane[0]);
}

DUET_INLINE void IN(sum_centred_columns)(TYPE *values, const TYPE *x, const TYPE *mean,
                                         int64_t stride, int64_t rows, int64_t width) {
  VECTOR m = LOAD(mean), lane[2][16];
#define STEP(row)                 \
  VECTOR d = COLUMN(x, row) - m;  \
  first[l] += d;                  \
  second[l] = FMA(d, d, second[l]);
  FOR_COLUMN_ROWS(STEP)
#undef STEP
  IN(fold_columns)(values, lane[0]);
  IN(fold_columns)(values + 16, lane[1]);
}

DUET_INLINE void IN(sum_product_columns)(TYPE *values, const TYPE *x, const TYPE *dy,
                                         const TYPE *mean, int64_t stride, int64_t rows,
                                         int64_t width) {
  VECTOR m = LOAD(mean), lane[2][16];
#define STEP(row)                                    \
  VECTOR g = COLUMN(dy, row);                        \
  first[l] = FMA(g, COLUMN(x, row) - m, first[l]);   \
  second[l] += g;
  FOR_COLUMN_ROWS(STEP)
#undef STEP
  IN(fold_columns)(values, lane[0]);
  IN(fold_columns)(values + 16, lane[1]);
}

static void IN(column_sums)(void *values, const void *x, int64_t stride, int64_t rows,
                            int64_t width) {
  if (width == 16)
    IN(sum_columns)(values, x, stride, rows, 16);
  else
    IN(sum_columns)(values, x, stride, rows, width);
}

static void IN(column_centred_sums)(void *values, const void *x, const void *mean, int64_t stride,
                                    int64_t rows, int64_t width) {
  if (width == 16)
    IN(sum_centred_columns)(values, x, mean, stride, rows, 16);
  else
    IN(sum_centred_columns)(values, x, mean, stride, rows, width);
}

static void IN(column_product_sums)(void *values, const void *x, const void *dy, const void *mean,
                                    int64_t stride, int64_t rows, int64_t width) {
  if (width == 16)
    IN(sum_product_columns)(values, x, dy, mean, stride, rows, 16);
  else
    IN(sum_product_columns)(values, x, dy, mean, stride, rows, width);
}

#define AFFINE(v, mean, scale, offset) FMA((v) - (mean), scale, offset)
#define BLEND(v, g, mean, a, b, c) FMA(g, a, FMA((v) - (mean), b, c))

static void IN(affine_row)(void *y, const void *x, const void *mean, const void *scale,
                           const void *offset, int64_t count) {
  const TYPE *from = x, *m = mean, *s = scale, *o = offset;
  TYPE *to = y;
  int64_t i = 0;
  for (; i + 16 <= count; i += 16)
    STORE(to + i, AFFINE(LOAD(from + i), LOAD(m + i), LOAD(s + i), LOAD(o + i)));
  if (i == count) return;
  int64_t n = count - i;
  VECTOR v = PART(from + i, n, 0);
  v = AFFINE(v, PART(m + i, n, 0), PART(s + i, n, 0), PART(o + i, n, 0));
  STORE_PART(to + i, v, n);
}

static void IN(affine_planes)(void *y, const void *x, const void *mean, const void *scale,
                              const void *offset, int64_t count, int64_t planes) {
  for (int64_t k = 0; k < planes; k++) {
    const TYPE *from = (const TYPE *)x + k * count;
    TYPE *to = (TYPE *)y + k * count;
    VECTOR m = ((const TYPE *)mean)[k], s = ((const TYPE *)scale)[k];
    VECTOR o = ((const TYPE *)offset)[k];
    int64_t i = 0;
    for (; i + 16 <= count; i += 16) STORE(to + i, AFFINE(LOAD(from + i), m, s, o));
    if (i < count) {
      VECTOR v = PART(from + i, count - i, 0);
      STORE_PART(to + i, AFFINE(v, m, s, o), count - i);
    }
  }
}

static void IN(blend_row)(void *dx, const void *x, const void *dy, const void *mean, const void *a,
                          const void *b, const void *c, int64_t count) {
  const TYPE *from = x, *cotangent = dy, *m = mean, *p = a, *q = b, *r = c;
  TYPE *to = dx;
  int64_t i = 0;
  for (; i + 16 <= count; i += 16)
    STORE(to + i, BLEND(LOAD(from + i), LOAD(cotangent + i), LOAD(m + i), LOAD(p + i), LOAD(q + i),
                        LOAD(r + i)));
  if (i == count) return;
  int64_t n = count - i;
  VECTOR v = PART(from + i, n, 0), g = PART(cotangent + i, n, 0);
  v = BLEND(v, g, PART(m + i, n, 0), PART(p + i, n, 0), PART(q + i, n, 0), PART(r + i, n, 0));
  STORE_PART(to + i, v, n);
}

static void IN(blend_planes)(void *dx, const void *x, const void *dy, const void *mean,
                             const void *a, const void *b, const void *c, int64_t count,
                             int64_t planes) {
  for (int64_t k = 0; k < planes; k++) {
    const TYPE *from = (const TYPE *)x + k * count, *cotangent = (const TYPE *)dy + k * count;
    TYPE *to = (TYPE *)dx + k * count;
    VECTOR m = ((const TYPE *)mean)[k], p = ((const TYPE *)a)[k];
    VECTOR q = ((const TYPE *)b)[k], r = ((const TYPE *)c)[k];
    int64_t i = 0;
    for (; i + 16 <= count; i += 16)
      STORE(to + i, BLEND(LOAD(from + i), LOAD(cotangent + i), m, p, q, r));
    if (i < count) {
      VECTOR v = PART(from + i, count - i, 0), g = PART(cotangent + i, count - i, 0);
      STORE_PART(to + i, BLEND(v, g, m, p, q, r), count - i);
    }
  }
}

#undef FOUR_OR_ONE
#undef COLUMN
#undef FOR_COLUMN_ROWS
#undef AFFINE
#undef BLEND
