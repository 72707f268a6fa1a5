// Scattering by index. Work is shared out over what lies before and behind the axis, never along
// it, so that updates of one place come in ascending order. The 16-bit floats add up in float32 and
// are rounded once; integers wrap; bools combine by or.
#include <stdlib.h>

#include "indexing.h"

#pragma STDC FP_CONTRACT OFF

// Rows of so many bytes are shared out by their places.
enum { LONG_ROW = 256, RANGES = 8 };

typedef struct {
  const duet_index_call *call;
  int is_along, are_places;     // are_places: what duet_check_indices says
  int64_t size, width, blocks;  // width: elements of `inner` in one block
  int64_t batch;                // outer positions of a task, where `inner` is 1
  // Where tasks share out the places: the updates in the order of the tasks, ascending for each.
  const int64_t *update, *place;
  int64_t end[RANGES];  // of a task's updates
} scatter;

#define ADD_ROWS(type, sum)                                                                   \
  for (int64_t i = 0; i < rows; i++) {                                                        \
    type *restrict t = (type *)to + place[i] * stride;                                        \
    const type *restrict f = (const type *)from + i * step;                                   \
    for (int64_t n = 0; n < count; n++) t[n] = (type)(sum);                                   \
  }                                                                                           \
  return;

// Rows of `count` elements, `step` elements apart, to those at their places.
static void add_rows(duet_dtype dtype, void *to, const void *from, const int64_t *place,
                     int64_t rows, int64_t stride, int64_t step, int64_t count) {
  switch (dtype) {
    case DUET_BOOL: ADD_ROWS(uint8_t, t[n] | f[n])
    case DUET_UINT8:
    case DUET_INT8: ADD_ROWS(uint8_t, t[n] + f[n])
    case DUET_INT16: ADD_ROWS(uint16_t, t[n] + f[n])
    case DUET_INT32: ADD_ROWS(uint32_t, t[n] + f[n])
    case DUET_INT64: ADD_ROWS(uint64_t, t[n] + f[n])
    case DUET_FLOAT64: ADD_ROWS(double, t[n] + f[n])
    default: ADD_ROWS(float, t[n] + f[n])
  }
}

// Rows of `count` single elements, each added at its place in a row of `axis` elements. Rows of
// places are `place_row` apart, so that one may serve all.
typedef struct {
  char *to;
  const char *from;
  const int64_t *place;
  int64_t rows, axis, count, from_row, place_row;
} singles;

#define ADD_SINGLES(type, sum)                                     \
  for (int64_t row = 0; row < s->rows; row++) {                    \
    type *to = (type *)s->to + row * s->axis;                      \
    const type *from = (const type *)s->from + row * s->from_row;  \
    const int64_t *place = s->place + row * s->place_row;          \
    for (int64_t i = 0, count = s->count; i < count; i++) {        \
      type *t = to + place[i];                                     \
      *t = (type)(sum);                                            \
    }                                                              \
  }                                                                \
  return;

static void add_singles(duet_dtype dtype, const singles *s) {
  switch (dtype) {
    case DUET_BOOL: ADD_SINGLES(uint8_t, *t | from[i])
    case DUET_UINT8:
    case DUET_INT8: ADD_SINGLES(uint8_t, *t + from[i])
    case DUET_INT16: ADD_SINGLES(uint16_t, *t + from[i])
    case DUET_INT32: ADD_SINGLES(uint32_t, *t + from[i])
    case DUET_INT64: ADD_SINGLES(uint64_t, *t + from[i])
    case DUET_FLOAT64: ADD_SINGLES(double, *t + from[i])
    default: ADD_SINGLES(float, *t + from[i])
  }
}

#define ADD_SPREAD(type)                                                                    \
  for (int64_t n = 0; n < count; n++) {                                                     \
    type *t = (type *)to + place[n] * stride + n;                                           \
    *t = (type)(*t + ((const type *)from)[n]);                                              \
  }                                                                                         \
  return;

