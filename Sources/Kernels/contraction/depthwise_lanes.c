#include "depthwise.h"
#include "phases.h"

#include <string.h>

#pragma STDC FP_CONTRACT OFF

enum {
  VECTOR = DUET_VECTOR_BYTES,
  BAND_BYTES = 192 << 10,  // of an image with channels in lanes
  PACKED_POSITIONS = 128,  // of several rows, at a time
  TASK_WORK = 256 << 10    // multiply-adds that are worth a task
};

// Blocks of as many channels as a vector has lanes.
typedef struct {
  const duet_conv2d_call *call;
  const duet_depthwise_kernels *kernels;
  const duet_engine *engine;
  const duet_phases *phases;  // of an input gradient
  int64_t es, lanes, blocks, outputs, taps;  // outputs of a channel
  int64_t rows;               // of a band
  int64_t images_per_task;    // each of one block of channels
} lanes_work;

// A part of images [channels][height][width], each `plane` elements behind the one before, with zeros outside.
typedef struct {
  int64_t height, width, plane;
  int64_t first_row, rows, first_column, columns;
} lane_image;

static int64_t at_least(int64_t least, int64_t n) { return n < least ? least : n; }
static int64_t at_most(int64_t most, int64_t n) { return n > most ? most : n; }

static lanes_work work_of(const duet_conv2d_call *c, const duet_engine *engine) {
  int64_t es = (int64_t)duet_dtype_size(c->dtype), lanes = VECTOR / es;
  return (lanes_work){.call = c,
                      .kernels = duet_depthwise_kernels_for(c->dtype),
                      .engine = engine,
                      .es = es,
                      .lanes = lanes,
                      .blocks = (c->groups + lanes - 1) / lanes,
                      .outputs = c->out_channels / c->groups,
                      .taps = c->kernel_height * c->kernel_width};
}

static double work_in(const lanes_work *w) {
  const duet_conv2d_call *c = w->call;
  return (double)c->batch * c->out_channels * c->out_height * c->out_width * w->taps;
}

static int64_t channels_of(const lanes_work *w, int64_t block) {
  return at_most(w->lanes, w->call->groups - block * w->lanes);
}

// Rows of results that fill vectors badly. Strides make rows of pixels longer than those of results, so lanes take more
// time to fill, but rows have to be taken apart.
static int are_short(const duet_conv2d_call *c, int64_t columns) {
  int64_t lanes = VECTOR / (int64_t)duet_dtype_size(c->dtype);
  int64_t bound = c->stride_width == 1 ? lanes + lanes / 4 : 2 * lanes - 1;
  return columns <= bound && 2 * c->groups >= lanes;
}

int duet_depthwise_prefers_lanes(const duet_conv2d_call *c) { return are_short(c, c->out_width); }

int duet_depthwise_gradient_prefers_lanes(const duet_conv2d_call *c) {
  return are_short(c, (c->in_width + c->stride_width - 1) / c->stride_width);
}

static size_t buffer_bytes(const lane_image *x) {
  return (size_t)(at_least(x->width, PACKED_POSITIONS) + 1) * VECTOR;
}

static void take_image(const lanes_work *w, const lane_image *x, char *to, char *buffer, const char *planes,
                       int64_t channels) {
  int64_t begin = at_most(x->columns, at_least(0, -x->first_column));
  int64_t end = at_least(begin, at_most(x->columns, x->width - x->first_column));
  int64_t top = at_most(x->rows, at_least(0, -x->first_row));
  int64_t bottom = at_least(top, at_most(x->rows, x->height - x->first_row));
  int64_t several = at_least(1, PACKED_POSITIONS / x->width);
  int64_t row_bytes = x->columns * VECTOR;
  memset(to, 0, (size_t)(top * row_bytes));
  for (int64_t k = top; k < bottom; k += several) {
    int64_t rows = at_most(several, bottom - k);
    w->engine->pack(buffer, w->lanes, planes + (x->first_row + k) * x->width * w->es, channels, rows * x->width,
                    x->plane, 1);
    for (int64_t i = 0; i < rows; i++) {
      char *row = to + (k + i) * row_bytes;
      memset(row, 0, (size_t)(begin * VECTOR));
      memcpy(row + begin * VECTOR, buffer + (i * x->width + x->first_column + begin) * VECTOR,
             (size_t)((end - begin) * VECTOR));
      memset(row + end * VECTOR, 0, (size_t)((x->columns - end) * VECTOR));
    }
  }
  memset(to + bottom * row_bytes, 0, (size_t)((x->rows - bottom) * row_bytes));
}

