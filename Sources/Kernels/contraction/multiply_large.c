// Large products: for each block of k the right operand is packed once, by all threads. Tasks then
// take blocks of rows of the left one, pack them for themselves, where they stay in the
// second-level cache, and multiply.
#include "engine.h"

#pragma STDC FP_CONTRACT OFF

enum {
  PART_COLUMNS = 4096,   // of the result whose packed operand is held at a time
  PANELS_PER_TASK = 8,   // packed
  LEAST_TASKS = 8,       // below this tasks are split by columns, too
  TASK_COLUMNS = 256,    // and these are the least of them
  BLOCKS = 4,            // of rows: a multiple of this
  ROOM = 16              // elements behind a panel, which packing may overwrite
};

typedef struct {
  const duet_product *p;
  int64_t es, panel;     // bytes of an element, columns of a panel of b
  int64_t n0, n, k0, k;
  char *b_panels;
  int64_t b_count;       // panels of b
  duet_parts rows;       // of the result, in panels of a
  duet_parts blocks;     // of panels of a
  duet_parts column_parts;  // of panels of b
} large_product;

static char *panel_at(const large_product *x, int64_t i) {
  return x->b_panels + i * (x->panel * x->k + ROOM) * x->es;
}

static void pack_task(void *context, int64_t index) {
  const large_product *x = context;
  const duet_product *p = x->p;
  const char *b = p->b + (x->k0 * p->b_k + x->n0 * p->b_column) * x->es;
  int64_t first = index * PANELS_PER_TASK;
  for (int64_t i = first; i < first + PANELS_PER_TASK && i < x->b_count; i++) {
    int64_t j = i * x->panel, columns = x->n - j < x->panel ? x->n - j : x->panel;
    p->engine->pack(panel_at(x, i), x->panel,
                    b + j * p->b_column * x->es, columns, x->k, p->b_column, p->b_k);
  }
}

// Rows of the next block that are wanted soon, in lines of the cache.
typedef struct {
  const char *row;
  int64_t row_bytes, bytes, rows, at;
} lines_ahead;

static void fetch_lines(lines_ahead *next, int64_t lines) {
  for (int64_t i = 0; i < lines && next->rows > 0; i++) {
    __builtin_prefetch(next->row + next->at, 0, 2);
    next->at += 64;
    if (next->at < next->bytes) continue;
    next->at = 0;
    next->row += next->row_bytes;
    next->rows--;
  }
}

