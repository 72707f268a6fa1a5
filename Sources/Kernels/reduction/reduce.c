#include <stdlib.h>
#include <string.h>

#include "job.h"

#pragma STDC FP_CONTRACT OFF

// Rows that one call of `lanes` takes per slot, and rows fetched at a time.
enum { DEEP = 8, PIECE = DEEP * DUET_LANE_COUNT };
enum { SLOT_BYTES = 4 << 10, LEVELS_ON_STACK = 8 << 10 };
// Chunks of one result that are fetched and reduced together, a power of two.
enum { TOGETHER = 4 };

// What a task works in: slots [16 lanes, columns], fetched rows, padded rows, and the levels of the
// tree over chunks.
typedef struct {
  _Alignas(64) char slots[16 * SLOT_BYTES];
  _Alignas(64) char buffer[DEEP * (SLOT_BYTES + 128)];
  _Alignas(64) char rest[16 * 16 * 8];
  _Alignas(64) char own_levels[LEVELS_ON_STACK];
  char *levels;
  int64_t level_bytes;
} workspace;

// Elements of one slot.
static int64_t block_width(const duet_reduction_job *job, int64_t block) {
  if (job->columns < DUET_LANE_COUNT) return job->columns;
  return 16 * duet_least(job->block_vectors, job->vectors - block * job->block_vectors);
}

static void open_workspace(const duet_reduction_job *job, workspace *space) {
  space->level_bytes = block_width(job, 0) * job->wide;
  size_t bytes = (size_t)((64 - __builtin_clzll((uint64_t)job->chunks)) * space->level_bytes);
  space->levels = bytes <= LEVELS_ON_STACK ? space->own_levels : malloc(bytes);
  if (!space->levels) abort();
}

static void close_workspace(workspace *space) {
  if (space->levels != space->own_levels) free(space->levels);
}

static char *level_of(const workspace *space, int k) {
  return space->levels + k * space->level_bytes;
}

// Combines lanes l and l + 8, then l + 4, l + 2, l + 1: slots of `width` elements.
static void fold(const duet_reduction_job *job, char *slots, int64_t width) {
  for (int64_t half = 8; half > 0; half /= 2)
    job->reducer->join(slots, slots + half * width * job->wide, half * width);
}

// Whether a result's elements lie side by side, of the type reduced in.
static int is_contiguous(const duet_reduction_job *job) {
  return job->columns == 1 && job->is_direct && job->is_dense && job->reduced_rank <= 1;
}

// One chunk of few columns, of which sixteen rows make sixteen slots as they lie in memory.
static void narrow_chunk(const duet_reduction_job *job, const char *start, int64_t first,
                         int64_t rows, workspace *space) {
  int64_t columns = job->columns, group = 16 * columns * job->wide;
  int fresh = 1;
  for (int64_t r = 0; r < rows; r += PIECE) {
    int64_t n = duet_least(PIECE, rows - r), groups = n / 16, rest = n % 16;
    const char *p = duet_fetch_rows(job, start, first + r, n, space->buffer), *row[DEEP];
    for (int64_t k = 0; k < groups; k++) row[k] = p + k * group;
    if (groups > 0) {
      job->reducer->lanes(space->slots, row, groups, columns, 16 * (columns - 1), fresh);
      fresh = 0;
    }
    if (rest == 0) continue;
    // The lanes behind the last row get the identity.
    job->reducer->clear(space->rest, 16 * columns);
    memcpy(space->rest, p + groups * group, (size_t)(rest * columns * job->wide));
    row[0] = space->rest;
    job->reducer->lanes(space->slots, row, 1, columns, 16 * (columns - 1), fresh);
    fresh = 0;
  }
  fold(job, space->slots, columns);
}

// One chunk of a block of vectors of columns; start addresses the block's first column.
static void wide_chunk(const duet_reduction_job *job, const char *start, int64_t block,
                       int64_t first, int64_t rows, workspace *space) {
  int64_t begin = block * job->block_vectors;
  int64_t vectors = duet_least(job->block_vectors, job->vectors - begin), width = vectors * 16;
  int64_t last = duet_least((vectors - 1) * 16, job->columns - 16 - begin * 16);
  // Columns to convert, where that is needed: from `last` on if the block's only vector reaches
  // back.
  int64_t from = duet_least(0, last), until = duet_least(width, job->columns - begin * 16);
  const char *row[PIECE];
  for (int64_t r = 0; r < rows; r += PIECE) {
    int64_t n = duet_least(PIECE, rows - r);
    duet_locate_rows(job, start, first + r, n, row);
    for (int64_t lane = 0; lane < 16; lane++) {
      char *slot = space->slots + lane * width * job->wide;
      const char *own[DEEP];
      int64_t depth = 0;
      for (int64_t k = lane; k < n; k += 16) {
        own[depth] = row[k];
        if (!job->is_direct) {
          char *to = space->buffer + depth * (SLOT_BYTES + 128) - from * job->wide;
          job->widen(to + from * job->wide, row[k] + from * job->column_stride, job->column_stride,
                     until - from);
          own[depth] = to;
        }
        depth++;
      }
      if (depth > 0)
        job->reducer->lanes(slot, own, depth, vectors, last, r == 0);
      else if (r == 0)
        job->reducer->clear(slot, width);
    }
  }
  fold(job, space->slots, width);
}

