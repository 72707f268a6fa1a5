// Large products. The right operand is packed a block of k at a time, for all threads; tasks take
// blocks of rows of the left one, pack them for themselves and multiply. Packing waits for memory and
// leaves the multipliers idle, so nearly all of it is done by the tiles, a few elements every so many
// multiply-adds: the thread's next block of rows, and its share of the right operand for the block of
// k that follows. Which thread packs what changes no bit.
#include "../elementwise/stream.h"
#include "engine.h"

#pragma STDC FP_CONTRACT OFF

enum {
  PART_COLUMNS = 4096,   // of the result whose packed operand is held at a time
  PANELS_PER_TASK = 8,   // packed before the first tile
  LEAST_UNITS = 8,       // below this units are split by columns, too
  UNIT_COLUMNS = 256,    // and these are the least of them
  BLOCKS = 4,            // of rows: a multiple of this
  K_BYTES = 2560,        // of a row of the left operand in a block
  PIECE_K = 16,          // k of a piece: a line of the cache of each row of float32
  ROOM = 16,             // elements behind panels of a, which packing may overwrite
  LARGE_BYTES = 1 << 20  // of panels that the second-level cache does not hold
};

// A part of the columns and of k, whose panels of the right operand are held together.
typedef struct {
  int64_t n0, n, k0, k;
  int64_t panels;
  char *memory;
} stage;

typedef struct {
  const duet_product *p;
  int64_t es, panel;     // bytes of an element, columns of a panel of b
  duet_parts rows;       // of the result, in panels of a
  duet_parts blocks;     // of panels of a
  duet_parts column_parts;  // of panels of b; a unit is a block and one of these
  duet_parts k_parts;
  int64_t stages, units;
  char *memory[2];       // of stages, in turns
  stage now, next;       // next.panels is 0 where there is none
  int64_t claimed;       // units, atomically
} large_product;

static stage stage_at(const large_product *x, int64_t i) {
  if (i >= x->stages) return (stage){0};
  int64_t n = x->p->n, q = i % x->k_parts.count;
  stage s = {.n0 = i / x->k_parts.count * PART_COLUMNS, .memory = x->memory[i % 2]};
  s.n = n - s.n0 < PART_COLUMNS ? n - s.n0 : PART_COLUMNS;
  s.k0 = duet_part_begin(x->k_parts, q);
  s.k = duet_part_begin(x->k_parts, q + 1) - s.k0;
  s.panels = (s.n + x->panel - 1) / x->panel;
  return s;
}

static char *panel_at(const large_product *x, const stage *s, int64_t i) {
  return s->memory + i * x->panel * s->k * x->es;
}

// One panel to be packed, or a part of its k: p0 ..< p0 + k.
typedef struct {
  char *panel;
  const char *source;
  int64_t width, count, k, item_stride, k_stride;
} packing;

static packing panel_of_b(const large_product *x, const stage *s, int64_t i) {
  const duet_product *p = x->p;
  int64_t j = i * x->panel;
  return (packing){.panel = panel_at(x, s, i),
                   .source = p->b + (s->k0 * p->b_k + (s->n0 + j) * p->b_column) * x->es,
                   .width = x->panel,
                   .count = s->n - j < x->panel ? s->n - j : x->panel,
                   .k = s->k,
                   .item_stride = p->b_column,
                   .k_stride = p->b_k};
}

// Panel i of the rows, which lie in `memory` from panel `first` on.
static packing panel_of_a(const large_product *x, char *memory, int64_t first, int64_t i) {
  const duet_product *p = x->p;
  int64_t m0 = duet_part_begin(x->rows, i), rows = duet_part_begin(x->rows, i + 1) - m0;
  return (packing){.panel = memory + (m0 - duet_part_begin(x->rows, first)) * x->now.k * x->es,
                   .source = p->a + (m0 * p->a_row + x->now.k0 * p->a_k) * x->es,
                   .width = rows,
                   .count = rows,
                   .k = x->now.k,
                   .item_stride = p->a_row,
                   .k_stride = p->a_k};
}

static void pack(const large_product *x, packing y) {
  x->p->engine->pack(y.panel, y.width, y.source, y.count, y.k, y.item_stride, y.k_stride);
}

