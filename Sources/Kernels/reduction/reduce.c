#include <stdlib.h>
#include <string.h>

#include "../contraction/engine.h"
#include "chunks.h"
#include "job.h"

#pragma STDC FP_CONTRACT OFF

// Rows fetched at a time, and chunks of one result that are fetched together, a power of two.
enum { DEEP = 8, PIECE = DEEP * DUET_LANE_COUNT, CHUNKS = 4 };
// Rows taken at a time are streams from memory, of which few are best where the slots of all lanes
// stay neither in the first-level cache nor fill the second-level one, but for processors that read whole lines.
enum { SMALL_SLOTS = 32 << 10, LARGE_SLOTS = 256 << 10, FEW_STREAMS = 4 };

// From here on arrays are taken to come from memory.
enum { FAR_BYTES = 16 << 20 };

// What a task works in: slots [16 lanes, columns], fetched rows, padded rows, and the levels of the
// tree over chunks.
typedef struct {
  char *slots, *buffer, *rest, *levels;
  int64_t level_bytes, streams;
} workspace;

// Results of one unit and block.
static int64_t block_width(const duet_reduction_job *job, int64_t unit, int64_t block) {
  if (job->together > 1) return duet_least(job->together, job->outer - unit * job->together);
  if (job->is_grouped) return job->columns;
  return 16 * duet_least(job->block_vectors, job->vectors - block * job->block_vectors);
}

static int64_t rounded(int64_t bytes) { return (bytes + 127) & ~(int64_t)63; }

static void open_workspace(const duet_reduction_job *job, workspace *space) {
  int64_t width = block_width(job, 0, 0);
  space->level_bytes = width * job->wide;
  int64_t slots = rounded(16 * space->level_bytes);
  int reads_lines = duet_current_isa() == DUET_AVX512 && !duet_halves_registers();
  int has_few = slots > SMALL_SLOTS && slots <= LARGE_SLOTS + 64 && job->is_direct && !reads_lines;
  space->streams = has_few ? FEW_STREAMS : DEEP;
  int64_t buffer = rounded(CHUNKS * DUET_CHUNK * job->wide);
  if (job->columns > 1) buffer = rounded(DEEP * (DUET_BUFFERED_SLOT_BYTES + 128));
  // Rows that do not lie in one piece are fetched so many at a time, from several runs among them.
  if (job->columns > 1 && job->is_grouped)
    buffer = duet_most(buffer, rounded(PIECE * job->columns * job->wide));
  int64_t rest = 16 * 16 * 8;
  int64_t levels = (64 - __builtin_clzll((uint64_t)job->chunks)) * space->level_bytes;
  space->slots = duet_scratch(0, (size_t)(slots + buffer + rest + levels));
  space->buffer = space->slots + slots;
  space->rest = space->buffer + buffer;
  space->levels = space->rest + rest;
}

static char *level_of(const workspace *space, int k) {
  return space->levels + k * space->level_bytes;
}

// Combines lanes l and l + 8, then l + 4, l + 2, l + 1: slots of `width` elements.
static void fold(const duet_reduction_job *job, char *slots, int64_t width) {
  for (int64_t half = 8; half > 0; half /= 2)
    job->reducer->join(slots, slots + half * width * job->wide, half * width);
}

// Rows that lie in memory or in the buffer, as the reducer for them sees them.
typedef struct {
  const char *rows;
  const duet_reducer *reducer;
  int64_t size;  // of an element
} fetched;

static fetched fetch(const duet_reduction_job *job, const char *start, int64_t first, int64_t rows,
                     workspace *space) {
  const void *p = duet_fetch_rows(job, start, first, rows, space->buffer);
  if (p == space->buffer) return (fetched){p, job->reducer, job->wide};
  return (fetched){p, job->source, job->element};
}