// Neighbouring positions, each at its own place along the axis.
static void add_spread(duet_dtype dtype, void *to, const void *from, const int64_t *place,
                       int64_t stride, int64_t count) {
  switch (dtype) {
    case DUET_BOOL:
      for (int64_t n = 0; n < count; n++)
        ((uint8_t *)to)[place[n] * stride + n] |= ((const uint8_t *)from)[n];
      return;
    case DUET_UINT8:
    case DUET_INT8: ADD_SPREAD(uint8_t)
    case DUET_INT16: ADD_SPREAD(uint16_t)
    case DUET_INT32: ADD_SPREAD(uint32_t)
    case DUET_INT64: ADD_SPREAD(uint64_t)
    case DUET_FLOAT64: ADD_SPREAD(double)
    default: ADD_SPREAD(float)
  }
}

// Adds the updates of one outer position and block to the slice at `to`, whose rows are `stride`
// elements of the type added in apart; there are several elements behind the axis.
static void add_updates(const scatter *s, int64_t outer, int64_t first, int64_t width, char *to,
                        int64_t stride) {
  const duet_index_call *c = s->call;
  int is_half = duet_is_half(c->dtype);
  duet_dtype dtype = is_half ? DUET_FLOAT32 : c->dtype;
  int64_t size = is_half ? 4 : s->size, buffer[DUET_INDEX_BLOCK];
  const int64_t *place = 0;
  const char *updates = c->operand[3];
  updates += (outer * c->count * c->inner + first) * s->size;
  float wide[DUET_INDEX_BLOCK];
  if (!s->is_along && !is_half) {
    for (int64_t i = 0; i < c->count; i += DUET_INDEX_BLOCK) {
      int64_t n = duet_min(DUET_INDEX_BLOCK, c->count - i);
      place = duet_places(buffer, c, c->operand[2], i, n, s->are_places);
      add_rows(dtype, to, updates + i * c->inner * size, place, n, stride, c->inner, width);
    }
    return;
  }
  for (int64_t i = 0; i < c->count; i++) {
    if (!s->is_along && i % DUET_INDEX_BLOCK == 0)
      place = duet_places(buffer, c, c->operand[2], i, duet_min(DUET_INDEX_BLOCK, c->count - i),
                          s->are_places);
    for (int64_t n = 0; n < width; n += DUET_INDEX_BLOCK) {
      int64_t count = duet_min(DUET_INDEX_BLOCK, width - n);
      const void *from = updates + (i * c->inner + n) * s->size;
      if (is_half) {
        duet_widen_halves(c->dtype, wide, from, count);
        from = wide;
      }
      if (s->is_along) {
        int64_t at = (outer * c->count + i) * c->inner + first + n;
        // In the buffer even if the indices are places: they would be read between scattered stores.
        place = duet_places(buffer, c, c->operand[2], at, count, 0);
        add_spread(dtype, to + n * size, from, place, stride, count);
      } else {
        add_rows(dtype, to + n * size, from, place + i % DUET_INDEX_BLOCK, 1, stride, 0, count);
      }
    }
  }
}

static void fetch_row(const char *row, int64_t bytes) {
  for (int64_t i = 0; i < bytes && i < 2048; i += 64) __builtin_prefetch(row + i);
}

// The updates of the places in one range of the axis, whole rows, in ascending order.
static void add_range(void *context, int64_t task) {
  const scatter *s = context;
  const duet_index_call *c = s->call;
  int64_t outer = task / RANGES, range = task % RANGES, row = c->inner * s->size;
  char *to = (char *)c->operand[0] + outer * c->axis * row;
  const char *from = (const char *)c->operand[3] + outer * c->count * row;
  for (int64_t k = range == 0 ? 0 : s->end[range - 1]; k < s->end[range]; k++) {
    if (k + 1 < s->end[range]) {
      fetch_row(from + s->update[k + 1] * row, row);
      fetch_row(to + s->place[k + 1] * row, row);
    }
    add_rows(c->dtype, to, from + s->update[k] * row, s->place + k, 1, c->inner, 0, c->inner);
  }
}

