#include <string.h>

#include "../contraction/engine.h"
#include "../elementwise/stream.h"
#include "../include/duet_plan.h"
#include "../reduction/chunks.h"
#include "chain.h"

#pragma STDC FP_CONTRACT OFF

#define SPREAD(type)                                                                         \
  {                                                                                          \
    type *r = (type *)to;                                                                    \
    if (stride == 0) {                                                                       \
      const type value = *(const type *)from;                                                \
      for (int64_t i = 0; i < count; i++) r[i] = value;                                      \
    } else {                                                                                 \
      for (int64_t i = 0; i < count; i++) r[i] = *(const type *)(from + i * stride);         \
    }                                                                                        \
    break;                                                                                   \
  }

static inline void spread_row(char *to, const char *from, int64_t stride, int64_t count,
                              int64_t size) {
  if (stride == size) {
    memcpy(to, from, (size_t)(count * size));
    return;
  }
  switch (size) {
    case 1: SPREAD(uint8_t)
    case 2: SPREAD(uint16_t)
    case 4: SPREAD(uint32_t)
    default: SPREAD(uint64_t)
  }
}

// Writes `indices` indices of the tile axis out in row-major order.
static void expand(char *to, const char *from, const duet_tile_external *external,
                   const duet_tile_call *call, int64_t indices) {
  const int64_t *stride = external->stride;
  int64_t size = external->element_size;
  int32_t first = call->tile_axis, last = call->rank - 1;
  if (first == last) return spread_row(to, from, stride[last], indices, size);
  // A pattern that repeats along the tile axis is written once and then doubled.
  int64_t written = stride[first] == 0 ? 1 : indices;
  int64_t position[DUET_MAX_RANK] = {0}, count = call->shape[last];
  char *at = to;
  for (;;) {
    spread_row(at, from, stride[last], count, size);
    at += count * size;
    int32_t axis = last - 1;
    for (; axis >= first; axis--) {
      int64_t end = axis == first ? written : call->shape[axis];
      from += stride[axis];
      if (++position[axis] < end) break;
      from -= stride[axis] * end;
      position[axis] = 0;
    }
    if (axis < first) break;
  }
  int64_t done = written * call->inner_count * size, total = indices * call->inner_count * size;
  while (done < total) {
    int64_t n = done < total - done ? done : total - done;
    memcpy(to + done, to, (size_t)n);
    done += n;
  }
}

// Which results are written past the caches, as a set of bits.
enum { STREAMED_RESULTS = 8, STREAMED_TILE = 1024 };

static uint32_t streamed_results(const duet_tile_call *call) {
  const char *base = (const char *)call;
  char *const *operand = (char *const *)(base + call->operands);
  const duet_tile_external *externals = (const duet_tile_external *)(base + call->externals);
  int64_t elements = call->tile_step * call->inner_count, bytes = 0;
  for (int32_t e = 0; e < call->external_count; e++)
    if (externals[e].access == DUET_TILE_CONTIGUOUS)
      bytes += call->element_count * externals[e].element_size;
  if (bytes < DUET_STREAM_BYTES) return 0;
  uint32_t streamed = 0;
  for (int32_t e = 0; e < call->output_count && e < STREAMED_RESULTS; e++) {
    int64_t tile = elements * externals[e].element_size;
    int fits = externals[e].access == DUET_TILE_CONTIGUOUS && tile <= STREAMED_TILE &&
               tile % 64 == 0 && (uintptr_t)operand[e] % 64 == 0;
    // A run that ends within a tile would leave the next one's tiles inside lines.
    fits &= call->inner_count * call->shape[call->tile_axis] * externals[e].element_size % 64 == 0;
    for (int32_t i = call->output_count; i < call->external_count; i++)
      fits &= operand[i] != operand[e];
    streamed |= (uint32_t)fits << e;
  }
  return streamed;
}

// One instruction on a tile, an index of the tile axis at a time.
static void run_rows(const duet_tile_call *call, const duet_tile_external *externals,
                     const duet_tile_instruction *instruction, char **pointer,
                     const int64_t *stride, int64_t indices) {
  int64_t step[4];
  for (int32_t k = 0; k < 4; k++) {
    int32_t slot = instruction->slot[k];
    int is_apart = slot < 0 && externals[~slot].access == DUET_TILE_BY_ROWS;
    step[k] = is_apart ? externals[~slot].stride[call->tile_axis] : call->inner_count * stride[k];
  }
  for (int64_t i = 0; i < indices; i++) {
    char *row[4];
    for (int32_t k = 0; k < 4; k++) row[k] = pointer[k] + i * step[k];
    instruction->loop(row, stride, call->inner_count);
  }
}

