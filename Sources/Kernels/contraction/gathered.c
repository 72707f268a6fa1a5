#include "gathered.h"

#include "image.h"

#include <string.h>

#pragma STDC FP_CONTRACT OFF

enum {
  DEPTH = 512,           // (channel, tap) pairs of a block
  POSITIONS = 1024,      // of a task
  PANEL_GAP = 16,        // elements between packed panels
  COPY_BYTES = 32,       // runs are copied in groups of this size, or of LINE bytes
  LINE = 64,
  IN_PLACE_ROWS = 280,   // m of products whose sources are not packed
  HELD_BYTES = 256 << 10,  // of panels that are packed together
  PACK_WORK = 128 << 10, // elements that are worth a task
  TASK_WORK = 8 << 20,   // multiply-adds of a task below which there are fewer tasks
  TASKS = 4,
  LEAST_ROWS = 112       // m of a task
};

static duet_parts depth_blocks(int64_t channels, int64_t taps) {
  int64_t most = DEPTH / taps;
  return duet_split(channels, most < 1 ? 1 : most);
}

// Where the panel of rows `begin` on lies, of the channels `first` on; `count` of them.
static int64_t panel_offset(int64_t m, int64_t taps, int64_t panels, int64_t block, int64_t first,
                            int64_t count, int64_t panel, int64_t begin) {
  return first * taps * m + begin * count * taps + (block * panels + panel) * PANEL_GAP;
}

size_t duet_gathered_weight_bytes(const duet_engine *engine, int64_t m, int64_t channels,
                                  int64_t taps) {
  int64_t panels = duet_split(m, engine->rows).count * depth_blocks(channels, taps).count;
  return duet_round_up((m * channels * taps + (panels + 1) * PANEL_GAP) * engine->element_size, 64);
}

typedef struct {
  const duet_engine *engine;
  char *weight;
  int64_t m, taps;
  duet_parts blocks, panels;
  duet_pack_rows pack;
  const void *context;
} packing;

static void pack_task(void *context, int64_t index) {
  const packing *w = context;
  int64_t block = index / w->panels.count, panel = index % w->panels.count;
  int64_t first = duet_part_begin(w->blocks, block);
  int64_t channels = duet_part_begin(w->blocks, block + 1) - first;
  int64_t begin = duet_part_begin(w->panels, panel);
  int64_t at = panel_offset(w->m, w->taps, w->panels.count, block, first, channels, panel, begin);
  w->pack(w->context, w->weight + at * w->engine->element_size, begin,
          duet_part_begin(w->panels, panel + 1) - begin, first, channels);
}

void duet_pack_gathered_weights(const duet_engine *engine, char *weight, int64_t m,
                                int64_t channels, int64_t taps, duet_pack_rows pack,
                                const void *context) {
  packing w = {.engine = engine,
               .weight = weight,
               .m = m,
               .taps = taps,
               .blocks = depth_blocks(channels, taps),
               .panels = duet_split(m, engine->rows),
               .pack = pack,
               .context = context};
  int64_t tasks = w.blocks.count * w.panels.count;
  if (m * channels * taps < PACK_WORK)
    for (int64_t i = 0; i < tasks; i++) pack_task(&w, i);
  else
    duet_parallel_for(tasks, pack_task, &w);
}

// What one call knows before its loops.
typedef struct {
  const duet_gathered *x;
  int64_t es, full;        // bytes of an element, columns of a panel
  duet_image_copy copy;    // of the channels of a block of one image
  uint8_t is_read[2 * DUET_MARKED_STRIDE];
  int in_place, is_linear; // the images are read where they are; rows follow each other there
  int is_compact;          // one tap: only what is read is copied, [channel][image][row][column]
  int64_t pitch;           // of rows of the image that is read
  int64_t channel, image;  // elements between channels and images of it
  duet_parts blocks, parts;
  int64_t positions, depth;
  int shares;              // panels are packed once for several blocks of rows
  int64_t held;            // panels that are packed before they are multiplied
  // In the scratch memory.
  int64_t *offset;         // of taps in the image that is read
  int64_t furthest;        // of them
  char *tile, *panels, *copies;
} gathering;

