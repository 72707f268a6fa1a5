// Sums over classes in one type. NaN needs no care in the maximum: it makes the sum NaN and with it the
// row, as does a row of -inf alone.

#define EXP(v) JOIN(exp_, VECTOR)(v)
#define LOG(v) JOIN(log_, VECTOR)(v)
#define LARGER(x, y) ((x) > (y) ? (x) : (y))
#define LEAST (-(TYPE)__builtin_inff())

#include "../reduction/rows_as_lanes_template.h"

DUET_INLINE TYPE IN(largest_class)(const TYPE *x, int64_t classes) {
  VECTOR m0 = LEAST, m1 = m0, m2 = m0, m3 = m0;
  int64_t i = 0;
  for (; i + 64 <= classes; i += 64) {
    m0 = LARGER(LOAD(x + i), m0);
    m1 = LARGER(LOAD(x + i + 16), m1);
    m2 = LARGER(LOAD(x + i + 32), m2);
    m3 = LARGER(LOAD(x + i + 48), m3);
  }
  for (; i + 16 <= classes; i += 16) m0 = LARGER(LOAD(x + i), m0);
  if (i < classes) m1 = LARGER(PART(x + i, classes - i, LEAST), m1);
  m0 = LARGER(LARGER(m0, m1), LARGER(m2, m3));
  return TREE(m0, LARGER);
}

// Σ exp (x - m); the exponentials go to `e` unless it is NULL. Lanes behind the end add exp(-inf) = 0,
// which no sum shows: a row's sum is at least 1, or NaN.
DUET_INLINE TYPE IN(class_sum)(TYPE *e, const TYPE *x, TYPE largest, int64_t classes) {
  VECTOR m = largest;
  IN(chunk_sums) sums;
  TYPE value[8] = {0};
  sums.done = 0;
  for (int64_t at = 0; at < classes; at += DUET_CHUNK) {
    int64_t end = duet_least(classes, at + DUET_CHUNK), i = at;
    VECTOR sum = NOTHING;
    for (; i + 16 <= end; i += 16) {
      VECTOR v = EXP(LOAD(x + i) - m);
      if (e) STORE(e + i, v);
      sum += v;
    }
    if (i < end) {
      VECTOR v = EXP(PART(x + i, end - i, LEAST) - m);
      if (e) STORE_PART(e + i, v, end - i);
      sum += v;
    }
    value[0] = TREE(sum, ADD);
    if (classes <= DUET_CHUNK) return value[0];
    IN(push)(&sums, value, 1);
  }
  IN(total)(&sums, value, 1);
  return value[0];
}

DUET_INLINE TYPE IN(even_sum)(const TYPE *x, const TYPE *weights, TYPE largest, int64_t classes) {
  VECTOR m = largest;
  IN(chunk_sums) sums;
  TYPE value[8] = {0};
  sums.done = 0;
  for (int64_t at = 0; at < classes; at += DUET_CHUNK) {
    int64_t end = duet_least(classes, at + DUET_CHUNK), i = at;
    VECTOR sum = NOTHING;
    for (; i + 16 <= end; i += 16) {
      VECTOR d = LOAD(x + i) - m;
      sum += weights ? d * LOAD(weights + i) : d;
    }
    if (i < end) {
      VECTOR d = PART(x + i, end - i, largest) - m;
      sum += weights ? d * PART(weights + i, end - i, 0) : d;
    }
    value[0] = TREE(sum, ADD);
    IN(push)(&sums, value, 1);
  }
  IN(total)(&sums, value, 1);
  return value[0];
}

// Of sixteen rows or positions as lanes (rows_as_lanes_template.h), the classes `step` elements
// apart. Lanes behind the end of a row add 0 to an even sum, and those of positions -0.
DUET_INLINE void IN(class_sums_of_lanes)(TYPE *maximum, TYPE *log_sum, TYPE *even, const TYPE *x,
                                         int64_t step, const TYPE *w, int64_t classes,
                                         int are_rows) {
  VECTOR lane[16];
  TYPE *lanes = (TYPE *)lane;
  VECTOR m = IN(largest_of_lanes)(x, step, classes);
  for (int64_t c = 0; c < classes; c++)
    IN(add_to_lane)(lanes, EXP(LOAD(x + c * step) - m), c);
  STORE(maximum, m);
  STORE(log_sum, LOG(IN(folded)(lanes, classes)));
  if (!even) return;
  for (int64_t c = 0; c < classes; c++) {
    VECTOR d = LOAD(x + c * step) - m;
    IN(add_to_lane)(lanes, w ? d * (VECTOR)w[c] : d, c);
  }
  VECTOR sum = IN(folded)(lanes, classes);
  STORE(even, are_rows && classes % 16 != 0 ? sum + (TYPE)0 : sum);
}

