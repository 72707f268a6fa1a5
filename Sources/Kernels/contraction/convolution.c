// Convolution, forward.
#include "convolution_gathered.h"
#include "convolve.h"
#include "depthwise.h"
#include "image.h"
#include "winograd.h"

#include <string.h>

#pragma STDC FP_CONTRACT OFF

enum {
  BAND_BYTES = 512 << 10,  // of a prepared image
  TASK_WORK = 256 << 10,   // multiply-adds that are worth a task
  TASKS = 8
};

typedef struct {
  duet_conv2d_call call;
  const duet_engine *engine;
  const char *weight;  // packed, group by group
  int64_t es, in, out, taps;  // channels of a group
  int64_t bands, rows;        // rows of results per band
  int64_t images, images_per_task;
  int packs;
} forward_work;

static duet_image_copy image_of_band(const forward_work *w, int64_t first, int64_t count,
                                     uint8_t *is_read) {
  const duet_conv2d_call *c = &w->call;
  duet_image_copy x = {.channels = w->in, .height = c->in_height, .width = c->in_width};
  x.first_row = first * c->stride_height - c->pad_top;
  x.rows = (count - 1) * c->stride_height + (c->kernel_height - 1) * c->dilation_height + 1;
  x.row_step = c->stride_height;
  x.first_column = -c->pad_left;
  x.columns = (c->out_width - 1) * c->stride_width + (c->kernel_width - 1) * c->dilation_width + 1;
  x.column_step = c->stride_width;
  if (is_read && x.row_step <= DUET_MARKED_STRIDE && x.column_step <= DUET_MARKED_STRIDE) {
    duet_mark_read(is_read, x.row_step, c->kernel_height, c->dilation_height);
    x.row_is_read = is_read;
    is_read += DUET_MARKED_STRIDE;
    duet_mark_read(is_read, x.column_step, c->kernel_width, c->dilation_width);
    x.column_is_read = is_read;
  }
  return x;
}

static void forward_image(const forward_work *w, int64_t batch, int64_t group, int64_t band) {
  const duet_conv2d_call *c = &w->call;
  int64_t es = w->es, first = band * w->rows;
  int64_t count = c->out_height - first < w->rows ? c->out_height - first : w->rows;
  uint8_t is_read[2 * DUET_MARKED_STRIDE];
  duet_image_copy copy = image_of_band(w, first, count, is_read);
  int in_place = duet_image_is_ready(&copy) && w->engine->masked && !w->packs;

  size_t offset_bytes = duet_round_up(w->taps * sizeof(int64_t), 64);
  size_t tile_bytes = duet_convolve_scratch(w->engine, w->in, w->taps);
  char *memory = duet_scratch(1,
      offset_bytes + tile_bytes + (in_place ? 0 : duet_image_bytes(&copy, es)));
  int64_t *offset = (int64_t *)memory;
  char *image = memory + offset_bytes + tile_bytes;
  const char *source =
    (const char *)c->operand[1] +
    (batch * c->groups + group) * w->in * c->in_height * c->in_width * es;

  int64_t pitch = in_place ? c->in_width : duet_image_pitch(&copy), run = duet_image_run(&copy);
  for (int64_t kh = 0; kh < c->kernel_height; kh++)
    for (int64_t kw = 0; kw < c->kernel_width; kw++) {
      int64_t column = kw * c->dilation_width;
      offset[kh * c->kernel_width + kw] = kh * c->dilation_height * pitch +
                                          column % c->stride_width * run + column / c->stride_width;
    }
  if (!in_place) duet_copy_image(&copy, image, source, es);

  int64_t plane = c->out_height * c->out_width;
  duet_convolution x = {
    .engine = w->engine,
    .weight = w->weight + group * w->out * w->in * w->taps * es,
    .image = in_place ? source + (copy.first_row * pitch + copy.first_column) * es : image,
    .result = (char *)c->operand[0] +
              ((batch * c->groups + group) * w->out * plane + first * c->out_width) * es,
    .m = w->out,
    .channels = w->in,
    .taps = w->taps,
    .channel = in_place ? c->in_height * c->in_width : copy.rows * pitch,
    .row = c->stride_height * pitch,
    .offset = offset,
    .rows = count,
    .columns = c->out_width,
    .result_m = plane,
    .result_row = c->out_width,
    .result_column = 1,
    .scratch = memory + offset_bytes,
  };
  duet_convolve(&x);
}

static void forward_task(void *context, int64_t index) {
  const forward_work *w = context;
  int64_t first = index * w->images_per_task;
  for (int64_t i = first; i < first + w->images_per_task && i < w->images; i++)
    forward_image(w, i / w->bands / w->call.groups, i / w->bands % w->call.groups, i % w->bands);
}

duet_status duet_conv2d(const void *argument) {
  const duet_contraction_table *table = duet_contractions();
  forward_work w = {.call = duet_merged_rows(argument)};
  const duet_conv2d_call *c = &w.call;
  w.engine = table->engine[duet_compute_type(c->dtype)];
  w.es = w.engine->element_size;
  w.in = c->in_channels / c->groups;
  w.out = c->out_channels / c->groups;
  w.taps = c->kernel_height * c->kernel_width;
  int64_t depth = w.in * w.taps, plane = c->out_height * c->out_width;
  if (c->batch * c->out_channels * plane == 0) return DUET_OK;
  if (depth == 0) {
    memset(c->operand[0], 0, c->batch * c->out_channels * plane * w.es);
    return DUET_OK;
  }
  if (duet_winograd_applies(c)) return duet_winograd_conv2d(c);
  if (duet_is_depthwise(argument)) {
    duet_depthwise(argument, w.engine);
    return DUET_OK;
  }
  if (duet_gathers_forward(argument)) {
    duet_conv2d_gathered(argument, w.engine);
    return DUET_OK;
  }
  w.packs = duet_convolve_packs(w.engine, w.out, c->out_width);

  char *packed = duet_scratch(0, (c->out_channels * depth + 16) * w.es);
  w.weight = packed;
  duet_parts parts = duet_split(w.out, w.engine->rows);
  for (int64_t g = 0; g < c->groups; g++)
    for (int64_t p = 0; p < parts.count; p++) {
      int64_t begin = duet_part_begin(parts, p), rows = duet_part_begin(parts, p + 1) - begin;
      int64_t at = (g * w.out + begin) * depth;
      w.engine->pack(packed + at * w.es, rows, (const char *)c->operand[2] + at * w.es, rows,
                     depth, depth, 1);
    }

  double work = (double)c->batch * c->out_channels * plane * depth;
  duet_image_copy whole = image_of_band(&w, 0, c->out_height, NULL);
  w.bands = (int64_t)(duet_image_bytes(&whole, w.es) / BAND_BYTES) + 1;
  if (work >= 4 * TASK_WORK && w.bands * c->batch * c->groups < TASKS)
    w.bands = TASKS / (c->batch * c->groups);
  if (w.bands > c->out_height) w.bands = c->out_height;
  w.rows = (c->out_height + w.bands - 1) / w.bands;
  w.bands = (c->out_height + w.rows - 1) / w.rows;
  w.images = c->batch * c->groups * w.bands;
  double each = work / (double)w.images;
  w.images_per_task = each >= TASK_WORK ? 1 : (int64_t)(TASK_WORK / each) + 1;
  int64_t tasks = (w.images + w.images_per_task - 1) / w.images_per_task;
  if (tasks == 1)
    forward_task(&w, 0);
  else
    duet_parallel_for(tasks, forward_task, &w);
  return DUET_OK;
}