static gathering prepare(const duet_gathered *x) {
  gathering g = {.x = x, .es = x->engine->element_size, .full = 2 * x->engine->lanes};
  int64_t low_row = x->tap_row[0], high_row = low_row;
  int64_t low_column = x->tap_column[0], high_column = low_column;
  for (int64_t t = 1; t < x->taps; t++) {
    if (x->tap_row[t] < low_row) low_row = x->tap_row[t];
    if (x->tap_row[t] > high_row) high_row = x->tap_row[t];
    if (x->tap_column[t] < low_column) low_column = x->tap_column[t];
    if (x->tap_column[t] > high_column) high_column = x->tap_column[t];
  }
  g.blocks = depth_blocks(x->channels, x->taps);
  g.parts = duet_split(x->m, x->engine->rows);
  g.copy = (duet_image_copy){
    .channels = g.blocks.base + (g.blocks.longer > 0),
    .height = x->height,
    .width = x->width,
    .first_row = x->first_row * x->row_step + low_row,
    .rows = (x->rows - 1) * x->row_step + high_row - low_row + 1,
    .row_step = x->row_step,
    .first_column = x->first_column * x->column_step + low_column,
    .columns = (x->columns - 1) * x->column_step + high_column - low_column + 1,
    .column_step = x->column_step};
  if (x->row_step <= DUET_MARKED_STRIDE && x->column_step <= DUET_MARKED_STRIDE) {
    for (int64_t t = 0; t < x->taps; t++) {
      g.is_read[(x->tap_row[t] - low_row) % x->row_step] = 1;
      g.is_read[DUET_MARKED_STRIDE + (x->tap_column[t] - low_column) % x->column_step] = 1;
    }
  }
  g.in_place = duet_image_is_ready(&g.copy);
  g.is_compact = !g.in_place && x->taps == 1;
  g.is_linear = g.is_compact || (g.in_place && x->row_step == 1 && x->columns == x->width);
  g.positions = x->images * x->rows * x->columns;
  g.pitch = g.in_place ? x->width : duet_image_pitch(&g.copy);
  g.channel = g.is_compact ? g.positions
              : g.in_place ? x->height * x->width
                           : g.copy.rows * g.pitch;
  g.image = g.is_compact ? x->rows * x->columns
            : g.in_place ? x->source_image
                         : g.copy.channels * g.channel;
  g.depth = g.copy.channels * x->taps;
  g.shares = x->panels > x->engine->row_block / x->engine->rows;
  g.held = 1;
  if (g.is_linear && x->taps == 1 && g.full * g.es % 64 == 0) {
    g.held = HELD_BYTES / (g.depth * g.full * g.es);
    if (g.held < 1) g.held = 1;
  }
  return g;
}

typedef struct {
  size_t offset, tile, panel, image, total;
} layout;

static layout lay_out(const gathering *g) {
  int64_t panels = (g->positions + g->full - 1) / g->full;
  if (!g->shares && panels > g->held) panels = g->held;
  layout l = {.offset = duet_round_up(g->x->taps * sizeof(int64_t), 64)};
  l.tile = duet_round_up(DUET_TILE_ROWS * g->full * g->es, 64);
  if (g->x->gathered) {
    l.total = l.offset + l.tile;
    return l;
  }
  l.panel = duet_round_up(panels * g->full * g->depth * g->es + LINE, 64);
  int64_t copied = g->is_compact ? g->copy.channels * g->channel : g->x->images * g->image;
  l.image = g->in_place ? 0 : duet_round_up((copied + 64) * g->es, 64);
  l.total = l.offset + l.tile + l.panel + l.image;
  return l;
}

size_t duet_gathered_scratch(const duet_gathered *product) {
  gathering g = prepare(product);
  return lay_out(&g).total;
}

// A run of positions of a panel: bytes `at` of its rows are `count` bytes from `from` of a channel.
typedef struct {
  int64_t from, at, count, result;
} run_of_positions;

// The runs of positions q ..< q + columns: where rows of the image that is read end, and images.
static int64_t find_runs(const gathering *g, int64_t q, int64_t columns, run_of_positions *run) {
  const duet_gathered *x = g->x;
  int64_t plane = x->rows * x->columns, length = g->is_linear ? plane : x->columns, runs = 0;
  int64_t n = q / plane, i = g->is_linear ? 0 : q % plane / x->columns;
  int64_t j = g->is_linear ? q % plane : q % x->columns;
  int64_t rows = g->is_linear ? 1 : x->rows;
  for (int64_t at = 0; at < columns; runs++) {
    int64_t count = length - j < columns - at ? length - j : columns - at;
    // Images that follow each other in the source and in the result are as good as one.
    if (g->is_linear && g->image == plane && x->result_image == plane) count = columns - at;
    run[runs] = (run_of_positions){.from = n * g->image + i * x->row_step * g->pitch + j,
                                   .at = at,
                                   .count = count,
                                   .result = n * x->result_image + i * x->columns + j};
    at += count;
    j = 0;
    if (++i == rows) {
      i = 0;
      n++;
    }
  }
  return runs;
}