static void multiply_task(void *context, int64_t index) {
  const large_product *x = context;
  const duet_product *p = x->p;
  const duet_engine *engine = p->engine;
  int64_t block = index / x->column_parts.count, part = index % x->column_parts.count;
  int64_t first = duet_part_begin(x->blocks, block), last = duet_part_begin(x->blocks, block + 1);
  int64_t m0 = duet_part_begin(x->rows, first), m1 = duet_part_begin(x->rows, last);
  int64_t j0 = duet_part_begin(x->column_parts, part) * x->panel;
  int64_t j1 = duet_part_begin(x->column_parts, part + 1) * x->panel, es = x->es;
  if (j1 > x->n) j1 = x->n;

  char *a_panels = duet_scratch(1, ((m1 - m0) * x->k + ROOM) * es);
  const char *a = p->a + (m0 * p->a_row + x->k0 * p->a_k) * es;
  for (int64_t i = first; i < last; i++) {
    int64_t begin = duet_part_begin(x->rows, i) - m0;
    int64_t rows = duet_part_begin(x->rows, i + 1) - m0 - begin;
    engine->pack(a_panels + begin * x->k * es, rows, a + begin * p->a_row * es, rows, x->k,
                 p->a_row, p->a_k);
  }

  // The next block is fetched where the second-level cache has room for it beside this one.
  lines_ahead next = {0};
  if (p->a_k == 1 && m1 < p->m && x->k <= engine->k_block * 5 / 4)
    next = (lines_ahead){.row = a + (m1 - m0) * p->a_row * es, .row_bytes = p->a_row * es,
                         .bytes = x->k * es,
                         .rows = p->m - m1 < m1 - m0 ? p->m - m1 : m1 - m0};
  // Two panels of b take turns: tiles that follow each other in a column of the result would find
  // their rows at the same places of pages where rows are a power of two long, and processors then
  // take the loads of one for what the stores of the other have yet to write.
  int64_t tiles = last - first, panels = (j1 - j0 + x->panel - 1) / x->panel;
  int64_t lines = next.rows * (next.bytes / 64 + 1) / (tiles * panels) + 1;
  duet_tile t = {.b_step = x->panel, .k = x->k, .c_step = p->c_row, .accumulate = x->k0 > 0};
  for (int64_t q = 0; q < panels; q += 2) {
    int64_t turns = panels - q < 2 ? 1 : 2;
    for (int64_t u = 0; u < turns * tiles; u++) {
      int64_t panel = q + u % turns, i = first + u / turns, j = j0 + panel * x->panel;
      int64_t after = panel + 2 < panels ? panel + 2 : (panel + 2) % 2;
      int64_t begin = duet_part_begin(x->rows, i) - m0;
      int64_t rows = duet_part_begin(x->rows, i + 1) - m0 - begin;
      char *c = p->c + ((m0 + begin) * p->c_row + x->n0 + j) * es;
      t.columns = (int32_t)(j1 - j < x->panel ? j1 - j : x->panel);
      t.a = a_panels + begin * x->k * es;
      t.b = panel_at(x, j0 / x->panel + panel);
      t.c = c;
      // The tile below is wanted soon.
      if (i + 1 < last)
        for (int64_t r = 0; r < rows; r++)
          for (int64_t at = 0; at < t.columns * es; at += 64)
            __builtin_prefetch(c + (rows + r) * p->c_row * es + at, 1);
      fetch_lines(&next, lines);
      t.ahead = panel_at(x, j0 / x->panel + after) +
                (i - first) * duet_lines_ahead(DUET_TILE_PACKED, x->k) * 64;
      duet_choose_tile(engine, DUET_TILE_PACKED, rows, t.columns)(&t);
    }
  }
  if (p->bias && x->k0 + x->k == p->k) duet_add_bias(p, m0, m1 - m0, x->n0 + j0, j1 - j0);
}

void duet_multiply_large(const duet_product *p) {
  const duet_engine *engine = p->engine;
  large_product x = {.p = p, .es = engine->element_size, .panel = 2 * engine->lanes};
  // With half the rows in a block of the left operand, blocks of k may be twice as long: the result
  // is read and written half as often. Up to half as long again rather than many short ones.
  int64_t k_block = 2 * engine->k_block, k_blocks = (p->k + k_block / 2) / k_block;
  if (k_blocks < 1) k_blocks = 1;
  duet_parts k_parts = duet_split(p->k, (p->k + k_blocks - 1) / k_blocks);
  x.rows = duet_split(p->m, engine->rows);
  int64_t most_tiles = engine->row_block / 2 / engine->rows;
  // As many blocks as two or four threads can share evenly.
  int64_t blocks = (x.rows.count + most_tiles - 1) / most_tiles;
  blocks = (int64_t)duet_round_up(blocks, BLOCKS);
  x.blocks = (duet_parts){blocks, x.rows.count / blocks, x.rows.count % blocks};
  for (x.n0 = 0; x.n0 < p->n; x.n0 += PART_COLUMNS)
    for (int64_t q = 0; q < k_parts.count; q++) {
      x.n = p->n - x.n0 < PART_COLUMNS ? p->n - x.n0 : PART_COLUMNS;
      x.k0 = duet_part_begin(k_parts, q);
      x.k = duet_part_begin(k_parts, q + 1) - x.k0;
      x.b_count = (x.n + x.panel - 1) / x.panel;
      x.b_panels = duet_scratch(0, x.b_count * (x.panel * x.k + ROOM) * x.es);
      duet_parallel_for((x.b_count + PANELS_PER_TASK - 1) / PANELS_PER_TASK, pack_task, &x);
      int64_t wanted = (LEAST_TASKS + x.blocks.count - 1) / x.blocks.count;
      int64_t most = (x.n + TASK_COLUMNS - 1) / TASK_COLUMNS;
      if (wanted > most) wanted = most;
      x.column_parts = duet_split(x.b_count, (x.b_count + wanted - 1) / wanted);
      duet_parallel_for(x.blocks.count * x.column_parts.count, multiply_task, &x);
    }
}
