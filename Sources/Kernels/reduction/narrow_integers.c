// Reductions of integers narrower than int64 where they lie: no buffer, no lanes, any order.
#include <stdlib.h>
#include <string.h>

#include "job.h"

typedef enum { SUM, MAXIMUM, MINIMUM } operation;

typedef struct {
  duet_reduction_job job;
  const duet_integer_reducer *reducer;
  operation operation;
  int64_t width, blocks, units;  // columns of a block, blocks of a position, both of all positions
  int64_t batch, parts, part;    // units of a task, or parts of a unit with their elements
  int64_t *partials;
} narrow;

static void combine(const narrow *n, int64_t *a, const int64_t *b, int64_t count) {
  for (int64_t i = 0; i < count; i++) switch (n->operation) {
      case SUM: a[i] = (int64_t)((uint64_t)a[i] + (uint64_t)b[i]); break;
      case MAXIMUM: a[i] = duet_most(a[i], b[i]); break;
      case MINIMUM: a[i] = duet_least(a[i], b[i]); break;
    }
}

static int64_t width_of(const narrow *n, int64_t unit) {
  return duet_least(n->width, n->job.columns - unit % n->blocks * n->width);
}

// The elements first ..< last of the reduced axes, run by run.
static void reduce_unit(const narrow *n, int64_t unit, int64_t first, int64_t last, int64_t *out) {
  const duet_reduction_job *job = &n->job;
  const char *start = duet_outer_start(job, unit / n->blocks);
  start += unit % n->blocks * n->width * job->element;
  int64_t width = width_of(n, unit), own[DUET_INTEGER_COLUMNS];
  for (int64_t at = first; at < last;) {
    int64_t rows = duet_least(job->run - at % job->run, last - at);
    const char *x = start + duet_reduced_offset(job, at);
    int64_t *to = at == first ? out : own;
    if (job->columns == 1)
      *to = n->reducer->contiguous(x, rows);
    else
      n->reducer->columns(to, x, rows, job->run_stride, width);
    if (at > first) combine(n, out, own, width);
    at += rows;
  }
}

#define STORE(type)                                                       \
  for (int64_t i = 0; i < count; i++) ((type *)to)[i] = (type)values[i];  \
  return;

static void write(const narrow *n, int64_t unit, const int64_t *values) {
  const duet_reduction_job *job = &n->job;
  int64_t count = width_of(n, unit);
  int64_t at = unit / n->blocks * job->columns + unit % n->blocks * n->width;
  if (n->operation == SUM) {
    memcpy((int64_t *)job->result + at, values, (size_t)count * 8);
    return;
  }
  void *to = job->result + at * job->element;
  switch (job->element) {
    case 1: STORE(uint8_t)
    case 2: STORE(uint16_t)
    default: STORE(uint32_t)
  }
}

static void run_batch(void *context, int64_t task) {
  const narrow *n = context;
  int64_t out[DUET_INTEGER_COLUMNS], last = duet_least((task + 1) * n->batch, n->units);
  for (int64_t unit = task * n->batch; unit < last; unit++) {
    reduce_unit(n, unit, 0, n->job.count, out);
    write(n, unit, out);
  }
}

static void run_part(void *context, int64_t task) {
  const narrow *n = context;
  int64_t first = task % n->parts * n->part;
  reduce_unit(n, task / n->parts, first, duet_least(first + n->part, n->job.count),
              n->partials + task * n->width);
}

static void run(narrow *n) {
  // A part of columns leaves as many values behind: it has many more rows than one.
  enum { TASK = 65536, ENOUGH_TASKS = 64, ROWS = 512 };
  int64_t work = n->job.count * n->width;
  if (work >= 4 * TASK && n->units < ENOUGH_TASKS) {
    n->part = duet_most(ROWS, TASK / n->width);
    n->parts = (n->job.count + n->part - 1) / n->part;
    n->partials = malloc((size_t)(n->units * n->parts * n->width * 8));
    if (!n->partials) abort();
    duet_parallel_for(n->units * n->parts, run_part, n);
    for (int64_t unit = 0; unit < n->units; unit++) {
      int64_t *own = n->partials + unit * n->parts * n->width;
      for (int64_t p = 1; p < n->parts; p++)
        combine(n, own, own + p * n->width, width_of(n, unit));
      write(n, unit, own);
    }
    free(n->partials);
    return;
  }
  n->batch = duet_most(1, TASK / duet_most(work, 1));
  int64_t tasks = (n->units + n->batch - 1) / n->batch;
  if (tasks == 1)
    run_batch(n, 0);
  else
    duet_parallel_for(tasks, run_batch, n);
}

int duet_reduce_narrow_integers(const duet_reduce_call *call) {
  if (call->dtype >= DUET_INT64) return 0;
  narrow n;
  switch (call->reduction) {
    case DUET_SUM: n.operation = SUM; break;
    case DUET_MAX:
    case DUET_ANY: n.operation = MAXIMUM; break;
    case DUET_MIN:
    case DUET_ALL: n.operation = MINIMUM; break;
    default: return 0;
  }
  duet_plan_job(&n.job, call);
  const duet_reduction_job *job = &n.job;
  if (job->outer == 0 || job->count == 0 || job->column_stride != job->element ||
      (job->columns == 1 && job->run_stride != job->element))
    return 0;
  n.reducer = &job->table->narrow_integers[call->dtype][n.operation];
  n.width = duet_least(job->columns, DUET_INTEGER_COLUMNS);
  n.blocks = (job->columns + n.width - 1) / n.width;
  n.units = job->outer * n.blocks;
  run(&n);
  return 1;
}
