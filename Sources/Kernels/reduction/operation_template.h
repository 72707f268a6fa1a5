// One reduction in one type. Included with OPERATION (adds a prefix), TYPE, VECTOR, COMBINE,
// IDENTITY, and for some QUICK: a cheaper COMBINE that answers the same unless there is NaN or the
// result is a zero, whose sign it does not know.

DUET_INLINE VECTOR OPERATION(load)(const void *p) { return JOIN(load_, VECTOR)(p); }
DUET_INLINE VECTOR OPERATION(part)(const void *p, int64_t n) {
  return JOIN(part_, VECTOR)(p, n, (VECTOR)(TYPE)IDENTITY);
}

// One chunk.
DUET_INLINE TYPE OPERATION(chunk)(const TYPE *x, int64_t count) {
  VECTOR a = (TYPE)IDENTITY;
  int64_t i = 0;
  for (; i + 16 <= count; i += 16) a = COMBINE(a, OPERATION(load)(x + i));
  if (i < count) a = COMBINE(a, OPERATION(part)(x + i, count - i));
  return TREE(a, COMBINE);
}

#ifdef QUICK
#define IS_DOUBTFUL(nan, m) __builtin_expect(__builtin_reduce_or((nan) | ((m) == 0)) != 0, 0)

// Whether the quick way was good enough.
DUET_INLINE int OPERATION(four_quick_chunks)(TYPE *out, const char *x, int64_t stride,
                                             int64_t count) {
  const TYPE *x0 = (const TYPE *)x, *x1 = (const TYPE *)(x + stride);
  const TYPE *x2 = (const TYPE *)(x + 2 * stride), *x3 = (const TYPE *)(x + 3 * stride);
  VECTOR a0 = (TYPE)IDENTITY, a1 = a0, a2 = a0, a3 = a0;
  BITS(a0) nan = 0;
  for (int64_t i = 0; i < count; i += 16) {
    VECTOR v0 = OPERATION(load)(x0 + i), v1 = OPERATION(load)(x1 + i);
    VECTOR v2 = OPERATION(load)(x2 + i), v3 = OPERATION(load)(x3 + i);
    a0 = QUICK(v0, a0);
    a1 = QUICK(v1, a1);
    a2 = QUICK(v2, a2);
    a3 = QUICK(v3, a3);
    nan |= ((v0 != v0) | (v1 != v1)) | ((v2 != v2) | (v3 != v3));
  }
  out[0] = TREE(a0, QUICK);
  out[1] = TREE(a1, QUICK);
  out[2] = TREE(a2, QUICK);
  out[3] = TREE(a3, QUICK);
  return !__builtin_reduce_or(nan) && out[0] != 0 && out[1] != 0 && out[2] != 0 && out[3] != 0;
}
#endif

// Four chunks of the same size side by side, which hides the latency of the chains.
DUET_INLINE void OPERATION(four_chunks)(TYPE *out, const char *x, int64_t stride, int64_t count) {
#ifdef QUICK
  if (count % 16 == 0 && OPERATION(four_quick_chunks)(out, x, stride, count)) return;
#endif
  const TYPE *x0 = (const TYPE *)x, *x1 = (const TYPE *)(x + stride);
  const TYPE *x2 = (const TYPE *)(x + 2 * stride), *x3 = (const TYPE *)(x + 3 * stride);
  VECTOR a0 = (TYPE)IDENTITY, a1 = a0, a2 = a0, a3 = a0;
  int64_t i = 0;
  for (; i + 16 <= count; i += 16) {
    a0 = COMBINE(a0, OPERATION(load)(x0 + i));
    a1 = COMBINE(a1, OPERATION(load)(x1 + i));
    a2 = COMBINE(a2, OPERATION(load)(x2 + i));
    a3 = COMBINE(a3, OPERATION(load)(x3 + i));
  }
  if (i < count) {
    a0 = COMBINE(a0, OPERATION(part)(x0 + i, count - i));
    a1 = COMBINE(a1, OPERATION(part)(x1 + i, count - i));
    a2 = COMBINE(a2, OPERATION(part)(x2 + i, count - i));
    a3 = COMBINE(a3, OPERATION(part)(x3 + i, count - i));
  }
  out[0] = TREE(a0, COMBINE);
  out[1] = TREE(a1, COMBINE);
  out[2] = TREE(a2, COMBINE);
  out[3] = TREE(a3, COMBINE);
}

DUET_INLINE TYPE OPERATION(pair)(TYPE x, TYPE y) {
  typedef DUET_LANES(TYPE, 2) two;
  two a = x, b = y;
  return COMBINE(a, b)[0];
}