DUET_INLINE void IN(class_gradient_of_lanes)(TYPE *dx, const TYPE *x, int64_t step,
                                             const TYPE *factor, const TYPE *even, const TYPE *w,
                                             int64_t classes) {
  VECTOR lane[16];
  TYPE *lanes = (TYPE *)lane;
  VECTOR f = LOAD(factor), own = even ? -LOAD(even) : (VECTOR)(TYPE)0;
  VECTOR m = IN(largest_of_lanes)(x, step, classes);
  for (int64_t c = 0; c < classes; c++) {
    VECTOR e = EXP(LOAD(x + c * step) - m);
    STORE(dx + c * step, e);
    IN(add_to_lane)(lanes, e, c);
  }
  VECTOR q = f / IN(folded)(lanes, classes);
  for (int64_t c = 0; c < classes; c++) {
    VECTOR v = LOAD(dx + c * step) * q;
    if (even) v += w ? own * (VECTOR)w[c] : own;
    STORE(dx + c * step, f == 0 ? (VECTOR)(TYPE)0 : v);
  }
}

static void IN(class_sums)(void *maximum, void *log_sum, void *even, const void *x,
                           const void *weights, int64_t rows, int64_t classes) {
  TYPE *m = maximum, *sum = log_sum;
  for (; classes < IN(LONG_ROW) && rows >= 16; rows -= 16) {
    VECTOR block[IN(LONG_ROW)];
    IN(rows_to_lanes)((TYPE *)block, x, classes);
    IN(class_sums_of_lanes)(m, sum, even, (TYPE *)block, 16, weights, classes, 1);
    x = (const TYPE *)x + 16 * classes;
    m += 16;
    sum += 16;
    if (even) even = (TYPE *)even + 16;
  }
  for (int64_t r = 0; r < rows; r++) {
    const TYPE *row = (const TYPE *)x + r * classes;
    m[r] = IN(largest_class)(row, classes);
    sum[r] = IN(class_sum)(NULL, row, m[r], classes);
    if (even) ((TYPE *)even)[r] = IN(even_sum)(row, weights, m[r], classes);
  }
  int64_t r = 0;
  for (; r + 16 <= rows; r += 16) STORE(sum + r, LOG(LOAD(sum + r)));
  if (r < rows) STORE_PART(sum + r, LOG(PART(sum + r, rows - r, 1)), rows - r);
}

static void IN(class_gradient)(void *dx, const void *x, const void *factor, const void *even,
                               const void *weights, int64_t rows, int64_t classes) {
  int64_t r = 0;
  for (; classes < IN(LONG_ROW) && r + 16 <= rows; r += 16) {
    VECTOR block[IN(LONG_ROW)];
    IN(rows_to_lanes)((TYPE *)block, (const TYPE *)x + r * classes, classes);
    IN(class_gradient_of_lanes)((TYPE *)block, (TYPE *)block, 16, (const TYPE *)factor + r,
                                even ? (const TYPE *)even + r : NULL, weights, classes);
    IN(lanes_to_rows)((TYPE *)dx + r * classes, (TYPE *)block, classes);
  }
  for (; r < rows; r++) {
    const TYPE *row = (const TYPE *)x + r * classes, *w = weights;
    TYPE *to = (TYPE *)dx + r * classes, f = ((const TYPE *)factor)[r];
    if (f == 0) {
      memset(to, 0, (size_t)classes * sizeof(TYPE));
      continue;
    }
    TYPE m = IN(largest_class)(row, classes);
    VECTOR q = f / IN(class_sum)(to, row, m, classes);
    VECTOR own = even ? -((const TYPE *)even)[r] : 0;
    int64_t i = 0;
    for (; i + 16 <= classes; i += 16) {
      VECTOR v = LOAD(to + i) * q;
      STORE(to + i, !even ? v : v + (w ? own * LOAD(w + i) : own));
    }
    if (i == classes) continue;
    int64_t n = classes - i;
    VECTOR v = PART(to + i, n, 0) * q;
    STORE_PART(to + i, !even ? v : v + (w ? own * PART(w + i, n, 0) : own), n);
  }
}

// Sixteen positions: class c goes to lane c % 16, and lanes and chunks are combined like those of a row.
typedef struct {
  VECTOR level[48], lane[16];
  uint64_t done;
} IN(column_sums_of_chunks);

