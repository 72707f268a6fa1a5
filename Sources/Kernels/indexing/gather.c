// Taking by index: whole rows by one list of indices, or each element by its own.
#include "../elementwise/stream.h"
#include "indexing.h"

#pragma STDC FP_CONTRACT OFF

enum { STREAMED_ROW = 512 };

typedef struct {
  const duet_index_call *call;
  int64_t units, batch, blocks, row;  // bytes of a row
  int streams, are_places;            // rows are written past the caches; what the check says
} gather;

#define COPY_ROWS(type)                                                      \
  for (int64_t i = 0; i < count; i++)                                        \
    ((type *)to)[i] = ((const type *)from)[place[i]];                        \
  break;

static void copy_rows(char *restrict to, const char *restrict from, const int64_t *restrict place,
                      int64_t count, int64_t row) {
  switch (row) {
    case 1: COPY_ROWS(uint8_t)
    case 2: COPY_ROWS(uint16_t)
    case 4: COPY_ROWS(uint32_t)
    case 8: COPY_ROWS(uint64_t)
    default:
      for (int64_t i = 0; i < count; i++)
        memcpy(to + i * row, from + place[i] * row, (size_t)row);
  }
}

static void take_task(void *context, int64_t task) {
  const gather *g = context;
  const duet_index_call *c = g->call;
  int64_t buffer[DUET_INDEX_BLOCK], last = duet_min((task + 1) * g->batch, g->units);
  for (int64_t unit = task * g->batch; unit < last; unit++) {
    int64_t outer = unit / g->blocks, first = unit % g->blocks * DUET_INDEX_BLOCK;
    int64_t count = duet_min(DUET_INDEX_BLOCK, c->count - first);
    const int64_t *place = duet_places(buffer, c, c->operand[2], first, count, g->are_places);
    char *to = (char *)c->operand[0] + (outer * c->count + first) * g->row;
    const char *from = (const char *)c->operand[1] + outer * c->axis * g->row;
    for (int64_t i = 0; i < count && g->streams; i++)
      duet_stream(to + i * g->row, from + place[i] * g->row, g->row);
    if (!g->streams) copy_rows(to, from, place, count, g->row);
  }
  if (g->streams) duet_stream_end();
}

duet_status duet_take(const void *block) {
  const duet_index_call *call = block;
  int are_places;
  duet_status status = duet_check_indices(call, call->operand[2], call->count, &are_places);
  if (status != DUET_OK) return status;
  gather g = {.call = call, .are_places = are_places,
              .row = call->inner * (int64_t)duet_dtype_size(call->dtype)};
  g.blocks = (call->count + DUET_INDEX_BLOCK - 1) / DUET_INDEX_BLOCK;
  g.units = call->outer * g.blocks;
  if (g.units == 0 || g.row == 0) return DUET_OK;
  g.streams = g.row >= STREAMED_ROW && call->outer * call->count * g.row >= DUET_STREAM_BYTES;
  int64_t work = duet_min(call->count, DUET_INDEX_BLOCK) * call->inner;
  g.batch = duet_max(1, DUET_INDEX_TASK / work);
  int64_t tasks = (g.units + g.batch - 1) / g.batch;
  if (tasks == 1)
    take_task(&g, 0);
  else
    duet_parallel_for(tasks, take_task, &g);
  return DUET_OK;
}

#define COPY_ALONG(type)                                                       \
  for (int64_t i = 0; i < count; i++)                                          \
    ((type *)to)[i] = ((const type *)from)[place[i] * c->inner + position + i]; \
  break;

// A unit is up to a block of one row [inner] of the result.
static void take_along_task(void *context, int64_t task) {
  const gather *g = context;
  const duet_index_call *c = g->call;
  int64_t buffer[DUET_INDEX_BLOCK], last = duet_min((task + 1) * g->batch, g->units);
  int64_t size = (int64_t)duet_dtype_size(c->dtype);
  for (int64_t unit = task * g->batch; unit < last; unit++) {
    // With one element behind the axis, blocks run along the axis instead.
    int64_t length = c->inner == 1 ? c->count : c->inner;
    int64_t line = unit / g->blocks, first = unit % g->blocks * DUET_INDEX_BLOCK;
    int64_t count = duet_min(DUET_INDEX_BLOCK, length - first);
    int64_t outer = c->inner == 1 ? line : line / c->count, position = first;
    const int64_t *place =
        duet_places(buffer, c, c->operand[2], line * length + first, count, g->are_places);
    char *to = (char *)c->operand[0] + (line * length + first) * size;
    const char *from = (const char *)c->operand[1] + outer * c->axis * c->inner * size;
    if (c->inner == 1) {
      copy_rows(to, from, place, count, size);
      continue;
    }
    switch (size) {
      case 1: COPY_ALONG(uint8_t)
      case 2: COPY_ALONG(uint16_t)
      case 4: COPY_ALONG(uint32_t)
      default: COPY_ALONG(uint64_t)
    }
  }
}

duet_status duet_take_along(const void *block) {
  const duet_index_call *call = block;
  int64_t total = call->outer * call->count * call->inner;
  int are_places;
  duet_status status = duet_check_indices(call, call->operand[2], total, &are_places);
  if (status != DUET_OK || total == 0) return status;
  gather g = {.call = call, .are_places = are_places};
  int64_t length = call->inner == 1 ? call->count : call->inner;
  g.blocks = (length + DUET_INDEX_BLOCK - 1) / DUET_INDEX_BLOCK;
  g.units = total / length * g.blocks;
  g.batch = duet_max(1, DUET_INDEX_TASK / duet_min(length, DUET_INDEX_BLOCK));
  int64_t tasks = (g.units + g.batch - 1) / g.batch;
  if (tasks == 1)
    take_along_task(&g, 0);
  else
    duet_parallel_for(tasks, take_along_task, &g);
  return DUET_OK;
}
