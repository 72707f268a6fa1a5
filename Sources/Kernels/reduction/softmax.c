// Softmax and its logarithm: the grid, and the 16-bit floats through float32 buffers. A row with
// NaN or +inf and a row of -inf alone give NaN, as in PyTorch.
#include <stdlib.h>

#include "reduction.h"

#pragma STDC FP_CONTRACT OFF

enum { WIDTH = 64, NARROW_WIDTH = 16, TASK = 16384, ON_STACK = 16 << 10, CACHE = 1 << 20 };

typedef struct {
  const duet_softmax_call *call;
  const duet_softmaxes *table;
  duet_widen widen;  // for the 16-bit floats only
  duet_narrow narrow;
  int is_log, is_double;
  int64_t width, groups;  // positions behind the axis in one group, groups
  int64_t units, batch;   // rows, or groups
} softmax_job;

// Scratch in elements: a row of a 16-bit float, or a group of columns (and its float32 copy).
static int64_t scratch_size(const softmax_job *job) {
  int64_t columns = job->call->columns;
  if (job->call->inner == 1) return job->widen ? columns : 0;
  return columns * job->width * (job->widen ? 2 : 1);
}

static void run_half_row(const softmax_job *job, int64_t row, float *buffer) {
  int64_t columns = job->call->columns, at = row * columns * 2;
  job->widen(buffer, (const char *)job->call->operand[1] + at, 2, columns);
  job->table->rows[0][job->is_log](buffer, buffer, 1, columns);
  job->narrow((char *)job->call->operand[0] + at, buffer, columns);
}

static void run_group(const softmax_job *job, int64_t unit, void *scratch) {
  const duet_softmax_call *c = job->call;
  int64_t position = unit % job->groups * job->width;
  int64_t width = duet_least(job->width, c->inner - position);
  int64_t at = unit / job->groups * c->columns * c->inner + position;
  char *y = c->operand[0];
  const char *x = c->operand[1];
  if (!job->widen) {
    int64_t size = job->is_double ? 8 : 4;
    job->table->across[job->is_double][job->is_log](y + at * size, x + at * size, scratch,
                                                    c->columns, c->inner, width);
    return;
  }
  float *wide = (float *)scratch + c->columns * job->width;
  for (int64_t i = 0; i < c->columns; i++)
    job->widen(wide + i * job->width, x + (at + i * c->inner) * 2, 2, width);
  job->table->across[0][job->is_log](wide, wide, scratch, c->columns, job->width, width);
  for (int64_t i = 0; i < c->columns; i++)
    job->narrow(y + (at + i * c->inner) * 2, wide + i * job->width, width);
}

static void run(void *context, int64_t task) {
  const softmax_job *job = context;
  const duet_softmax_call *c = job->call;
  int64_t first = task * job->batch, last = duet_least(first + job->batch, job->units);
  if (c->inner == 1 && !job->widen) {
    int64_t at = first * c->columns * (job->is_double ? 8 : 4);
    job->table->rows[job->is_double][job->is_log]((char *)c->operand[0] + at,
                                                  (const char *)c->operand[1] + at, last - first,
                                                  c->columns);
    return;
  }
  _Alignas(64) char memory[ON_STACK];
  size_t bytes = (size_t)scratch_size(job) * (job->is_double ? 8 : 4);
  void *scratch = bytes <= ON_STACK ? memory : malloc(bytes);
  if (!scratch) abort();
  for (int64_t unit = first; unit < last; unit++) {
    if (c->inner == 1)
      run_half_row(job, unit, scratch);
    else
      run_group(job, unit, scratch);
  }
  if (scratch != memory) free(scratch);
}

static duet_status softmax(const duet_softmax_call *call, int is_log) {
  if (call->rows == 0 || call->columns == 0 || call->inner == 0) return DUET_OK;
  softmax_job job = {.call = call, .table = duet_current_softmaxes(), .is_log = is_log};
  job.is_double = call->dtype == DUET_FLOAT64;
  if (call->dtype == DUET_FLOAT16 || call->dtype == DUET_BFLOAT16) {
    const duet_reductions *conversions = duet_current_reductions();
    job.widen = conversions->widen[call->dtype];
    job.narrow =
        call->dtype == DUET_FLOAT16 ? conversions->narrow_float16 : conversions->narrow_bfloat16;
  }
  int64_t narrow = call->columns * WIDTH * (job.is_double ? 8 : 4) > CACHE || call->inner <= 16;
  job.width = narrow ? NARROW_WIDTH : WIDTH;
  job.groups = (call->inner + job.width - 1) / job.width;
  job.units = call->rows * job.groups;
  job.batch = duet_most(1, TASK / (call->columns * duet_least(job.width, call->inner)));
  int64_t tasks = (job.units + job.batch - 1) / job.batch;
  if (tasks == 1)
    run(&job, 0);
  else
    duet_parallel_for(tasks, run, &job);
  return DUET_OK;
}

duet_status duet_softmax(const void *call) { return softmax(call, 0); }
duet_status duet_log_softmax(const void *call) { return softmax(call, 1); }
