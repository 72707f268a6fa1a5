// A few rows times a matrix that is larger than the caches: it is read once, at the speed of memory,
// while the processor multiplies at its own. The results of a strip of columns stay in the caches.
// Where rows are more than a few tiles, the tiles that meet a panel of it share fetching the next one, which
// is packed then for all of them.
// Tall tiles hold the results of many rows of k: strips are short, and as processors do not follow
// short runs of memory by themselves, tiles fetch a block of rows into the second-level cache while the
// block before is multiplied. Engines of few registers sweep over long strips, a few rows of k at a time,
// which processors do follow, further ahead than they take requests for. So do those of registers that hold a
// line, on processors that multiply faster than they read; they ask for what lies ahead besides.
#include "engine.h"

#include <string.h>

#pragma STDC FP_CONTRACT OFF

enum {
  LARGE_BYTES = 2 << 20,  // of a right operand that the second-level cache does not hold
  LONG_ROW = 4 << 10,     // bytes of its rows
  SWEPT_ROW = 2 << 10,    // and of those that are swept
  SWEPT_ROWS = 64,        // of the result, up to which sweeps pay: each takes DUET_SWEEP_ROWS or fewer
  FEW_ROWS = 16,          // of the result, for which smaller operands are swept, too:
  FEW_ROWS_BYTES = 256 << 10,  // from here on
  PART_K = 4096,          // k for which the left operand is packed at a time
  FETCHED_RUN = 1 << 10,  // bytes of a row in a strip whose blocks are fetched, and the least of rows read in parts
  FETCHED_K = 128,        // rows of a block: two blocks fit in the second-level cache
  FETCHED_AGAIN = 32,     // after so many rows a line is fetched again
  STREAMED_ROWS = 256,    // of the result: with more there is time to pack the right operand beside tiles
  SHARING_TILES = 5,      // from so many tiles below each other they share fetching, and panels are packed,
  PACKED_K = 256,         // of so many rows
  TRANSPOSED_ROWS = 16,   // of the result, up to which rows of a transposed right operand are read in place
  SWEPT_BYTES = 256 << 10,    // of the results of a strip that is swept, which the second-level cache holds
  FETCHED_BYTES = 512 << 10   // the same of sweeps that fetch
};

static int is_transposed(const duet_product *p) { return p->b_k == 1 && p->b_column != 1; }

int duet_streams(const duet_product *p) {
  const duet_engine *engine = p->engine;
  int64_t es = engine->element_size, bytes = p->n * p->k * es;
  if (p->table->widen[p->dtype] || p->b_column != 1 || p->c_column != 1) return 0;
  int64_t row = p->b_k < p->n ? p->b_k * es : p->n * es;
  if (engine->sweep[0] && !engine->sweep_fetches)
    return p->m <= SWEPT_ROWS && row >= SWEPT_ROW && bytes > (p->m <= FEW_ROWS ? FEW_ROWS_BYTES : LARGE_BYTES);
  return p->m <= 2 * engine->rows && row >= LONG_ROW && bytes > LARGE_BYTES;
}

int duet_streams_in_parts(const duet_product *p) {
  const duet_engine *engine = p->engine;
  int transposed = is_transposed(p);
  int64_t es = engine->element_size, row = transposed ? p->b_column * es : p->b_k * es;
  return engine->in_place_mode == DUET_TILE_ROWS_AT && !p->table->widen[p->dtype] && (transposed || p->b_column == 1) &&
         p->c_column == 1 && p->m > (transposed ? TRANSPOSED_ROWS : 2 * engine->rows) && p->m <= STREAMED_ROWS &&
         row >= FETCHED_RUN && p->n * p->k * es > LARGE_BYTES && !duet_sweeps(p);
}