// What moves begin with is fetched before; from then on they fetch what they will need.
static void fetch(const large_product *x, packing y) {
  int along_k = y.k_stride == 1;
  if (!along_k && y.item_stride != 1) return;
  int64_t runs = along_k ? y.count : y.k, bytes = (along_k ? y.k : y.count) * x->es;
  int64_t step = (along_k ? y.item_stride : y.k_stride) * x->es;
  for (int64_t i = 0; i < runs; i++)
    for (int64_t at = 0; at < bytes; at += 64) __builtin_prefetch(y.source + i * step + at);
}

// Panels to be packed while a unit is multiplied, each by moves beside tiles. B is shared out in
// pieces, so that units of all threads have equal shares of it.
typedef struct {
  const large_product *x;
  const stage *of_b;            // or NULL: panels of a
  char *memory;                 // of those
  int64_t first;                // panel in that memory
  int64_t pieces_of_panel, at, end;  // pieces yet to be begun
  packing begun;
  duet_moves moves;             // of that
} chores;

// The pieces from the next one to the end of the panel.
static packing next_chore(const chores *c, int64_t *count) {
  int64_t panel = c->at / c->pieces_of_panel, piece = c->at % c->pieces_of_panel;
  *count = c->pieces_of_panel - piece;
  if (*count > c->end - c->at) *count = c->end - c->at;
  packing y = c->of_b ? panel_of_b(c->x, c->of_b, panel)
                      : panel_of_a(c->x, c->memory, c->first, c->first + panel);
  int64_t p0 = piece * PIECE_K, p1 = (piece + *count) * PIECE_K;
  y.panel += p0 * y.width * c->x->es;
  y.source += p0 * y.k_stride * c->x->es;
  y.k = (p1 < y.k ? p1 : y.k) - p0;
  return y;
}

// Along k, groups of four lie one behind the other in rows that become columns of the panel;
// otherwise they lie alike in both. Other panels are packed at once.
static void begin_moves(chores *c) {
  int64_t count, es = c->x->es;
  packing y = next_chore(c, &count);
  c->at += count;
  c->begun = y;
  if (y.k_stride == 1) {
    c->moves = (duet_moves){.spread = y.width * es,
                            .from_step = y.item_stride * es,
                            .to_step = es,
                            .from_turn = (4 - (y.count - 1) * y.item_stride) * es,
                            .to_turn = (4 * y.width - (y.count - 1)) * es,
                            .length = y.count,
                            .fetch = 64,
                            .count = y.k / 4 * y.count};
  } else if (y.item_stride == 1 && y.count % 4 == 0) {
    int64_t back = (y.count - 4) * es;
    c->moves = (duet_moves){.spread = es,
                            .from_step = 4 * es,
                            .to_step = 4 * es,
                            .from_turn = y.k_stride * es - back,
                            .to_turn = y.width * es - back,
                            .length = y.count / 4,
                            .fetch = 16 * y.k_stride * es,
                            .count = y.k * (y.count / 4)};
  } else {
    pack(c->x, y);
    c->moves.count = 0;
    c->begun.k = 0;
    return;
  }
  c->moves.from = y.source;
  c->moves.to = y.panel;
  c->moves.left = c->moves.length;
  y.k = y.k < PIECE_K ? y.k : PIECE_K;
  fetch(c->x, y);
}

// What groups of four k leave over.
static void end_moves(chores *c) {
  packing y = c->begun;
  int64_t rest = y.k_stride == 1 ? y.k % 4 : 0;
  if (rest == 0) return;
  y.panel += (y.k - rest) * y.width * c->x->es;
  y.source += (y.k - rest) * c->x->es;
  y.k = rest;
  pack(c->x, y);
}

// Moves for the next tile.
static void keep_moving(chores *c) {
  while (c->moves.count == 0) {
    end_moves(c);
    c->begun.k = 0;
    if (c->at == c->end) return;
    begin_moves(c);
  }
}

// What has not been moved when the unit is complete.
static void finish(chores *c) {
  if (c->moves.count > 0)
    pack(c->x, c->begun);
  else
    end_moves(c);
  while (c->at < c->end) {
    int64_t count;
    pack(c->x, next_chore(c, &count));
    c->at += count;
  }
}

