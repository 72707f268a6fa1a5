// Normalisation of channels: the grid, how a channel's elements are fetched, and the 16-bit floats.
#include "half.h"

#pragma STDC FP_CONTRACT OFF

enum {
  TASK = 32768,   // elements
  SIDE_BY_SIDE = 4,
  COLUMNS = 16,
  PIECE = 1024    // elements of 16-bit floats that are converted at a time
};

typedef enum { SUMS, CENTRED_SUMS, PRODUCT_SUMS } summed;

typedef struct {
  const duet_channel_norm_call *call;
  const duet_channel_loops *loops;
  duet_number_format format;
  const char *x, *dy;
  const void *moments;
  char *result;
  int64_t total;            // elements of a channel
  int64_t width;            // channels that are summed together
  int is_columns;           // a plane is one element
  int64_t batch;            // blocks of channels, planes or rows of a task
  const char *constant[4];  // of every channel
  int64_t units;
} channel_job;

static channel_job open_job(const duet_channel_norm_call *c, const void *x, const void *dy) {
  channel_job job = {.call = c, .format = duet_number_format_of(c->dtype), .x = x, .dy = dy};
  job.loops = &duet_current_normalizations()->channels[job.format.is_double];
  job.total = c->batch * c->inner;
  job.is_columns = c->inner == 1;
  job.width = job.is_columns ? COLUMNS : SIDE_BY_SIDE;
  return job;
}

// MARK: Sums

typedef struct {
  // [4, chunk] of the type computed in, or [chunk, 16] float32.
  _Alignas(64) char buffer[2][DUET_CHUNK * 64];
  _Alignas(64) char lanes[8 * 16 * 8];
  _Alignas(64) char values[2 * COLUMNS * 8];
  _Alignas(64) char mean[COLUMNS * 8];
  char level[48][2 * COLUMNS * 8];
} workspace;

// `length` elements of each of some channels' planes from element `at` on, as numbers of the type
// computed in: where they are, or converted.
static const char *planes_of(const channel_job *job, char *buffer, const char *x, int64_t at,
                             int64_t length, int64_t channels) {
  x += at * job->format.element;
  if (!job->format.is_half) return x;
  for (int64_t k = 0; k < channels; k++)
    job->format.widen(buffer + k * DUET_CHUNK * 4, x + k * job->call->inner * 2, 2, length);
  return buffer;
}

static void add(const channel_job *job, workspace *w, summed what, const char *x, const char *dy,
                int64_t stride, int64_t length, int64_t channels) {
  switch (what) {
    case SUMS: job->loops->add(w->lanes, x, stride, length, channels); return;
    case CENTRED_SUMS:
      job->loops->add_centred(w->lanes, x, w->mean, stride, length, channels);
      return;
    case PRODUCT_SUMS:
      job->loops->add_products(w->lanes, x, dy, w->mean, stride, length, channels);
  }
}

// The part of every plane in a chunk begins at lane 0.
static void sum_planes(const channel_job *job, workspace *w, summed what, int64_t channel,
                       int64_t channels, int64_t first, int64_t count) {
  const duet_channel_norm_call *c = job->call;
  int64_t stride = job->format.is_half ? DUET_CHUNK : c->inner;
  job->loops->clear(w->lanes);
  for (int64_t left = count, n = first / c->inner, i = first % c->inner; left > 0; n++, i = 0) {
    int64_t length = duet_least(left, c->inner - i);
    int64_t at = (n * c->channels + channel) * c->inner + i;
    const char *x = planes_of(job, w->buffer[0], job->x, at, length, channels), *dy = NULL;
    if (what == PRODUCT_SUMS)
      dy = planes_of(job, w->buffer[1], job->dy, at, length, channels);
    add(job, w, what, x, dy, stride, length, channels);
    left -= length;
  }
  job->loops->fold(w->values, w->lanes);
}

