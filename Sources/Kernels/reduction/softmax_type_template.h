// Softmax and its logarithm in one type. Included with TYPE, VECTOR, IN (adds the suffix). NaN
// needs no care in the maximum: it makes the sum NaN and with it the row, as does a row of -inf
// alone.

#define LOAD(p) JOIN(load_, VECTOR)(p)
#define STORE(p, v) JOIN(store_, VECTOR)(p, v)
#define PART(p, n, rest) JOIN(part_, VECTOR)(p, n, (VECTOR)(TYPE)(rest))
#define STORE_PART(p, v, n) JOIN(store_part_, VECTOR)(p, v, n)
#define EXP(v) JOIN(exp_, VECTOR)(v)
#define LOG(v) JOIN(log_, VECTOR)(v)
#define LARGER(x, y) ((x) > (y) ? (x) : (y))

// Sums of chunks combined as a tree: level[k] holds the sum of 2^k neighbouring chunks where bit k
// of `done` is set. A row's sum is one number, that of sixteen positions side by side a vector.
#define CHUNK_SUMS(name, value_type)                                                       \
  typedef struct {                                                                         \
    value_type level[48];                                                                  \
    uint64_t done;                                                                         \
  } name;                                                                                  \
  DUET_INLINE void JOIN(name, _add)(name *sums, value_type value) {                        \
    int k = 0;                                                                             \
    for (; sums->done >> k & 1; k++) value = sums->level[k] + value;                       \
    sums->level[k] = value;                                                                \
    sums->done++;                                                                          \
  }                                                                                        \
  DUET_INLINE value_type JOIN(name, _total)(const name *sums) {                            \
    int k = __builtin_ctzll(sums->done);                                                   \
    value_type value = sums->level[k];                                                     \
    for (k++; sums->done >> k; k++)                                                        \
      if (sums->done >> k & 1) value = sums->level[k] + value;                             \
    return value;                                                                          \
  }
CHUNK_SUMS(IN(row_sums), TYPE)
CHUNK_SUMS(IN(position_sums), VECTOR)

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

DUET_INLINE void IN(softmax_row)(TYPE *y, const TYPE *x, int64_t columns, int is_log) {
  const TYPE least = -(TYPE)__builtin_inff();
  VECTOR m = IN(row_maximum)(x, columns);
  IN(row_sums) sums;
  sums.done = 0;
  for (int64_t at = 0; at < columns; at += DUET_CHUNK) {
    int64_t end = duet_least(columns, at + DUET_CHUNK), i = at;
    VECTOR sum = (TYPE)-0.0;
    for (; i + 16 <= end; i += 16) {
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
    JOIN(IN(row_sums), _add)(&sums, TREE(sum, ADD));
  }
  VECTOR total = JOIN(IN(row_sums), _total)(&sums);
  VECTOR log_total = is_log ? LOG(total) : total;
  int64_t i = 0;
  for (; i + 16 <= columns; i += 16)
    STORE(y + i, is_log ? LOAD(x + i) - m - log_total : LOAD(y + i) / total);
  if (i < columns) {
    int64_t n = columns - i;
    STORE_PART(y + i, is_log ? PART(x + i, n, 0) - m - log_total : PART(y + i, n, 0) / total, n);
  }
}

// Up to 64 positions behind the axis, four vectors side by side. Their columns are first brought
// together in `scratch` [vectors, columns, 16]: in place they would fall on few lines of the cache.
DUET_INLINE void IN(softmax_positions)(TYPE *y, const TYPE *x, TYPE *scratch, int64_t columns,
                                       int64_t stride, int64_t width, int is_log) {
  int64_t vectors = (width + 15) / 16, rest = width % 16;
  VECTOR m[4], total[4];
  for (int64_t v = 0; v < vectors; v++) m[v] = -(TYPE)__builtin_inff();
  for (int64_t c = 0; c < columns; c++)
    for (int64_t v = 0; v < vectors; v++) {
      const TYPE *from = x + c * stride + v * 16;
      VECTOR value = rest != 0 && v == vectors - 1 ? PART(from, rest, 0) : LOAD(from);
      m[v] = LARGER(value, m[v]);
      STORE(scratch + (v * columns + c) * 16, value);
    }
  for (int64_t v = 0; v < vectors; v++) {
    TYPE *own = scratch + v * columns * 16;
    VECTOR largest = m[v];
    IN(position_sums) sums;
    sums.done = 0;
    for (int64_t at = 0; at < columns; at += DUET_CHUNK) {
      int64_t end = duet_least(columns, at + DUET_CHUNK);
      VECTOR lane[16];
      for (int l = 0; l < 16; l++) lane[l] = (TYPE)-0.0;
      for (int64_t c = at; c < end; c++) {
        VECTOR e = EXP(LOAD(own + c * 16) - largest);
        if (!is_log) STORE(own + c * 16, e);
        lane[c & 15] += e;
      }
      for (int half = 8; half > 0; half /= 2)
        for (int l = 0; l < half; l++) lane[l] += lane[l + half];
      JOIN(IN(position_sums), _add)(&sums, lane[0]);
    }
    total[v] = JOIN(IN(position_sums), _total)(&sums);
    if (is_log) total[v] = LOG(total[v]);
  }
  for (int64_t c = 0; c < columns; c++)
    for (int64_t v = 0; v < vectors; v++) {
      TYPE *to = y + c * stride + v * 16;
      VECTOR value = LOAD(scratch + (v * columns + c) * 16);
      value = is_log ? value - m[v] - total[v] : value / total[v];
      if (rest != 0 && v == vectors - 1)
        STORE_PART(to, value, rest);
      else
        STORE(to, value);
    }
}

#define ENTRIES(name, is_log)                                                                      \
  static void IN(name##_rows)(void *y, const void *x, int64_t rows, int64_t columns) {             \
    for (int64_t r = 0; r < rows; r++)                                                             \
      IN(softmax_row)((TYPE *)y + r * columns, (const TYPE *)x + r * columns, columns, is_log);    \
  }                                                                                                \
  static void IN(name##_across)(void *y, const void *x, void *scratch, int64_t columns,            \
                                int64_t stride, int64_t width) {                                   \
    if (width == 64)                                                                               \
      IN(softmax_positions)(y, x, scratch, columns, stride, 64, is_log);                           \
    else                                                                                           \
      IN(softmax_positions)(y, x, scratch, columns, stride, width, is_log);                        \
  }
ENTRIES(softmax, 0)
ENTRIES(log_softmax, 1)

#undef ENTRIES
#undef CHUNK_SUMS
#undef LOAD
#undef STORE
#undef PART
#undef STORE_PART
#undef EXP
#undef LOG
#undef LARGER
#undef TYPE
#undef VECTOR
#undef IN
