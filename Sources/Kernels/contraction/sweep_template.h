// Sweeps of one element type: a few rows of k of a large right operand are read from end to end, beside
// each other, and added to all rows of the result. Processors follow such long runs by themselves where
// each row is read by an instruction of its own, so the rows of a sweep are unrolled. Needs what
// tile_template.h needs.

#define C_STEP (DUET_SWEEP_STEP / (int)sizeof(ELEMENT))

// sum0 and sum1 are rows of the result, two vectors of columns at a time.
DUET_INLINE void NAME(sweep_tile)(const ELEMENT *a, const int width, const int rows, const int k,
                                  const ELEMENT *b, int64_t b_step, ELEMENT *c) {
  typedef NAME(vector) vector;
  typedef NAME(vector_any) vector_any;
  vector sum0[ROWS], sum1[ROWS];
  const duet_distances step = duet_distances_of(b_step * (int64_t)sizeof(ELEMENT));
#pragma clang loop unroll(full)
  for (int i = 0; i < rows; i++) {
    sum0[i] = *(const vector_any *)(c + i * C_STEP);
    sum1[i] = *(const vector_any *)(c + i * C_STEP + LANES);
  }
#pragma clang loop unroll(full)
  for (int p = 0; p < k; p++) {
    const vector_any *row = (const vector_any *)((const char *)b + duet_distance(&step, p));
    vector b0 = row[0], b1 = row[1];
#pragma clang loop unroll(full)
    for (int i = 0; i < rows; i++) {
      sum0[i] = MULTIPLY_ADD((vector)a[p * width + i], b0, sum0[i]);
      sum1[i] = MULTIPLY_ADD((vector)a[p * width + i], b1, sum1[i]);
    }
  }
#pragma clang loop unroll(full)
  for (int i = 0; i < rows; i++) {
    *(vector_any *)(c + i * C_STEP) = sum0[i];
    *(vector_any *)(c + i * C_STEP + LANES) = sum1[i];
  }
}

// More rows than a tile has are two tiles, of which the second one finds b in the nearest cache.
DUET_INLINE void NAME(sweep)(const ELEMENT *a, const int rows, const int k, const ELEMENT *b, int64_t b_step,
                             ELEMENT *c, int64_t tiles) {
  const int first = rows > ROWS ? (rows + 1) / 2 : rows;
  for (int64_t j = 0; j < tiles; j++, b += 2 * LANES, c += 2 * LANES) {
    NAME(sweep_tile)(a, rows, first, k, b, b_step, c);
    if (rows > first) NAME(sweep_tile)(a + first, rows, rows - first, k, b, b_step, c + first * C_STEP);
  }
}

#define SWEEP(rows)                                                                                     \
  static void NAME(sweep_##rows)(const void *a, int64_t k, const void *b, int64_t b_step, void *c,      \
                                 int64_t tiles) {                                                       \
    if (k == DUET_SWEEP_K)                                                                              \
      NAME(sweep)(a, rows, DUET_SWEEP_K, b, b_step, c, tiles);                                  \
    else                                                                                                \
      for (int64_t p = 0; p < k; p++)                                                                   \
        NAME(sweep)((const ELEMENT *)a + p * rows, rows, 1, (const ELEMENT *)b + p * b_step, b_step, c, \
                    tiles);                                                                     \
  }
SWEEP(1) SWEEP(2) SWEEP(3) SWEEP(4) SWEEP(5) SWEEP(6) SWEEP(7) SWEEP(8)
#define SWEEPS_8                                                                                             \
  NAME(sweep_1), NAME(sweep_2), NAME(sweep_3), NAME(sweep_4), NAME(sweep_5), NAME(sweep_6), NAME(sweep_7), \
    NAME(sweep_8)
#if ROWS == 6
SWEEP(9) SWEEP(10) SWEEP(11) SWEEP(12)
#define SWEEPS SWEEPS_8, NAME(sweep_9), NAME(sweep_10), NAME(sweep_11), NAME(sweep_12)
#else
#define SWEEPS SWEEPS_8
#endif