static const char *columns_of(const channel_job *job, char *buffer, const char *x, int64_t channel,
                              int64_t width, int64_t first, int64_t count) {
  const char *from = x + (first * job->call->channels + channel) * job->format.element;
  if (!job->format.is_half) return from;
  for (int64_t r = 0; r < count; r++)
    job->format.widen(buffer + r * COLUMNS * 4, from + r * job->call->channels * 2, 2, width);
  return buffer;
}

static void sum_columns(const channel_job *job, workspace *w, summed what, int64_t channel,
                        int64_t width, int64_t first, int64_t count) {
  int64_t stride = job->format.is_half ? COLUMNS : job->call->channels;
  const char *x = columns_of(job, w->buffer[0], job->x, channel, width, first, count);
  switch (what) {
    case SUMS: job->loops->column_sums(w->values, x, stride, count, width); return;
    case CENTRED_SUMS:
      job->loops->column_centred_sums(w->values, x, w->mean, stride, count, width);
      return;
    case PRODUCT_SUMS: {
      const char *dy = columns_of(job, w->buffer[1], job->dy, channel, width, first, count);
      job->loops->column_product_sums(w->values, x, dy, w->mean, stride, count, width);
    }
  }
}

// The sums of a block of channels in w->values: one or two for each of the block's `width` channels.
// Chunks are combined as a tree: level k holds the sums of 2^k neighbouring ones where bit k of
// `done` is set.
static void sum_block(const channel_job *job, workspace *w, summed what, int64_t channel,
                      int64_t channels) {
  int64_t count = 2 * job->width;
  uint64_t done = 0;
  for (int64_t at = 0; at < job->total; at += DUET_CHUNK, done++) {
    int64_t n = duet_least(DUET_CHUNK, job->total - at);
    if (job->is_columns)
      sum_columns(job, w, what, channel, channels, at, n);
    else
      sum_planes(job, w, what, channel, channels, at, n);
    int k = 0;
    for (; done >> k & 1; k++) {
      job->loops->join(w->level[k], w->values, count);
      memcpy(w->values, w->level[k], sizeof w->values);
    }
    memcpy(w->level[k], w->values, sizeof w->values);
  }
  int k = __builtin_ctzll(done);
  memcpy(w->values, w->level[k], sizeof w->values);
  for (k++; done >> k; k++) {
    if (!(done >> k & 1)) continue;
    job->loops->join(w->level[k], w->values, count);
    memcpy(w->values, w->level[k], sizeof w->values);
  }
}

// Mean and variance from the corrected two passes.
static void moments_of_block(const channel_job *job, workspace *w, int64_t channel,
                             int64_t channels) {
  double n = (double)job->total;
  sum_block(job, w, SUMS, channel, channels);
  memset(w->mean, 0, sizeof w->mean);
  const duet_number_format *f = &job->format;
  for (int64_t k = 0; k < channels; k++)
    duet_put(f, w->mean, k, duet_number(f, w->values, k) / n);
  sum_block(job, w, CENTRED_SUMS, channel, channels);
  for (int64_t k = 0; k < channels; k++) {
    double correction = duet_number(f, w->values, k) / n;
    double variance = duet_number(f, w->values, job->width + k) / n - correction * correction;
    // Rounding can leave it a little below zero. NaN stays.
    if (variance < 0) variance = 0;
    duet_put(f, job->result, channel + k, duet_number(f, w->mean, k) + correction);
    duet_put(f, job->result, job->call->channels + channel + k, variance);
  }
}

static double deviation_factor(const channel_job *job, int64_t channel) {
  double variance = duet_number(&job->format, job->moments, job->call->channels + channel);
  return 1 / __builtin_sqrt(variance + job->call->eps);
}