// One chunk of columns of which sixteen rows make sixteen slots as they lie in memory.
static void grouped_chunk(const duet_reduction_job *job, const char *start, int64_t first,
                          int64_t rows, workspace *space) {
  int64_t columns = job->columns;
  int fresh = 1;
  for (int64_t r = 0; r < rows; r += PIECE) {
    int64_t n = duet_least(PIECE, rows - r), groups = n / 16, rest = n % 16;
    fetched f = fetch(job, start, first + r, n, space);
    int64_t row_bytes = columns * f.size, group = 16 * row_bytes;
    const char *row[DEEP];
    for (int64_t k = 0; k < groups; k++) row[k] = f.rows + k * group;
    for (int64_t k = 0; k < groups; k += space->streams) {
      int64_t deep = duet_least(space->streams, groups - k);
      f.reducer->lanes(space->slots, row + k, deep, columns, 16 * (columns - 1), fresh);
      fresh = 0;
    }
    if (rest == 0) continue;
    // The lanes behind the last row stay as they are, or get the identity.
    const char *last = f.rows + groups * group;
    if (fresh) job->reducer->clear(space->slots, 16 * columns);
    fresh = 0;
    if (columns < 16) {
      const duet_reducer *identity = job->reducer;
      identity->clear(space->rest, 16 * columns);
      if (f.size == job->wide) {
        memcpy(space->rest, last, (size_t)(rest * row_bytes));
      } else {
        job->widen(space->rest, last, f.size, rest * columns);
      }
      row[0] = space->rest;
      job->reducer->lanes(space->slots, row, 1, columns, 16 * (columns - 1), 0);
      continue;
    }
    // What the last vector shares with the one before it is kept from counting twice.
    int64_t whole = columns / 16, tail = columns % 16;
    for (int64_t l = 0; l < rest; l++) {
      char *slot = space->slots + l * columns * job->wide;
      row[0] = last + l * row_bytes;
      f.reducer->lanes(slot, row, 1, whole, (whole - 1) * 16, 0);
      if (tail == 0) continue;
      char *own = slot + (columns - 16) * job->wide;
      memcpy(space->rest, own, (size_t)(16 * job->wide));
      row[0] += (columns - 16) * f.size;
      f.reducer->lanes(space->rest, row, 1, 1, 0, 0);
      memcpy(own + (16 - tail) * job->wide, space->rest + (16 - tail) * job->wide,
             (size_t)(tail * job->wide));
    }
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
  const duet_reducer *reducer = job->is_direct ? job->source : job->reducer;
  const char *row[PIECE];
  int64_t piece = space->streams * 16;
  for (int64_t r = 0; r < rows; r += piece) {
    int64_t n = duet_least(piece, rows - r);
    duet_locate_rows(job, start, first + r, n, row);
    for (int64_t lane = 0; lane < 16; lane++) {
      char *slot = space->slots + lane * width * job->wide;
      const char *own[DEEP];
      int64_t depth = 0;
      for (int64_t k = lane; k < n; k += 16) {
        own[depth] = row[k];
        if (!job->is_direct) {
          char *to = space->buffer + depth * (DUET_BUFFERED_SLOT_BYTES + 128) - from * job->wide;
          job->widen(to + from * job->wide, row[k] + from * job->column_stride, job->column_stride,
                     until - from);
          own[depth] = to;
        }
        depth++;
      }
      if (depth > 0)
        reducer->lanes(slot, own, depth, vectors, last, r == 0);
      else if (r == 0)
        job->reducer->clear(slot, width);
    }
  }
  fold(job, space->slots, width);
}

// The kernel for contiguous rows.
static void (*rows_of(const duet_reduction_job *job))(void *, const char *, int64_t, int64_t, int64_t) {
  int is_far = job->outer * job->count * job->element >= FAR_BYTES;
  return is_far ? job->source->rows_from_memory : job->source->rows;
}

// One chunk for positions `stride` bytes apart: vectors are taken where they lie, and what reaches
// over the end of a run is put together first.
static void reduce_runs(const duet_reduction_job *job, const char *start, int64_t stride,
                        int64_t at, int64_t n, void *out) {
  _Alignas(64) char lanes[DUET_STREAMS * 16 * 8], mixed[sizeof lanes];
  const int64_t wide = 16 * job->wide;
  for (int64_t done = 0; done < n;) {
    int64_t left = duet_least(job->run - (at + done) % job->run, n - done);
    if (left >= 16) {
      const char *x = start + duet_reduced_offset(job, at + done);
      job->source->streams(lanes, x, stride, left / 16, done == 0);
      done += left / 16 * 16;
      continue;
    }
    int64_t size = duet_least(16, n - done);
    if (size < 16) job->reducer->clear(mixed, DUET_STREAMS * 16);
    for (int64_t i = 0; i < size; i += left) {
      left = duet_least(job->run - (at + done + i) % job->run, size - i);
      const char *x = start + duet_reduced_offset(job, at + done + i);
      for (int64_t s = 0; s < DUET_STREAMS; s++)
        job->widen(mixed + s * wide + i * job->wide, x + s * stride, job->element, left);
    }
    job->reducer->streams(lanes, mixed, wide, 1, done == 0);
    done += size;
  }
  job->reducer->trees(out, lanes);
}

// The elements `at` ..< at + n, up to four chunks, of `count` positions `stride` bytes apart.
static void reduce_positions(const duet_reduction_job *job, const char *start, int64_t stride,
                             int64_t count, int64_t at, int64_t n, workspace *space, char *out) {
  _Alignas(64) char values[CHUNKS * DUET_STREAMS * 8];
  const int64_t row = DUET_STREAMS * job->wide;
  for (; count >= DUET_STREAMS && job->has_long_runs; count -= DUET_STREAMS) {
    int64_t chunks = 0;
    for (int64_t i = 0; i < n; i += DUET_CHUNK, chunks++)
      reduce_runs(job, start, stride, at + i, duet_least(DUET_CHUNK, n - i), values + chunks * row);
    for (int64_t step = 1; step < chunks; step *= 2)
      for (int64_t i = 0; i + step < chunks; i += 2 * step)
        job->reducer->join(values + i * row, values + (i + step) * row, DUET_STREAMS);
    memcpy(out, values, (size_t)row);
    start += DUET_STREAMS * stride;
    out += row;
  }
  for (; count > 0; count--, start += stride, out += job->wide) {
    fetched f = fetch(job, start, at, n, space);
    f.reducer->rows(out, f.rows, 0, 1, n);
  }
}

// The elements `at` ..< at + n of each of a unit's positions.
static void reduce_pieces(const duet_reduction_job *job, int64_t unit, int64_t at, int64_t n,
                          workspace *space) {
  int64_t first = unit * job->together, count = block_width(job, unit, 0);
  for (int64_t p = 0; p < count;) {
    int64_t stride, some = duet_neighbours(job, first + p, first + count, &stride);
    reduce_positions(job, duet_outer_start(job, first + p), stride, some, at, n, space,
                     space->slots + p * job->wide);
    p += some;
  }
}

// The chunks first ..< last of one unit and block, combined as a tree: level k holds the result of
// 2^k neighbouring steps where bit k of `done` is set. Answers where the results are.
static char *reduce_chunks(const duet_reduction_job *job, int64_t unit, int64_t block,
                           int64_t first, int64_t last, workspace *space) {
  const char *start = job->together > 1 ? 0 : duet_outer_start(job, unit);
  int64_t width = block_width(job, unit, block);
  int64_t step = job->columns == 1 ? CHUNKS * DUET_CHUNK : DUET_CHUNK;
  int64_t end = duet_least(last * DUET_CHUNK, job->count);
  if (duet_is_contiguous(job)) {
    rows_of(job)(space->slots, start + first * DUET_CHUNK * job->element, 0, 1,
                 end - first * DUET_CHUNK);
    return space->slots;
  }
  if (job->together == 1) start += block * job->block_vectors * 16 * job->column_stride;
  uint64_t done = 0;
  for (int64_t at = first * DUET_CHUNK; at < end; at += step, done++) {
    int64_t n = duet_least(step, end - at);
    if (job->together > 1) {
      reduce_pieces(job, unit, at, n, space);
    } else if (job->columns == 1) {
      reduce_positions(job, start, 0, 1, at, n, space, space->slots);
    } else if (job->is_grouped) {
      grouped_chunk(job, start, at, n, space);
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

// The results of one unit and block from its values, of which the last vector may reach back over
// columns that its neighbour writes.
static void write_block(const duet_reduction_job *job, int64_t unit, int64_t block, char *values) {
  int64_t at = unit * job->together * job->columns;
  if (job->is_grouped) {
    write_results(job, at, values, block_width(job, unit, block));
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
  enum { AT_ONCE = 256 };
  _Alignas(64) char values[AT_ONCE * 8];
  while (first < last) {
    int64_t stride, n = duet_neighbours(job, first, duet_least(last, first + AT_ONCE), &stride);
    rows_of(job)(values, duet_outer_start(job, first), stride, n, job->count);
    write_results(job, first, values, n);
    first += n;
  }
}

// Whether columns have so few rows that these fit into the lanes.
static int has_few_rows(const duet_reduction_job *job) {
  return job->columns > 1 && job->count <= DUET_LANE_COUNT && job->is_direct &&
         job->reduced_rank <= 1 && job->source->columns && job->blocks == 1;
}

static void reduce_few_rows(const duet_reduction_job *job, int64_t first, int64_t last) {
  int64_t most = duet_most(1, DUET_SLOT_BYTES / (job->columns * job->wide));
  char *values = duet_scratch(0, (size_t)(most * job->columns * job->wide + 64));
  while (first < last) {
    int64_t stride, n = duet_neighbours(job, first, duet_least(last, first + most), &stride);
    job->source->columns(values, duet_outer_start(job, first), n, stride, job->count,
                         job->run_stride, job->columns);
    write_results(job, first * job->columns, values, n * job->columns);
    first += n;
  }
}

static void run_batch(void *context, int64_t task) {
  const duet_reduction_job *job = context;
  int64_t first = task * job->batch;
  int64_t last = duet_least(first + job->batch, job->units * job->blocks);
  if (duet_is_contiguous(job)) {
    reduce_rows(job, first, last);
    return;
  }
  if (has_few_rows(job)) {
    reduce_few_rows(job, first, last);
    return;
  }
  workspace space;
  open_workspace(job, &space);
  for (int64_t p = first; p < last; p++) {
    int64_t unit = p / job->blocks, block = p % job->blocks;
    write_block(job, unit, block, reduce_chunks(job, unit, block, 0, job->chunks, &space));
  }
}

static void run_part(void *context, int64_t task) {
  const duet_reduction_job *job = context;
  int64_t part = task % job->parts, unit = task / job->parts / job->blocks;
  int64_t block = task / job->parts % job->blocks, first = part * job->part_chunks;
  int64_t last = duet_least(first + job->part_chunks, job->chunks);
  workspace space;
  open_workspace(job, &space);
  const char *value = reduce_chunks(job, unit, block, first, last, &space);
  memcpy(job->partials + task * space.level_bytes, value,
         (size_t)(block_width(job, unit, block) * job->wide));
}

static void run_parts(duet_reduction_job *job) {
  int64_t positions = job->units * job->blocks, size = block_width(job, 0, 0) * job->wide;
  job->partials = malloc((size_t)(positions * job->parts * size));
  if (!job->partials) abort();
  duet_parallel_for(positions * job->parts, run_part, job);
  for (int64_t p = 0; p < positions; p++) {
    char *values = job->partials + p * job->parts * size;
    int64_t width = block_width(job, p / job->blocks, p % job->blocks);
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

static void choose_reducers(duet_reduction_job *job) {
  int index = reducer_index(job->reduction);
  job->source = job->reducer = &job->table->reducer[job->type][index];
  if (job->element < job->wide && job->type == DUET_IN_FLOAT32)
    job->source = &job->table->half_reducer[job->dtype == DUET_BFLOAT16][index];
}

static void run_job(duet_reduction_job *job) {
  if (job->parts > 1) {
    run_parts(job);
    return;
  }
  int64_t tasks = (job->units * job->blocks + job->batch - 1) / job->batch;
  if (tasks == 1)
    run_batch(job, 0);
  else
    duet_parallel_for(tasks, run_batch, job);
}

duet_status duet_reduce(const void *block) {
  const duet_reduce_call *call = block;
  if (call->reduction == DUET_ARG_MAX || call->reduction == DUET_ARG_MIN) {
    duet_arg_reduce(call);
    return DUET_OK;
  }
  if (duet_reduce_narrow_integers(call)) return DUET_OK;
  duet_reduction_job job;
  duet_plan_job(&job, call);
  choose_reducers(&job);
  if (job.outer == 0) return DUET_OK;
  if (job.count == 0) {
    write_empty(&job);
    return DUET_OK;
  }
  run_job(&job);
  return DUET_OK;
}

void duet_reduce_squares(duet_reduction reduction, duet_dtype dtype, int64_t rows, int64_t count,
                         const void *x, void *result) {
  int64_t size = (int64_t)duet_dtype_size(dtype);
  duet_reduce_call call = {
      .operand = {result, (void *)x},
      .reduction = reduction,
      .dtype = dtype,
      .kept_rank = 1,
      .reduced_rank = 1,
      .kept_shape = {rows},
      .kept_stride = {count * size},
      .reduced_shape = {count},
      .reduced_stride = {size},
  };
  duet_reduction_job job;
  duet_plan_job(&job, &call);
  choose_reducers(&job);
  job.source = &job.table->squares[job.type == DUET_IN_FLOAT64];
  run_job(&job);
}

void duet_open_chunks(duet_reduction_job *job, duet_reduction reduction, duet_dtype dtype,
                      int64_t rows, int64_t count, void *result) {
  job->table = duet_current_reductions();
  job->dtype = dtype;
  job->reduction = reduction;
  job->result = result;
  job->type = duet_reduced_type_of(dtype);
  job->element = (int64_t)duet_dtype_size(dtype);
  job->wide = job->type == DUET_IN_FLOAT32 ? 4 : 8;
  job->outer = rows;
  job->columns = 1;
  job->count = count;
  job->chunks = (count + DUET_CHUNK - 1) / DUET_CHUNK;
  choose_reducers(job);
}

void duet_reduce_lanes(const duet_reduction_job *job, char *partials, int64_t chunk, char *lanes) {
  fold(job, lanes, 1);
  memcpy(partials + chunk * job->wide, lanes, (size_t)job->wide);
}

void duet_close_chunks(const duet_reduction_job *job, char *partials) {
  if (job->chunks == 1) {
    write_results(job, 0, partials, job->outer);
    return;
  }
  for (int64_t row = 0; row < job->outer; row++) {
    char *values = partials + row * job->chunks * job->wide;
    for (int64_t step = 1; step < job->chunks; step *= 2)
      for (int64_t i = 0; i + step < job->chunks; i += 2 * step)
        job->reducer->join(values + i * job->wide, values + (i + step) * job->wide, 1);
    write_results(job, row, values, 1);
  }
}
