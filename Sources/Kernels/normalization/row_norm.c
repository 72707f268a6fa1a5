// Normalisation of rows: the grid, and the 16-bit floats through float32 buffers.
#include "../elementwise/stream.h"
#include "half.h"

#pragma STDC FP_CONTRACT OFF

enum {
  TASK = 32768,      // elements
  MOST_TOGETHER = 4,  // rows
  SUM_ROWS = 32,     // rows that are added in turn
  MOST_PARTS = 64,
  PART = 65536       // elements
};

typedef struct {
  const duet_row_norm_call *call;
  const duet_row_norm_loops *loops;
  duet_number_format format;
  const void *scale, *offset;  // of 16-bit floats the float32 copies
  int64_t batch;               // rows of a task
  int is_gradient, together, streams;
  // Of the sums over rows.
  int64_t sums, parts, part_chunks, levels;
  char *partials;
} row_norm_job;

static char *at(void *p, int64_t elements, const row_norm_job *job) {
  return (char *)p + elements * job->format.element;
}

static void run_half_rows(const row_norm_job *job, int64_t first, int64_t last) {
  const duet_row_norm_call *c = job->call;
  int64_t columns = c->columns;
  float *x = duet_scratch(MOST_TOGETHER * columns * 4 * (job->is_gradient ? 2 : 1));
  float *dy = x + MOST_TOGETHER * columns;
  for (int64_t row = first; row < last; row += MOST_TOGETHER) {
    int64_t rows = duet_least(MOST_TOGETHER, last - row), count = rows * columns, from = row * columns;
    job->format.widen(x, at(c->operand[1], from, job), 2, count);
    if (job->is_gradient) {
      job->format.widen(dy, at(c->operand[3], from, job), 2, count);
      job->loops->input_gradient(x, x, job->scale, dy, rows, columns, c->eps, job->together);
    } else {
      job->loops->forward(x, x, job->scale, job->offset, rows, columns, c->eps, job->together);
    }
    job->format.narrow(at(c->operand[0], from, job), x, count);
  }
  free(x);
}

static void run_rows(void *context, int64_t task) {
  const row_norm_job *job = context;
  const duet_row_norm_call *c = job->call;
  int64_t first = task * job->batch, last = duet_least(first + job->batch, c->rows);
  int64_t from = first * c->columns;
  if (job->format.is_half)
    run_half_rows(job, first, last);
  else if (job->is_gradient)
    job->loops->input_gradient(at(c->operand[0], from, job), at(c->operand[1], from, job),
                               job->scale, at(c->operand[3], from, job), last - first, c->columns,
                               c->eps, job->together);
  else if (!job->streams)
    job->loops->forward(at(c->operand[0], from, job), at(c->operand[1], from, job), job->scale,
                        job->offset, last - first, c->columns, c->eps, job->together);
  else
    job->loops->streamed(at(c->operand[0], from, job), at(c->operand[1], from, job), job->scale,
                         job->offset, last - first, c->columns, c->eps);
  if (job->streams) duet_stream_end();
}

// Whether rows are written past the caches.
static int streams(const row_norm_job *job) {
  const duet_row_norm_call *c = job->call;
  int64_t row = c->columns * job->format.element;
  return !job->is_gradient && !job->format.is_half && 2 * c->rows * row >= DUET_STREAM_BYTES &&
         row % 64 == 0 && (uintptr_t)c->operand[0] % 64 == 0 && c->operand[0] != c->operand[1];
}

// How many rows to take side by side. Arrays that come from memory are best read in order, unless rows are
// so short that their ends cost more, or so long that they leave the first cache between the passes. Of
// those in a cache, as many as stay in the first one with their results.
static int rows_together(const row_norm_job *job) {
  enum { SHORTEST = 1 << 10, SHORT = 2 << 10, LONGEST = 8 << 10, CACHED = 2 << 20 };
  int64_t row = job->call->columns * job->format.wide;
  if (row < SHORTEST || row > LONGEST) return 4;
  if (job->format.is_half || row * job->call->rows <= CACHED) return row <= SHORT ? 4 : 2;
  return duet_current_normalizations()->together_from_memory;
}

static row_norm_job open_job(const duet_row_norm_call *call) {
  row_norm_job job = {.call = call, .format = duet_number_format_of(call->dtype)};
  job.together = rows_together(&job);
  job.loops = &duet_current_normalizations()->rows[job.format.is_double][call->norm];
  return job;
}

static duet_status for_rows(const duet_row_norm_call *call, int is_gradient) {
  if (call->rows == 0 || call->columns == 0) return DUET_OK;
  row_norm_job job = open_job(call);
  job.is_gradient = is_gradient;
  job.streams = streams(&job);
  job.scale = call->operand[2];
  job.offset = is_gradient ? NULL : call->operand[3];
  float *wide = NULL;
  if (job.format.is_half) {
    wide = duet_scratch(2 * call->columns * 4);
    job.format.widen(wide, job.scale, 2, call->columns);
    if (job.offset && call->norm == DUET_LAYER_NORM)
      job.format.widen(wide + call->columns, job.offset, 2, call->columns);
    job.scale = wide;
    job.offset = wide + call->columns;
  }
  int64_t fours = duet_most(1, TASK / call->columns / MOST_TOGETHER);
  job.batch = fours * MOST_TOGETHER;
  int64_t tasks = (call->rows + job.batch - 1) / job.batch;
  if (tasks == 1)
    run_rows(&job, 0);
  else
    duet_parallel_for(tasks, run_rows, &job);
  free(wide);
  return DUET_OK;
}