static void products_of_block(const channel_job *job, workspace *w, int64_t channel,
                              int64_t channels) {
  memset(w->mean, 0, sizeof w->mean);
  for (int64_t k = 0; k < channels; k++)
    duet_put(&job->format, w->mean, k, duet_number(&job->format, job->moments, channel + k));
  sum_block(job, w, PRODUCT_SUMS, channel, channels);
  for (int64_t k = 0; k < channels; k++) {
    double r = deviation_factor(job, channel + k);
    duet_put(&job->format, job->result, channel + k, duet_number(&job->format, w->values, k) * r);
    duet_put(&job->format, job->result, job->call->channels + channel + k,
        duet_number(&job->format, w->values, job->width + k));
  }
}

static void run_blocks(void *context, int64_t task) {
  const channel_job *job = context;
  int64_t first = task * job->batch, last = duet_least(first + job->batch, job->units);
  workspace *w = aligned_alloc(64, (sizeof(workspace) + 63) & ~(size_t)63);
  if (!w) abort();
  for (int64_t block = first; block < last; block++) {
    int64_t channel = block * job->width;
    int64_t channels = duet_least(job->width, job->call->channels - channel);
    if (job->dy)
      products_of_block(job, w, channel, channels);
    else
      moments_of_block(job, w, channel, channels);
  }
  free(w);
}

static void run_sums(channel_job *job, char *result) {
  job->result = result;
  job->units = (job->call->channels + job->width - 1) / job->width;
  job->batch = duet_most(1, TASK / (job->total * job->width));
  int64_t tasks = (job->units + job->batch - 1) / job->batch;
  if (tasks == 1)
    run_blocks(job, 0);
  else
    duet_parallel_for(tasks, run_blocks, job);
}

duet_status duet_channel_moments(const void *block) {
  const duet_channel_norm_call *call = block;
  if (call->channels == 0) return DUET_OK;
  channel_job job = open_job(call, call->operand[1], NULL);
  if (job.total == 0) {
    for (int64_t i = 0; i < 2 * call->channels; i++)
      duet_put(&job.format, call->operand[0], i, __builtin_nan(""));
    return DUET_OK;
  }
  run_sums(&job, call->operand[0]);
  return DUET_OK;
}

duet_status duet_channel_norm_parameter_gradient(const void *block) {
  const duet_channel_norm_call *call = block;
  if (call->channels == 0) return DUET_OK;
  channel_job job = open_job(call, call->operand[1], call->operand[3]);
  job.moments = call->operand[2];
  if (job.total == 0) {
    memset(call->operand[0], 0, (size_t)(2 * call->channels * job.format.wide));
    return DUET_OK;
  }
  run_sums(&job, call->operand[0]);
  return DUET_OK;
}

// MARK: Element by element

static const char *constant(const channel_job *job, int i, int64_t channel) {
  return job->constant[i] + channel * job->format.wide;
}

// `length` elements from `at` on of each of some planes one behind the other, or of a row over the
// channels, whose constants are those from `channel` on.
static void run_elements(const channel_job *job, int64_t at, int64_t channel, int64_t length,
                         int64_t planes) {
  int64_t size = job->format.element, count = job->is_columns ? length : length * planes;
  _Alignas(64) float wide[2][PIECE];
  const char *x = job->x + at * size, *dy = job->dy ? job->dy + at * size : NULL;
  char *y = job->result + at * size;
  if (job->format.is_half) {
    job->format.widen(wide[0], x, 2, count);
    if (dy) job->format.widen(wide[1], dy, 2, count);
    x = (const char *)wide[0];
    dy = (const char *)wide[1];
    y = (char *)wide[0];
  }
  const char *a = constant(job, 0, channel), *b = constant(job, 1, channel);
  const char *c = constant(job, 2, channel);
  if (job->dy && job->is_columns)
    job->loops->blend_row(y, x, dy, a, b, c, constant(job, 3, channel), length);
  else if (job->dy)
    job->loops->blend_planes(y, x, dy, a, b, c, constant(job, 3, channel), length, planes);
  else if (job->is_columns)
    job->loops->affine_row(y, x, a, b, c, length);
  else
    job->loops->affine_planes(y, x, a, b, c, length, planes);
  if (job->format.is_half) job->format.narrow(job->result + at * size, wide[0], count);
}