// Processors that halve the widest registers multiply for as long as they read: they take tiles. So do others where
// those are nearly full.
int duet_sweeps(const duet_product *p) {
  const duet_engine *engine = p->engine;
  if (!engine->sweep[0] || !engine->sweep_fetches) return engine->sweep[0] != NULL;
  if (is_transposed(p)) return 0;
  int fills_tiles = p->m <= engine->rows && p->m + 2 > engine->rows;
  return !duet_halves_registers() && p->m <= engine->sweep_rows && !fills_tiles;
}

typedef struct {
  const duet_product *p;
  int64_t es, panel;         // columns of a tile
  duet_parts rows;           // of the result, in panels of a
  int64_t k0, k;             // the part of k whose panels of a are packed
  const char *a_panels;
  char *panel_of_b;          // where tiles share fetching
  char *sums;                // of a strip
  int64_t sums_row;
  int sums_tiled;
  int transposed;            // b: rows run along k
} streamed_product;

// The lines of a panel of b from a pair on, in the order in which tiles fetch them; NULL behind the last one.
static const char *pair_ahead(const streamed_product *x, const char *panel, int64_t k, int64_t pair,
                              duet_lines_apart *apart) {
  const duet_product *p = x->p;
  if (!x->transposed) {
    *apart = (duet_lines_apart){.step = p->b_k * x->es};
    return pair < k ? panel + pair * apart->step : NULL;
  }
  int64_t run = (k * x->es + 127) / 128, row = p->b_column * x->es;
  *apart = (duet_lines_apart){.turn = row - run * 128, .run = run, .left = run - pair % run};
  return pair < x->panel * run ? panel + pair / run * row + pair % run * 128 : NULL;
}

static void fetch_from(const streamed_product *x, const char *panel, int64_t k, int64_t pair) {
  duet_lines_apart apart;
  for (;; pair++) {
    const char *lines = pair_ahead(x, panel, k, pair, &apart);
    if (!lines) return;
    __builtin_prefetch(lines, 0, 2);
    __builtin_prefetch(lines + 64, 0, 2);
  }
}

// Rows q ..< q + t->k of the part for the columns of a panel of b, of which j are before them in the strip; next: where
// the panel that follows begins.
static void multiply_panel(const streamed_product *x, duet_tile *t, const char *b, int64_t q, int64_t j,
                           const char *next) {
  const duet_product *p = x->p;
  int64_t es = x->es;
  p->engine->pack(x->panel_of_b, x->panel, b, t->columns, t->k, p->b_column, p->b_k);
  t->b = x->panel_of_b;
  t->b_step = x->panel;
  // What the tiles do not fetch where they are few.
  fetch_from(x, next, t->k, x->rows.count * (t->k / 4));
  for (int64_t i = 0; i < x->rows.count; i++) {
    int64_t begin = duet_part_begin(x->rows, i), rows = duet_part_begin(x->rows, i + 1) - begin;
    t->a = x->a_panels + (begin * x->k + q * rows) * es;
    t->c = x->sums + (begin * x->sums_row + j) * es;
    t->ahead = pair_ahead(x, next, t->k, i * (t->k / 4), &t->apart);
    duet_choose_tile(p->engine, DUET_TILE_PACKED, rows, t->columns)(t);
  }
}