DUET_INLINE void IN(begin_columns)(IN(column_sums_of_chunks) *s) {
  s->done = 0;
  for (int l = 0; l < 16; l++) s->lane[l] = NOTHING;
}

DUET_INLINE void IN(add_column)(IN(column_sums_of_chunks) *s, VECTOR v, int64_t c,
                                int64_t classes) {
  s->lane[c & 15] += v;
  if ((c + 1) % DUET_CHUNK != 0 && c + 1 != classes) return;
  for (int half = 8; half > 0; half /= 2)
    for (int l = 0; l < half; l++) s->lane[l] += s->lane[l + half];
  VECTOR value = s->lane[0];
  int k = 0;
  for (; s->done >> k & 1; k++) value = s->level[k] + value;
  s->level[k] = value;
  s->done++;
  for (int l = 0; l < 16; l++) s->lane[l] = NOTHING;
}

DUET_INLINE VECTOR IN(column_total)(const IN(column_sums_of_chunks) *s) {
  int k = __builtin_ctzll(s->done);
  VECTOR value = s->level[k];
  for (k++; s->done >> k; k++)
    if (s->done >> k & 1) value = s->level[k] + value;
  return value;
}

#define COLUMN(p, c) \
  (width == 16 ? LOAD((p) + (c) * stride) : PART((p) + (c) * stride, width, LEAST))
#define STORE_COLUMN(p, c, v)                 \
  if (width == 16)                            \
    STORE((p) + (c) * stride, v);             \
  else                                        \
    STORE_PART((p) + (c) * stride, v, width);

DUET_INLINE VECTOR IN(largest_of_columns)(const TYPE *x, int64_t stride, int64_t width,
                                          int64_t classes) {
  VECTOR m = LEAST;
  for (int64_t c = 0; c < classes; c++) m = LARGER(COLUMN(x, c), m);
  return m;
}

static void IN(class_column_sums)(void *maximum, void *log_sum, void *even, const void *x,
                                  const void *weights, int64_t stride, int64_t width,
                                  int64_t classes) {
  const TYPE *from = x, *w = weights;
  if (width == 16 && classes < IN(LONG_ROW)) {
    IN(class_sums_of_lanes)(maximum, log_sum, even, from, stride, w, classes, 0);
    return;
  }
  VECTOR m = IN(largest_of_columns)(from, stride, width, classes);
  IN(column_sums_of_chunks) sums;
  IN(begin_columns)(&sums);
  for (int64_t c = 0; c < classes; c++)
    IN(add_column)(&sums, EXP(COLUMN(from, c) - m), c, classes);
  STORE(maximum, m);
  STORE(log_sum, LOG(IN(column_total)(&sums)));
  if (!even) return;
  IN(begin_columns)(&sums);
  for (int64_t c = 0; c < classes; c++) {
    VECTOR d = COLUMN(from, c) - m;
    IN(add_column)(&sums, w ? d * (VECTOR)w[c] : d, c, classes);
  }
  STORE(even, IN(column_total)(&sums));
}

static void IN(class_column_gradient)(void *dx, const void *x, const void *factor,
                                      const void *even, const void *weights, int64_t stride,
                                      int64_t width, int64_t classes) {
  const TYPE *from = x, *w = weights;
  TYPE *to = dx;
  if (width == 16 && classes < IN(LONG_ROW)) {
    IN(class_gradient_of_lanes)(to, from, stride, factor, even, w, classes);
    return;
  }
  VECTOR f = LOAD(factor), own = even ? -LOAD(even) : (VECTOR)(TYPE)0;
  VECTOR m = IN(largest_of_columns)(from, stride, width, classes);
  IN(column_sums_of_chunks) sums;
  IN(begin_columns)(&sums);
  for (int64_t c = 0; c < classes; c++) {
    VECTOR v = EXP(COLUMN(from, c) - m);
    STORE_COLUMN(to, c, v)
    IN(add_column)(&sums, v, c, classes);
  }
  VECTOR q = f / IN(column_total)(&sums);
  for (int64_t c = 0; c < classes; c++) {
    VECTOR v = COLUMN(to, c) * q;
    if (even) v += w ? own * (VECTOR)w[c] : own;
    v = f == 0 ? (VECTOR)(TYPE)0 : v;
    STORE_COLUMN(to, c, v)
  }
}

#undef EXP
#undef LOG
#undef LARGER
#undef LEAST
#undef COLUMN
#undef STORE_COLUMN
