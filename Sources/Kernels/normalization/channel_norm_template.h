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

// Sixteen columns: row r goes to lane r % 16, and lanes are combined like those of one channel.
#define COLUMN(p, row) \
  (width == 16 ? LOAD((p) + (row) * stride) : PART((p) + (row) * stride, width, 0))
#define FOLD_COLUMNS(lane)                    \
  for (int half = 8; half > 0; half /= 2)     \
    for (int l = 0; l < half; l++) lane[l] += lane[l + half];

static void IN(column_sums)(void *values, const void *x, int64_t stride, int64_t rows,
                            int64_t width) {
  const TYPE *from = x;
  VECTOR lane[16];
  for (int l = 0; l < 16; l++) lane[l] = NOTHING;
  int64_t r = 0;
  for (; r + 16 <= rows; r += 16)
    for (int l = 0; l < 16; l++) lane[l] += COLUMN(from, r + l);
  for (int l = 0; r + l < rows; l++) lane[l] += COLUMN(from, r + l);
  FOLD_COLUMNS(lane)
  STORE(values, lane[0]);
}

static void IN(column_centred_sums)(void *values, const void *x, const void *mean, int64_t stride,
                                    int64_t rows, int64_t width) {
  const TYPE *from = x;
  VECTOR m = LOAD(mean), sum[16], square[16];
  for (int l = 0; l < 16; l++) sum[l] = square[l] = NOTHING;
  for (int64_t r = 0; r < rows; r += 16)
    for (int l = 0; l < 16 && r + l < rows; l++) {
      VECTOR d = COLUMN(from, r + l) - m;
      sum[l] += d;
      square[l] = FMA(d, d, square[l]);
    }
  FOLD_COLUMNS(sum)
  FOLD_COLUMNS(square)
  STORE(values, sum[0]);
  STORE((TYPE *)values + 16, square[0]);
}

static void IN(column_product_sums)(void *values, const void *x, const void *dy, const void *mean,
                                    int64_t stride, int64_t rows, int64_t width) {
  const TYPE *from = x, *cotangent = dy;
  VECTOR m = LOAD(mean), product[16], sum[16];
  for (int l = 0; l < 16; l++) sum[l] = product[l] = NOTHING;
  for (int64_t r = 0; r < rows; r += 16)
    for (int l = 0; l < 16 && r + l < rows; l++) {
      VECTOR g = COLUMN(cotangent, r + l);
      product[l] = FMA(g, COLUMN(from, r + l) - m, product[l]);
      sum[l] += g;
    }
  FOLD_COLUMNS(product)
  FOLD_COLUMNS(sum)
  STORE(values, product[0]);
  STORE((TYPE *)values + 16, sum[0]);
}

// One number for the array, or the elements' own.
#define OWN(p, i) (each ? LOAD((p) + (i)) : (VECTOR)(p)[0])
#define OWN_PART(p, i, n) (each ? PART((p) + (i), n, 0) : (VECTOR)(p)[0])

DUET_INLINE void IN(affine_elements)(TYPE *y, const TYPE *x, const TYPE *mean, const TYPE *scale,
                                     const TYPE *offset, int64_t count, int each) {
  int64_t i = 0;
  for (; i + 16 <= count; i += 16)
    STORE(y + i, FMA(LOAD(x + i) - OWN(mean, i), OWN(scale, i), OWN(offset, i)));
  if (i == count) return;
  int64_t n = count - i;
  VECTOR d = PART(x + i, n, 0) - OWN_PART(mean, i, n);
  STORE_PART(y + i, FMA(d, OWN_PART(scale, i, n), OWN_PART(offset, i, n)), n);
}

static void IN(affine)(void *y, const void *x, const void *mean, const void *scale,
                       const void *offset, int64_t count, int each) {
  if (each)
    IN(affine_elements)(y, x, mean, scale, offset, count, 1);
  else
    IN(affine_elements)(y, x, mean, scale, offset, count, 0);
}

DUET_INLINE void IN(blend_elements)(TYPE *dx, const TYPE *x, const TYPE *dy, const TYPE *mean,
                                    const TYPE *a, const TYPE *b, const TYPE *c, int64_t count,
                                    int each) {
  int64_t i = 0;
  for (; i + 16 <= count; i += 16) {
    VECTOR t = FMA(LOAD(x + i) - OWN(mean, i), OWN(b, i), OWN(c, i));
    STORE(dx + i, FMA(LOAD(dy + i), OWN(a, i), t));
  }
  if (i == count) return;
  int64_t n = count - i;
  VECTOR t = FMA(PART(x + i, n, 0) - OWN_PART(mean, i, n), OWN_PART(b, i, n), OWN_PART(c, i, n));
  STORE_PART(dx + i, FMA(PART(dy + i, n, 0), OWN_PART(a, i, n), t), n);
}

static void IN(blend)(void *dx, const void *x, const void *dy, const void *mean, const void *a,
                      const void *b, const void *c, int64_t count, int each) {
  if (each)
    IN(blend_elements)(dx, x, dy, mean, a, b, c, count, 1);
  else
    IN(blend_elements)(dx, x, dy, mean, a, b, c, count, 0);
}

#undef FOUR_OR_ONE
#undef COLUMN
#undef FOLD_COLUMNS
#undef OWN
#undef OWN_PART
