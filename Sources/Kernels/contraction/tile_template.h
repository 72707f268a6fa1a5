// Micro-kernels of one element type. Needs the macros and definitions of registers_template.h, and
//   ROWS                    of a tile
//   MULTIPLY_ADD(a, b, c)   a * b + c with one rounding
//   PACK, SPREAD, MATVEC ... entries of the engine
//   K_BLOCK, ROW_BLOCK      block sizes
//   IN_PLACE                of right operands that are not packed
#define EACH_ROW _Pragma("clang loop unroll(full)") for (int i = 0; i < rows; i++)

// Bytes of four rows of b, and the q-th quarter of as many bytes of the runs.
#define FETCHED (4 * 2 * LANES * (int)sizeof(ELEMENT))

DUET_INLINE void NAME(fetch_quarter)(const char *from, int q) {
  const int begin = (q * FETCHED / 4 + 63) / 64, end = ((q + 1) * FETCHED / 4 + 63) / 64;
#pragma clang loop unroll(full)
  for (int line = begin; line < end; line++) __builtin_prefetch(from + 64 * line, 0, 2);
}

#define WHOLE_ROW                                                                          \
  {                                                                                        \
    vector b0 = *(const vector_any *)b_row, b1 = *(const vector_any *)(b_row + LANES);     \
    EACH_ROW {                                                                             \
      sum0[i] = MULTIPLY_ADD((vector)a[i], b0, sum0[i]);                                   \
      sum1[i] = MULTIPLY_ADD((vector)a[i], b1, sum1[i]);                                   \
    }                                                                                      \
    a += rows;                                                                             \
    b_row += b_step;                                                                       \
  }

#define STRIDED_ROW                                                                        \
  {                                                                                        \
    vector b0 = *(const vector_any *)b_row, b1 = *(const vector_any *)(b_row + LANES);     \
    EACH_ROW {                                                                             \
      const ELEMENT x = *(const ELEMENT *)((const char *)a + duet_distance(&a_rows, i));                 \
      sum0[i] = MULTIPLY_ADD((vector)x, b0, sum0[i]);                                      \
      sum1[i] = MULTIPLY_ADD((vector)x, b1, sum1[i]);                                      \
    }                                                                                      \
    a += a_step;                                                                           \
    __asm__("" : "+r"(a));                                                                 \
    b_row += b_step;                                                                       \
  }

// The empty assembly keeps the elements of a group apart: shuffling them together and apart again
// would take multipliers' time.
#define MOVE_GROUP                                                                         \
  {                                                                                        \
    __builtin_prefetch(m.from + m.fetch, 0, 2);                                            \
    NAME(word) w[4];                                                                       \
    memcpy(w, m.from, sizeof w);                                                           \
    _Pragma("clang loop unroll(full)") for (int q = 0; q < 4; q++) {                       \
      __asm__("" : "+r"(w[q]));                                                            \
      memcpy(m.to + q * m.spread, &w[q], sizeof w[q]);                                     \
    }                                                                                      \
    const int turns = --m.left == 0;                                                       \
    m.from += turns ? m.from_turn : m.from_step;                                           \
    m.to += turns ? m.to_turn : m.to_step;                                                 \
    m.left = turns ? m.length : m.left;                                                    \
    m.count--;                                                                             \
  }

#define FETCH_ROW_OF_C                                                                     \
  {                                                                                        \
    __builtin_prefetch(c_row, 1);                                                          \
    __builtin_prefetch(c_row + LANES, 1);                                                  \
    __builtin_prefetch(c_row + 2 * LANES - 1, 1);                                          \
    c_row += c_step;                                                                       \
  }

#define FETCH_PAIR                                                                         \
  {                                                                                        \
    __builtin_prefetch(ahead, 0, 2);                                                       \
    __builtin_prefetch(ahead + 64, 0, 2);                                                  \
    ahead += ahead_step;                                                                   \
    if (--ahead_left == 0) {                                                               \
      ahead += t->apart.turn;                                                              \
      ahead_left = t->apart.run;                                                           \
    }                                                                                      \
  }