// Weights of a block of channels, [output][tap].
static void take_weights(const lanes_work *w, char *to, int64_t block) {
  int64_t channels = channels_of(w, block), vectors = w->outputs * w->taps;
  if (channels < w->lanes) memset(to, 0, (size_t)(vectors * VECTOR));
  w->engine->pack(to, w->lanes, (const char *)w->call->operand[2] + block * w->lanes * vectors * w->es, channels,
                  vectors, vectors, 1);
}

static lane_image input_image(const lanes_work *w, int64_t row, int64_t rows) {
  const duet_conv2d_call *c = w->call;
  return (lane_image){
    .height = c->in_height,
    .width = c->in_width,
    .plane = c->in_height * c->in_width,
    .first_row = row * c->stride_height - c->pad_top,
    .rows = (rows - 1) * c->stride_height + (c->kernel_height - 1) * c->dilation_height + 1,
    .first_column = -c->pad_left,
    .columns = (c->out_width - 1) * c->stride_width + (c->kernel_width - 1) * c->dilation_width + 1};
}

static void find_offsets(const lanes_work *w, int64_t *offset, int64_t pitch) {
  const duet_conv2d_call *c = w->call;
  for (int64_t t = 0; t < w->taps; t++)
    offset[t] = t / c->kernel_width * c->dilation_height * pitch + t % c->kernel_width * c->dilation_width;
}

static void forward_task(void *context, int64_t index) {
  const lanes_work *w = context;
  const duet_conv2d_call *c = w->call;
  int64_t out_plane = c->out_height * c->out_width;
  lane_image part = input_image(w, 0, w->rows);
  size_t offset_bytes = duet_round_up(w->taps * sizeof(int64_t), VECTOR);
  size_t weight_bytes = (size_t)(w->outputs * w->taps + 1) * VECTOR;
  size_t result_bytes = (size_t)(w->rows * c->out_width) * VECTOR;
  char *memory = duet_scratch(1, offset_bytes + weight_bytes + result_bytes + buffer_bytes(&part) +
                                   (size_t)(part.rows * part.columns) * VECTOR);
  int64_t *offset = (int64_t *)memory;
  char *weight = memory + offset_bytes, *result = weight + weight_bytes, *buffer = result + result_bytes;
  char *image = buffer + buffer_bytes(&part);
  find_offsets(w, offset, part.columns);
  int64_t block = -1, end = at_most(w->blocks * c->batch, (index + 1) * w->images_per_task);
  for (int64_t item = index * w->images_per_task; item < end; item++) {
    int64_t n = item % c->batch, first = item / c->batch * w->lanes, channels = channels_of(w, item / c->batch);
    if (block != item / c->batch) {
      block = item / c->batch;
      take_weights(w, weight, block);
      if (channels < w->lanes) memset(buffer, 0, buffer_bytes(&part));
    }
    const char *x = (const char *)c->operand[1] + (n * c->groups + first) * part.plane * w->es;
    for (int64_t i = 0; i < c->out_height; i += w->rows) {
      int64_t rows = at_most(w->rows, c->out_height - i);
      part = input_image(w, i, rows);
      take_image(w, &part, image, buffer, x, channels);
      for (int64_t o = 0; o < w->outputs; o++) {
        duet_lane_correlation sums = {.result = result,
                                      .image = image,
                                      .weight = weight + o * w->taps * VECTOR,
                                      .offset = offset,
                                      .taps = w->taps,
                                      .rows = rows,
                                      .columns = c->out_width,
                                      .row = c->stride_height * part.columns,
                                      .column = c->stride_width,
                                      .result_row = c->out_width,
                                      .result_column = 1};
        w->kernels->correlate_lanes(&sums);
        char *to = (char *)c->operand[0] +
                   ((n * c->out_channels + first * w->outputs + o) * out_plane + i * c->out_width) * w->es;
        w->kernels->unpack_lanes(to, w->outputs * out_plane, result, channels, rows * c->out_width);
      }
    }
  }
}