// Rows of LINE bytes of one run or of two, each copied whole: what is too much is overwritten by the second run, or by the
// next row; behind the last one there is a gap, or room for a line.
_Static_assert(PANEL_GAP * sizeof(float) >= LINE, "gaps take what the last row has too much");
static inline void gather_lines(const gathering *g, char *to, const char *image, const int64_t *offset,
                                int64_t channels, const run_of_positions *run, const int64_t runs) {
  typedef uint32_t quarter __attribute__((vector_size(16), aligned(4)));
  const int64_t es = g->es, taps = g->x->taps, channel = g->channel * es;
  const char *first = image + run[0].from * es, *second = image + run[runs - 1].from * es;
  const int64_t at = run[runs - 1].at * es;
  for (int64_t c = 0; c < channels; c++, first += channel, second += channel)
    for (int64_t t = 0; t < taps; t++, to += LINE) {
      const char *from = first + offset[t] * es;
      for (int i = 0; i < LINE; i += 16) *(quarter *)(to + i) = *(const quarter *)(from + i);
      if (runs < 2) continue;
      from = second + offset[t] * es;
      for (int i = 0; i < LINE; i += 16) *(quarter *)(to + at + i) = *(const quarter *)(from + i);
    }
}

// Rows (channel, tap) of a panel. What a run's last group copies too much is overwritten by the
// next run, or row; where that could read behind the images `is_exact` copies just the run.
static void gather_panel(const gathering *g, char *to, const char *image, const int64_t *offset,
                         int64_t channels, const run_of_positions *run, int64_t runs,
                         int is_exact) {
  int64_t es = g->es, width = g->full * es;
  if (width == LINE && runs <= 2 && !is_exact) {
    if (runs == 1)
      gather_lines(g, to, image, offset, channels, run, 1);
    else
      gather_lines(g, to, image, offset, channels, run, 2);
    return;
  }
  for (int64_t c = 0; c < channels; c++)
    for (int64_t t = 0; t < g->x->taps; t++, to += width) {
      const char *from = image + (c * g->channel + offset[t]) * es;
      for (int64_t r = 0; r < runs; r++) {
        const char *source = from + run[r].from * es;
        char *target = to + run[r].at * es;
        int64_t bytes = run[r].count * es;
        if (is_exact)
          memcpy(target, source, bytes);
        else
          for (int64_t at = 0; at < bytes; at += COPY_BYTES)
            memcpy(target + at, source + at, COPY_BYTES);
      }
    }
}

// Packs the panel at position q, or several from there on; returns how many.
static int64_t pack_panels(const gathering *g, char *panel, const char *image,
                           const int64_t *offset, int64_t channels, int64_t q, int64_t columns,
                           const run_of_positions *run, int64_t runs, int64_t furthest) {
  const duet_gathered *x = g->x;
  int64_t es = g->es;
  if (runs > 1 || x->taps > 1) {
    int64_t end = run[runs - 1].from + run[runs - 1].count + furthest + (channels - 1) * g->channel;
    int is_exact = g->in_place && image + end * es + LINE > x->source_end;
    gather_panel(g, panel, image, offset, channels, run, runs, is_exact);
    return 1;
  }
  // One contiguous run of every channel: long pieces are read faster.
  int64_t plane = x->rows * x->columns, length = g->image == plane ? g->positions : plane;
  int64_t count = (length - q % length) / g->full;
  const char *from = image + (run[0].from + offset[0]) * es;
  if (count > g->held) count = g->held;
  if (count < 2) {
    x->engine->pack(panel, g->full, from, columns, channels, 1, g->channel);
    return 1;
  }
  x->engine->spread(panel, g->full, from, count, channels, g->channel);
  return count;
}