// The first stage. What is not read at once is better written past the caches: the lines of panels
// would have to be fetched first.
static void pack_task(void *context, int64_t index) {
  const large_product *x = context;
  const stage *s = &x->now;
  const duet_product *p = x->p;
  int64_t first = index * PANELS_PER_TASK, last = first + PANELS_PER_TASK, whole = first;
  if (last > s->panels) last = s->panels;
  if (p->b_column == 1 && x->panel * x->es % 64 == 0 && s->n * s->k * x->es >= LARGE_BYTES) {
    whole = last * x->panel <= s->n ? last : last - 1;
    packing y = panel_of_b(x, s, first);
    p->engine->spread_past_caches(y.panel, y.width, y.source, whole - first, s->k, p->b_k);
    duet_stream_end();
  }
  for (int64_t i = whole; i < last; i++) pack(x, panel_of_b(x, s, i));
}

// Rows and columns of a unit.
typedef struct {
  int64_t first, tiles, m0;  // panels of a, the first row
  int64_t q0, panels;        // panels of b
} extent;

static extent extent_of(const large_product *x, int64_t unit) {
  int64_t block = unit / x->column_parts.count, part = unit % x->column_parts.count;
  int64_t first = duet_part_begin(x->blocks, block), q0 = duet_part_begin(x->column_parts, part);
  return (extent){.first = first,
                  .tiles = duet_part_begin(x->blocks, block + 1) - first,
                  .m0 = duet_part_begin(x->rows, first),
                  .q0 = q0,
                  .panels = duet_part_begin(x->column_parts, part + 1) - q0};
}

static char *result_at(const large_product *x, const extent *e) {
  return x->p->c + (e->m0 * x->p->c_row + x->now.n0 + e->q0 * x->panel) * x->es;
}

static void multiply_unit(const large_product *x, int64_t unit, int64_t next, const char *a_panels,
                          chores *next_a, chores *next_b) {
  const duet_product *p = x->p;
  const stage *s = &x->now;
  const extent e = extent_of(x, unit), follows = extent_of(x, next < x->units ? next : unit);
  int64_t es = x->es, panels = e.panels, n = s->n - e.q0 * x->panel;
  int64_t c_step = x->panel * es, b_step = x->panel * s->k * es;
  int64_t lines = duet_lines_ahead(DUET_TILE_MOVING, s->k) * 64;
  char *c0 = result_at(x, &e);
  const char *b0 = panel_at(x, s, e.q0), *next_c = result_at(x, &follows);
  chores *busy = next_a;
  duet_tile t = {.b_step = x->panel, .k = s->k, .c_step = p->c_row, .accumulate = s->k0 > 0};

  // Two panels of b take turns: tiles that follow each other in a column of the result would find
  // their rows at the same places of pages where rows are a power of two long, and processors then
  // take the loads of one for what the stores of the other have yet to write.
  for (int64_t q = 0; q < panels; q += 2) {
    // What comes two panels later is wanted soon.
    int is_last = q + 2 >= panels;
    int64_t later_c = is_last ? next_c - c0 - q * c_step : 2 * c_step;
    int64_t later_b = is_last ? -q * b_step : 2 * b_step;
    int64_t begin = 0;
    for (int64_t i = 0; i < e.tiles; i++) {
      int64_t rows = duet_part_begin(x->rows, e.first + i + 1) - e.m0 - begin;
      t.a = a_panels + begin * s->k * es;
      for (int64_t j = q; j < q + 2 && j < panels; j++) {
        t.columns = (int32_t)(n - j * x->panel < x->panel ? n - j * x->panel : x->panel);
        t.b = b0 + j * b_step;
        t.ahead = b0 + j * b_step + later_b + i * lines;
        t.c = c0 + begin * p->c_row * es + j * c_step;
        t.c_ahead = later_c / es;
        if (busy->moves.count == 0) keep_moving(busy);
        if (busy->moves.count == 0) keep_moving(busy = next_b);
        t.moves = &busy->moves;
        duet_choose_tile(p->engine, DUET_TILE_MOVING, rows, t.columns)(&t);
      }
      begin += rows;
    }
  }
  finish(next_a);
  finish(next_b);
  if (p->bias && s->k0 + s->k == p->k) {
    int64_t m = duet_part_begin(x->rows, e.first + e.tiles) - e.m0, columns = panels * x->panel;
    duet_add_bias(p, e.m0, m, s->n0 + e.q0 * x->panel, columns < n ? columns : n);
  }
}

static int64_t pieces(int64_t k) { return (k + PIECE_K - 1) / PIECE_K; }

