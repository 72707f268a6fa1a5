// The gradient of a convolution with respect to its input: one convolution of dy for each remainder
// of (row, column) by the stride, with the taps that fall on the stride's grid there.
#include "convolution_gathered.h"
#include "convolution_spread.h"
#include "convolve.h"
#include "depthwise.h"
#include "image.h"
#include "phases.h"
#include "winograd.h"

#include <stdlib.h>
#include <string.h>

#pragma STDC FP_CONTRACT OFF

enum {
  BAND_BYTES = 512 << 10,  // of a prepared dy
  TASK_WORK = 256 << 10,   // multiply-adds that are worth a task
  TASKS = 8
};

typedef struct {
  duet_conv2d_call call;
  const duet_engine *engine;
  int64_t es, in, out;      // channels of a group
  duet_phases axes;
  const char **weight;      // [vertical phase][horizontal phase]: packed, group by group
  int64_t bands, rows;      // rows of the longest phase per band
  int64_t images, images_per_task;
} gradient_work;

static int64_t at_most(int64_t a, int64_t b) { return a < b ? a : b; }

// Panels [output channel][tap][rows] of the weights of one phase, rows being input channels.
static void pack_weights(const gradient_work *w, char *packed, const duet_phase_axis *v,
                         const duet_phase_axis *h) {
  const duet_conv2d_call *c = &w->call;
  int64_t taps = c->kernel_height * c->kernel_width;
  duet_parts parts = duet_split(w->in, w->engine->rows);
  for (int64_t g = 0; g < c->groups; g++)
    for (int64_t p = 0; p < parts.count; p++) {
      int64_t begin = duet_part_begin(parts, p), rows = duet_part_begin(parts, p + 1) - begin;
      for (int64_t o = 0; o < w->out; o++) {
        int64_t from = ((g * w->out + o) * w->in + begin) * taps;
#define PACK(type)                                                                       \
  const type *source = (const type *)c->operand[2] + from;                               \
  type *to = (type *)packed;                                                             \
  for (int64_t a = 0; a < v->taps; a++)                                                  \
    for (int64_t b = 0; b < h->taps; b++)                                                \
      for (int64_t i = 0; i < rows; i++)                                                 \
        *to++ = source[i * taps + v->tap[a] * c->kernel_width + h->tap[b]];              \
  packed = (char *)to;
        if (w->es == 4) {
          PACK(uint32_t)
        } else {
          PACK(uint64_t)
        }
#undef PACK
      }
    }
}

static void gradient_image(const gradient_work *w, int64_t batch, int64_t group, int64_t band) {
  const duet_conv2d_call *c = &w->call;
  int64_t es = w->es, first = band * w->rows;
  int64_t from_row = first + w->axes.low_row, to_row = first + w->rows + w->axes.high_row;
  duet_image_copy copy = {.channels = w->out,
                          .height = c->out_height,
                          .width = c->out_width,
                          .first_row = from_row,
                          .rows = to_row - from_row,
                          .row_step = 1,
                          .first_column = w->axes.low_column,
                          .columns = w->axes.horizontal[0].count + w->axes.high_column -
                                     w->axes.low_column,
                          .column_step = 1};
  int packs = c->stride_height * c->stride_width == 1 &&
              duet_convolve_packs(w->engine, w->in, c->in_width);
  int in_place = duet_image_is_ready(&copy) && w->engine->masked && !packs;
  size_t offset_bytes = duet_round_up(w->axes.most_taps * sizeof(int64_t), 64);
  size_t tile_bytes = duet_convolve_scratch(w->engine, w->out, w->axes.most_taps);
  char *memory = duet_scratch(1, offset_bytes + tile_bytes +
                                   (in_place ? 0 : duet_image_bytes(&copy, es)));
  int64_t *offset = (int64_t *)memory;
  char *scratch = memory + offset_bytes, *image = scratch + tile_bytes;
  const char *source =
    (const char *)c->operand[1] +
    (batch * c->groups + group) * w->out * c->out_height * c->out_width * es;
  if (!in_place) duet_copy_image(&copy, image, source, es);
  int64_t pitch = in_place ? c->out_width : duet_image_pitch(&copy);

  int64_t plane = c->in_height * c->in_width;
  char *result = (char *)c->operand[0] + (batch * c->groups + group) * w->in * plane * es;
  for (int64_t r = 0; r < c->stride_height; r++)
    for (int64_t q = 0; q < c->stride_width; q++) {
      const duet_phase_axis *v = &w->axes.vertical[r], *h = &w->axes.horizontal[q];
      int64_t rows = at_most(v->count - first, w->rows);
      if (rows <= 0 || h->count == 0) continue;
      for (int64_t a = 0; a < v->taps; a++)
        for (int64_t b = 0; b < h->taps; b++)
          offset[a * h->taps + b] = v->shift[a] * pitch + h->shift[b];
      const char *weight = w->weight[r * c->stride_width + q];
      duet_convolution x = {
        .engine = w->engine,
        .weight = weight + group * w->in * w->out * v->taps * h->taps * es,
        .image = in_place ? source + first * pitch * es
                          : image + ((first - from_row) * pitch - w->axes.low_column) * es,
        .result = result + ((first * c->stride_height + r) * c->in_width + q) * es,
        .m = w->in,
        .channels = w->out,
        .taps = v->taps * h->taps,
        .channel = in_place ? c->out_height * c->out_width : copy.rows * pitch,
        .row = pitch,
        .offset = offset,
        .rows = rows,
        .columns = h->count,
        .result_m = plane,
        .result_row = c->stride_height * c->in_width,
        .result_column = c->stride_width,
        .scratch = scratch,
      };
      duet_convolve(&x);
    }
}

