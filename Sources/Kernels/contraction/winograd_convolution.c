// Convolution and its gradient with respect to the input by Winograd's algorithm. Both are one
// correlation: the gradient is that of dy with the weights turned by 180 degrees, input and output
// channels exchanged.
//
// A task takes a block of tiles: it transforms all channels of their pixels, multiplies, point by
// point, with the transformed weights, and transforms back, a few output channels at a time, while
// the products are in the second-level cache.
#include "winograd.h"

#pragma STDC FP_CONTRACT OFF

enum {
  PANEL = 32,             // result channels of a panel of transformed weights
  SPAN = 64,              // result channels whose products are kept at a time
  LEAST_TILES = 56,       // of a block: what reading all weights is paid off by
  TILE_CHANNELS = 4096,   // of a block: its points stay in the second-level cache
  TASKS = 8,
  TRANSFORM_WORK = 4096,  // pairs of channels that are worth a task
};

typedef struct {
  const duet_engine *engine;
  const duet_winograd_table *table;
  int64_t groups, in, out;        // channels of a group: summed over, and of the result
  int64_t height, width;          // of the source
  int64_t top, left;              // padding of the source; negative: cropped
  const float *source, *weight;
  float *result;
  int is_gradient;
  // Of the weights: [group][point][panel][in][PANEL].
  float *points;
  int64_t panels, point, group_points;
  duet_tile_grid grid;
  duet_parts blocks, spans;       // units of a block, panels of a task
  int64_t most_tiles;
} correlation;

static void transform_weights(void *context, int64_t index) {
  const correlation *x = context;
  int64_t group = index / x->panels, panel = index % x->panels;
  float lines[16 * 9 * 16];
  int64_t tap[9];
  for (int64_t j = 0; j < 9; j++) tap[j] = 16 * (x->is_gradient ? 8 - j : j);
  const float *weight = x->weight + group * x->in * x->out * 9;
  for (int64_t o = panel * PANEL; o < panel * PANEL + PANEL && o < x->out; o += 16) {
    int64_t lanes = x->out - o < 16 ? x->out - o : 16;
    for (int64_t i = 0; i < x->in; i += 16) {
      int64_t count = x->in - i < 16 ? x->in - i : 16;
      if (x->is_gradient)
        for (int64_t n = 0; n < count; n++)
          x->table->gather(lines + n * 144, weight + ((i + n) * x->out + o) * 9, 9, lanes, 9);
      else
        x->table->gather(lines, weight + (o * x->in + i) * 9, x->in * 9, lanes, count * 9);
      float *to = x->points + group * x->group_points + (panel * x->in + i) * PANEL + o % PANEL;
      x->table->weight(to, x->point, PANEL, lines, 144, tap, count);
    }
  }
}

// Transforms the pixels under units first ..< last; the number of tiles.
static int64_t transform_block(const correlation *x, int64_t group, int64_t first, int64_t last,
                               float *points, int64_t point, int64_t tile, float *lines) {
  int64_t tiles = 0, plane = x->height * x->width;
  for (int64_t u = first; u < last;) {
    duet_tile_run run = duet_run_of_tiles(&x->grid, u, last);
    int64_t columns = 2 * run.width + 2, rows = 2 * run.count + 2;
    for (int64_t c = 0; c < x->in; c += 16) {
      duet_tile_image image = {
        .channel = x->source + ((run.image * x->groups + group) * x->in + c) * plane,
        .lanes = x->in - c < 16 ? x->in - c : 16,
        .height = x->height,
        .width = x->width};
      duet_lines_of_image(x->table, lines, &image, 2 * run.row - x->top, 2 * run.column - x->left,
                          rows, columns);
      for (int64_t r = 0; r < run.count; r++)
        x->table->image(points + (tiles + r * run.width) * tile + c, point, tile,
                        lines + 2 * r * columns * 16, columns * 16, run.width);
    }
    tiles += run.count * run.width;
    u += run.count;
  }
  return tiles;
}

// Products of the points of `tiles` tiles with `columns` result channels from `first` on.
static void multiply_points(const correlation *x, int64_t group, int64_t first, int64_t columns,
                            int64_t tiles, const float *points, int64_t point, int64_t tile,
                            float *products, int64_t product) {
  const void *row[DUET_TILE_ROWS];
  duet_parts parts = duet_split(tiles, x->engine->rows);
  int64_t full = 2 * x->engine->lanes;
  duet_tile t = {.a_row = tile, .a_step = 1, .b_step = PANEL, .k = x->in, .segments = 1,
                 .c_step = SPAN};
  for (int64_t p = 0; p < DUET_WINOGRAD_POINTS; p++) {
    const float *weight = x->points + group * x->group_points + p * x->point;
    for (int64_t j = 0; j < columns; j += full) {
      t.columns = (int32_t)(columns - j < full ? columns - j : full);
      t.b = weight + (first + j) / PANEL * x->in * PANEL + (first + j) % PANEL;
      for (int64_t i = 0; i < parts.count; i++) {
        int64_t begin = duet_part_begin(parts, i), rows = duet_part_begin(parts, i + 1) - begin;
        duet_read_in_place(x->engine, &t, points + p * point + begin * tile, rows, row);
        t.c = products + p * product + begin * SPAN + j;
        duet_choose_tile(x->engine, x->engine->in_place_mode, rows, t.columns)(&t);
      }
    }
  }
}

