// The gradient of a convolution with respect to its weights. Rows of a tile are taps of the image,
// read in place by broadcast; columns are output channels, of which dy is transposed a band at a
// time.
#include "image.h"
#include "winograd.h"

#include <string.h>

#pragma STDC FP_CONTRACT OFF

enum {
  BAND_POSITIONS = 384,  // of a transposed panel of dy
  IMAGE_BYTES = 256 << 10,
  TASK_TAPS = 256,       // (channel, tap) rows of a task, over which transposing dy is paid off
  LEAST_TAPS = 12,
  TASK_WORK = 2 << 20,   // multiply-adds that are worth a task
  TASKS = 4
};

typedef struct {
  duet_conv2d_call call;
  const duet_engine *engine;
  int64_t es, in, out, taps;  // channels of a group
  int64_t width;              // columns of a panel
  int64_t panels, row_parts;
  int64_t band;               // output rows whose image rows are prepared at a time
} weight_work;

// Rows first ..< last of (channel, tap), for `columns` output channels from `channel` on.
typedef struct {
  int64_t group, first, last, channel, columns;
} weight_block;

static void accumulate_band(const weight_work *w, const weight_block *block, const char *image,
                            int64_t channel_stride, int64_t pitch, const int64_t *offset,
                            const char *dy,
                            int64_t rows, char *panel, char *sum, int accumulate) {
  const duet_conv2d_call *c = &w->call;
  const duet_engine *engine = w->engine;
  int64_t es = w->es, plane = c->out_height * c->out_width, width = w->width;
  int64_t first_channel = block->first / w->taps;
  int64_t step = BAND_POSITIONS / c->out_width < 1 ? 1 : BAND_POSITIONS / c->out_width;
  // Narrow tiles issue twice as fast: keep all row pointers in registers.
  duet_parts parts = duet_split(block->last - block->first,
                                block->columns <= engine->half_lanes ? 9 : engine->rows);
  const void *row[DUET_TILE_ROWS];
  duet_tile t = {.row = row,
                 .a_step = 1,
                 .a_segment = c->stride_height * pitch,
                 .b = panel,
                 .b_step = width,
                 .b_segment = c->out_width * width,
                 .k = c->out_width,
                 .c_step = width,
                 .columns = (int32_t)block->columns};
  for (int64_t i = 0; i < rows; i += step) {
    t.segments = rows - i < step ? rows - i : step;
    engine->pack(panel, width, dy + i * c->out_width * es, block->columns,
                 t.segments * c->out_width, plane,
                 1);
    t.accumulate = accumulate || i > 0;
    for (int64_t p = 0; p < parts.count; p++) {
      int64_t begin = duet_part_begin(parts, p), count = duet_part_begin(parts, p + 1) - begin;
      for (int64_t r = 0; r < count; r++) {
        int64_t tap = block->first + begin + r;
        row[r] = image + ((tap / w->taps - first_channel) * channel_stride + offset[tap % w->taps] +
                          i * t.a_segment) * es;
      }
      t.c = sum + begin * width * es;
      duet_choose_tile(engine, DUET_TILE_ROWS_AT, count, block->columns)(&t);
    }
  }
}

