// One product of matrices on one thread: blocks over k and rows, panels, and which operands are
// packed. All of it is free to depend on strides and on the instruction set: an element of the
// result is the same chain of multiply-adds whichever way it is reached.
#include "engine.h"

#include <string.h>

#pragma STDC FP_CONTRACT OFF

typedef struct {
  duet_product p;
  int64_t es;          // bytes of a computed element
  int64_t storage;     // bytes of a stored one
  int64_t panel;       // columns of a panel of b
  int64_t k_block, rows;
  int a_direct, b_direct, through_tile;
  char *a_block, *b_block, *tile, *wide;
  char *sums;          // NULL, or where results are kept until they are complete
  int64_t next_bytes[3];  // of the product that follows: yet to be fetched
} multiplication;

enum {
  LONG_ROW = 4 << 10,  // bytes
  ONE_PANEL = 128 << 10,  // bytes of a panel of b in the second-level cache, where there is one alone
  LINED_UP_ROWS = 100  // of a: beyond these b is packed by STRIDED engines although it could be read in place
};

static int64_t magnitude(int64_t x) { return x < 0 ? -x : x; }

// Rows this far apart compete for the same sets of the first-level cache.
static int aliases(int64_t bytes) { return (bytes & 4095) == 0; }

static void swap_roles(duet_product *p) {
  duet_product q = *p;
  p->a = q.b, p->b = q.a;
  p->m = q.n, p->n = q.m;
  p->a_row = q.b_column, p->a_k = q.b_k;
  p->b_k = q.a_k, p->b_column = q.a_row;
  p->c_row = q.c_column, p->c_column = q.c_row;
}

static void zero(const duet_product *p, int64_t size) {
  for (int64_t i = 0; i < p->m; i++) {
    char *row = p->c + i * p->c_row * size;
    if (p->c_column == 1)
      memset(row, 0, p->n * size);
    else
      for (int64_t j = 0; j < p->n; j++) memset(row + j * p->c_column * size, 0, size);
  }
}

static void pack(const multiplication *x, char *panel, int64_t width, const char *source,
                 int64_t count,
                 int64_t k, int64_t item_stride, int64_t k_stride) {
  void (*widen)(void *, const void *, int64_t, int64_t) = x->p.table->widen[x->p.dtype];
  if (!widen) {
    x->p.engine->pack(panel, width, source, count, k, item_stride, k_stride);
  } else if (magnitude(k_stride) <= magnitude(item_stride)) {
    for (int64_t i = 0; i < count; i++)
      widen(x->wide + i * k * x->es, source + i * item_stride * x->storage, k, k_stride);
    x->p.engine->pack(panel, width, x->wide, count, k, k, 1);
  } else {
    for (int64_t p = 0; p < k; p++)
      widen(x->wide + p * count * x->es, source + p * k_stride * x->storage, count, item_stride);
    x->p.engine->pack(panel, width, x->wide, count, k, 1, count);
  }
}

static void copy_tile(char *to, int64_t to_row, int64_t to_column, const char *from,
                      int64_t from_row,
                      int64_t from_column, int64_t rows, int64_t columns, int64_t es) {
#define COPY(type)                                                                            \
  for (int64_t i = 0; i < rows; i++)                                                          \
    for (int64_t j = 0; j < columns; j++)                                                     \
      ((type *)to)[i * to_row + j * to_column] = ((const type *)from)[i * from_row + j * from_column];
  if (es == 4) {
    COPY(uint32_t)
  } else {
    COPY(uint64_t)
  }
#undef COPY
}

// A panel of b: where it is read, packed or in place, and the distance of its rows.
static const char *panel_of_b(const multiplication *x, const char *b, int64_t j, int64_t columns,
                              int64_t k,
                              int pack_it, int64_t *step) {
  const duet_product *p = &x->p;
  if (x->b_direct && (p->engine->masked || columns % p->engine->lanes == 0)) {
    *step = p->b_k;
    return b + j * x->es;
  }
  char *panel = x->b_block + j * k * x->es;
  *step = x->panel;
  if (pack_it) pack(x, panel, x->panel, b + j * p->b_column * x->storage, columns, k, p->b_column,
                    p->b_k);
  return panel;
}

