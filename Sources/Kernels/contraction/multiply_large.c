// Large products: for each block of k both operands are packed once, by all threads, and then
// shared by the tasks that compute blocks of the result.
#include "engine.h"

#pragma STDC FP_CONTRACT OFF

enum {
  PART = 4096,           // rows and columns of the result whose packed operands are held at a time
  TASK_COLUMNS = 512,
  PANELS_PER_TASK = 8    // packed
};

typedef struct {
  const duet_product *p;
  int64_t es, panel;     // bytes of an element, columns of a panel of b
  int64_t m0, m, n0, n, k0, k;
  char *a_panels, *b_panels;
  duet_parts a_parts;    // panels of a
  int64_t b_count;       // panels of b
  int64_t a_tasks;
  duet_parts blocks;     // of panels of a
  int64_t column_tasks;
} large_product;

static void pack_task(void *context, int64_t index) {
  const large_product *x = context;
  const duet_product *p = x->p;
  if (index < x->a_tasks) {
    const char *a = p->a + (x->m0 * p->a_row + x->k0 * p->a_k) * x->es;
    for (int64_t i = index * PANELS_PER_TASK;
         i < (index + 1) * PANELS_PER_TASK && i < x->a_parts.count; i++) {
      int64_t begin = duet_part_begin(x->a_parts, i), rows = duet_part_begin(x->a_parts,
                                                                             i + 1) - begin;
      // Panels are followed by room for what packing writes behind them: other threads write the
      // next.
      p->engine->pack(x->a_panels + (begin * x->k + i * 16) * x->es, rows,
                      a + begin * p->a_row * x->es, rows,
                      x->k, p->a_row, p->a_k);
    }
    return;
  }
  const char *b = p->b + (x->k0 * p->b_k + x->n0 * p->b_column) * x->es;
  for (int64_t first = (index - x->a_tasks) * PANELS_PER_TASK, i = first;
       i < first + PANELS_PER_TASK && i < x->b_count; i++) {
    int64_t j = i * x->panel, columns = x->n - j < x->panel ? x->n - j : x->panel;
    p->engine->pack(x->b_panels + (j * x->k + i * 16) * x->es, x->panel,
                    b + j * p->b_column * x->es, columns,
                    x->k, p->b_column, p->b_k);
  }
}

static void multiply_task(void *context, int64_t index) {
  const large_product *x = context;
  const duet_product *p = x->p;
  const duet_engine *engine = p->engine;
  int64_t block = index / x->column_tasks, es = x->es;
  int64_t first = duet_part_begin(x->blocks, block), last = duet_part_begin(x->blocks, block + 1);
  int64_t j0 = index % x->column_tasks * TASK_COLUMNS;
  int64_t j1 = j0 + TASK_COLUMNS < x->n ? j0 + TASK_COLUMNS : x->n;
  duet_tile t = {.b_step = x->panel, .k = x->k, .c_step = p->c_row, .accumulate = x->k0 > 0};
  for (int64_t j = j0; j < j1; j += x->panel) {
    t.columns = (int32_t)(x->n - j < x->panel ? x->n - j : x->panel);
    t.b = x->b_panels + (j * x->k + j / x->panel * 16) * es;
    for (int64_t i = first; i < last; i++) {
      int64_t begin = duet_part_begin(x->a_parts, i), rows = duet_part_begin(x->a_parts,
                                                                             i + 1) - begin;
      char *c = p->c + ((x->m0 + begin) * p->c_row + x->n0 + j) * es;
      t.a = x->a_panels + (begin * x->k + i * 16) * es;
      t.c = c;
      // The tile below is wanted next.
      if (i + 1 < last)
        for (int64_t r = 0; r < rows; r++)
          for (int64_t at = 0; at < t.columns * es; at += 64)
            __builtin_prefetch(c + (rows + r) * p->c_row * es + at, 1);
      duet_choose_tile(engine, DUET_TILE_PACKED, rows, t.columns)(&t);
    }
  }
  if (p->bias && x->k0 + x->k == p->k) {
    int64_t begin = duet_part_begin(x->a_parts, first), end = duet_part_begin(x->a_parts, last);
    duet_add_bias(p, x->m0 + begin, end - begin, x->n0 + j0, j1 - j0);
  }
}

void duet_multiply_large(const duet_product *p) {
  const duet_engine *engine = p->engine;
  large_product x = {.p = p, .es = engine->element_size, .panel = 2 * engine->lanes};
  duet_parts k_parts = duet_split(p->k, engine->k_block);
  duet_parts m_parts = duet_split(p->m, PART);
  for (int64_t mi = 0; mi < m_parts.count; mi++)
    for (x.n0 = 0; x.n0 < p->n; x.n0 += PART)
      for (int64_t q = 0; q < k_parts.count; q++) {
        x.m0 = duet_part_begin(m_parts, mi);
        x.m = duet_part_begin(m_parts, mi + 1) - x.m0;
        x.n = p->n - x.n0 < PART ? p->n - x.n0 : PART;
        x.k0 = duet_part_begin(k_parts, q);
        x.k = duet_part_begin(k_parts, q + 1) - x.k0;
        x.a_parts = duet_split(x.m, engine->rows);
        x.b_count = (x.n + x.panel - 1) / x.panel;
        size_t a_bytes = duet_round_up((x.m * x.k + x.a_parts.count * 16) * x.es, 4096);
        x.a_panels = duet_scratch(0, a_bytes + x.b_count * (x.panel * x.k + 16) * x.es);
        x.b_panels = x.a_panels + a_bytes;
        x.a_tasks = (x.a_parts.count + PANELS_PER_TASK - 1) / PANELS_PER_TASK;
        duet_parallel_for(x.a_tasks + (x.b_count + PANELS_PER_TASK - 1) / PANELS_PER_TASK,
                          pack_task, &x);
        x.blocks = duet_split(x.a_parts.count, engine->row_block / engine->rows);
        x.column_tasks = (x.n + TASK_COLUMNS - 1) / TASK_COLUMNS;
        duet_parallel_for(x.blocks.count * x.column_tasks, multiply_task, &x);
      }
}