static void weight_task(void *context, int64_t index) {
  const weight_work *w = context;
  const duet_conv2d_call *c = &w->call;
  int64_t es = w->es, width = w->width;
  duet_parts parts = duet_split(w->in * w->taps,
                                (w->in * w->taps + w->row_parts - 1) / w->row_parts);
  int64_t part = index % w->row_parts, panel_index = index / w->row_parts % w->panels;
  if (part >= parts.count) return;
  weight_block block = {.group = index / w->row_parts / w->panels,
                        .first = duet_part_begin(parts, part),
                        .last = duet_part_begin(parts, part + 1),
                        .channel = panel_index * width};
  block.columns = w->out - block.channel < width ? w->out - block.channel : width;
  int64_t taps = block.last - block.first, first_channel = block.first / w->taps;
  int64_t channels = (block.last - 1) / w->taps + 1 - first_channel;

  duet_image_copy copy = {.channels = channels,
                          .height = c->in_height,
                          .width = c->in_width,
                          .rows = (w->band - 1) * c->stride_height +
                                  (c->kernel_height - 1) * c->dilation_height + 1,
                          .first_column = -c->pad_left,
                          .columns = (c->out_width - 1) * c->stride_width +
                                     (c->kernel_width - 1) * c->dilation_width + 1,
                          .row_step = c->stride_height,
                          .column_step = c->stride_width};
  uint8_t row_is_read[DUET_MARKED_STRIDE], column_is_read[DUET_MARKED_STRIDE];
  if (c->stride_height <= DUET_MARKED_STRIDE && c->stride_width <= DUET_MARKED_STRIDE) {
    duet_mark_read(row_is_read, c->stride_height, c->kernel_height, c->dilation_height);
    duet_mark_read(column_is_read, c->stride_width, c->kernel_width, c->dilation_width);
    copy.row_is_read = row_is_read;
    copy.column_is_read = column_is_read;
  }
  size_t offset_bytes = duet_round_up(w->taps * sizeof(int64_t), 64);
  size_t sum_bytes = duet_round_up(taps * width * es, 64);
  int64_t positions = BAND_POSITIONS > c->out_width ? BAND_POSITIONS : c->out_width;
  size_t panel_bytes = duet_round_up((positions * width + 16) * es, 64);
  char *memory =
    duet_scratch(1, offset_bytes + sum_bytes + panel_bytes + duet_image_bytes(&copy, es));
  int64_t *offset = (int64_t *)memory;
  char *sum = memory + offset_bytes, *panel = sum + sum_bytes, *image = panel + panel_bytes;

  int accumulate = 0;
  for (int64_t batch = 0; batch < c->batch; batch++) {
    int64_t image_channel = (batch * c->groups + block.group) * w->in + first_channel;
    const char *x = (const char *)c->operand[1] + image_channel * c->in_height * c->in_width * es;
    const char *dy = (const char *)c->operand[2] +
                     ((batch * c->groups + block.group) * w->out + block.channel) * c->out_height *
                       c->out_width * es;
    for (int64_t i = 0; i < c->out_height; i += w->band) {
      int64_t rows = c->out_height - i < w->band ? c->out_height - i : w->band;
      copy.first_row = i * c->stride_height - c->pad_top;
      copy.rows = (rows - 1) * c->stride_height + (c->kernel_height - 1) * c->dilation_height + 1;
      int in_place = duet_image_is_ready(&copy);
      int64_t pitch = in_place ? c->in_width : duet_image_pitch(&copy), run = duet_image_run(&copy);
      if (!in_place) duet_copy_image(&copy, image, x, es);
      for (int64_t kh = 0; kh < c->kernel_height; kh++)
        for (int64_t kw = 0; kw < c->kernel_width; kw++) {
          int64_t column = kw * c->dilation_width;
          offset[kh * c->kernel_width + kw] = kh * c->dilation_height * pitch +
                                              column % c->stride_width * run + column / c->stride_width;
        }
      accumulate_band(w, &block,
                      in_place ? x + (copy.first_row * pitch + copy.first_column) * es : image,
                      in_place ? c->in_height * c->in_width : copy.rows * pitch, pitch, offset,
                      dy + i * c->out_width * es, rows, panel, sum, accumulate);
      accumulate = 1;
    }
  }

  int64_t depth = w->in * w->taps;
  int64_t at = (block.group * w->out + block.channel) * depth + block.first;
#define TRANSPOSE(type)                                          \
  for (int64_t o = 0; o < block.columns; o++)                    \
    for (int64_t r = 0; r < taps; r++)                           \
      ((type *)c->operand[0])[at + o * depth + r] = ((const type *)sum)[r * width + o];
  if (es == 4) {
    TRANSPOSE(uint32_t)
  } else {
    TRANSPOSE(uint64_t)
  }
#undef TRANSPOSE
}

duet_status duet_conv2d_weight_gradient(const void *argument) {
  const duet_contraction_table *table = duet_contractions();
  weight_work w = {.call = duet_merged_rows(argument)};
  const duet_conv2d_call *c = &w.call;
  w.engine = table->engine[duet_compute_type(c->dtype)];
  w.es = w.engine->element_size;
  w.in = c->in_channels / c->groups;
  w.out = c->out_channels / c->groups;
  w.taps = c->kernel_height * c->kernel_width;
  int64_t depth = w.in * w.taps, plane = c->out_height * c->out_width;
  if (c->out_channels * depth == 0) return DUET_OK;
  if (c->batch * plane == 0) {
    memset(c->operand[0], 0, c->out_channels * depth * w.es);
    return DUET_OK;
  }
  if (duet_winograd_applies(c)) return duet_winograd_weight_gradient(c);

  int64_t unit = w.engine->half_lanes ? w.engine->half_lanes : w.engine->lanes;
  int64_t full = 2 * w.engine->lanes;
  w.width = w.out < full ? (int64_t)duet_round_up(w.out, unit) : full;
  w.panels = (w.out + w.width - 1) / w.width;
  int64_t row_bytes = w.in * c->stride_height * (c->in_width + c->kernel_width) * w.es;
  w.band = IMAGE_BYTES / row_bytes;
  if (w.band < 8) w.band = 8;
  if (w.band > c->out_height) w.band = c->out_height;

  w.row_parts = (depth + TASK_TAPS - 1) / TASK_TAPS;
  double work = (double)c->batch * c->out_channels * plane * depth;
  if (work >= 2 * TASK_WORK && w.row_parts * w.panels * c->groups < TASKS) {
    w.row_parts = TASKS / (w.panels * c->groups);
    if (w.row_parts > depth / LEAST_TAPS) w.row_parts = depth < LEAST_TAPS ? 1 : depth / LEAST_TAPS;
  }
  int64_t tasks = w.row_parts * w.panels * c->groups;
  if (tasks == 1)
    weight_task(&w, 0);
  else if (work < TASK_WORK)
    for (int64_t i = 0; i < tasks; i++) weight_task(&w, i);
  else
    duet_parallel_for(tasks, weight_task, &w);
  return DUET_OK;
}