// Rows q ..< q + k of the part, columns j0 ..< j0 + columns; next: where the block that follows
// begins.
static void multiply_block(const streamed_product *x, int64_t q, int64_t k, int64_t j0,
                           int64_t columns, const char *next) {
  const duet_product *p = x->p;
  int64_t es = x->es, step = p->b_k * es;
  const char *b = p->b + ((x->k0 + q) * p->b_k + j0 * p->b_column) * es;
  int crosses_lines = (((uintptr_t)b | (uintptr_t)step) & 63) != 0;
  duet_tile t = {.b_step = p->b_k, .k = k, .c_step = x->sums_row, .accumulate = x->k0 + q > 0};
  for (int64_t j = 0; j < columns; j += x->panel) {
    t.columns = (int32_t)(columns - j < x->panel ? columns - j : x->panel);
    if (x->panel_of_b) {
      int64_t panel = x->panel * p->b_column * es;
      const char *here = b + j * p->b_column * es;
      multiply_panel(x, &t, here, q, j, j + x->panel < columns ? here + panel : next);
      continue;
    }
    t.b = b + j * es;
    // The tile's share of the next block, and what came again_k rows before that, be it of this one.
    int64_t fetched = j * k * es, row = fetched / FETCHED_RUN, again = row - FETCHED_AGAIN;
    t.runs = (duet_runs_ahead){.first = next + row * step,
                               .again = again < 0 ? b + (k + again) * step : next + again * step,
                               .at = fetched % FETCHED_RUN & -512,
                               .run = FETCHED_RUN,
                               .crosses_lines = crosses_lines,
                               .step = step};
    for (int64_t i = 0; i < x->rows.count; i++) {
      int64_t begin = duet_part_begin(x->rows, i), rows = duet_part_begin(x->rows, i + 1) - begin;
      duet_tile_mode mode = i == 0 ? DUET_TILE_STREAMED : DUET_TILE_PACKED;
      t.a = x->a_panels + (begin * x->k + q * rows) * es;
      t.c = x->sums + (begin * x->sums_row + j) * es;
      duet_choose_tile(p->engine, mode, rows, t.columns)(&t);
    }
  }
}

// The results of a strip before and after its part of k: rows sums_row apart, or tiles one behind the other.
static void move_sums(const streamed_product *x, char *c, int64_t columns, int loads) {
  const duet_product *p = x->p;
  int64_t tile = x->sums_tiled ? x->panel * x->es : columns * x->es;
  for (int64_t part = 0; part < x->rows.count; part++) {
    int64_t begin = duet_part_begin(x->rows, part), end = duet_part_begin(x->rows, part + 1);
    char *sums = x->sums + begin * x->sums_row * x->es;
    for (int64_t at = 0; at < columns * x->es; at += tile)
      for (int64_t i = begin; i < end; i++, sums += x->sums_tiled ? tile : x->sums_row * x->es) {
        char *row = c + i * p->c_row * x->es + at;
        if (!loads)
          memcpy(row, sums, (size_t)tile);
        else if (x->k0 > 0)
          memcpy(sums, row, (size_t)tile);
        else
          memset(sums, 0, (size_t)tile);
      }
  }
}

static void multiply_blocks(const streamed_product *x, int64_t j0, int64_t columns) {
  const duet_product *p = x->p;
  const int64_t most = x->panel_of_b ? PACKED_K : FETCHED_K;
  for (int64_t q = 0; q < x->k; q += most) {
    int64_t k = x->k - q < most ? x->k - q : most;
    int64_t next_k = x->k0 + q + k, next_j = j0;
    if (q + k == x->k) {
      next_j = j0 + columns < p->n ? j0 + columns : 0;
      next_k = next_j > 0 ? x->k0 : next_k;
    }
    multiply_block(x, q, k, j0, columns, p->b + (next_k * p->b_k + next_j * p->b_column) * x->es);
  }
}

// The first rows of the result take b from memory, others find it in the second-level cache.
static void sweep(const streamed_product *x, int64_t j0, int64_t columns) {
  const duet_product *p = x->p;
  int64_t es = x->es;
  duet_sweep s = {.b_step = p->b_k, .tiles = columns / x->panel};
  for (int64_t q = 0; q < x->k; q += DUET_SWEEP_K) {
    int64_t next_k = q + DUET_SWEEP_K, next_j = j0;
    if (next_k >= x->k) {
      next_k = 0;
      next_j = j0 + columns < p->n ? j0 + columns : 0;
    }
    s.k = x->k - q < DUET_SWEEP_K ? x->k - q : DUET_SWEEP_K;
    s.b = p->b + ((x->k0 + q) * p->b_k + j0) * es;
    s.next = p->b + ((x->k0 + next_k) * p->b_k + next_j) * es;
    for (int64_t i = 0; i < x->rows.count; i++) {
      int64_t begin = duet_part_begin(x->rows, i), rows = duet_part_begin(x->rows, i + 1) - begin;
      s.a = x->a_panels + (begin * x->k + q * rows) * es;
      s.c = x->sums + begin * x->sums_row * es;
      p->engine->sweep[rows - 1](&s);
    }
  }
}

