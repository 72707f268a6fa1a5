#include "trial.h"

#include <stdio.h>

enum { TAKE, TAKE_ALONG, SCATTER_ADD, SCATTER_ADD_ALONG, SCATTER_SET, KERNELS };

static const char *const names[KERNELS] = {"take", "take_along", "scatter_add",
                                           "scatter_add_along", "scatter_set"};

#define DTYPE(variant) ((duet_dtype)((variant) % DUET_DTYPE_COUNT))

static int index_name(int32_t v, char *name, size_t size) {
  int kernel = v / DUET_DTYPE_COUNT;
  snprintf(name, size, "%s %s", names[kernel], duet_dtype_names[DTYPE(v)]);
  return (kernel != SCATTER_ADD && kernel != SCATTER_ADD_ALONG) || DTYPE(v) != DUET_BOOL;
}

static void draw_axes(trial *t, int64_t *outer, int64_t *axis, int64_t *inner) {
  if (trial_is_large(t)) {
    static const int64_t large[][3] = {{1, 500, 200}, {300, 300, 1}, {17, 31, 190}, {1, 150000, 1},
                                       {9000, 7, 1},  {30000, 3, 1},  {3, 5, 3000}};
    const int64_t *s = large[trial_int(t, 0, 6)];
    *outer = s[0], *axis = s[1], *inner = s[2];
  } else {
    *outer = PICK(t, 0, 1, 1, 2, 3, 9, 70);
    *axis = PICK(t, 1, 2, 3, 7, 16, 17, 32, 33, 40, 64, 65);
    *inner = PICK(t, 0, 1, 1, 1, 2, 5, 16, 17, 33);
  }
}

static void index_call(trial *t, int32_t v) {
  int kernel = v / DUET_DTYPE_COUNT;
  duet_index_call c = {.dtype = DTYPE(v)};
  c.index_dtype = trial_chance(t, 50) ? DUET_INT32 : DUET_INT64;
  draw_axes(t, &c.outer, &c.axis, &c.inner);
  c.count = trial_is_large(t) ? c.axis : PICK(t, 0, 1, 2, 3, 8, 9, 20);
  int is_along = kernel == TAKE_ALONG || kernel == SCATTER_ADD_ALONG;
  int64_t whole = c.outer * c.axis * c.inner, part = c.outer * c.count * c.inner;
  int64_t indices = is_along ? part : c.count;
  trial_values values = trial_some_values(t);
  c.operand[1] = trial_input(t, c.dtype, whole, values);
  c.operand[2] = trial_indices(t, c.index_dtype, indices, c.axis);
  if (c.index_dtype == DUET_INT64 && trial_chance(t, 40)) {
    int64_t *index = c.operand[2];
    for (int64_t i = 0; i < indices; i++) index[i] += index[i] < 0 ? c.axis : 0;
  }
  // One index out of range now and then: the kernel says which, and writes nothing outside.
  int is_wrong = indices > 0 && trial_chance(t, 10);
  if (is_wrong) {
    int64_t wrong = PICK(t, c.axis, -c.axis - 1, INT64_MAX, INT64_MIN);
    if (c.index_dtype == DUET_INT32 && wrong > INT32_MAX) wrong = INT32_MAX;
    if (c.index_dtype == DUET_INT32 && wrong < INT32_MIN) wrong = INT32_MIN;
    size_t size = duet_dtype_size(c.index_dtype);
    memcpy((char *)c.operand[2] + (size_t)trial_int(t, 0, indices - 1) * size, &wrong, size);
  }
  int scatters = kernel >= SCATTER_ADD;
  if (scatters) c.operand[3] = trial_input(t, c.dtype, part, values);
  int64_t results = scatters ? whole : part;
  char *result = trial_result(t, c.dtype, results);
  c.operand[0] = result;
  size_t bytes = (size_t)results * duet_dtype_size(c.dtype);
  if (scatters && trial_chance(t, 40)) {  // in place
    memcpy(result, c.operand[1], bytes);
    c.operand[1] = result;
  }
  static const duet_kernel kernels[KERNELS] = {duet_take, duet_take_along, duet_scatter_add,
                                               duet_scatter_add_along, duet_scatter_set};
  duet_status status = kernels[kernel](&c);
  trial_add(t, (uint64_t)status);
  if (status == DUET_OK) return;
  // What a failed call has written is not promised.
  trial_add(t, (uint64_t)duet_thread()->failure.value);
  trial_add(t, (uint64_t)duet_thread()->failure.limit);
  memset(result, 0, bytes);
}

static int sort_name(int32_t v, char *name, size_t size) {
  snprintf(name, size, "arg_sort %s", duet_dtype_names[v]);
  return 1;
}
static void sort_call(trial *t, int32_t v) {
  duet_sort_call c = {.dtype = (duet_dtype)v, .descending = trial_chance(t, 50)};
  draw_axes(t, &c.outer, &c.axis, &c.inner);
  c.count = trial_chance(t, 50) ? c.axis : trial_int(t, 0, c.axis);
  int64_t count = c.outer * c.axis * c.inner;
  c.operand[1] = trial_input(t, c.dtype, count, trial_some_values(t));
  c.operand[0] = trial_result(t, DUET_INT64, c.outer * c.count * c.inner);
  duet_arg_sort(&c);
}

static int cumulative_name(int32_t v, char *name, size_t size) {
  static const char *const names[] = {"sum", "product", "max", "min"};
  snprintf(name, size, "cumulative_%s %s", names[v / DUET_DTYPE_COUNT], duet_dtype_names[DTYPE(v)]);
  return DTYPE(v) != DUET_BOOL;
}
static void cumulative_call(trial *t, int32_t v) {
  duet_cumulative_call c = {.dtype = DTYPE(v), .operation = (duet_running)(v / DUET_DTYPE_COUNT)};
  draw_axes(t, &c.outer, &c.axis, &c.inner);
  int64_t count = c.outer * c.axis * c.inner;
  c.operand[1] = trial_input(t, c.dtype, count, trial_some_values(t));
  c.operand[0] = trial_result(t, c.dtype, count);
  duet_cumulative(&c);
}

const trial_family duet_indexing_families[] = {
    {KERNELS * DUET_DTYPE_COUNT, index_name, index_call},
    {DUET_DTYPE_COUNT, sort_name, sort_call},
    {4 * DUET_DTYPE_COUNT, cumulative_name, cumulative_call},
    {0},
};
