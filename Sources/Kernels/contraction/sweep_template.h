// Sweeps of one element type: a few rows of k of a large right operand are read from end to end, beside
// each other, and added to all rows of the result. Processors follow such long runs by themselves where
// each row is read by an instruction of its own, so the rows of a sweep are unrolled. Needs what
// tile_template.h needs. Defines TILE_ROWS, the rows of a tile, and SWEEPS, entries of the engine.

#if FEW_REGISTERS
#define TILE_ROWS ROWS
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
DUET_INLINE void NAME(sweep)(const duet_sweep *s, const int rows, const int k, int64_t at) {
  const int first = rows > TILE_ROWS ? (rows + 1) / 2 : rows;
  const ELEMENT *a = (const ELEMENT *)s->a + at * rows, *b = (const ELEMENT *)s->b + at * s->b_step;
  ELEMENT *c = s->c;
  for (int64_t j = 0; j < s->tiles; j++, b += 2 * LANES, c += 2 * LANES) {
    NAME(sweep_tile)(a, rows, first, k, b, s->b_step, c);
    if (rows > first) NAME(sweep_tile)(a + first, rows, rows - first, k, b, s->b_step, c + first * C_STEP);
  }
}
#undef C_STEP
#else
#define TILE_ROWS 8
// What is fetched lies so many tiles ahead in the same rows.
enum { NAME(AHEAD) = (2 << 10) / (2 * LANES * (int)sizeof(ELEMENT)) };

// The numbers of the lanes, hidden from compilers, which would otherwise take two instructions to spread a lane.
DUET_INLINE void NAME(find_lanes)(__m512i lane[TILE_ROWS]) {
#pragma clang loop unroll(full)
  for (int i = 0; i < TILE_ROWS; i++) {
    lane[i] = BITS == 32 ? _mm512_set1_epi32(i) : _mm512_set1_epi64(i);
    __asm__("" : "+v"(lane[i]));
  }
}

DUET_INLINE NAME(vector) NAME(spread_lane)(NAME(vector) v, __m512i lane) {
#if BITS == 32
  return (NAME(vector))_mm512_permutexvar_ps(lane, (__m512)v);
#else
  return (NAME(vector))_mm512_permutexvar_pd(lane, (__m512d)v);
#endif
}

// At most eight rows: their elements of a are spread from a register, which leaves the ways to the first-level cache
// to b and c.
DUET_INLINE void NAME(sweep_tile)(const ELEMENT *a, const int width, const int rows, const int k,
                                  const ELEMENT *b, int64_t b_step, ELEMENT *c, const __m512i lane[TILE_ROWS],
                                  const ELEMENT *ahead, const int fetches) {
  typedef NAME(vector) vector;
  typedef NAME(vector_any) vector_any;
  vector sum0[TILE_ROWS], sum1[TILE_ROWS];
#pragma clang loop unroll(full)
  for (int i = 0; i < rows; i++) {
    sum0[i] = *(const vector_any *)(c + i * 2 * LANES);
    sum1[i] = *(const vector_any *)(c + i * 2 * LANES + LANES);
  }
#pragma clang loop unroll(full)
  for (int p = 0; p < k; p++, a += width, b += b_step, ahead += b_step) {
    if (fetches) __builtin_prefetch(ahead);
    vector b0 = *(const vector_any *)b;
    if (fetches) __builtin_prefetch(ahead + LANES);
    vector b1 = *(const vector_any *)(b + LANES), eight = *(const vector_any *)a;
    __asm__("" : "+v"(eight));
#pragma clang loop unroll(full)
    for (int i = 0; i < rows; i++) {
      vector x = NAME(spread_lane)(eight, lane[i]);
      sum0[i] = MULTIPLY_ADD(x, b0, sum0[i]);
      sum1[i] = MULTIPLY_ADD(x, b1, sum1[i]);
    }
  }
#pragma clang loop unroll(full)
  for (int i = 0; i < rows; i++) {
    *(vector_any *)(c + i * 2 * LANES) = sum0[i];
    *(vector_any *)(c + i * 2 * LANES + LANES) = sum1[i];
  }
}

// More rows than a tile has are two tiles, of which the second one finds b in the nearest cache.
DUET_INLINE void NAME(sweep)(const duet_sweep *s, const int rows, const int k, int64_t at) {
  const int first = rows > TILE_ROWS ? (rows + 1) / 2 : rows;
  const ELEMENT *a = (const ELEMENT *)s->a + at * rows, *b = (const ELEMENT *)s->b + at * s->b_step;
  const ELEMENT *next = s->next;
  ELEMENT *c = s->c;
  __m512i lane[TILE_ROWS];
  NAME(find_lanes)(lane);
  for (int64_t j = 0; j < s->tiles; j++, b += 2 * LANES, c += rows * 2 * LANES) {
    const int64_t over = j + NAME(AHEAD) - s->tiles;
    const ELEMENT *ahead = over < 0 ? b + NAME(AHEAD) * 2 * LANES : next + over * 2 * LANES;
    NAME(sweep_tile)(a, rows, first, k, b, s->b_step, c, lane, ahead, k == DUET_SWEEP_K);
    if (rows > first)
      NAME(sweep_tile)(a + first, rows, rows - first, k, b, s->b_step, c + first * 2 * LANES, lane, ahead, 0);
  }
}
#endif

#define SWEEP(rows)                                                          \
  static void NAME(sweep_##rows)(const duet_sweep *s) {                      \
    if (s->k == DUET_SWEEP_K)                                                \
      NAME(sweep)(s, rows, DUET_SWEEP_K, 0);                                 \
    else                                                                     \
      for (int64_t p = 0; p < s->k; p++) NAME(sweep)(s, rows, 1, p);         \
  }
SWEEP(1) SWEEP(2) SWEEP(3) SWEEP(4) SWEEP(5) SWEEP(6) SWEEP(7) SWEEP(8)
#define SWEEPS_8                                                                                             \
  NAME(sweep_1), NAME(sweep_2), NAME(sweep_3), NAME(sweep_4), NAME(sweep_5), NAME(sweep_6), NAME(sweep_7), \
    NAME(sweep_8)
#if TILE_ROWS >= 6
SWEEP(9) SWEEP(10) SWEEP(11) SWEEP(12)
#define SWEEPS_12 SWEEPS_8, NAME(sweep_9), NAME(sweep_10), NAME(sweep_11), NAME(sweep_12)
#endif
#if TILE_ROWS == 8
SWEEP(13) SWEEP(14) SWEEP(15) SWEEP(16)
#define SWEEPS SWEEPS_12, NAME(sweep_13), NAME(sweep_14), NAME(sweep_15), NAME(sweep_16)
#elif TILE_ROWS == 6
#define SWEEPS SWEEPS_12
#else
#define SWEEPS SWEEPS_8
#endif
