// argMax and argMin. The result does not depend on the order of the search, so there is no tree.
#include <string.h>

#include "job.h"

#pragma STDC FP_CONTRACT OFF

typedef struct {
  const duet_reduction_job *job;
  duet_find find;
  duet_find_rows find_rows;
  int is_min;
} search;

enum { GROUP = 16, VALUES = 1024 };

// Whether value `a` replaces the best so far, `b`.
static int replaces(const search *s, const void *a, const void *b) {
  switch (s->job->type) {
    case DUET_IN_FLOAT32: {
      float x = *(const float *)a, y = *(const float *)b;
      return (s->is_min ? x < y : x > y) || (x != x && y == y);
    }
    case DUET_IN_FLOAT64: {
      double x = *(const double *)a, y = *(const double *)b;
      return (s->is_min ? x < y : x > y) || (x != x && y == y);
    }
    default: {
      int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
      return s->is_min ? x < y : x > y;
    }
  }
}

static int64_t search_row(const search *s, const char *start) {
  const duet_reduction_job *job = s->job;
  _Alignas(64) char buffer[VALUES * 8];
  int64_t value, best, place = 0;
  if (job->is_dense && job->is_direct && job->reduced_rank <= 1)
    return s->find(&best, start, job->count);
  for (int64_t at = 0; at < job->count; at += VALUES) {
    int64_t n = duet_least(VALUES, job->count - at);
    int64_t found = s->find(&value, duet_fetch_rows(job, start, at, n, buffer), n);
    if (at > 0 && !replaces(s, &value, &best)) continue;
    best = value;
    place = at + found;
  }
  return place;
}

// Sixteen columns side by side, or what is left of them.
static void search_columns(const search *s, const char *start, int64_t columns, int64_t *result) {
  const duet_reduction_job *job = s->job;
  enum { ROWS = 64 };
  _Alignas(64) char buffer[ROWS * GROUP * 8], best[GROUP * 8];
  const char *row[ROWS];
  int64_t index[GROUP];
  if (columns < GROUP) memset(buffer, 0, sizeof buffer);
  for (int64_t at = 0; at < job->count; at += ROWS) {
    int64_t n = duet_least(ROWS, job->count - at);
    duet_locate_rows(job, start, at, n, row);
    for (int64_t i = 0; i < n && !(job->is_direct && columns == GROUP); i++) {
      char *to = buffer + i * GROUP * job->wide;
      job->widen(to, row[i], job->column_stride, columns);
      row[i] = to;
    }
    s->find_rows(best, index, row, n, at);
  }
  for (int64_t c = 0; c < columns; c++) result[c] = index[c];
}

static void run(void *context, int64_t task) {
  const search *s = context;
  const duet_reduction_job *job = s->job;
  int64_t last = duet_least((task + 1) * job->batch, job->outer);
  for (int64_t outer = task * job->batch; outer < last; outer++) {
    const char *start = duet_outer_start(job, outer);
    int64_t *result = (int64_t *)job->result + outer * job->columns;
    if (job->columns == 1) {
      *result = search_row(s, start);
      continue;
    }
    for (int64_t c = 0; c < job->columns; c += GROUP)
      search_columns(s, start + c * job->column_stride, duet_least(GROUP, job->columns - c),
                     result + c);
  }
}

void duet_arg_reduce(const duet_reduce_call *call) {
  duet_reduction_job job;
  duet_plan_job(&job, call);
  if (job.outer == 0 || job.count == 0) return;
  int is_min = call->reduction == DUET_ARG_MIN;
  search s = {&job, job.table->find[job.type][is_min], job.table->find_rows[job.type][is_min],
              is_min};
  job.batch = duet_most(1, 32768 / duet_most(1, job.count * job.columns));
  int64_t tasks = (job.outer + job.batch - 1) / job.batch;
  if (tasks == 1)
    run(&s, 0);
  else
    duet_parallel_for(tasks, run, &s);
}