// A part of what the next product needs, to be fetched while a tile is computed.
static const char *next_lines(multiplication *x, duet_tile_mode mode, int64_t k) {
  for (int i = 0; i < 3; i++) {
    if (x->next_bytes[i] <= 0) continue;
    const char *from = x->p.next[i];
    x->p.next[i] += duet_lines_ahead(mode, k) * 64;
    x->next_bytes[i] -= duet_lines_ahead(mode, k) * 64;
    return from;
  }
  return NULL;
}

// Whether rows of a, once in the nearest cache, meet all panels of b: nothing is packed, and the panels are few.
static int goes_by_rows(const multiplication *x) {
  enum { FEW_PANELS = 4 };
  const duet_product *p = &x->p;
  int b_is_whole = x->b_direct && (p->engine->masked || p->n % p->engine->lanes == 0);
  return x->a_direct && b_is_whole && !x->sums && !x->through_tile && p->n <= FEW_PANELS * x->panel;
}

static void multiply_by_rows(multiplication *x, const char *a, const char *b, char *c, int64_t m, int64_t k,
                             int accumulate) {
  const duet_product *p = &x->p;
  const duet_engine *engine = p->engine;
  const duet_tile_mode mode = engine->in_place_mode;
  duet_parts parts = duet_split(m, x->rows);
  const void *row[DUET_TILE_ROWS];
  duet_tile t = {.a_row = p->a_row, .a_step = p->a_k, .b_step = p->b_k, .c_step = p->c_row, .k = k,
                 .segments = 1, .accumulate = accumulate};
  for (int64_t i = 0; i < parts.count; i++) {
    int64_t begin = duet_part_begin(parts, i), rows = duet_part_begin(parts, i + 1) - begin;
    duet_read_in_place(engine, &t, a + begin * p->a_row * x->es, rows, row);
    for (int64_t j = 0; j < p->n; j += x->panel) {
      int64_t columns = p->n - j < x->panel ? p->n - j : x->panel;
      t.columns = (int32_t)columns;
      t.b = b + j * x->es;
      t.c = c + (begin * p->c_row + j) * x->es;
      t.ahead = next_lines(x, mode, k);
      duet_choose_tile(engine, mode, rows, columns)(&t);
    }
  }
}

// Rows m0 ..< m0 + m of the result, for the k of one block. The panels of b are packed on the way
// when these are the first rows.
static void multiply_block(multiplication *x, int64_t m0, int64_t m, int64_t k0, int64_t k) {
  const duet_product *p = &x->p;
  const duet_engine *engine = p->engine;
  int64_t es = x->es, c_row = x->sums ? p->n : p->c_row;
  int64_t c_column = x->sums ? 1 : p->c_column;
  char *c0 = (x->sums ? x->sums : p->c) + m0 * c_row * es;
  const char *a = p->a + (m0 * p->a_row + k0 * p->a_k) * x->storage;
  const char *b = p->b + k0 * p->b_k * x->storage;
  if (goes_by_rows(x)) {
    multiply_by_rows(x, a, b, c0, m, k, k0 > 0);
    return;
  }
  duet_parts parts = duet_split(m, x->rows);

  if (!x->a_direct)
    for (int64_t i = 0; i < parts.count; i++) {
      int64_t begin = duet_part_begin(parts, i), rows = duet_part_begin(parts, i + 1) - begin;
      pack(x, x->a_block + begin * k * es, rows, a + begin * p->a_row * x->storage, rows, k,
           p->a_row,
           p->a_k);
    }

  const void *row[DUET_TILE_ROWS];
  duet_tile t = {.a_row = p->a_row, .a_step = p->a_k, .k = k, .segments = 1,
                 .accumulate = k0 > 0};
  duet_tile_mode mode = x->a_direct ? engine->in_place_mode : DUET_TILE_PACKED;
  for (int64_t j = 0; j < p->n; j += x->panel) {
    int64_t columns = p->n - j < x->panel ? p->n - j : x->panel;
    t.columns = (int32_t)columns;
    t.b = panel_of_b(x, b, j, columns, k, m0 == 0, &t.b_step);
    for (int64_t i = 0; i < parts.count; i++) {
      int64_t begin = duet_part_begin(parts, i), rows = duet_part_begin(parts, i + 1) - begin;
      char *c = c0 + (begin * c_row + j * c_column) * es;
      if (x->a_direct)
        duet_read_in_place(engine, &t, a + begin * p->a_row * es, rows, row);
      else
        t.a = x->a_block + begin * k * es;
      t.c = x->through_tile ? x->tile : c;
      t.c_step = x->through_tile ? columns : c_row;
      if (x->through_tile && k0 > 0)
        copy_tile(x->tile, columns, 1, c, c_row, c_column, rows, columns, es);
      t.ahead = next_lines(x, mode, k);
      duet_choose_tile(engine, mode, rows, columns)(&t);
      if (x->through_tile) copy_tile(c, c_row, c_column, x->tile, columns, 1, rows, columns, es);
    }
  }
}