// The chunks first ..< last of one outer position and block, combined as a tree: level k holds the
// result of 2^k neighbouring steps where bit k of `done` is set. Answers where the results are.
static char *reduce_chunks(const duet_reduction_job *job, int64_t outer, int64_t block,
                           int64_t first, int64_t last, workspace *space) {
  const char *start = duet_outer_start(job, outer);
  int64_t width = block_width(job, block);
  int64_t step = job->columns == 1 ? TOGETHER * DUET_CHUNK : DUET_CHUNK;
  start += block * job->block_vectors * 16 * job->column_stride;
  int64_t end = duet_least(last * DUET_CHUNK, job->count);
  if (is_contiguous(job)) {
    job->reducer->rows(space->slots, start + first * DUET_CHUNK * job->wide, 0, 1,
                       end - first * DUET_CHUNK);
    return space->slots;
  }
  uint64_t done = 0;
  for (int64_t at = first * DUET_CHUNK; at < end; at += step, done++) {
    int64_t n = duet_least(step, end - at);
    if (job->columns == 1) {
      const char *x = duet_fetch_rows(job, start, at, n, space->buffer);
      job->reducer->rows(space->slots, x, 0, 1, n);
    } else if (job->columns < DUET_LANE_COUNT) {
      narrow_chunk(job, start, at, n, space);
    } else {
      wide_chunk(job, start, block, at, n, space);
    }
    char *value = space->slots;
    int k = 0;
    for (; done >> k & 1; k++) {
      job->reducer->join(level_of(space, k), value, width);
      value = level_of(space, k);
    }
    if (at + step >= end && done == 0) return value;
    memcpy(level_of(space, k), value, (size_t)(width * job->wide));
  }
  int k = __builtin_ctzll(done);
  char *value = level_of(space, k);
  for (k++; done >> k; k++) {
    if (!(done >> k & 1)) continue;
    job->reducer->join(level_of(space, k), value, width);
    value = level_of(space, k);
  }
  return value;
}

static void divide(const duet_reduction_job *job, void *values, int64_t count) {
  if (job->type == DUET_IN_FLOAT64) {
    double divisor = (double)job->count;
    for (int64_t i = 0; i < count; i++) ((double *)values)[i] /= divisor;
  } else {
    float divisor = (float)job->count;
    for (int64_t i = 0; i < count; i++) ((float *)values)[i] /= divisor;
  }
}

#define NARROW(type)                                                                        \
  for (int64_t i = 0; i < count; i++) ((type *)to)[i] = (type)((const int64_t *)values)[i]; \
  return;

// Writes final values as results at .. < at + count. The values may be changed.
static void write_results(const duet_reduction_job *job, int64_t at, void *values, int64_t count) {
  if (job->reduction == DUET_MEAN) divide(job, values, count);
  int counts = job->reduction == DUET_SUM || job->reduction == DUET_PRODUCT;
  duet_dtype dtype = counts && job->type == DUET_IN_INT64 ? DUET_INT64 : job->dtype;
  char *to = job->result + at * (int64_t)duet_dtype_size(dtype);
  switch (dtype) {
    case DUET_FLOAT16: job->table->narrow_float16(to, values, count); return;
    case DUET_BFLOAT16: job->table->narrow_bfloat16(to, values, count); return;
    case DUET_BOOL:
    case DUET_UINT8:
    case DUET_INT8: NARROW(uint8_t)
    case DUET_INT16: NARROW(int16_t)
    case DUET_INT32: NARROW(int32_t)
    default: memcpy(to, values, (size_t)(count * job->wide));
  }
}

// The results of one outer position and block from its values, of which the last vector may reach
// back over columns that its neighbour writes.
static void write_block(const duet_reduction_job *job, int64_t outer, int64_t block, char *values) {
  int64_t at = outer * job->columns;
  if (job->columns < DUET_LANE_COUNT) {
    write_results(job, at, values, job->columns);
    return;
  }
  int64_t begin = block * job->block_vectors;
  int64_t vectors = duet_least(job->block_vectors, job->vectors - begin);
  int64_t whole = duet_least(vectors, job->columns / 16 - begin), rest = job->columns % 16;
  write_results(job, at + begin * 16, values, whole * 16);
  if (whole < vectors)
    write_results(job, at + job->columns - rest, values + (vectors * 16 - rest) * job->wide, rest);
}