static void run_rows(void *context, int64_t task) {
  const channel_job *job = context;
  int64_t channels = job->call->channels, most = job->format.is_half ? PIECE : channels;
  int64_t first = task * job->batch, last = duet_least(first + job->batch, job->units);
  for (int64_t row = first; row < last; row++)
    for (int64_t k = 0; k < channels; k += most)
      run_elements(job, row * channels + k, k, duet_least(most, channels - k), 1);
}

// Planes, as many at a time as there are in an image or fit into the buffer.
static void run_planes(void *context, int64_t task) {
  const channel_job *job = context;
  int64_t channels = job->call->channels, inner = job->call->inner;
  int64_t length = job->format.is_half ? duet_least(inner, PIECE) : inner;
  int64_t most = job->format.is_half ? PIECE / length : channels;
  int64_t first = task * job->batch, last = duet_least(first + job->batch, job->units);
  for (int64_t plane = first; plane < last;) {
    int64_t channel = plane % channels;
    int64_t planes = duet_least(duet_least(most, channels - channel), last - plane);
    for (int64_t i = 0; i < inner; i += length)
      run_elements(job, plane * inner + i, channel, duet_least(length, inner - i), planes);
    plane += planes;
  }
}

static void run_for_elements(channel_job *job, const char *constants, int count) {
  const duet_channel_norm_call *c = job->call;
  for (int i = 0; i < count; i++)
    job->constant[i] = constants + i * c->channels * job->format.wide;
  duet_task body = job->is_columns ? run_rows : run_planes;
  job->units = job->is_columns ? c->batch : c->batch * c->channels;
  job->batch = duet_most(1, TASK / (job->is_columns ? c->channels : c->inner));
  int64_t tasks = (job->units + job->batch - 1) / job->batch;
  if (tasks == 1)
    body(job, 0);
  else
    duet_parallel_for(tasks, body, job);
}

duet_status duet_channel_norm_forward(const void *block) {
  const duet_channel_norm_call *call = block;
  channel_job job = open_job(call, call->operand[1], NULL);
  if (job.total * call->channels == 0) return DUET_OK;
  job.moments = call->operand[2];
  job.result = call->operand[0];
  int64_t channels = call->channels;
  const duet_number_format *f = &job.format;
  char *constants = duet_scratch(3 * channels * f->wide);
  for (int64_t k = 0; k < channels; k++) {
    duet_put(f, constants, k, duet_number(f, job.moments, k));
    duet_put(f, constants, channels + k,
             deviation_factor(&job, k) * duet_element(f, call->operand[3], k));
    duet_put(f, constants, 2 * channels + k, duet_element(f, call->operand[4], k));
  }
  run_for_elements(&job, constants, 3);
  free(constants);
  return DUET_OK;
}

duet_status duet_channel_norm_input_gradient(const void *block) {
  const duet_channel_norm_call *call = block;
  channel_job job = open_job(call, call->operand[1], call->operand[5]);
  if (job.total * call->channels == 0) return DUET_OK;
  job.moments = call->operand[2];
  job.result = call->operand[0];
  const void *sums = call->operand[4];
  int64_t channels = call->channels;
  double n = (double)job.total;
  const duet_number_format *f = &job.format;
  char *constants = duet_scratch(4 * channels * f->wide);
  for (int64_t k = 0; k < channels; k++) {
    double r = deviation_factor(&job, k), a = r * duet_element(f, call->operand[3], k);
    duet_put(f, constants, k, duet_number(f, job.moments, k));
    duet_put(f, constants, channels + k, a);
    duet_put(f, constants, 2 * channels + k, -(a * r * (duet_number(f, sums, k) / n)));
    duet_put(f, constants, 3 * channels + k, -(a * (duet_number(f, sums, channels + k) / n)));
  }
  run_for_elements(&job, constants, 4);
  free(constants);
  return DUET_OK;
}