// Results of units first ..< last from the products of 16 channels from `channel` on.
static void transform_back(const correlation *x, int64_t group, int64_t channel, int64_t first,
                           int64_t last, const float *products, int64_t product, float *lines) {
  int64_t rows = x->grid.rows, columns = x->grid.columns;
  int64_t lanes = x->out - channel < 16 ? x->out - channel : 16;
  for (int64_t u = first; u < last;) {
    duet_tile_run run = duet_run_of_tiles(&x->grid, u, last);
    int64_t pitch = 2 * run.width * 16;
    for (int64_t r = 0; r < run.count; r++, products += run.width * SPAN)
      x->table->result(lines + 2 * r * pitch, pitch, products, product, SPAN, run.width);
    int64_t row = 2 * run.row, column = 2 * run.column;
    int64_t height = rows - row < 2 * run.count ? rows - row : 2 * run.count;
    int64_t width = columns - column < 2 * run.width ? columns - column : 2 * run.width;
    float *to = x->result + ((run.image * x->groups + group) * x->out + channel) * rows * columns +
                row * columns + column;
    if (2 * run.width == columns)
      x->table->scatter(to, rows * columns, lines, lanes, height * columns);
    else
      for (int64_t r = 0; r < height; r++)
        x->table->scatter(to + r * columns, rows * columns, lines + r * pitch, lanes, width);
    u += run.count;
  }
}

static void correlate_block(void *context, int64_t index) {
  const correlation *x = context;
  int64_t span = index % x->spans.count, block = index / x->spans.count % x->blocks.count;
  int64_t group = index / x->spans.count / x->blocks.count;
  int64_t first = duet_part_begin(x->blocks, block), last = duet_part_begin(x->blocks, block + 1);
  int64_t tile = duet_tile_stride(x->in), point = duet_point_stride(x->most_tiles * tile);
  int64_t product = duet_point_stride(x->most_tiles * SPAN);
  float *points = duet_scratch(1, (DUET_WINOGRAD_POINTS * (point + product) +
                                   duet_tile_lines(x->most_tiles)) * sizeof(float));
  float *products = points + DUET_WINOGRAD_POINTS * point;
  float *lines = products + DUET_WINOGRAD_POINTS * product;

  int64_t tiles = transform_block(x, group, first, last, points, point, tile, lines);
  int64_t end = duet_part_begin(x->spans, span + 1) * PANEL;
  if (end > x->out) end = x->out;
  for (int64_t o = duet_part_begin(x->spans, span) * PANEL; o < end; o += SPAN) {
    int64_t columns = (int64_t)duet_round_up(end - o < SPAN ? end - o : SPAN, 16);
    multiply_points(x, group, o, columns, tiles, points, point, tile, products, product);
    for (int64_t c = 0; c < columns; c += 16)
      transform_back(x, group, o + c, first, last, products + c, product, lines);
  }
}

static duet_status correlate(correlation *x, int64_t batch, int64_t rows, int64_t columns) {
  x->engine = duet_contractions()->engine[DUET_COMPUTE_F32];
  x->table = duet_winograd();
  x->panels = (x->out + PANEL - 1) / PANEL;
  x->point = duet_point_stride(x->panels * x->in * PANEL);
  x->group_points = DUET_WINOGRAD_POINTS * x->point;
  x->points = duet_scratch(0, x->groups * x->group_points * sizeof(float));

  int64_t most = TILE_CHANNELS / x->in;
  if (most < LEAST_TILES) most = LEAST_TILES;
  x->grid = duet_tiles(batch, rows, columns, most);
  int64_t width = x->grid.parts.base + (x->grid.parts.longer > 0);
  x->blocks = duet_split(x->grid.units, most / width);
  x->most_tiles = (x->blocks.base + (x->blocks.longer > 0)) * width;
  int64_t spans = x->blocks.count * x->groups >= TASKS ? 1 : TASKS / (x->blocks.count * x->groups);
  x->spans = duet_split(x->panels, (x->panels + spans - 1) / spans);

  int64_t panels = x->groups * x->panels;
  if (panels * PANEL * x->in >= TRANSFORM_WORK)
    duet_parallel_for(panels, transform_weights, x);
  else
    for (int64_t i = 0; i < panels; i++) transform_weights(x, i);
  duet_parallel_for(x->groups * x->blocks.count * x->spans.count, correlate_block, x);
  return DUET_OK;
}

duet_status duet_winograd_conv2d(const duet_conv2d_call *c) {
  correlation x = {.groups = c->groups,
                   .in = c->in_channels / c->groups,
                   .out = c->out_channels / c->groups,
                   .height = c->in_height,
                   .width = c->in_width,
                   .top = c->pad_top,
                   .left = c->pad_left,
                   .source = c->operand[1],
                   .weight = c->operand[2],
                   .result = c->operand[0]};
  return correlate(&x, c->batch, c->out_height, c->out_width);
}

duet_status duet_winograd_input_gradient(const duet_conv2d_call *c) {
  correlation x = {.groups = c->groups,
                   .in = c->out_channels / c->groups,
                   .out = c->in_channels / c->groups,
                   .height = c->out_height,
                   .width = c->out_width,
                   .top = 2 - c->pad_top,
                   .left = 2 - c->pad_left,
                   .source = c->operand[1],
                   .weight = c->operand[2],
                   .result = c->operand[0],
                   .is_gradient = 1};
  return correlate(&x, c->batch, c->in_height, c->in_width);
}