// Which operands are read in place, and the blocks that follow from that.
static void plan(multiplication *x) {
  duet_product *p = &x->p;
  const duet_engine *engine = p->engine;
  int64_t full = 2 * engine->lanes;
  int is_wide = !p->table->widen[p->dtype];

  // A right operand that runs along k (the transposed weight of a linear layer) would have to be
  // transposed. With few rows in the left one it is cheaper to transpose that and to swap the
  // roles.
  if (is_wide && p->b_column != 1 && p->m <= full && (p->m < p->n || p->a_row == 1)) swap_roles(p);

  x->rows = engine->rows;
  x->panel = full;
  x->k_block = engine->k_block;
  x->through_tile = p->c_column != 1 && is_wide;
  x->b_direct = is_wide && p->b_column == 1 &&
                (p->m <= 2 * engine->rows || magnitude(p->k * p->b_k * x->es) <= engine->in_place);
  if (engine->in_place_mode == DUET_TILE_STRIDED) {
    // Where steps of k are pages, elements of a compete for one set of the cache, anew for every panel of b.
    x->a_direct = is_wide && !(p->a_k != 1 && p->n > full && p->k >= 8 && aliases(p->a_k * x->es));
    // 8 rows that are pages apart would be all that a set of the cache holds.
    if (x->a_direct && p->n <= engine->lanes)
      x->rows = engine->narrow_rows == 8 && p->a_k == 1 && aliases(p->a_row * x->es) ? 7 : engine->narrow_rows;
    // The many short tiles that meet a panel of b each read it: it had better lie together where
    // parts of a's rows compete with it for the cache, or its own rows cross lines (their distance tells).
    // Rows of b that are pages apart compete with each other.
    if (p->m > 2 * engine->rows && aliases(p->b_k * x->es)) x->b_direct = 0;
    if (p->m > LINED_UP_ROWS && (p->a_k != 1 || (p->b_k * x->es & 63) != 0)) x->b_direct = 0;
  } else {
    x->a_direct = is_wide && p->n <= 4 * full;
    if (x->a_direct && p->a_k == 1 && p->k >= 64 && aliases(p->a_row * x->es)) {
      // Such rows share a set of the cache.
      int64_t most = duet_halves_registers() ? 6 : 8;
      if (p->n <= full && x->rows > most) x->rows = most;
      if (p->n > full) x->a_direct = 0;
    }
  }
  if (!x->b_direct && p->n < full) {
    int64_t step = engine->half_lanes ? engine->half_lanes : engine->lanes;
    x->panel = (int64_t)duet_round_up(p->n, step);
    x->k_block = x->k_block * full / x->panel;
  }
  // Rows of a that are read once had better be read on for long.
  if (engine->in_place_mode == DUET_TILE_STRIDED && x->a_direct && !x->b_direct && p->n <= full)
    x->k_block = ONE_PANEL / (x->panel * x->es);
  // Rows in place touch a page each when they are long: fewer of them at a time.
  if (x->b_direct && p->b_k * x->es >= LONG_ROW && p->n > 4 * full) x->k_block /= 2;
}