static void gradient_task(void *context, int64_t index) {
  const gradient_work *w = context;
  int64_t first = index * w->images_per_task;
  for (int64_t i = first; i < first + w->images_per_task && i < w->images; i++)
    gradient_image(w, i / w->bands / w->call.groups, i / w->bands % w->call.groups, i % w->bands);
}

duet_status duet_conv2d_input_gradient(const void *argument) {
  const duet_contraction_table *table = duet_contractions();
  gradient_work w = {.call = duet_merged_rows(argument)};
  const duet_conv2d_call *c = &w.call;
  w.engine = table->engine[duet_compute_type(c->dtype)];
  w.es = w.engine->element_size;
  w.in = c->in_channels / c->groups;
  w.out = c->out_channels / c->groups;
  int64_t taps = c->kernel_height * c->kernel_width, plane = c->in_height * c->in_width;
  if (c->batch * c->in_channels * plane == 0) return DUET_OK;
  if (c->out_channels * taps * c->out_height * c->out_width == 0) {
    memset(c->operand[0], 0, c->batch * c->in_channels * plane * w.es);
    return DUET_OK;
  }
  if (duet_winograd_applies(c)) return duet_winograd_input_gradient(c);
  if (duet_is_depthwise(argument)) {
    duet_depthwise_input_gradient(argument, w.engine);
    return DUET_OK;
  }
  if (duet_spreads_input_gradient(argument)) {
    duet_conv2d_input_gradient_spread(argument, w.engine);
    return DUET_OK;
  }
  if (duet_gathers_input_gradient(argument)) {
    duet_conv2d_input_gradient_gathered(argument, w.engine);
    return DUET_OK;
  }

  int64_t phases = c->stride_height * c->stride_width;
  size_t axis_bytes = duet_phase_bytes(c);
  size_t pointer_bytes = duet_round_up(phases * sizeof(char *), 64);
  char *memory =
    duet_scratch(0, axis_bytes + pointer_bytes + (c->in_channels * w.out * taps + 16) * w.es);
  w.axes = duet_make_phases(c, memory);
  w.weight = (const char **)(memory + axis_bytes);
  char *packed = memory + axis_bytes + pointer_bytes;
  for (int64_t r = 0; r < c->stride_height; r++)
    for (int64_t q = 0; q < c->stride_width; q++) {
      int64_t count = w.axes.vertical[r].taps * w.axes.horizontal[q].taps;
      w.weight[r * c->stride_width + q] = packed;
      pack_weights(&w, packed, &w.axes.vertical[r], &w.axes.horizontal[q]);
      packed += c->in_channels * w.out * count * w.es;
    }

  double work = (double)c->batch * c->out_channels * c->out_height * c->out_width * w.in * taps;
  int64_t longest = w.axes.vertical[0].count;
  int64_t copied_columns = c->out_width + w.axes.high_column - w.axes.low_column;
  double bytes = (double)w.out * c->out_height * copied_columns * w.es;
  w.bands = (int64_t)(bytes / BAND_BYTES) + 1;
  if (work >= 4 * TASK_WORK && w.bands * c->batch * c->groups < TASKS)
    w.bands = TASKS / (c->batch * c->groups);
  w.bands = at_most(w.bands, longest);
  w.rows = (longest + w.bands - 1) / w.bands;
  w.bands = (longest + w.rows - 1) / w.rows;
  w.images = c->batch * c->groups * w.bands;
  double each = work / (double)w.images;
  w.images_per_task = each >= TASK_WORK ? 1 : (int64_t)(TASK_WORK / each) + 1;
  int64_t tasks = (w.images + w.images_per_task - 1) / w.images_per_task;
  if (tasks == 1)
    gradient_task(&w, 0);
  else
    duet_parallel_for(tasks, gradient_task, &w);
  return DUET_OK;
}
