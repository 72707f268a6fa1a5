// A few rows times a matrix that is larger than the caches: it is read once, at the speed of memory,
// while the processor multiplies at its own. The results of a strip of columns stay in the
// caches; a block of its rows is fetched into the second-level one while the block before
// is multiplied. Processors do not follow such short runs of memory by themselves: tiles fetch them.
#include "engine.h"

#include <string.h>

#pragma STDC FP_CONTRACT OFF

enum {
  LARGE_BYTES = 2 << 20,  // of a right operand that the second-level cache does not hold
  LONG_ROW = 4 << 10,     // bytes of its rows
  PART_K = 4096           // k for which the left operand is packed at a time
};

int duet_streams(const duet_product *p) {
  int64_t es = p->engine->element_size;
  return !p->table->widen[p->dtype] && p->b_column == 1 && p->c_column == 1 &&
         p->m <= 2 * p->engine->rows && p->b_k * es >= LONG_ROW && p->n * es >= LONG_ROW &&
         p->n * p->k * es > LARGE_BYTES;
}

typedef struct {
  const duet_product *p;
  int64_t es, panel, strip;  // columns of a tile and of a strip
  int64_t run, block_k;      // bytes of a row of a strip, rows of a block
  int64_t again_k;           // after so many rows a line is fetched again
  duet_parts rows;           // of the result, in panels of a
  int64_t k0, k;             // the part of k whose panels of a are packed
  char *a_panels;
  char *sums;                // of a strip
  int64_t sums_row;
} streamed_product;

// Rows q ..< q + k of the part, columns j0 ..< j0 + columns; next: where the block that follows
// begins.
static void multiply_block(const streamed_product *x, int64_t q, int64_t k, int64_t j0,
                           int64_t columns, const char *next) {
  const duet_product *p = x->p;
  int64_t es = x->es, step = p->b_k * es;
  const char *b = p->b + ((x->k0 + q) * p->b_k + j0) * es;
  int crosses_lines = (((uintptr_t)b | (uintptr_t)step) & 63) != 0;
  duet_tile t = {.b_step = p->b_k, .k = k, .c_step = x->sums_row, .accumulate = x->k0 + q > 0};
  for (int64_t j = 0; j < columns; j += x->panel) {
    t.columns = (int32_t)(columns - j < x->panel ? columns - j : x->panel);
    t.b = b + j * es;
    // The tile's share of the next block, and what came again_k rows before that, be it of this one.
    int64_t fetched = j * k * es, row = fetched / x->run, again = row - x->again_k;
    t.runs = (duet_runs_ahead){.first = next + row * step,
                               .again = again < 0 ? b + (k + again) * step : next + again * step,
                               .at = fetched % x->run & -512,
                               .run = x->run,
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

static void multiply_strip(const streamed_product *x, int64_t j0, int64_t columns) {
  const duet_product *p = x->p;
  int64_t es = x->es;
  char *c = p->c + j0 * es;
  for (int64_t i = 0; x->k0 > 0 && i < p->m; i++)
    memcpy(x->sums + i * x->sums_row * es, c + i * p->c_row * es, columns * es);
  for (int64_t q = 0; q < x->k; q += x->block_k) {
    int64_t k = x->k - q < x->block_k ? x->k - q : x->block_k;
    int64_t next_k = x->k0 + q + k, next_j = j0;
    if (q + k == x->k) {
      next_j = j0 + columns < p->n ? j0 + columns : 0;
      next_k = next_j > 0 ? x->k0 : next_k;
    }
    multiply_block(x, q, k, j0, columns, p->b + (next_k * p->b_k + next_j) * es);
  }
  for (int64_t i = 0; i < p->m; i++)
    memcpy(c + i * p->c_row * es, x->sums + i * x->sums_row * es, columns * es);
}

void duet_multiply_streamed(const duet_product *p) {
  const duet_engine *engine = p->engine;
  int64_t es = engine->element_size, most = p->k < PART_K ? p->k : PART_K;
  size_t a_bytes = duet_round_up((p->m * most + 16) * es, 64);
  streamed_product x = {.p = p,
                        .es = es,
                        .panel = 2 * engine->lanes,
                        .strip = engine->streamed_run / es,
                        .run = engine->streamed_run,
                        .block_k = engine->streamed_k,
                        .again_k = engine->streamed_k / 4,
                        .rows = duet_split(p->m, engine->rows),
                        .sums_row = (engine->streamed_run + 64) / es};
  x.a_panels = duet_scratch(1, a_bytes + p->m * x.sums_row * es);
  x.sums = x.a_panels + a_bytes;
  for (x.k0 = 0; x.k0 < p->k; x.k0 += PART_K) {
    x.k = p->k - x.k0 < PART_K ? p->k - x.k0 : PART_K;
    for (int64_t i = 0; i < x.rows.count; i++) {
      int64_t begin = duet_part_begin(x.rows, i), rows = duet_part_begin(x.rows, i + 1) - begin;
      engine->pack(x.a_panels + begin * x.k * es, rows,
                   p->a + (begin * p->a_row + x.k0 * p->a_k) * es, rows, x.k, p->a_row, p->a_k);
    }
    for (int64_t j0 = 0; j0 < p->n; j0 += x.strip)
      multiply_strip(&x, j0, p->n - j0 < x.strip ? p->n - j0 : x.strip);
  }
}