void duet_add_bias(const duet_product *p, int64_t m0, int64_t m, int64_t n0, int64_t n) {
  int64_t size = (int64_t)duet_dtype_size(p->result_dtype);
  duet_loop add = duet_binary_loop(DUET_ADD, p->result_dtype);
  // Along the longer of the two: rows of one element are a column.
  int64_t rows = n == 1 && p->c_row == 1 ? 1 : m;
  int64_t stride[3] = {size, size, rows == m ? p->bias_step * size : 0};
  for (int64_t i = m0; i < m0 + rows; i++) {
    char *c = p->c + (i * p->c_row + n0) * size;
    char *operand[3] = {c, c, (char *)p->bias + n0 * p->bias_step * size};
    add(operand, stride, rows == m ? n : m);
  }
}

static void multiply(const duet_product *product) {
  multiplication x = {.p = *product,
                      .es = product->engine->element_size,
                      .storage = (int64_t)duet_dtype_size(product->dtype)};
  duet_product *p = &x.p;
  if (p->k == 0) {
    zero(p, (int64_t)duet_dtype_size(p->result_dtype));
    return;
  }
  if (p->next[0]) {
    x.next_bytes[0] = p->m * p->k * x.storage;
    x.next_bytes[1] = p->k * p->n * x.storage;
    x.next_bytes[2] = p->m * p->n * (int64_t)duet_dtype_size(p->result_dtype);
  }
  plan(&x);

  void (*narrow)(void *, const void *, int64_t) = p->table->narrow[p->result_dtype];
  duet_parts k_parts = duet_split(p->k, x.k_block), m_parts = duet_split(p->m,
                                                                         p->engine->row_block);
  int64_t k_most = k_parts.base + 1, m_most = m_parts.base + 1, tile_columns = x.panel;
  size_t a_bytes = x.a_direct ? 0 : duet_round_up((m_most * k_most + 16) * x.es, 64);
  size_t b_bytes = duet_round_up((duet_round_up(p->n, x.panel) * k_most + 16) * x.es, 64);
  size_t tile_bytes = duet_round_up(DUET_TILE_ROWS * tile_columns * x.es, 64);
  int widens = p->table->widen[p->dtype] != NULL;
  size_t wide_bytes = widens ? duet_round_up(2 * p->engine->lanes * k_most * x.es, 64) : 0;
  if (widens && p->engine->rows > 2 * p->engine->lanes) wide_bytes *= 2;
  size_t c_bytes = narrow ? duet_round_up(p->m * p->n * x.es, 64) : 0;
  char *memory = duet_scratch(1, a_bytes + b_bytes + tile_bytes + wide_bytes + c_bytes);
  x.a_block = memory, memory += a_bytes;
  x.b_block = memory, memory += b_bytes;
  x.tile = memory, memory += tile_bytes;
  x.wide = memory, memory += wide_bytes;
  x.sums = c_bytes ? memory : NULL;

  for (int64_t q = 0; q < k_parts.count; q++) {
    int64_t k0 = duet_part_begin(k_parts, q), k = duet_part_begin(k_parts, q + 1) - k0;
    for (int64_t i = 0; i < m_parts.count; i++) {
      int64_t m0 = duet_part_begin(m_parts, i);
      multiply_block(&x, m0, duet_part_begin(m_parts, i + 1) - m0, k0, k);
    }
  }
  for (int64_t r = 0; narrow && r < p->m; r++)
    narrow(p->c + r * p->c_row * x.storage, x.sums + r * p->n * x.es, p->n);
}

void duet_multiply(const duet_product *p) {
  if (p->m == 0 || p->n == 0) return;
  duet_product rest = *p;
  if (p->a_panels || duet_streams(p)) {
    // Sweeps take whole tiles, and without masks a part of a vector cannot be read in place.
    int64_t es = p->engine->element_size, lanes = p->engine->lanes;
    duet_product whole = *p;
    whole.n -= p->n % (duet_sweeps(p) ? 2 * lanes : p->engine->masked ? 1 : lanes);
    duet_multiply_streamed(&whole);
    rest.n -= whole.n;
    rest.b += whole.n * p->b_column * es;
    rest.c += whole.n * es;
    rest.next[0] = NULL;
    rest.a_panels = NULL;
  }
  if (rest.n > 0) multiply(&rest);
  if (p->bias) duet_add_bias(p, 0, p->m, 0, p->n);
}