// Shares the updates of whole rows out by ranges of their places.
static void add_ranges(scatter *s) {
  const duet_index_call *c = s->call;
  int64_t range = (c->axis + RANGES - 1) / RANGES, next[RANGES], buffer[DUET_INDEX_BLOCK];
  int64_t *update = malloc(2 * (size_t)c->count * sizeof *update), *places = update + c->count;
  if (!update) abort();
  memset(s->end, 0, sizeof s->end);
  for (int pass = 0; pass < 2; pass++) {
    for (int64_t i = 0; i < c->count; i += DUET_INDEX_BLOCK) {
      int64_t n = duet_min(DUET_INDEX_BLOCK, c->count - i);
      const int64_t *place = duet_places(buffer, c, c->operand[2], i, n, s->are_places);
      for (int64_t k = 0; k < n; k++) {
        int64_t owner = place[k] / range;
        if (pass == 0) {
          s->end[owner]++;
        } else {
          update[next[owner]] = i + k;
          places[next[owner]++] = place[k];
        }
      }
    }
    for (int64_t k = 0, sum = 0; pass == 0 && k < RANGES; k++) {
      next[k] = sum;
      s->end[k] = sum += s->end[k];
    }
  }
  s->update = update;
  s->place = places;
  duet_parallel_for(c->outer * RANGES, add_range, s);
  free(update);
}

static void add_task(void *context, int64_t task) {
  const scatter *s = context;
  const duet_index_call *c = s->call;
  int64_t outer = task / s->blocks, first = task % s->blocks * s->width;
  int64_t width = duet_min(s->width, c->inner - first);
  char *to = (char *)c->operand[0] + (outer * c->axis * c->inner + first) * s->size;
  if (!duet_is_half(c->dtype)) {
    add_updates(s, outer, first, width, to, c->inner);
    return;
  }
  float *wide = malloc((size_t)(c->axis * width) * sizeof(float));
  if (!wide) abort();
  for (int64_t a = 0; a < c->axis; a++)
    duet_widen_halves(c->dtype, wide + a * width, to + a * c->inner * 2, width);
  add_updates(s, outer, first, width, (char *)wide, width);
  for (int64_t a = 0; a < c->axis; a++)
    duet_narrow_halves(c->dtype, to + a * c->inner * 2, wide + a * width, width);
  free(wide);
}

static void copy_base(const duet_index_call *c) {
  if (c->operand[0] == c->operand[1]) return;
  size_t bytes = (size_t)(c->outer * c->axis * c->inner) * duet_dtype_size(c->dtype);
  memcpy(c->operand[0], c->operand[1], bytes);
}

// As many rows at a time as buffers hold: of places, unless the indices are places, and of the 16-bit
// floats in float32. A row by itself may have more updates than that.
static void add_singles_task(void *context, int64_t task) {
  enum { BLOCK = 512 };
  const scatter *s = context;
  const duet_index_call *c = s->call;
  int is_half = duet_is_half(c->dtype);
  int64_t place[BLOCK], first = task * s->batch, last = duet_min(first + s->batch, c->outer);
  int64_t most = BLOCK / duet_max(c->count, is_half ? c->axis : 1);
  if (s->are_places && !is_half) most = last - first;
  int64_t group = duet_min(last - first, duet_max(1, most));
  float *wide = is_half ? malloc((size_t)(group * c->axis + BLOCK) * sizeof *wide) : 0;
  if (is_half && !wide) abort();
  for (int64_t row = first; row < last; row += group) {
    int64_t rows = duet_min(group, last - row);
    char *to = (char *)c->operand[0] + row * c->axis * s->size;
    singles some = {.to = to, .rows = rows, .axis = c->axis};
    if (is_half) {
      some.to = (char *)wide;
      duet_widen_halves(c->dtype, wide, to, rows * c->axis);
    }
    int64_t part = most > 0 ? c->count : BLOCK;
    for (int64_t i = 0; i < c->count; i += part) {
      some.count = duet_min(part, c->count - i);
      some.from = (const char *)c->operand[3] + (row * c->count + i) * s->size;
      some.from_row = c->count;
      some.place_row = s->is_along ? c->count : 0;
      int64_t at = row * some.place_row + i;
      int64_t places = s->is_along ? rows * some.count : some.count;
      some.place = duet_places(place, c, c->operand[2], at, places, s->are_places);
      if (is_half) {
        float *updates = wide + group * c->axis;
        duet_widen_halves(c->dtype, updates, some.from, rows * some.count);
        some.from = (const char *)updates;
      }
      add_singles(is_half ? DUET_FLOAT32 : c->dtype, &some);
    }
    if (is_half) duet_narrow_halves(c->dtype, to, wide, rows * c->axis);
  }
  free(wide);
}

