// argMax and argMin. The result does not depend on the order of the search, so there is no tree.
#include <stdlib.h>
#include <string.h>

#include "../contraction/engine.h"
#include "job.h"

#pragma STDC FP_CONTRACT OFF

typedef struct {
  const duet_reduction_job *job;
  duet_find find;         // in elements of the type reduced in
  duet_find find_source;  // in elements in memory
  duet_find_rows find_rows;
  duet_find_each find_each;
  const duet_integer_reducer *integers;  // of integers narrower than int64
  int is_min;
  int64_t blocks;  // of columns
} search;

enum { BLOCK = 4096, ROWS = 8, VALUES = 1024, ROWS_AT_MOST = 1 << 30 };

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

#define FIRST_OF(type)                                     \
  for (;; i++)                                             \
    if (((const type *)x)[i] == (type)value) return i;

static int64_t first_of(int64_t element, const void *x, int64_t value) {
  int64_t i = 0;
  switch (element) {
    case 1: FIRST_OF(uint8_t)
    case 2: FIRST_OF(uint16_t)
    default: FIRST_OF(uint32_t)
  }
}

// Contiguous integers narrower than int64: the place is looked for where a block's extreme is better.
static int64_t search_integers(const search *s, const char *x, int64_t count, int64_t *best) {
  enum { INTEGERS = 4096 };
  int64_t place = 0;
  for (int64_t at = 0; at < count; at += INTEGERS) {
    const char *own = x + at * s->job->element;
    int64_t value = s->integers->contiguous(own, duet_least(INTEGERS, count - at));
    if (at > 0 && !replaces(s, &value, best)) continue;
    *best = value;
    place = at + first_of(s->job->element, own, value);
  }
  return place;
}

// The elements first ..< last of one result.
static int64_t search_row(const search *s, const char *start, int64_t first, int64_t last,
                          int64_t *best) {
  const duet_reduction_job *job = s->job;
  _Alignas(64) char buffer[VALUES * 8];
  int64_t value, place = 0;
  if (job->reduced_rank <= 1 && job->run_stride == job->element) {
    const char *x = start + first * job->element;
    if (s->integers) return first + search_integers(s, x, last - first, best);
    if (job->is_direct) return first + s->find_source(best, x, last - first);
  }
  for (int64_t at = first; at < last; at += VALUES) {
    int64_t n = duet_least(VALUES, last - at);
    const void *x = duet_fetch_rows(job, start, at, n, buffer);
    int64_t found = (x == buffer ? s->find : s->find_source)(&value, x, n);
    if (at > first && !replaces(s, &value, best)) continue;
    *best = value;
    place = at + found;
  }
  return place;
}

// Up to BLOCK columns side by side, in vectors of sixteen.
static void search_columns(const search *s, const char *start, int64_t columns, int64_t *result) {
  const duet_reduction_job *job = s->job;
  int64_t vectors = (columns + 15) / 16, bytes = vectors * 16 * job->wide;
  char *buffer = duet_scratch(0, (size_t)((ROWS + 3) * bytes));
  char *best = buffer + ROWS * bytes, *place = best + bytes, *earlier = place + bytes;
  int is_direct = job->is_direct && job->element == job->wide && columns % 16 == 0;
  if (columns % 16 != 0) memset(buffer, 0, (size_t)(ROWS * bytes));
  for (int64_t from = 0; from < job->count; from += ROWS_AT_MOST) {
    int64_t count = duet_least(ROWS_AT_MOST, job->count - from);
    for (int64_t at = 0; at < count; at += ROWS) {
      const char *row[ROWS];
      int64_t n = duet_least(ROWS, count - at);
      duet_locate_rows(job, start, from + at, n, row);
      for (int64_t i = 0; i < n && !is_direct; i++) {
        char *to = buffer + i * bytes;
        job->widen(to, row[i], job->column_stride, columns);
        row[i] = to;
      }
      s->find_rows(best, place, row, n, vectors, at);
    }
    for (int64_t c = 0; c < columns; c++) {
      if (from > 0 && !replaces(s, best + c * job->wide, earlier + c * job->wide)) continue;
      result[c] = from + (job->wide == 4 ? ((const int32_t *)place)[c] : ((const int64_t *)place)[c]);
      memcpy(earlier + c * job->wide, best + c * job->wide, (size_t)job->wide);
    }
  }
}