static void move_runs(const gathering *g, const run_of_positions *run, int64_t runs, char *result,
                      char *tile, int64_t rows, int64_t columns, int to_result) {
  int64_t es = g->es;
  for (int64_t i = 0; i < rows; i++)
    for (int64_t r = 0; r < runs; r++) {
      char *outside = result + (i * g->x->result_m + run[r].result) * es;
      char *inside = tile + (i * columns + run[r].at) * es;
      memcpy(to_result ? outside : inside, to_result ? inside : outside, run[r].count * es);
    }
}

// copy[c][n][i][j] of one tap.
static void copy_compact(const gathering *g, char *to, const char *source, int64_t channels) {
  const duet_gathered *x = g->x;
  int64_t es = g->es, step = x->column_step;
  // Columns begin ..< end lie inside the image.
  int64_t first = g->copy.first_column, begin = first < 0 ? (-first + step - 1) / step : 0;
  int64_t end = x->width > first ? (x->width - first + step - 1) / step : 0;
  if (begin > x->columns) begin = x->columns;
  if (end > x->columns) end = x->columns;
  if (end < begin) end = begin;
  for (int64_t c = 0; c < channels; c++)
    for (int64_t n = 0; n < x->images; n++)
      for (int64_t i = 0; i < x->rows; i++, to += x->columns * es) {
        int64_t row = g->copy.first_row + i * x->row_step;
        const char *from =
          source + (n * x->source_image + (c * x->height + row) * x->width + first) * es;
        if (row < 0 || row >= x->height) {
          memset(to, 0, x->columns * es);
          continue;
        }
        memset(to, 0, begin * es);
        duet_copy_columns(to, from, begin, end, step, es);
        memset(to + end * es, 0, (x->columns - end) * es);
      }
}

// The panel's tiles first ..< last, for one block of channels. Where the panel is read in place, `next` is the one that
// follows: the tiles fetch it in equal shares. Its rows are so far apart that processors do not fetch them by themselves.
static void multiply_panel(const gathering *g, const char *panel, int64_t b_step, int64_t block,
                           const run_of_positions *run, int64_t runs, int64_t columns,
                           int64_t first, int64_t last, char *tile, const char *next) {
  const duet_gathered *x = g->x;
  int64_t es = g->es, channel = duet_part_begin(g->blocks, block);
  int64_t channels = duet_part_begin(g->blocks, block + 1) - channel;
  int64_t row_bytes = x->result_m * es;
  int is_whole = 1;
  for (int64_t r = 1; r < runs; r++)
    is_whole &= run[r].result == run[r - 1].result + run[r - 1].count;
  duet_tile t = {.b = panel,
                 .b_step = b_step,
                 .k = channels * x->taps,
                 .segments = 1,
                 .c_step = is_whole ? x->result_m : columns,
                 .columns = (int32_t)columns,
                 .apart = {.step = b_step * es},
                 .accumulate = block > 0};
  char *result = x->result - duet_part_begin(g->parts, x->first_panel) * row_bytes;
  for (int64_t p = first; p < last; p++) {
    int64_t begin = duet_part_begin(g->parts, p), rows = duet_part_begin(g->parts, p + 1) - begin;
    t.a = x->weight + panel_offset(x->m, x->taps, g->parts.count, block, channel, channels, p,
                                   begin) * es;
    char *c = result + begin * row_bytes;
    t.c = is_whole ? c + run[0].result * es : tile;
    if (!is_whole && t.accumulate) move_runs(g, run, runs, c, tile, rows, columns, 0);
    // The tile below is wanted next.
    if (is_whole && p + 1 < last && t.k > 128) {
      char *below = (char *)t.c + rows * row_bytes;
      for (int64_t r = 0; r < g->parts.base; r++, below += row_bytes)
        for (int64_t at = 0; at < columns * es; at += 64) __builtin_prefetch(below + at, 1);
    }
    int64_t fetched = (p - first) * (t.k / 4);
    t.ahead = next && fetched < t.k ? next + fetched * t.apart.step : NULL;
    duet_choose_tile(x->engine, DUET_TILE_PACKED, rows, columns)(&t);
    if (!is_whole) move_runs(g, run, runs, c, tile, rows, columns, 1);
  }
}

