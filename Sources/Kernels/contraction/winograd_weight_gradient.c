// The gradient of a convolution with respect to its weights by Winograd's algorithm: the transpose
// of the forward one, which makes it F(3 x 3, 2 x 2). At each of the 16 points the transformed
// pixels of x and dy are multiplied and summed over all tiles, in ascending order.
#include "winograd.h"

#pragma STDC FP_CONTRACT OFF

enum {
  BLOCK_TILES = 56,  // transformed at a time
  CHANNELS = 64,     // of x and of dy in a task: the sums stay in the second-level cache
  TASKS = 4,
};

typedef struct {
  const duet_engine *engine;
  const duet_winograd_table *table;
  const duet_conv2d_call *call;
  int64_t in, out;  // channels of a group
  duet_parts in_parts, out_parts;  // in units of 16 channels
  duet_tile_grid grid;
  int64_t block_units, block_tiles;
} weight_work;

typedef struct {
  int64_t first, count, stride;
} channel_range;

typedef void (*transform_fn)(float *, int64_t, int64_t, const float *, int64_t, int64_t);

static channel_range range_of_part(duet_parts parts, int64_t part, int64_t channels) {
  int64_t first = duet_part_begin(parts, part) * 16, last = duet_part_begin(parts, part + 1) * 16;
  if (last > channels) last = channels;
  return (channel_range){first, last - first, duet_tile_stride(last - first)};
}

// Points of a run of tiles, for some channels of an image whose first pixel belongs to tile
// (row, column). A tile has 2 + margin rows and columns.
static void transform_run(const weight_work *w, const duet_tile_run *run, transform_fn transform,
                          duet_tile_image image, channel_range channels, int64_t row,
                          int64_t column, int64_t margin, float *points, int64_t point,
                          float *lines) {
  int64_t columns = 2 * run->width + margin, plane = image.height * image.width;
  const float *first = image.channel;
  for (int64_t c = 0; c < channels.count; c += 16) {
    image.channel = first + c * plane;
    image.lanes = channels.count - c < 16 ? channels.count - c : 16;
    duet_lines_of_image(w->table, lines, &image, row, column, 2 * run->count + margin, columns);
    for (int64_t r = 0; r < run->count; r++)
      transform(points + r * run->width * channels.stride + c, point, channels.stride,
                lines + 2 * r * columns * 16, columns * 16, run->width);
  }
}

static void multiply_points(const weight_work *w, const float *x, int64_t x_point,
                            channel_range in, const float *dy, int64_t dy_point, channel_range out,
                            int64_t tiles, float *sum, int64_t sum_point, int accumulate) {
  const void *row[DUET_TILE_ROWS];
  duet_parts parts = duet_split(out.count, w->engine->rows);
  int64_t full = 2 * w->engine->lanes, columns = (int64_t)duet_round_up(in.count, 16);
  duet_tile t = {.a_row = 1, .a_step = out.stride, .b_step = in.stride, .k = tiles, .segments = 1,
                 .c_step = in.stride, .accumulate = accumulate};
  for (int64_t p = 0; p < DUET_WINOGRAD_POINTS; p++)
    for (int64_t j = 0; j < columns; j += full) {
      t.columns = (int32_t)(columns - j < full ? columns - j : full);
      t.b = x + p * x_point + j;
      for (int64_t i = 0; i < parts.count; i++) {
        int64_t begin = duet_part_begin(parts, i), rows = duet_part_begin(parts, i + 1) - begin;
        duet_read_in_place(w->engine, &t, dy + p * dy_point + begin, rows, row);
        t.c = sum + p * sum_point + begin * in.stride + j;
        duet_choose_tile(w->engine, w->engine->in_place_mode, rows, t.columns)(&t);
      }
    }
}

static void weight_task(void *context, int64_t index) {
  const weight_work *w = context;
  const duet_conv2d_call *c = w->call;
  int64_t in_part = index % w->in_parts.count, out_part = index / w->in_parts.count;
  int64_t group = out_part / w->out_parts.count;
  channel_range in = range_of_part(w->in_parts, in_part, w->in);
  channel_range out = range_of_part(w->out_parts, out_part % w->out_parts.count, w->out);

  int64_t x_point = duet_point_stride(w->block_tiles * in.stride);
  int64_t dy_point = duet_point_stride(w->block_tiles * out.stride);
  int64_t sum_point = duet_point_stride(out.count * in.stride);
  float *x = duet_scratch(1, (DUET_WINOGRAD_POINTS * (x_point + dy_point + sum_point) +
                              duet_tile_lines(w->block_tiles)) * sizeof(float));
  float *dy = x + DUET_WINOGRAD_POINTS * x_point, *sum = dy + DUET_WINOGRAD_POINTS * dy_point;
  float *lines = sum + DUET_WINOGRAD_POINTS * sum_point;

  int64_t x_plane = c->in_height * c->in_width, dy_plane = c->out_height * c->out_width;
  for (int64_t u = 0; u < w->grid.units;) {
    int64_t tiles = 0, first = u;
    int64_t last = w->grid.units - u < w->block_units ? w->grid.units : u + w->block_units;
    while (u < last) {
      duet_tile_run run = duet_run_of_tiles(&w->grid, u, last);
      int64_t image = run.image * c->groups + group;
      duet_tile_image x_image = {
        .channel = (const float *)c->operand[1] + (image * w->in + in.first) * x_plane,
        .height = c->in_height,
        .width = c->in_width};
      transform_run(w, &run, w->table->image, x_image, in, 2 * run.row - c->pad_top,
                    2 * run.column - c->pad_left, 2, x + tiles * in.stride, x_point, lines);
      duet_tile_image dy_image = {
        .channel = (const float *)c->operand[2] + (image * w->out + out.first) * dy_plane,
        .height = c->out_height,
        .width = c->out_width};
      transform_run(w, &run, w->table->gradient, dy_image, out, 2 * run.row, 2 * run.column, 0,
                    dy + tiles * out.stride, dy_point, lines);
      tiles += run.count * run.width;
      u += run.count;
    }
    multiply_points(w, x, x_point, in, dy, dy_point, out, tiles, sum, sum_point, first > 0);
  }

  for (int64_t o = 0; o < out.count; o++)
    for (int64_t i = 0; i < in.count; i += 16) {
      float *to = (float *)c->operand[0] +
                  ((group * w->out + out.first + o) * w->in + in.first + i) * 9;
      w->table->weight_gradient(lines, sum + o * in.stride + i, sum_point);
      w->table->scatter(to, 9, lines, in.count - i < 16 ? in.count - i : 16, 9);
    }
}

duet_status duet_winograd_weight_gradient(const duet_conv2d_call *c) {
  weight_work w = {.engine = duet_contractions()->engine[DUET_COMPUTE_F32],
                   .table = duet_winograd(),
                   .call = c,
                   .in = c->in_channels / c->groups,
                   .out = c->out_channels / c->groups};
  w.grid = duet_tiles(c->batch, c->out_height, c->out_width, BLOCK_TILES);
  int64_t width = w.grid.parts.base + (w.grid.parts.longer > 0);
  w.block_units = BLOCK_TILES / width;
  w.block_tiles = w.block_units * width;

  int64_t in = (w.in + 15) / 16, out = (w.out + 15) / 16, most = CHANNELS / 16;
  while (most > 1 && (in + most - 1) / most * ((out + most - 1) / most) * c->groups < TASKS)
    most /= 2;
  w.in_parts = duet_split(in, most);
  w.out_parts = duet_split(out, most);
  duet_parallel_for(c->groups * w.in_parts.count * w.out_parts.count, weight_task, &w);
  return DUET_OK;
}