// Rows of fewer elements than it takes to search in vectors.
static int has_short_rows(const duet_reduction_job *job) {
  return duet_is_contiguous(job) && job->element == job->wide && job->count <= 32;
}

static void search_short_rows(const search *s, int64_t first, int64_t last) {
  const duet_reduction_job *job = s->job;
  while (first < last) {
    int64_t stride, n = duet_neighbours(job, first, last, &stride);
    s->find_each((int64_t *)job->result + first, duet_outer_start(job, first), stride, n,
                 job->count);
    first += n;
  }
}

static void run(void *context, int64_t task) {
  const search *s = context;
  const duet_reduction_job *job = s->job;
  int64_t last = duet_least((task + 1) * job->batch, job->outer * s->blocks), value;
  if (has_short_rows(job)) {
    search_short_rows(s, task * job->batch, last);
    return;
  }
  for (int64_t unit = task * job->batch; unit < last; unit++) {
    int64_t outer = unit / s->blocks, c = unit % s->blocks * BLOCK;
    const char *start = duet_outer_start(job, outer);
    int64_t *result = (int64_t *)job->result + outer * job->columns;
    if (job->columns == 1)
      *result = search_row(s, start, 0, job->count, &value);
    else
      search_columns(s, start + c * job->column_stride, duet_least(BLOCK, job->columns - c),
                     result + c);
  }
}

// A result's elements in parts of PART, of which the first with the best value has the place.
typedef struct {
  const search *search;
  int64_t parts;
  struct {
    int64_t value, place;
  } * found;
} shared_search;

enum { PART = 1 << 18 };

static void run_part(void *context, int64_t task) {
  const shared_search *shared = context;
  const duet_reduction_job *job = shared->search->job;
  int64_t first = task % shared->parts * PART;
  const char *start = duet_outer_start(job, task / shared->parts);
  shared->found[task].place = search_row(shared->search, start, first,
                                         duet_least(first + PART, job->count),
                                         &shared->found[task].value);
}

static void run_parts(const search *s) {
  const duet_reduction_job *job = s->job;
  shared_search shared = {.search = s, .parts = (job->count + PART - 1) / PART};
  shared.found = malloc((size_t)(job->outer * shared.parts) * sizeof *shared.found);
  if (!shared.found) abort();
  duet_parallel_for(job->outer * shared.parts, run_part, &shared);
  for (int64_t outer = 0; outer < job->outer; outer++) {
    int64_t best = outer * shared.parts;
    for (int64_t p = 1; p < shared.parts; p++)
      if (replaces(s, &shared.found[outer * shared.parts + p].value, &shared.found[best].value))
        best = outer * shared.parts + p;
    ((int64_t *)job->result)[outer] = shared.found[best].place;
  }
  free(shared.found);
}

void duet_arg_reduce(const duet_reduce_call *call) {
  duet_reduction_job job;
  duet_plan_job(&job, call);
  if (job.outer == 0 || job.count == 0) return;
  int is_min = call->reduction == DUET_ARG_MIN;
  search s = {.job = &job, .is_min = is_min, .blocks = (job.columns + BLOCK - 1) / BLOCK};
  s.find = s.find_source = job.table->find[job.type][is_min];
  if (job.element < job.wide && job.type == DUET_IN_FLOAT32)
    s.find_source = job.table->half_find[call->dtype == DUET_BFLOAT16][is_min];
  if (call->dtype < DUET_INT64) s.integers = &job.table->narrow_integers[call->dtype][1 + is_min];
  s.find_each = job.table->find_each[job.type][is_min];
  s.find_rows = job.table->find_rows[job.type][is_min];
  if (job.columns == 1 && job.outer < 16 && job.count >= 2 * PART) {
    run_parts(&s);
    return;
  }
  job.batch = duet_most(1, 32768 / duet_most(1, job.count * duet_least(job.columns, BLOCK)));
  int64_t units = job.outer * s.blocks, tasks = (units + job.batch - 1) / job.batch;
  if (tasks == 1)
    run(&s, 0);
  else
    duet_parallel_for(tasks, run, &s);
}