static void run(lanes_work *w, duet_task task) {
  int64_t images = w->blocks * w->call->batch;
  w->images_per_task = at_least(1, (int64_t)(TASK_WORK / (work_in(w) / (double)images)));
  int64_t tasks = (images + w->images_per_task - 1) / w->images_per_task;
  if (tasks == 1)
    task(w, 0);
  else
    duet_parallel_for(tasks, task, w);
}

void duet_depthwise_lanes(const duet_conv2d_call *c, const duet_engine *engine) {
  lanes_work w = work_of(c, engine);
  lane_image one = input_image(&w, 0, 1);
  w.rows = at_most(c->out_height, at_least(1, BAND_BYTES / (one.columns * VECTOR * c->stride_height)));
  run(&w, forward_task);
}

// The image of dy, that of each output of a channel behind the one before; then each remainder of positions by the
// stride is a correlation with its own taps.
static void gradient_task(void *context, int64_t index) {
  const lanes_work *w = context;
  const duet_conv2d_call *c = w->call;
  const duet_phases *phases = w->phases;
  int64_t out_plane = c->out_height * c->out_width, in_plane = c->in_height * c->in_width;
  lane_image part = {.height = c->out_height,
                     .width = c->out_width,
                     .plane = w->outputs * out_plane,
                     .rows = w->rows + phases->high_row - phases->low_row,
                     .first_column = phases->low_column,
                     .columns = phases->horizontal[0].count + phases->high_column - phases->low_column};
  int64_t vectors = w->outputs * w->taps, image_vectors = part.rows * part.columns;
  size_t offset_bytes = duet_round_up(vectors * sizeof(int64_t), VECTOR);
  size_t weight_bytes = (size_t)(vectors + 1) * VECTOR;
  size_t result_bytes = (size_t)(w->rows * c->stride_height * c->in_width) * VECTOR;
  char *memory = duet_scratch(1, offset_bytes + 2 * weight_bytes + result_bytes + buffer_bytes(&part) +
                                   (size_t)(w->outputs * image_vectors) * VECTOR);
  int64_t *offset = (int64_t *)memory;
  char *all = memory + offset_bytes, *weight = all + weight_bytes, *result = weight + weight_bytes;
  char *buffer = result + result_bytes, *image = buffer + buffer_bytes(&part);
  int64_t block = -1, end = at_most(w->blocks * c->batch, (index + 1) * w->images_per_task);
  for (int64_t item = index * w->images_per_task; item < end; item++) {
    int64_t n = item % c->batch, first = item / c->batch * w->lanes, channels = channels_of(w, item / c->batch);
    if (block != item / c->batch) {
      block = item / c->batch;
      take_weights(w, all, block);
      if (channels < w->lanes) memset(buffer, 0, buffer_bytes(&part));
    }
    const char *dy = (const char *)c->operand[1] + (n * c->out_channels + first * w->outputs) * out_plane * w->es;
    for (int64_t i = 0; i < phases->vertical[0].count; i += w->rows) {
      part.first_row = i + phases->low_row;
      for (int64_t o = 0; o < w->outputs; o++)
        take_image(w, &part, image + o * image_vectors * VECTOR, buffer, dy + o * out_plane * w->es, channels);
      int64_t dx_row = i * c->stride_height;
      int64_t dx_rows = at_most(w->rows * c->stride_height, c->in_height - dx_row);
      for (int64_t r = 0; r < c->stride_height; r++)
        for (int64_t q = 0; q < c->stride_width; q++) {
          const duet_phase_axis *v = phases->vertical + r, *h = phases->horizontal + q;
          int64_t rows = at_most(w->rows, v->count - i), taps = 0;
          if (rows <= 0 || h->count == 0) continue;
          for (int64_t o = 0; o < w->outputs; o++)
            for (int64_t a = 0; a < v->taps; a++)
              for (int64_t b = 0; b < h->taps; b++, taps++) {
                offset[taps] = o * image_vectors + (v->shift[a] - phases->low_row) * part.columns + h->shift[b] -
                               phases->low_column;
                memcpy(weight + taps * VECTOR,
                       all + (o * w->taps + v->tap[a] * c->kernel_width + h->tap[b]) * VECTOR, VECTOR);
              }
          duet_lane_correlation sums = {.result = result + (r * c->in_width + q) * VECTOR,
                                        .image = image,
                                        .weight = weight,
                                        .offset = offset,
                                        .taps = taps,
                                        .rows = rows,
                                        .columns = h->count,
                                        .row = part.columns,
                                        .column = 1,
                                        .result_row = c->stride_height * c->in_width,
                                        .result_column = c->stride_width};
          w->kernels->correlate_lanes(&sums);
        }
      char *to = (char *)c->operand[0] + ((n * c->groups + first) * in_plane + dx_row * c->in_width) * w->es;
      w->kernels->unpack_lanes(to, in_plane, result, channels, dx_rows * c->in_width);
    }
  }
}