// Four steps of k at a time, beside each four two lines that are wanted soon and, while there are any, a row of c.
#define FOUR_BY_FOUR(ROW)                                                                  \
  {                                                                                        \
    for (; p < 4 * c_rows; p += 4) {                                                       \
      FETCH_PAIR                                                                           \
      FETCH_ROW_OF_C                                                                       \
      _Pragma("clang loop unroll(full)") for (int q = 0; q < 4; q++) ROW                   \
    }                                                                                      \
    for (; p + 4 <= k; p += 4) {                                                           \
      FETCH_PAIR                                                                           \
      _Pragma("clang loop unroll(full)") for (int q = 0; q < 4; q++) ROW                   \
    }                                                                                      \
  }

// full: whole vectors; tail: 0 none, 1 a masked vector, 2 a masked half vector.
DUET_INLINE void NAME(tile)(const duet_tile *t, const int mode, const int rows, const int full,
                            const int tail) {
  typedef NAME(vector) vector;
  typedef NAME(vector_any) vector_any;
  typedef NAME(half) half;
  vector sum0[NARROW_ROWS], sum1[NARROW_ROWS];
  half sum2[NARROW_ROWS];
  const ELEMENT *a = t->a, *row[NARROW_ROWS];
  const ELEMENT *b = t->b;
  ELEMENT *c = t->c;
  const int64_t c_step = t->c_step, k = t->k, segments = t->segments;
  const int64_t a_step = t->a_step, b_step = t->b_step;
  const duet_distances a_rows = duet_distances_of(mode == DUET_TILE_STRIDED ? t->a_row * (int64_t)sizeof(ELEMENT) : 0);
  const int64_t *offset = t->offset;
  const char *ahead = t->ahead ? t->ahead : (const char *)b;
  const int lines = mode == DUET_TILE_PACKED || mode == DUET_TILE_STRIDED ? 2 : 1;
  const int64_t ahead_step = !t->ahead ? 0 : lines == 2 && t->apart.step != 0 ? t->apart.step : lines * 64;
  int64_t ahead_left = t->ahead ? t->apart.left : 0;
  duet_runs_ahead runs = t->runs;
  const NAME(mask) mask = NAME(mask_of)(t->columns - full * LANES);

  // Where k is long enough the rows of c are fetched one by one beside the multiply-adds.
  const ELEMENT *c_row = c;
  const int fetches_c = (mode == DUET_TILE_PACKED || mode == DUET_TILE_STRIDED ||
                         mode == DUET_TILE_ROWS_AT) &&
                        full == 2 && k >= 4 * rows;
  int64_t c_rows = fetches_c ? rows : 0;

  if (mode == DUET_TILE_ROWS_AT) EACH_ROW row[i] = t->row[i];
  EACH_ROW {
    sum0[i] = 0;
    sum1[i] = 0;
    sum2[i] = 0;
  }
  if (t->accumulate) {
    EACH_ROW {
      const ELEMENT *from = c + i * c_step;
      if (full > 0) sum0[i] = *(const vector_any *)from;
      if (full > 1) sum1[i] = *(const vector_any *)(from + LANES);
      if (tail == 1) sum1[i] = NAME(load_part)(from + full * LANES, mask);
      if (tail == 2) sum2[i] = NAME(load_half)(from + full * LANES, mask);
    }
  } else if (!fetches_c) {
    EACH_ROW {
      __builtin_prefetch(c + i * c_step, 1);
      if (full > 1) __builtin_prefetch(c + i * c_step + 2 * LANES - 1, 1);
    }
  }

  int64_t a_at = 0;
  const int has_segments = mode == DUET_TILE_ROWS_AT || mode == DUET_TILE_TAPS;
  for (int64_t s = 0; s < (has_segments ? segments : 1); s++) {
    const ELEMENT *b_row = b;
    int64_t at = a_at;
    int64_t p = 0;
    if (mode == DUET_TILE_PACKED && full == 2) FOUR_BY_FOUR(WHOLE_ROW)
    if (mode == DUET_TILE_STRIDED && full == 2) FOUR_BY_FOUR(STRIDED_ROW)
    if (mode == DUET_TILE_MOVING && full == 2) {
      const ELEMENT *c_ahead = c + t->c_ahead;
      duet_moves m = *t->moves;
      for (; p + 4 <= k && p < 4 * rows; p += 4, ahead += ahead_step) {
        __builtin_prefetch(ahead, 0, 2);
        __builtin_prefetch(c_ahead, 0, 2);
        __builtin_prefetch(c_ahead + LANES, 0, 2);
        __builtin_prefetch(c_ahead + 2 * LANES - 1, 0, 2);
        c_ahead += c_step;
        _Pragma("clang loop unroll(full)") for (int q = 0; q < 4; q++) WHOLE_ROW
      }
      for (; p + 4 <= k && m.count > 0; p += 4, ahead += ahead_step) {
        __builtin_prefetch(ahead, 0, 2);
        MOVE_GROUP
        _Pragma("clang loop unroll(full)") for (int q = 0; q < 4; q++) WHOLE_ROW
      }
      for (; p + 4 <= k; p += 4, ahead += ahead_step) {
        __builtin_prefetch(ahead, 0, 2);
        _Pragma("clang loop unroll(full)") for (int q = 0; q < 4; q++) WHOLE_ROW
      }
      *t->moves = m;
    }
    if (mode == DUET_TILE_STREAMED && full == 2)
      while (p + 4 <= k) {
        // To the end of a run.
        int64_t stop = p + (runs.run - runs.at) / FETCHED * 4;
        if (stop > k - 3) stop = k - 3;
        const char *first = runs.first + runs.at, *again = runs.again + runs.at;
        for (; p < stop; p += 4, first += FETCHED, again += FETCHED) {
          _Pragma("clang loop unroll(full)") for (int q = 0; q < 4; q++) {
            NAME(fetch_quarter)(first, q);
            NAME(fetch_quarter)(again, q);
            WHOLE_ROW
          }
        }
        if (runs.crosses_lines) {
          __builtin_prefetch(first, 0, 2);
          __builtin_prefetch(again, 0, 2);
        }
        runs.at = 0;
        runs.first += runs.step;
        runs.again += runs.step;
      }
    for (; p < k; p++) {
      const ELEMENT *from = mode == DUET_TILE_TAPS ? b + offset[p] : b_row;
      if (mode == DUET_TILE_ROWS_AT && full == 2) {
        __builtin_prefetch(ahead, 0, 2);
        ahead += ahead_step;
        if (p < c_rows) FETCH_ROW_OF_C
      }
      vector b0 = 0, b1 = 0;
      half b2 = 0;
      if (full > 0) b0 = *(const vector_any *)from;
      if (full > 1) b1 = *(const vector_any *)(from + LANES);
      if (tail == 1) b1 = LOAD_B_PART(from + full * LANES, mask);
      if (tail == 2) b2 = NAME(load_half)(from + full * LANES, mask);
      EACH_ROW {
        ELEMENT x = mode == DUET_TILE_ROWS_AT   ? row[i][at]
                    : mode == DUET_TILE_STRIDED ? *(const ELEMENT *)((const char *)a + duet_distance(&a_rows, i))
                                                : a[i];
        if (full > 0) sum0[i] = MULTIPLY_ADD((vector)x, b0, sum0[i]);
        if (full > 1 || tail == 1) sum1[i] = MULTIPLY_ADD((vector)x, b1, sum1[i]);
        if (tail == 2) sum2[i] = MULTIPLY_ADD((half)x, b2, sum2[i]);
      }
      if (mode == DUET_TILE_ROWS_AT)
        at += a_step;
      else
        a += mode == DUET_TILE_STRIDED ? a_step : rows;
      b_row += b_step;
    }
    c_rows = 0;
    b += t->b_segment;
    if (mode == DUET_TILE_ROWS_AT)
      a_at += t->a_segment;
    else
      a += t->a_segment;
  }

  EACH_ROW {
    ELEMENT *to = c + i * c_step;
    if (full > 0) *(vector_any *)to = sum0[i];
    if (full > 1) *(vector_any *)(to + LANES) = sum1[i];
    if (tail == 1) NAME(store_part)(to + full * LANES, sum1[i], mask);
    if (tail == 2) NAME(store_half)(to + full * LANES, sum2[i], mask);
  }
}