static inline __attribute__((always_inline)) void run_instruction(
    const duet_tile_call *call, const duet_tile_instruction *instruction, char *scratch,
    char *const *at, int64_t indices, int64_t count) {
  const duet_tile_external *externals =
      (const duet_tile_external *)((const char *)call + call->externals);
  char *pointer[4];
  int64_t stride[4];
  for (int32_t k = 0; k < 4; k++) {
    int32_t slot = instruction->slot[k];
    pointer[k] = slot >= 0 ? scratch + slot : at[~slot];
    stride[k] = instruction->stride[k];
  }
  if (instruction->by_rows)
    run_rows(call, externals, instruction, pointer, stride, indices);
  else
    instruction->loop(pointer, stride, count);
}

static void run_instructions(const duet_tile_call *call, char *scratch, char *const *at,
                             int64_t indices, int64_t count) {
  const duet_tile_instruction *i =
      (const duet_tile_instruction *)((const char *)call + call->instructions);
  for (int32_t k = 0; k < call->instruction_count; k++)
    run_instruction(call, i + k, scratch, at, indices, count);
}

// The same for many tiles. Each of the first instructions has a call of its own: one that goes to several loops in turn
// may be predicted wrongly every time.
static void run_instructions_again(const duet_tile_call *call, char *scratch, char *const *at,
                                   int64_t indices, int64_t count) {
  const duet_tile_instruction *i =
      (const duet_tile_instruction *)((const char *)call + call->instructions);
  const duet_tile_instruction *end = i + call->instruction_count;
  // The empty statements differ, so that compilers do not make one call of all.
#define CALL(number)                                                        \
  if (i == end) return;                                                     \
  __asm__ volatile("" ::"i"(number));                                       \
  run_instruction(call, i++, scratch, at, indices, count);
  for (;;) {
    CALL(0) CALL(1) CALL(2) CALL(3) CALL(4) CALL(5) CALL(6) CALL(7)
  }
#undef CALL
}

// The elements before the tile with that number.
static int64_t elements_before(const duet_tile_call *call, int64_t tile) {
  int64_t run = tile / call->tiles_per_run, start = tile % call->tiles_per_run * call->tile_step;
  return (run * call->shape[call->tile_axis] + start) * call->inner_count;
}

// The reduced value's way from tiles into chunks. A chunk that two tasks share is put together in an edge, to
// be reduced when both are done.
typedef struct {
  const duet_reduction_job *job;
  char *partials, *edges;  // one edge behind each task but the last
} tile_sink;

enum { CHUNK_BYTES = DUET_CHUNK * 8 };
_Static_assert(DUET_CHAIN_PIECE == DUET_CHUNK, "a chain hands over a chunk at a time");

// What one task has of it: the elements begin ..< end.
typedef struct {
  const tile_sink *sink;
  int64_t begin, end;
  char *before, *behind;  // edges
  char *chunk;
} task_sink;

// Where the chunk that holds an element ends.
static int64_t chunk_end(const void *context, int64_t flat) {
  const duet_reduction_job *job = ((const task_sink *)context)->sink->job;
  int64_t row = flat / job->count, at = flat - row * job->count;
  return duet_least(flat - at % DUET_CHUNK + DUET_CHUNK, (row + 1) * job->count);
}

// Whether these elements are a chunk.
static int is_chunk(const void *context, int64_t flat, int64_t count) {
  const duet_reduction_job *job = ((const task_sink *)context)->sink->job;
  return flat % job->count % DUET_CHUNK == 0 && flat + count == chunk_end(context, flat);
}

static void sink_lanes(const void *context, char *lanes, int64_t flat) {
  const tile_sink *sink = ((const task_sink *)context)->sink;
  const duet_reduction_job *job = sink->job;
  int64_t row = flat / job->count, at = flat - row * job->count;
  duet_reduce_lanes(job, sink->partials, row * job->chunks + at / DUET_CHUNK, lanes);
}

static void sink_tile(const void *context, const char *x, int64_t flat, int64_t count) {
  const task_sink *task = context;
  const duet_reduction_job *job = task->sink->job;
  while (count > 0) {
    int64_t row = flat / job->count, at = flat - row * job->count, number = at / DUET_CHUNK;
    int64_t from = flat - at % DUET_CHUNK;
    int64_t to = chunk_end(task, flat);
    int64_t n = duet_least(count, to - flat), index = row * job->chunks + number;
    if (n == to - from) {
      duet_reduce_chunk(job, task->sink->partials, index, x, n);
    } else {
      int is_own = from >= task->begin && to <= task->end;
      char *chunk = is_own ? task->chunk : from < task->begin ? task->before : task->behind;
      memcpy(chunk + (flat - from) * job->element, x, (size_t)(n * job->element));
      if (is_own && flat + n == to)
        duet_reduce_chunk(job, task->sink->partials, index, chunk, to - from);
    }
    x += n * job->element;
    flat += n;
    count -= n;
  }
}