void duet_depthwise_lanes_input_gradient(const duet_conv2d_call *c, const duet_engine *engine) {
  lanes_work w = work_of(c, engine);
  duet_phases phases = duet_make_phases(c, duet_scratch(0, duet_phase_bytes(c)));
  w.phases = &phases;
  int64_t pitch = phases.horizontal[0].count + phases.high_column - phases.low_column;
  w.rows = at_most(phases.vertical[0].count, at_least(1, BAND_BYTES / (pitch * VECTOR * w.outputs)));
  run(&w, gradient_task);
}

static void weight_task(void *context, int64_t block) {
  const lanes_work *w = context;
  const duet_conv2d_call *c = w->call;
  int64_t first = block * w->lanes, channels = channels_of(w, block);
  int64_t out_plane = c->out_height * c->out_width;
  lane_image part = input_image(w, 0, w->rows);
  size_t offset_bytes = duet_round_up(w->taps * sizeof(int64_t), VECTOR);
  size_t sum_bytes = (size_t)(w->outputs * w->taps) * VECTOR;
  size_t dy_bytes = (size_t)(w->rows * c->out_width + 1) * VECTOR;
  char *memory = duet_scratch(1, offset_bytes + sum_bytes + dy_bytes + buffer_bytes(&part) +
                                   (size_t)(part.rows * part.columns) * VECTOR);
  int64_t *offset = (int64_t *)memory;
  char *sum = memory + offset_bytes, *dy = sum + sum_bytes, *buffer = dy + dy_bytes;
  char *image = buffer + buffer_bytes(&part);
  // Lanes without a channel hold zeros.
  memset(sum, 0, sum_bytes + dy_bytes + buffer_bytes(&part));
  find_offsets(w, offset, part.columns);

  for (int64_t n = 0; n < c->batch; n++) {
    const char *x = (const char *)c->operand[1] + (n * c->groups + first) * part.plane * w->es;
    for (int64_t i = 0; i < c->out_height; i += w->rows) {
      int64_t rows = at_most(w->rows, c->out_height - i);
      part = input_image(w, i, rows);
      take_image(w, &part, image, buffer, x, channels);
      for (int64_t o = 0; o < w->outputs; o++) {
        const char *from =
          (const char *)c->operand[2] +
          ((n * c->out_channels + first * w->outputs + o) * out_plane + i * c->out_width) * w->es;
        w->engine->pack(dy, w->lanes, from, channels, rows * c->out_width, w->outputs * out_plane, 1);
        duet_tap_sums sums = {.sum = sum + o * w->taps * VECTOR,
                              .dy = dy,
                              .image = image,
                              .offset = offset,
                              .taps = w->taps,
                              .rows = rows,
                              .columns = c->out_width,
                              .row = c->stride_height * part.columns,
                              .column = c->stride_width};
        w->kernels->add_taps(&sums);
      }
    }
  }
  int64_t vectors = w->outputs * w->taps;
  w->kernels->unpack_lanes((char *)c->operand[0] + first * vectors * w->es, vectors, sum, channels, vectors);
}

void duet_depthwise_weight_gradient(const duet_conv2d_call *c, const duet_engine *engine) {
  lanes_work w = work_of(c, engine);
  int64_t row_bytes =
    (c->in_width + c->pad_left + c->kernel_width * c->dilation_width) * c->stride_height * VECTOR;
  w.rows = at_most(c->out_height, at_least(1, BAND_BYTES / row_bytes));
  if (w.blocks == 1 || work_in(&w) < TASK_WORK)
    for (int64_t i = 0; i < w.blocks; i++) weight_task(&w, i);
  else
    duet_parallel_for(w.blocks, weight_task, &w);
}