static chores chores_of_a(const large_product *x, int64_t unit, char *memory) {
  if (unit >= x->units) return (chores){0};
  int64_t block = unit / x->column_parts.count, first = duet_part_begin(x->blocks, block);
  int64_t each = pieces(x->now.k);
  return (chores){.x = x,
                  .memory = memory,
                  .first = first,
                  .pieces_of_panel = each,
                  .end = (duet_part_begin(x->blocks, block + 1) - first) * each};
}

static chores chores_of_b(const large_product *x, int64_t unit) {
  if (x->next.panels == 0) return (chores){0};
  int64_t each = pieces(x->next.k), all = x->next.panels * each;
  return (chores){.x = x,
                  .of_b = &x->next,
                  .pieces_of_panel = each,
                  .at = all * unit / x->units,
                  .end = all * (unit + 1) / x->units};
}

// Takes units until none is left, each while the one before is multiplied.
static void multiply_task(void *context, int64_t index) {
  large_product *x = context;
  (void)index;
  int64_t unit = __atomic_fetch_add(&x->claimed, 1, __ATOMIC_RELAXED);
  if (unit >= x->units) return;
  int64_t most_rows = (x->rows.base + 1) * (x->blocks.base + 1);
  size_t bytes = duet_round_up((most_rows * x->now.k + ROOM) * x->es, 4096);
  char *a_panels = duet_scratch(1, 2 * bytes), *a_next = a_panels + bytes;
  chores a = chores_of_a(x, unit, a_panels);
  finish(&a);
  while (unit < x->units) {
    int64_t next = __atomic_fetch_add(&x->claimed, 1, __ATOMIC_RELAXED);
    int is_same = next / x->column_parts.count == unit / x->column_parts.count;
    chores b = chores_of_b(x, unit);
    a = is_same ? (chores){0} : chores_of_a(x, next, a_next);
    multiply_unit(x, unit, next, a_panels, &a, &b);
    if (!is_same) {
      char *other = a_panels;
      a_panels = a_next;
      a_next = other;
    }
    unit = next;
  }
}

void duet_multiply_large(const duet_product *p) {
  const duet_engine *engine = p->engine;
  large_product x = {.p = p, .es = engine->element_size, .panel = 2 * engine->lanes};
  // Between the panels that tiles read, the block of rows that is being packed and what is fetched,
  // the second-level cache has room for a block of rows of this size. Up to half as long again
  // rather than many short blocks of k: the result is read and written once for each.
  int64_t k_block = K_BYTES / x.es, k_blocks = (p->k + k_block / 2) / k_block;
  if (k_blocks < 1) k_blocks = 1;
  x.k_parts = duet_split(p->k, (p->k + k_blocks - 1) / k_blocks);
  x.stages = (p->n + PART_COLUMNS - 1) / PART_COLUMNS * x.k_parts.count;
  x.rows = duet_split(p->m, engine->rows);
  int64_t most_tiles = engine->row_block * 5 / 8 / engine->rows;
  // As many blocks as two or four threads can share evenly.
  int64_t blocks = (x.rows.count + most_tiles - 1) / most_tiles;
  blocks = (int64_t)duet_round_up(blocks, BLOCKS);
  x.blocks = (duet_parts){blocks, x.rows.count / blocks, x.rows.count % blocks};

  int64_t most_panels = ((p->n < PART_COLUMNS ? p->n : PART_COLUMNS) + x.panel - 1) / x.panel;
  size_t bytes = duet_round_up(most_panels * x.panel * (x.k_parts.base + 1) * x.es, 4096);
  x.memory[0] = duet_scratch(0, x.stages > 1 ? 2 * bytes : bytes);
  x.memory[1] = x.memory[0] + bytes;
  for (int64_t i = 0; i < x.stages; i++) {
    x.now = stage_at(&x, i);
    x.next = stage_at(&x, i + 1);
    int64_t wanted = (LEAST_UNITS + x.blocks.count - 1) / x.blocks.count;
    int64_t most = (x.now.n + UNIT_COLUMNS - 1) / UNIT_COLUMNS;
    if (wanted > most) wanted = most;
    x.column_parts = duet_split(x.now.panels, (x.now.panels + wanted - 1) / wanted);
    x.units = x.blocks.count * x.column_parts.count;
    x.claimed = 0;
    if (i == 0)
      duet_parallel_for((x.now.panels + PANELS_PER_TASK - 1) / PANELS_PER_TASK, pack_task, &x);
    duet_parallel_for(x.units, multiply_task, &x);
  }
}