// Settles what needs the scratch memory.
static void start(gathering *g, char *scratch) {
  const duet_gathered *x = g->x;
  if (x->row_step <= DUET_MARKED_STRIDE && x->column_step <= DUET_MARKED_STRIDE) {
    g->copy.row_is_read = g->is_read;
    g->copy.column_is_read = g->is_read + DUET_MARKED_STRIDE;
  }
  layout l = lay_out(g);
  int64_t run_columns = duet_image_run(&g->copy);
  g->offset = (int64_t *)scratch;
  g->tile = scratch + l.offset;
  g->panels = g->tile + l.tile;
  g->copies = g->panels + l.panel;
  g->furthest = 0;
  for (int64_t t = 0; t < x->taps; t++) {
    int64_t row = x->first_row * x->row_step + x->tap_row[t];
    int64_t column = x->first_column * x->column_step + x->tap_column[t];
    if (g->is_compact) {
      row = 0;
      column = 0;
    } else if (!g->in_place) {
      row -= g->copy.first_row;
      column -= g->copy.first_column;
      column = column % x->column_step * run_columns + column / x->column_step;
    }
    g->offset[t] = row * g->pitch + column;
    if (g->offset[t] > g->furthest) g->furthest = g->offset[t];
  }
}

// The image of `channels` channels from `channel` on, or the copy that is made of it.
static const char *image_of(const gathering *g, int64_t channel, int64_t channels) {
  const duet_gathered *x = g->x;
  const char *image = x->source + channel * x->height * x->width * g->es;
  if (g->is_compact) {
    copy_compact(g, g->copies, image, channels);
    return g->copies;
  }
  if (g->in_place) return image;
  duet_image_copy copy = g->copy;
  copy.channels = channels;
  for (int64_t n = 0; n < x->images; n++)
    duet_copy_image(&copy, g->copies + n * g->image * g->es, image + n * x->source_image * g->es,
                    g->es);
  return g->copies;
}

// Where the panels of a block of channels lie in memory that holds those of all.
static int64_t gathered_offset(const gathering *g, int64_t block) {
  int64_t channel = duet_part_begin(g->blocks, block);
  int64_t positions = (int64_t)duet_round_up(g->positions, g->full);
  return (channel * g->x->taps * positions + block * PANEL_GAP) * g->es;
}

int64_t duet_gathered_blocks(int64_t channels, int64_t taps) {
  return depth_blocks(channels, taps).count;
}

size_t duet_gathered_bytes(const duet_gathered *x) {
  int64_t full = 2 * x->engine->lanes, positions = x->images * x->rows * x->columns;
  int64_t blocks = duet_gathered_blocks(x->channels, x->taps);
  return duet_round_up((x->channels * x->taps * (int64_t)duet_round_up(positions, full) +
                        blocks * PANEL_GAP) * x->engine->element_size, 64);
}

void duet_gather(const duet_gathered *x, int64_t block, char *gathered, char *scratch) {
  gathering g = prepare(x);
  start(&g, scratch);
  int64_t channel = duet_part_begin(g.blocks, block);
  int64_t channels = duet_part_begin(g.blocks, block + 1) - channel;
  int64_t depth = channels * x->taps, packed = 0;
  const char *image = image_of(&g, channel, channels);
  char *to = gathered + gathered_offset(&g, block);
  for (int64_t q = 0; q < g.positions; q += packed * g.full) {
    int64_t columns = g.positions - q < g.full ? g.positions - q : g.full;
    run_of_positions run[64];
    int64_t runs = find_runs(&g, q, columns, run);
    packed = pack_panels(&g, to + q * depth * g.es, image, g.offset, channels, q, columns, run,
                         runs, g.furthest);
  }
}