static duet_parts row_parts(const duet_product *p) {
  return duet_split(p->m, duet_sweeps(p) ? p->engine->sweep_rows : p->engine->rows);
}

size_t duet_streamed_bytes(const duet_product *p) {
  return duet_round_up((p->m * p->k + 16) * p->engine->element_size, 64);
}

// Rows k0 ..< k0 + k of a.
static void pack_part(const duet_product *p, duet_parts rows, int64_t k0, int64_t k, char *panels) {
  int64_t es = p->engine->element_size;
  for (int64_t i = 0; i < rows.count; i++) {
    int64_t begin = duet_part_begin(rows, i), count = duet_part_begin(rows, i + 1) - begin;
    p->engine->pack(panels + begin * k * es, count, p->a + (begin * p->a_row + k0 * p->a_k) * es, count, k, p->a_row,
                    p->a_k);
  }
}

void duet_pack_streamed(const duet_product *p, char *panels) {
  for (int64_t k0 = 0; k0 < p->k; k0 += PART_K)
    pack_part(p, row_parts(p), k0, p->k - k0 < PART_K ? p->k - k0 : PART_K,
              panels + k0 * p->m * p->engine->element_size);
}

void duet_multiply_streamed(const duet_product *p) {
  const duet_engine *engine = p->engine;
  int sweeps = duet_sweeps(p);
  int64_t es = engine->element_size, most = p->k < PART_K ? p->k : PART_K;
  int64_t run = FETCHED_RUN, step = FETCHED_RUN + 64;
  if (sweeps && engine->sweep_fetches) {
    run = step = FETCHED_BYTES / p->m & -1024;
  } else if (sweeps) {
    run = p->m * DUET_SWEEP_RUN <= SWEPT_BYTES ? DUET_SWEEP_RUN : SWEPT_BYTES / p->m & -1024;
    step = DUET_SWEEP_STEP;
  }
  if (run > p->n * es) run = p->n * es;
  int64_t strip = run / es;
  size_t a_bytes = p->a_panels ? 0 : duet_round_up((p->m * most + 16) * es, 64);
  streamed_product x = {.p = p,
                        .es = es,
                        .panel = 2 * engine->lanes,
                        .rows = row_parts(p),
                        .transposed = is_transposed(p),
                        .sums_tiled = sweeps && engine->sweep_fetches,
                        .sums_row = step / es};
  int shares = !sweeps && (x.transposed || x.rows.count >= SHARING_TILES);
  size_t sums_bytes = duet_round_up(p->m * x.sums_row * es, 64);
  size_t panel_bytes = shares ? (x.panel * PACKED_K + 16) * es : 0;
  char *memory = duet_scratch(1, a_bytes + sums_bytes + panel_bytes);
  x.sums = memory + a_bytes;
  if (shares) x.panel_of_b = x.sums + sums_bytes;
  for (x.k0 = 0; x.k0 < p->k; x.k0 += PART_K) {
    x.k = p->k - x.k0 < PART_K ? p->k - x.k0 : PART_K;
    x.a_panels = p->a_panels ? p->a_panels + x.k0 * p->m * es : memory;
    if (!p->a_panels) pack_part(p, x.rows, x.k0, x.k, memory);
    for (int64_t j0 = 0; j0 < p->n; j0 += strip) {
      int64_t columns = p->n - j0 < strip ? p->n - j0 : strip;
      char *c = p->c + j0 * es;
      move_sums(&x, c, columns, 1);
      if (sweeps)
        sweep(&x, j0, columns);
      else
        multiply_blocks(&x, j0, columns);
      move_sums(&x, c, columns, 0);
    }
  }
}