// Short contiguous rows: many at a time along the innermost kept axis.
static void reduce_rows(const duet_reduction_job *job, int64_t first, int64_t last) {
  enum { AT_ONCE = 64 };
  _Alignas(64) char values[AT_ONCE * 8];
  int32_t axis = job->outer_rank - 1;
  int64_t size = axis < 0 ? 1 : job->outer_shape[axis];
  int64_t stride = axis < 0 ? 0 : job->outer_stride[axis];
  while (first < last) {
    int64_t n = duet_least(duet_least(AT_ONCE, last - first), size - first % size);
    job->reducer->rows(values, duet_outer_start(job, first), stride, n, job->count);
    write_results(job, first, values, n);
    first += n;
  }
}

static void run_batch(void *context, int64_t task) {
  const duet_reduction_job *job = context;
  int64_t first = task * job->batch;
  int64_t last = duet_least(first + job->batch, job->outer * job->blocks);
  if (is_contiguous(job)) {
    reduce_rows(job, first, last);
    return;
  }
  workspace space;
  open_workspace(job, &space);
  for (int64_t p = first; p < last; p++) {
    int64_t outer = p / job->blocks, block = p % job->blocks;
    write_block(job, outer, block, reduce_chunks(job, outer, block, 0, job->chunks, &space));
  }
  close_workspace(&space);
}

static void run_part(void *context, int64_t task) {
  const duet_reduction_job *job = context;
  int64_t part = task % job->parts, outer = task / job->parts / job->blocks;
  int64_t block = task / job->parts % job->blocks, first = part * job->part_chunks;
  int64_t last = duet_least(first + job->part_chunks, job->chunks);
  workspace space;
  open_workspace(job, &space);
  const char *value = reduce_chunks(job, outer, block, first, last, &space);
  memcpy(job->partials + task * space.level_bytes, value,
         (size_t)(block_width(job, block) * job->wide));
  close_workspace(&space);
}

static void run_parts(duet_reduction_job *job) {
  int64_t positions = job->outer * job->blocks, size = block_width(job, 0) * job->wide;
  job->partials = malloc((size_t)(positions * job->parts * size));
  if (!job->partials) abort();
  duet_parallel_for(positions * job->parts, run_part, job);
  for (int64_t p = 0; p < positions; p++) {
    char *values = job->partials + p * job->parts * size;
    int64_t width = block_width(job, p % job->blocks);
    for (int64_t step = 1; step < job->parts; step *= 2)
      for (int64_t i = 0; i + step < job->parts; i += 2 * step)
        job->reducer->join(values + i * size, values + (i + step) * size, width);
    write_block(job, p / job->blocks, p % job->blocks, values);
  }
  free(job->partials);
}

// The sum of nothing is 0, the product 1, the mean NaN; all of nothing holds, any does not.
static void write_empty(const duet_reduction_job *job) {
  union {
    float f;
    double d;
    int64_t i;
  } value = {.i = 0};
  int is_one = job->reduction == DUET_PRODUCT || job->reduction == DUET_ALL;
  for (int64_t i = 0; i < job->outer; i++) {
    switch (job->type) {
      case DUET_IN_FLOAT32: value.f = is_one; break;
      case DUET_IN_FLOAT64: value.d = is_one; break;
      default: value.i = is_one;
    }
    write_results(job, i, &value, 1);
  }
}

static int reducer_index(duet_reduction reduction) {
  switch (reduction) {
    case DUET_PRODUCT: return 1;
    case DUET_MAX:
    case DUET_ANY: return 2;
    case DUET_MIN:
    case DUET_ALL: return 3;
    default: return 0;
  }
}

duet_status duet_reduce(const void *block) {
  const duet_reduce_call *call = block;
  if (call->reduction == DUET_ARG_MAX || call->reduction == DUET_ARG_MIN) {
    duet_arg_reduce(call);
    return DUET_OK;
  }
  duet_reduction_job job;
  duet_plan_job(&job, call);
  job.reducer = &job.table->reducer[job.type][reducer_index(call->reduction)];
  if (job.outer == 0) return DUET_OK;
  if (job.count == 0) {
    write_empty(&job);
    return DUET_OK;
  }
  if (job.parts > 1) {
    run_parts(&job);
    return DUET_OK;
  }
  int64_t tasks = (job.outer * job.blocks + job.batch - 1) / job.batch;
  if (tasks == 1)
    run_batch(&job, 0);
  else
    duet_parallel_for(tasks, run_batch, &job);
  return DUET_OK;
}