duet_status duet_row_norm_forward(const void *call) { return for_rows(call, 0); }
duet_status duet_row_norm_input_gradient(const void *call) { return for_rows(call, 1); }

// Sums of up to 32 rows from `first` on.
static void sum_chunk(const row_norm_job *job, void *sums, int64_t first, int64_t rows,
                      float *wide) {
  const duet_row_norm_call *c = job->call;
  int64_t columns = c->columns, from = first * columns;
  if (!job->format.is_half) {
    job->loops->parameter_gradient(sums, at(c->operand[1], from, job),
                                   at(c->operand[2], from, job), rows, columns, c->eps, 1,
                                   job->together);
    return;
  }
  for (int64_t row = 0; row < rows; row += MOST_TOGETHER) {
    int64_t n = duet_least(MOST_TOGETHER, rows - row), start = from + row * columns;
    float *dy = wide + MOST_TOGETHER * columns;
    job->format.widen(wide, at(c->operand[1], start, job), 2, n * columns);
    job->format.widen(dy, at(c->operand[2], start, job), 2, n * columns);
    job->loops->parameter_gradient(sums, wide, dy, n, columns, c->eps, row == 0,
                                  job->together);
  }
}

// One part of the chunks of rows: level k of the tree holds the sums of 2^k neighbouring chunks where
// bit k of `done` is set.
static void sum_part(void *context, int64_t part) {
  const row_norm_job *job = context;
  const duet_row_norm_call *c = job->call;
  const duet_channel_loops *loops =
      &duet_current_normalizations()->channels[job->format.is_double];
  int64_t count = job->sums * c->columns, size = count * job->format.wide;
  int64_t first = part * job->part_chunks * SUM_ROWS;
  int64_t last = duet_least(first + job->part_chunks * SUM_ROWS, c->rows);
  char *memory = duet_scratch((job->levels + 1) * size);
  char *value = memory + job->levels * size;
  float *wide =
      job->format.is_half ? duet_scratch(2 * MOST_TOGETHER * c->columns * 4) : NULL;
  uint64_t done = 0;
  for (int64_t row = first; row < last; row += SUM_ROWS, done++) {
    sum_chunk(job, value, row, duet_least(SUM_ROWS, last - row), wide);
    int k = 0;
    for (; done >> k & 1; k++) {
      loops->join(memory + k * size, value, count);
      memcpy(value, memory + k * size, (size_t)size);
    }
    memcpy(memory + k * size, value, (size_t)size);
  }
  int k = __builtin_ctzll(done);
  char *total = memory + k * size;
  for (k++; done >> k; k++) {
    if (!(done >> k & 1)) continue;
    loops->join(memory + k * size, total, count);
    total = memory + k * size;
  }
  memcpy(job->partials + part * size, total, (size_t)size);
  free(memory);
  free(wide);
}

duet_status duet_row_norm_parameter_gradient(const void *block) {
  const duet_row_norm_call *call = block;
  row_norm_job job = open_job(call);
  job.sums = call->norm == DUET_LAYER_NORM ? 2 : 1;
  int64_t count = job.sums * call->columns, size = count * job.format.wide;
  if (call->rows == 0 || count == 0) {
    memset(call->operand[0], 0, (size_t)(count * job.format.element));
    return DUET_OK;
  }
  int64_t chunks = (call->rows + SUM_ROWS - 1) / SUM_ROWS;
  job.part_chunks = 1;
  job.levels = 1;
  while ((job.part_chunks * SUM_ROWS * call->columns < PART ||
          job.part_chunks * MOST_PARTS < chunks) &&
         job.part_chunks < chunks) {
    job.part_chunks *= 2;
    job.levels++;
  }
  job.parts = (chunks + job.part_chunks - 1) / job.part_chunks;
  job.partials = duet_scratch(job.parts * size);
  if (job.parts == 1)
    sum_part(&job, 0);
  else
    duet_parallel_for(job.parts, sum_part, &job);
  const duet_channel_loops *loops =
      &duet_current_normalizations()->channels[job.format.is_double];
  for (int64_t step = 1; step < job.parts; step *= 2)
    for (int64_t i = 0; i + step < job.parts; i += 2 * step)
      loops->join(job.partials + i * size, job.partials + (i + step) * size, count);
  if (job.format.is_half)
    job.format.narrow(call->operand[0], job.partials, count);
  else
    memcpy(call->operand[0], job.partials, (size_t)size);
  free(job.partials);
  return DUET_OK;
}