// Any number of chunks. level[k] holds the result of 2^k neighbouring chunks where bit k of `done`
// is set.
static TYPE OPERATION(run)(const TYPE *x, int64_t count) {
  TYPE level[64];
  uint64_t done = 0;
  while (count > 0) {
    TYPE value, four[4];
    int k = 0;
    if (count >= 4 * DUET_CHUNK && (done & 3) == 0) {
      OPERATION(four_chunks)(four, (const char *)x, DUET_CHUNK * sizeof(TYPE), DUET_CHUNK);
      value = OPERATION(pair)(OPERATION(pair)(four[0], four[1]), OPERATION(pair)(four[2], four[3]));
      k = 2;
    } else {
      value = OPERATION(chunk)(x, count < DUET_CHUNK ? count : DUET_CHUNK);
    }
    x += (int64_t)DUET_CHUNK << k;
    count -= (int64_t)DUET_CHUNK << k;
    uint64_t before = done;
    done += (uint64_t)1 << k;
    for (; before >> k & 1; k++) value = OPERATION(pair)(level[k], value);
    level[k] = value;
  }
  int k = __builtin_ctzll(done);
  TYPE value = level[k];
  for (k++; done >> k; k++)
    if (done >> k & 1) value = OPERATION(pair)(level[k], value);
  return value;
}

static void OPERATION(rows)(void *out, const char *x, int64_t stride, int64_t rows, int64_t count) {
  TYPE *to = out;
  int64_t r = 0;
  if (count > DUET_CHUNK) {
    for (; r < rows; r++) to[r] = OPERATION(run)((const TYPE *)(x + r * stride), count);
    return;
  }
  for (; r + 4 <= rows; r += 4) OPERATION(four_chunks)(to + r, x + r * stride, stride, count);
  for (; r < rows; r++) to[r] = OPERATION(chunk)((const TYPE *)(x + r * stride), count);
}

static void OPERATION(lanes)(void *slots, const char *const *row, int64_t n, int64_t vectors,
                             int64_t last, int fresh) {
  TYPE *slot = slots;
  const VECTOR identity = (TYPE)IDENTITY;
  int64_t v = 0;
#define ROW(k) OPERATION(load)(row##k + at)
  if (n == 8) {
    const TYPE *row0 = (const TYPE *)row[0], *row1 = (const TYPE *)row[1];
    const TYPE *row2 = (const TYPE *)row[2], *row3 = (const TYPE *)row[3];
    const TYPE *row4 = (const TYPE *)row[4], *row5 = (const TYPE *)row[5];
    const TYPE *row6 = (const TYPE *)row[6], *row7 = (const TYPE *)row[7];
    for (; v < vectors; v++) {
      int64_t at = v < vectors - 1 ? v * 16 : last;
      VECTOR a = fresh ? identity : OPERATION(load)(slot + v * 16);
#ifdef QUICK
      VECTOR v0 = ROW(0), v1 = ROW(1), v2 = ROW(2), v3 = ROW(3);
      VECTOR v4 = ROW(4), v5 = ROW(5), v6 = ROW(6), v7 = ROW(7);
      BITS(a) nan = (((v0 != v0) | (v1 != v1)) | ((v2 != v2) | (v3 != v3))) |
                    (((v4 != v4) | (v5 != v5)) | ((v6 != v6) | (v7 != v7)));
      VECTOR m = QUICK(v3, QUICK(v2, QUICK(v1, QUICK(v0, a))));
      m = QUICK(v7, QUICK(v6, QUICK(v5, QUICK(v4, m))));
      if (!IS_DOUBTFUL(nan, m)) {
        JOIN(store_, VECTOR)(slot + v * 16, m);
        continue;
      }
#endif
      a = COMBINE(a, ROW(0));
      a = COMBINE(a, ROW(1));
      a = COMBINE(a, ROW(2));
      a = COMBINE(a, ROW(3));
      a = COMBINE(a, ROW(4));
      a = COMBINE(a, ROW(5));
      a = COMBINE(a, ROW(6));
      a = COMBINE(a, ROW(7));
      JOIN(store_, VECTOR)(slot + v * 16, a);
    }
    return;
  }
#undef ROW
  for (; v < vectors; v++) {
    int64_t at = v < vectors - 1 ? v * 16 : last;
    VECTOR a = fresh ? identity : OPERATION(load)(slot + v * 16);
    for (int64_t k = 0; k < n; k++) a = COMBINE(a, OPERATION(load)((const TYPE *)row[k] + at));
    JOIN(store_, VECTOR)(slot + v * 16, a);
  }
}

static void OPERATION(join)(void *a, const void *b, int64_t count) {
  TYPE *to = a;
  const TYPE *from = b;
  int64_t i = 0;
  for (; i + 16 <= count; i += 16)
    JOIN(store_, VECTOR)(to + i, COMBINE(OPERATION(load)(to + i), OPERATION(load)(from + i)));
  for (; i < count; i++) to[i] = OPERATION(pair)(to[i], from[i]);
}

static void OPERATION(clear)(void *a, int64_t count) {
  for (int64_t i = 0; i < count; i++) ((TYPE *)a)[i] = (TYPE)IDENTITY;
}

#undef IS_DOUBTFUL
#undef QUICK
#undef OPERATION
#undef COMBINE
#undef IDENTITY
