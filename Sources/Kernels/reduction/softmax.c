// Softmax, its logarithm and their gradients: the grid, and the 16-bit floats through float32 buffers.
// A row with NaN or +inf and a row of -inf alone give NaN, as in PyTorch.
#include "../contraction/engine.h"
#include "reduction.h"

#pragma STDC FP_CONTRACT OFF

// Neighbouring positions of one group, in bytes: sixteen lanes of sums stay in the second-level cache.
// Groups of 16-bit floats are narrower, since all of their columns are widened at once.
// Short rows of them are widened together, up to that many elements.
enum { GROUP_BYTES = 4 << 10, HALF_GROUP = 64, HALF_ELEMENTS = 2048, TASK = 16384 };

typedef struct {
  const duet_softmax_call *call;
  const duet_softmaxes *table;
  duet_widen widen;  // for the 16-bit floats only
  duet_narrow narrow;
  duet_softmax_operation operation;
  int is_double, inputs;
  int64_t width, groups;  // positions behind the axis in one group, groups
  int64_t units, batch;   // rows, or groups
  int64_t levels;
  int64_t half_rows;      // rows of 16-bit floats that are widened together
} softmax_job;

// Elements of some rows or a group widened.
static int64_t widened(const softmax_job *job) {
  return job->call->columns * (job->call->inner == 1 ? job->half_rows : job->width);
}

// Scratch in elements.
static int64_t scratch_size(const softmax_job *job) {
  int64_t wide = job->widen ? job->inputs * widened(job) : 0;
  if (job->call->inner == 1) return wide;
  return wide + (18 + job->levels) * ((job->width + 15) / 16 * 16);
}

static void run_half_rows(const softmax_job *job, int64_t row, int64_t rows, float *buffer) {
  const duet_softmax_call *c = job->call;
  int64_t at = row * c->columns * 2, count = rows * c->columns;
  for (int k = 0; k < job->inputs; k++)
    job->widen(buffer + k * count, (const char *)c->operand[1 + k] + at, 2, count);
  job->table->rows[0][job->operation](buffer, buffer, buffer + count, rows, c->columns);
  job->narrow((char *)c->operand[0] + at, buffer, count);
}

static void run_group(const softmax_job *job, int64_t unit, void *scratch) {
  const duet_softmax_call *c = job->call;
  int64_t position = unit % job->groups * job->width;
  int64_t width = duet_least(job->width, c->inner - position);
  int64_t at = unit / job->groups * c->columns * c->inner + position;
  char *y = c->operand[0];
  const char *a = c->operand[1], *b = c->operand[2];
  if (!job->widen) {
    int64_t size = job->is_double ? 8 : 4;
    job->table->across[job->is_double][job->operation](
        y + at * size, a + at * size, job->inputs > 1 ? b + at * size : 0, scratch, c->columns,
        c->inner, width);
    return;
  }
  float *wide[2];
  for (int k = 0; k < job->inputs; k++) {
    wide[k] = (float *)scratch + (18 + job->levels) * job->width + k * widened(job);
    for (int64_t i = 0; i < c->columns; i++)
      job->widen(wide[k] + i * job->width, (k == 0 ? a : b) + (at + i * c->inner) * 2, 2, width);
  }
  job->table->across[0][job->operation](wide[0], wide[0], job->inputs > 1 ? wide[1] : 0, scratch,
                                        c->columns, job->width, width);
  for (int64_t i = 0; i < c->columns; i++)
    job->narrow(y + (at + i * c->inner) * 2, wide[0] + i * job->width, width);
}

static void run(void *context, int64_t task) {
  const softmax_job *job = context;
  const duet_softmax_call *c = job->call;
  int64_t first = task * job->batch, last = duet_least(first + job->batch, job->units);
  int64_t size = job->is_double ? 8 : 4;
  if (c->inner == 1 && !job->widen) {
    int64_t at = first * c->columns * size;
    const char *b = job->inputs > 1 ? (const char *)c->operand[2] + at : 0;
    job->table->rows[job->is_double][job->operation]((char *)c->operand[0] + at,
                                                     (const char *)c->operand[1] + at, b,
                                                     last - first, c->columns);
    return;
  }
  void *scratch = duet_scratch(0, (size_t)(scratch_size(job) * size + 64));
  if (c->inner == 1)
    for (int64_t row = first; row < last; row += job->half_rows)
      run_half_rows(job, row, duet_least(job->half_rows, last - row), scratch);
  else
    for (int64_t unit = first; unit < last; unit++) run_group(job, unit, scratch);
}

static duet_status softmax(const duet_softmax_call *call, duet_softmax_operation operation) {
  if (call->rows == 0 || call->columns == 0 || call->inner == 0) return DUET_OK;
  softmax_job job = {.call = call, .table = duet_current_softmaxes(), .operation = operation};
  job.inputs = operation >= DUET_SOFTMAX_GRADIENT ? 2 : 1;
  job.is_double = call->dtype == DUET_FLOAT64;
  job.width = GROUP_BYTES / (job.is_double ? 8 : 4);
  if (call->dtype == DUET_FLOAT16 || call->dtype == DUET_BFLOAT16) {
    const duet_reductions *conversions = duet_current_reductions();
    job.widen = conversions->widen[call->dtype];
    job.narrow =
        call->dtype == DUET_FLOAT16 ? conversions->narrow_float16 : conversions->narrow_bfloat16;
    job.width = HALF_GROUP;
  }
  if (call->inner == 1) job.width = 1;
  job.half_rows = duet_most(1, HALF_ELEMENTS / call->columns);
  job.groups = (call->inner + job.width - 1) / job.width;
  job.units = call->rows * job.groups;
  int64_t chunks = (call->columns + DUET_CHUNK - 1) / DUET_CHUNK;
  job.levels = 64 - __builtin_clzll((uint64_t)chunks);
  job.batch = duet_most(1, TASK / (call->columns * duet_least(job.width, call->inner)));
  int64_t tasks = (job.units + job.batch - 1) / job.batch;
  if (tasks == 1)
    run(&job, 0);
  else
    duet_parallel_for(tasks, run, &job);
  return DUET_OK;
}

duet_status duet_softmax(const void *call) { return softmax(call, DUET_SOFTMAX); }
duet_status duet_log_softmax(const void *call) { return softmax(call, DUET_LOG_SOFTMAX); }
duet_status duet_softmax_gradient(const void *call) { return softmax(call, DUET_SOFTMAX_GRADIENT); }
duet_status duet_log_softmax_gradient(const void *call) {
  return softmax(call, DUET_LOG_SOFTMAX_GRADIENT);
}