void duet_multiply_gathered(const duet_gathered *x, char *scratch) {
  gathering g = prepare(x);
  start(&g, scratch);
  int64_t es = g.es;
  char *tile = g.tile, *panels = g.panels;
  char *next = panels;
  // With few rows a panel is read hardly more often than packing would.
  int reads_in_place = g.in_place && x->taps == 1 && x->engine->masked &&
                       x->panels * x->engine->rows <= IN_PLACE_ROWS;
  int64_t last_panel = x->first_panel + x->panels;
  int64_t panels_per_block = x->engine->row_block / x->engine->rows;
  for (int64_t block = 0; block < g.blocks.count; block++) {
    int64_t channel = duet_part_begin(g.blocks, block);
    int64_t channels = duet_part_begin(g.blocks, block + 1) - channel;
    const char *image = x->gathered ? NULL : image_of(&g, channel, channels);
    const char *gathered = x->gathered ? x->gathered + gathered_offset(&g, block) : NULL;
    for (int64_t first = x->first_panel; first < last_panel; first += panels_per_block) {
      int64_t last = first + panels_per_block < last_panel ? first + panels_per_block : last_panel;
      int64_t depth = channels * x->taps, packed = 0;
      for (int64_t q = 0; q < g.positions; q += g.full) {
        int64_t columns = g.positions - q < g.full ? g.positions - q : g.full;
        run_of_positions run[64];
        int64_t runs = find_runs(&g, q, columns, run);
        if (gathered) {
          multiply_panel(&g, gathered + q * depth * es, g.full, block, run, runs, columns, first,
                         last, tile, NULL);
          continue;
        }
        if (reads_in_place && runs == 1) {
          const char *in_place = image + (run[0].from + g.offset[0]) * es;
          multiply_panel(&g, in_place, g.channel, block, run, runs, columns, first, last, tile,
                         in_place + columns * es);
          continue;
        }
        char *panel = panels;
        if (g.shares)
          panel += q * depth * es;
        else if (packed > 0)
          panel = next;
        if (first == x->first_panel && packed == 0) {
          packed = pack_panels(&g, panel, image, g.offset, channels, q, columns, run, runs,
                               g.furthest);
        }
        next = panel + g.full * depth * es;
        packed--;
        multiply_panel(&g, panel, g.full, block, run, runs, columns, first, last, tile, NULL);
      }
    }
  }
}

duet_gathered_grid duet_cut_gathered(const duet_engine *engine, int64_t batch, int64_t rows,
                                     int64_t columns, int64_t area, int64_t m, double work) {
  int64_t plane = rows * columns, least = area < 64 ? POSITIONS : 64 * POSITIONS / area;
  int64_t positions = least < 64 ? 64 : least;
  duet_gathered_grid grid = {.images = {batch, 1, 0}, .rows = {1, rows, 0},
                             .columns = {1, columns, 0}};
  if (columns > positions) {
    // Whole vectors of any engine.
    grid.rows = duet_split(rows, 1);
    grid.columns = duet_split((columns + 31) / 32, positions / 32);
  } else if (plane > positions) {
    grid.rows = duet_split(rows, positions / columns);
  }
  int64_t together = plane >= positions ? 1 : positions / plane;
  int64_t groups = (batch + together - 1) / together, cuts = grid.rows.count * grid.columns.count;
  int64_t wanted = work >= (double)TASKS * TASK_WORK ? TASKS : (int64_t)(work / TASK_WORK);
  int64_t m_parts = 1, most_parts = m / LEAST_ROWS > 1 ? m / LEAST_ROWS : 1;
  if (groups * cuts < wanted) m_parts = (wanted + groups * cuts - 1) / (groups * cuts);
  if (m_parts > most_parts) m_parts = most_parts;
  if (groups * cuts * m_parts < wanted) groups = (wanted + cuts * m_parts - 1) / (cuts * m_parts);
  if (groups > batch) groups = batch;
  grid.images = duet_split(batch, (batch + groups - 1) / groups);
  int64_t panels = duet_split(m, engine->rows).count;
  grid.panels = duet_split(panels, (panels + m_parts - 1) / m_parts);
  grid.tasks = grid.images.count * cuts * grid.panels.count;
  return grid;
}

int64_t duet_take_gathered(const duet_gathered_grid *grid, int64_t index, duet_gathered *product) {
  int64_t panel = index % grid->panels.count;
  index /= grid->panels.count;
  int64_t column = index % grid->columns.count;
  index /= grid->columns.count;
  int64_t row = index % grid->rows.count, image = index / grid->rows.count;
  product->first_panel = duet_part_begin(grid->panels, panel);
  product->panels = duet_part_begin(grid->panels, panel + 1) - product->first_panel;
  product->first_row = duet_part_begin(grid->rows, row);
  product->rows = duet_part_begin(grid->rows, row + 1) - product->first_row;
  if (grid->columns.count > 1) {
    int64_t end = 32 * duet_part_begin(grid->columns, column + 1), width = product->columns;
    product->first_column = 32 * duet_part_begin(grid->columns, column);
    product->columns = (end < width ? end : width) - product->first_column;
  }
  int64_t first = duet_part_begin(grid->images, image);
  product->images = duet_part_begin(grid->images, image + 1) - first;
  return first;
}