#define TILE(mode, columns, rows, full, tail)                                           \
  static void NAME(tile_##mode##_##columns##_##rows)(const duet_tile *t) {              \
    NAME(tile)(t, DUET_TILE_##mode, rows, full, tail);                                  \
  }
#define TILE_NAME(mode, columns, rows, full, tail) NAME(tile_##mode##_##columns##_##rows),

#define TILES_4(M, m, s, f, t) M(m, s, 1, f, t) M(m, s, 2, f, t) M(m, s, 3, f, t) M(m, s, 4, f, t)
#define TILES_6(M, m, s, f, t) TILES_4(M, m, s, f, t) M(m, s, 5, f, t) M(m, s, 6, f, t)
#define TILES_12(M, m, s, f, t)                                                                  \
  TILES_6(M, m, s, f, t)                                                                         \
  M(m, s, 7, f, t) M(m, s, 8, f, t) M(m, s, 9, f, t)                                           \
  M(m, s, 10, f, t) M(m, s, 11, f, t) M(m, s, 12, f, t)
#define TILES_14(M, m, s, f, t) TILES_12(M, m, s, f, t) M(m, s, 13, f, t) M(m, s, 14, f, t)
#if ROWS == 14
#define TILES TILES_14
#elif ROWS == 12
#define TILES TILES_12
#elif ROWS == 6
#define TILES TILES_6
#else
#define TILES TILES_4
#endif

#define TILE_MODE(mode)                 \
  TILES(TILE, mode, two, 2, 0)          \
  TILES(TILE, mode, one_and_part, 1, 1) \
  TILES(TILE, mode, part, 0, 1)
#define TILE_MODE_HALF(mode)            \
  TILES(TILE, mode, one_and_half, 1, 2) \
  TILES(TILE, mode, half, 0, 2)

TILE_MODE(PACKED)
TILE_MODE(ROWS_AT)
TILE_MODE(TAPS)
#if FEW_REGISTERS
_Static_assert(NARROW_ROWS <= 8, "rows are reached by eight multiples of a stride");
TILE_MODE(STRIDED)
#if NARROW_ROWS == 8
#define NARROW_TILES(M, m, s, f, t) M(m, s, 7, f, t) M(m, s, 8, f, t)
NARROW_TILES(TILE, STRIDED, part, 0, 1)
#else
#define NARROW_TILES(M, m, s, f, t)
#endif
#else
TILES(TILE, STREAMED, two, 2, 0)
#endif
#if SWEEPING
#include "sweep_template.h"
#endif
TILES(TILE, MOVING, two, 2, 0)
#if HALF
TILE_MODE_HALF(PACKED)
TILE_MODE_HALF(ROWS_AT)
TILE_MODE_HALF(TAPS)
#endif

#define TILE_TABLE(mode, columns) {TILES(TILE_NAME, mode, columns, 0, 0)}
#define TILE_TABLES(mode)                                                  \
  {TILE_TABLE(mode, two), TILE_TABLE(mode, one_and_part), TILE_TABLE(mode, one_and_part), \
   TILE_TABLE(mode, part), TILE_TABLE(mode, part)}
#define TILE_TABLES_WHOLE(mode)                                                           \
  {TILE_TABLE(mode, two), TILE_TABLE(PACKED, one_and_part),                               \
   TILE_TABLE(PACKED, one_and_part), TILE_TABLE(PACKED, part), TILE_TABLE(PACKED, part)}
#define TILE_TABLES_HALF(mode)                                             \
  {TILE_TABLE(mode, two), TILE_TABLE(mode, one_and_part), TILE_TABLE(mode, one_and_half), \
   TILE_TABLE(mode, part), TILE_TABLE(mode, half)}

#define TILE_TABLE_NARROW(mode) \
  {TILES(TILE_NAME, mode, part, 0, 0) NARROW_TILES(TILE_NAME, mode, part, 0, 0)}
#define TILE_TABLES_NARROW(mode)                                                          \
  {TILE_TABLE(mode, two), TILE_TABLE(mode, one_and_part), TILE_TABLE(mode, one_and_part), \
   TILE_TABLE_NARROW(mode), TILE_TABLE_NARROW(mode)}

static const duet_engine NAME(engine) = {
  .rows = ROWS,
  .narrow_rows = NARROW_ROWS,
  .lanes = LANES,
  .half_lanes = HALF,
  .masked = MASKED,
  .element_size = sizeof(ELEMENT),
  .k_block = K_BLOCK,
  .row_block = ROW_BLOCK,
  .in_place = IN_PLACE,
  .in_place_mode = FEW_REGISTERS ? DUET_TILE_STRIDED : DUET_TILE_ROWS_AT,
#if FEW_REGISTERS
  .tile = {TILE_TABLES(PACKED), TILE_TABLES(ROWS_AT), TILE_TABLES(TAPS),
           {{0}}, TILE_TABLES_WHOLE(MOVING), TILE_TABLES_NARROW(STRIDED)},
#elif HALF
  .tile = {TILE_TABLES_HALF(PACKED), TILE_TABLES_HALF(ROWS_AT), TILE_TABLES_HALF(TAPS),
           TILE_TABLES_WHOLE(STREAMED), TILE_TABLES_WHOLE(MOVING)},
#else
  .tile = {TILE_TABLES(PACKED), TILE_TABLES(ROWS_AT), TILE_TABLES(TAPS),
           TILE_TABLES_WHOLE(STREAMED), TILE_TABLES_WHOLE(MOVING)},
#endif
#if SWEEPING
  .sweep = {SWEEPS},
  .sweep_rows = 2 * TILE_ROWS,
  .sweep_fetches = !FEW_REGISTERS,
#endif
  .pack = PACK,
  .spread = SPREAD,
  .spread_past_caches = SPREAD_PAST_CACHES,
  .matvec = MATVEC,
  .batch = NAME(batch),
#if MATVEC_ORDER
  .batch_with_vector = NAME(batch_with_vector),
#endif
};

#undef EACH_ROW
#undef WHOLE_ROW
#undef STRIDED_ROW
#undef ROW_OF_A
#undef FETCHED
#undef MOVE_GROUP
#undef FETCH_ROW_OF_C
#undef FETCH_PAIR
#undef FOUR_BY_FOUR
#undef TILE
#undef TILE_NAME
#undef TILES_4
#undef TILES_6
#undef TILES_12
#undef TILES_14
#undef TILES
#undef TILE_MODE
#undef TILE_MODE_HALF
#undef TILE_TABLE
#undef TILE_TABLES
#undef TILE_TABLES_HALF
#undef TILE_TABLES_WHOLE
#undef TILE_TABLE_NARROW
#undef TILE_TABLES_NARROW
#undef NARROW_TILES
#undef NARROW_ROWS
#undef SWEEP
#undef SWEEPS
#undef SWEEPS_8
#undef SWEEPS_12
#undef TILE_ROWS
#undef ELEMENT
#undef LANES
#undef ROWS
#undef HALF
#undef NAME
#undef MULTIPLY_ADD
#undef BITS
#undef LOAD_B_PART
#undef PACK
#undef SPREAD
#undef SPREAD_PAST_CACHES
#undef MATVEC
#undef MATVEC_ORDER
#undef K_BLOCK
#undef ROW_BLOCK