// The chunks that tasks share, of which each has many.
static void reduce_edges(const tile_sink *sink, const duet_tile_call *call, int64_t tiles) {
  const duet_reduction_job *job = sink->job;
  for (int64_t tile = tiles, k = 0; tile < call->tile_count; tile += tiles, k++) {
    int64_t flat = elements_before(call, tile), row = flat / job->count;
    int64_t at = flat - row * job->count, n = job->count - at / DUET_CHUNK * DUET_CHUNK;
    if (at % DUET_CHUNK != 0)
      duet_reduce_chunk(job, sink->partials, row * job->chunks + at / DUET_CHUNK,
                        sink->edges + k * CHUNK_BYTES, duet_least(n, DUET_CHUNK));
  }
}

static void run_tiles(const duet_tile_call *call, uint32_t streamed, const task_sink *sink,
                      int64_t begin, int64_t end) {
  _Alignas(64) char scratch[DUET_TILE_SCRATCH];
  _Alignas(64) char results[STREAMED_RESULTS][STREAMED_TILE];
  const char *base = (const char *)call;
  char *const *operand = (char *const *)(base + call->operands);
  const duet_tile_external *externals = (const duet_tile_external *)(base + call->externals);
  char *at[DUET_TILE_EXTERNALS];
  const char *expanded[DUET_TILE_EXTERNALS];  // what the scratch tile was copied from
  int64_t expanded_indices[DUET_TILE_EXTERNALS];
  const int32_t axis = call->tile_axis;
  const int64_t extent = call->shape[axis];

  // The axes before the tile axis as an odometer.
  int64_t position[DUET_MAX_RANK] = {0};
  int64_t run = begin / call->tiles_per_run, tile = begin % call->tiles_per_run;
  for (int64_t i = axis - 1, left = run; i >= 0; i--) {
    position[i] = left % call->shape[i];
    left /= call->shape[i];
  }
  for (int32_t e = 0; e < call->external_count; e++) {
    at[e] = externals[e].access == DUET_TILE_EXPANDED ? scratch + externals[e].scratch : operand[e];
    expanded[e] = NULL;
    expanded_indices[e] = 0;
  }

  for (int64_t t = begin; t < end; t++) {
    int64_t start = tile * call->tile_step;
    int64_t indices = extent - start < call->tile_step ? extent - start : call->tile_step;
    int64_t flat = (run * extent + start) * call->inner_count;
    for (int32_t e = 0; e < call->external_count; e++) {
      const duet_tile_external *external = externals + e;
      switch (external->access) {
        case DUET_TILE_CONTIGUOUS:
          at[e] = e < STREAMED_RESULTS && (streamed >> e & 1) != 0
                      ? results[e]
                      : operand[e] + flat * external->element_size;
          break;
        case DUET_TILE_SCALAR: break;
        case DUET_TILE_DIRECT:
        case DUET_TILE_BY_ROWS:
        case DUET_TILE_EXPANDED: {
          char *from = operand[e] + start * external->stride[axis];
          for (int32_t i = 0; i < axis; i++) from += position[i] * external->stride[i];
          if (external->access != DUET_TILE_EXPANDED) {
            at[e] = from;
          } else if (expanded[e] != from || expanded_indices[e] < indices) {
            expand(at[e], from, external, call, indices);
            expanded[e] = from;
            expanded_indices[e] = indices;
          }
        }
      }
    }
    int64_t count = indices * call->inner_count;
    if (end - begin > 1)
      run_instructions_again(call, scratch, at, indices, count);
    else
      run_instructions(call, scratch, at, indices, count);
    if (sink) {
      int32_t slot = call->reduced_slot;
      sink_tile(sink, slot >= 0 ? scratch + slot : at[~slot], flat, count);
    }
    for (int32_t e = 0; streamed >> e != 0; e++) {
      int64_t size = externals[e].element_size;
      if (streamed >> e & 1) duet_stream(operand[e] + flat * size, results[e], count * size);
    }
    if (++tile == call->tiles_per_run) {
      tile = 0;
      run++;
      for (int32_t i = axis - 1; i >= 0; i--) {
        if (++position[i] < call->shape[i]) break;
        position[i] = 0;
      }
    }
  }
  if (streamed != 0) duet_stream_end();
}

