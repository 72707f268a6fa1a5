#include "convolution_spread.h"

#include "depthwise.h"

#include <string.h>

#pragma STDC FP_CONTRACT OFF

// With few input channels, a convolution of dy has tiles of few rows, and where a kernel is large
// beside dy most of its taps meet zeros. Instead:
//     products[c, t, p] = sum over output channel o ascending of weight[o, c, t] * dy[o, p]
// for every position p of dy, a product of matrices with full tiles, and then
//     dx[c, y, x] = sum over the kernel's rows ascending of (sum over its columns ascending of
//                   products[c, t, where tap t meets (y, x)]).

enum {
  MOST_CHANNELS = 12,          // of a group's input
  FEW_CHANNELS = 2,            // too few for a tile
  LEAST_OUT = 16,              // fewer make products cheaper than adding them up
  MOST_BYTES = 256 << 10,      // of products: they stay in the second-level cache
  TASK_WORK = 256 << 10        // multiply-adds that are worth a task
};

typedef struct {
  const duet_conv2d_call *call;
  const duet_engine *engine;
  const duet_depthwise_kernels *kernels;
  const char *weight;          // packed, group by group
  int64_t es, in, out, taps;   // channels of a group
  int64_t plane, pitch;        // positions of dy; elements between rows of products
  int64_t images_per_task;
} spread_work;

int duet_spreads_input_gradient(const duet_conv2d_call *c) {
  int64_t in = c->in_channels / c->groups, taps = c->kernel_height * c->kernel_width;
  int64_t es = (int64_t)duet_dtype_size(c->dtype), plane = c->out_height * c->out_width;
  int64_t out = c->out_channels / c->groups;
  int pays = in <= FEW_CHANNELS || out >= LEAST_OUT || c->in_height * c->in_width >= 2 * plane;
  return (c->dtype == DUET_FLOAT32 || c->dtype == DUET_FLOAT64) && in <= MOST_CHANNELS && pays &&
         taps > 1 && c->kernel_width <= DUET_SHIFTED_COLUMNS && c->stride_height == 1 &&
         c->stride_width == 1 && plane <= MOST_BYTES / es / in / taps;
}

static void spread_image(const spread_work *w, int64_t index, char *memory) {
  const duet_conv2d_call *c = w->call;
  int64_t es = w->es, group = index % c->groups, rows = w->in * w->taps;
  int64_t full = 2 * w->engine->lanes, in_plane = c->in_height * c->in_width;
  duet_parts parts = duet_split(rows, w->engine->rows);
  const char *dy = (const char *)c->operand[1] + index * w->out * w->plane * es;
  char *panel = memory, *products = panel + duet_round_up((w->out * full + 8) * es, 64);
  products += DUET_VECTOR_BYTES;

  for (int64_t p = 0; p < w->plane; p += full) {
    int64_t columns = w->plane - p < full ? w->plane - p : full;
    duet_tile tile = {.b = dy + p * es,
                      .b_step = w->plane,
                      .k = w->out,
                      .segments = 1,
                      .c_step = w->pitch,
                      .columns = (int32_t)columns};
    if (!w->engine->masked) {
      w->engine->pack(panel, full, tile.b, columns, w->out, 1, w->plane);
      tile.b = panel;
      tile.b_step = full;
    }
    for (int64_t i = 0; i < parts.count; i++) {
      int64_t begin = duet_part_begin(parts, i), count = duet_part_begin(parts, i + 1) - begin;
      tile.a = w->weight + (group * rows + begin) * w->out * es;
      tile.c = products + (begin * w->pitch + p) * es;
      duet_choose_tile(w->engine, DUET_TILE_PACKED, count, columns)(&tile);
    }
  }
  for (int64_t i = 0; i < w->in; i++) {
    duet_shifted_sum sum = {
      .result = (char *)c->operand[0] + (index * w->in + i) * in_plane * es,
      .result_rows = c->in_height,
      .result_columns = c->in_width,
      .products = products + i * w->taps * w->pitch * es,
      .tap = w->pitch,
      .rows = c->out_height,
      .columns = c->out_width,
      .kernel_rows = c->kernel_height,
      .kernel_columns = c->kernel_width,
      .row_step = c->dilation_height,
      .column_step = c->dilation_width,
      .top = c->pad_top,
      .left = c->pad_left};
    w->kernels->add_shifted(&sum);
  }
}

static void spread_task(void *context, int64_t index) {
  const spread_work *w = context;
  int64_t full = 2 * w->engine->lanes, images = w->call->batch * w->call->groups;
  size_t panel_bytes = duet_round_up((w->out * full + 8) * w->es, 64);
  char *memory = duet_scratch(1, panel_bytes + w->in * w->taps * w->pitch * w->es +
                                   2 * DUET_VECTOR_BYTES);
  int64_t first = index * w->images_per_task;
  for (int64_t i = first; i < first + w->images_per_task && i < images; i++)
    spread_image(w, i, memory);
}

void duet_conv2d_input_gradient_spread(const duet_conv2d_call *c, const duet_engine *engine) {
  spread_work w = {.call = c,
                   .engine = engine,
                   .kernels = duet_depthwise_kernels_for(c->dtype),
                   .es = engine->element_size,
                   .in = c->in_channels / c->groups,
                   .out = c->out_channels / c->groups,
                   .taps = c->kernel_height * c->kernel_width,
                   .plane = c->out_height * c->out_width};
  int64_t rows = w.in * w.taps, lanes = DUET_VECTOR_BYTES / w.es;
  w.pitch = (int64_t)duet_round_up(w.plane, lanes);
  if (w.pitch % 512 == 0) w.pitch += lanes;  // rows of a tile fall into different sets of a cache
  char *packed = duet_scratch(0, (c->groups * rows * w.out + 8) * w.es);
  w.weight = packed;
  duet_parts parts = duet_split(rows, engine->rows);
  for (int64_t g = 0; g < c->groups; g++)
    for (int64_t i = 0; i < parts.count; i++) {
      int64_t begin = duet_part_begin(parts, i), count = duet_part_begin(parts, i + 1) - begin;
      engine->pack(packed + (g * rows + begin) * w.out * w.es, count,
                   (const char *)c->operand[2] + (g * w.out * rows + begin) * w.es, count, w.out, 1,
                   rows);
    }
  double each = (double)w.out * rows * w.plane;
  int64_t images = c->batch * c->groups;
  w.images_per_task = each >= TASK_WORK ? 1 : (int64_t)(TASK_WORK / each) + 1;
  int64_t tasks = (images + w.images_per_task - 1) / w.images_per_task;
  if (tasks == 1)
    spread_task(&w, 0);
  else
    duet_parallel_for(tasks, spread_task, &w);
}