static duet_status scatter_add(const duet_index_call *call, int is_along) {
  int64_t indices = is_along ? call->outer * call->count * call->inner : call->count;
  int are_places;
  duet_status status = duet_check_indices(call, call->operand[2], indices, &are_places);
  if (status != DUET_OK) return status;
  copy_base(call);
  if (call->outer == 0 || call->count == 0 || call->inner == 0) return DUET_OK;
  scatter s = {.call = call, .is_along = is_along, .are_places = are_places,
               .size = (int64_t)duet_dtype_size(call->dtype)};
  s.width = call->inner;
  // Sixteen blocks of whole cache lines where there are not enough slices.
  int64_t line = 64 / s.size, work = call->outer * call->count * call->inner;
  if (call->inner == 1) {
    s.batch = work < DUET_INDEX_TASK ? call->outer : duet_max(1, DUET_INDEX_TASK / call->count);
    int64_t tasks = (call->outer + s.batch - 1) / s.batch;
    if (tasks == 1)
      add_singles_task(&s, 0);
    else
      duet_parallel_for(tasks, add_singles_task, &s);
    return DUET_OK;
  }
  if (work >= DUET_INDEX_TASK && call->outer < 16)
    s.width = duet_max(line, (call->inner / 16 + line - 1) / line * line);
  if (work >= DUET_INDEX_TASK && call->outer < 16 && !is_along && !duet_is_half(call->dtype) &&
      call->inner * s.size >= LONG_ROW && call->axis >= RANGES) {
    add_ranges(&s);
    return DUET_OK;
  }
  s.blocks = (call->inner + s.width - 1) / s.width;
  int64_t tasks = call->outer * s.blocks;
  if (work < DUET_INDEX_TASK || tasks == 1) {
    for (int64_t i = 0; i < tasks; i++) add_task(&s, i);
    return DUET_OK;
  }
  duet_parallel_for(tasks, add_task, &s);
  return DUET_OK;
}

duet_status duet_scatter_add(const void *call) { return scatter_add(call, 0); }
duet_status duet_scatter_add_along(const void *call) { return scatter_add(call, 1); }

static void set_task(void *context, int64_t outer) {
  const scatter *s = context;
  const duet_index_call *c = s->call;
  int64_t row = c->inner * s->size, buffer[DUET_INDEX_BLOCK];
  char *to = (char *)c->operand[0] + outer * c->axis * row;
  const char *from = (const char *)c->operand[3] + outer * c->count * row;
  for (int64_t i = 0; i < c->count; i += DUET_INDEX_BLOCK) {
    int64_t n = duet_min(DUET_INDEX_BLOCK, c->count - i);
    const int64_t *place = duet_places(buffer, c, c->operand[2], i, n, s->are_places);
    for (int64_t k = 0; k < n; k++)
      memcpy(to + place[k] * row, from + (i + k) * row, (size_t)row);
  }
}

duet_status duet_scatter_set(const void *block) {
  const duet_index_call *call = block;
  int are_places;
  duet_status status = duet_check_indices(call, call->operand[2], call->count, &are_places);
  if (status != DUET_OK) return status;
  copy_base(call);
  scatter s = {.call = call, .are_places = are_places,
               .size = (int64_t)duet_dtype_size(call->dtype)};
  if (call->outer * call->count * call->inner < DUET_INDEX_TASK) {
    for (int64_t outer = 0; outer < call->outer; outer++) set_task(&s, outer);
    return DUET_OK;
  }
  duet_parallel_for(call->outer, set_task, &s);
  return DUET_OK;
}