typedef struct {
  const duet_tile_call *call;
  const tile_sink *sink;    // if there is one
  const duet_chain *chain;  // if there is one
  uint32_t streamed;
  int64_t tiles;  // per task
} tile_split;

// The tiles begin ..< end, or by a chain, which needs no tiles, their elements.
static void run_range(const tile_split *split, const task_sink *sink, int64_t begin, int64_t end) {
  const duet_tile_call *call = split->call;
  if (!split->chain) {
    run_tiles(call, split->streamed, sink, begin, end);
    return;
  }
  duet_chain_sink pieces = {sink, chunk_end, sink_tile, is_chunk, sink_lanes};
  duet_run_chain(split->chain, call, elements_before(call, begin), elements_before(call, end),
                 sink ? &pieces : NULL);
  if (split->streamed != 0) duet_stream_end();
}

static void run_task(void *context, int64_t index) {
  const tile_split *split = context;
  const duet_tile_call *call = split->call;
  int64_t begin = index * split->tiles, end = duet_least(begin + split->tiles, call->tile_count);
  if (!split->sink) {
    run_range(split, NULL, begin, end);
    return;
  }
  _Alignas(64) char chunk[CHUNK_BYTES];
  char *edge = split->sink->edges + index * CHUNK_BYTES;
  task_sink sink = {
      .sink = split->sink,
      .begin = elements_before(call, begin),
      .end = end < call->tile_count ? elements_before(call, end) : call->element_count,
      .before = edge - CHUNK_BYTES,
      .behind = edge,
      .chunk = chunk,
  };
  run_range(split, &sink, begin, end);
}

// The input whose squares are summed, if the program is nothing else; NULL if it is more.
static const void *squares_of(const duet_tile_call *call) {
  const char *base = (const char *)call;
  const duet_tile_instruction *i = (const duet_tile_instruction *)(base + call->instructions);
  int is_sum = call->reduction == DUET_SUM || call->reduction == DUET_MEAN;
  if (!call->is_reduced || !is_sum || call->instruction_count != 1 || i->slot[0] < 0) return NULL;
  // Rows of one element are no rows to a reduction.
  if (call->reduced_count < DUET_LANE_COUNT) return NULL;
  duet_dtype dtype = call->reduced_dtype;
  if (dtype != DUET_FLOAT32 && dtype != DUET_FLOAT64) return NULL;
  int is_square = i->loop == duet_unary_loop(DUET_SQUARE, dtype) ||
                  (i->loop == duet_binary_loop(DUET_MULTIPLY, dtype) && i->slot[1] == i->slot[2]);
  int32_t e = ~i->slot[1];
  const duet_tile_external *externals = (const duet_tile_external *)(base + call->externals);
  if (!is_square || e < 0 || externals[e].access != DUET_TILE_CONTIGUOUS) return NULL;
  return ((char *const *)(base + call->operands))[e];
}

duet_status duet_tile_program(const void *argument) {
  enum { CHAINED = 4096 };
  const duet_tile_call *call = argument;
  const void *squared = squares_of(call);
  if (squared) {
    void *result = ((char *const *)((const char *)call + call->operands))[call->external_count];
    duet_reduce_squares(call->reduction, call->reduced_dtype, call->reduced_rows,
                        call->reduced_count, squared, result);
    return DUET_OK;
  }
  tile_split split = {.call = call, .tiles = call->tile_count};
  int64_t tasks = 1;
  if (call->element_count >= 65536) {
    tasks = duet_least(call->element_count >> 15, 64);
    split.streamed = streamed_results(call);
    split.tiles = (call->tile_count + tasks - 1) / tasks;
    tasks = (call->tile_count + split.tiles - 1) / split.tiles;
  }
  duet_chain chain;
  if (call->element_count >= CHAINED &&
      duet_make_chain(&chain, call, split.streamed))
    split.chain = &chain;
  duet_reduction_job job;
  tile_sink sink = {.job = &job};
  if (call->is_reduced) {
    char *const *operand = (char *const *)((const char *)call + call->operands);
    duet_open_chunks(&job, call->reduction, call->reduced_dtype, call->reduced_rows,
                     call->reduced_count, operand[call->external_count]);
    int64_t partials = (duet_chunks_size(&job) + 63) & ~(int64_t)63;
    sink.partials = duet_scratch(0, (size_t)(partials + tasks * CHUNK_BYTES));
    sink.edges = sink.partials + partials;
    split.sink = &sink;
  }
  if (tasks == 1)
    run_task(&split, 0);
  else
    duet_parallel_for(tasks, run_task, &split);
  if (call->is_reduced) {
    reduce_edges(&sink, call, split.tiles);
    duet_close_chunks(&job, sink.partials);
  }
  return DUET_OK;
}
