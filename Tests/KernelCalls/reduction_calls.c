#include "trial.h"

#include <stdio.h>

static const char *const names[DUET_REDUCTION_COUNT] = {"sum", "mean", "product", "max", "min",
                                                        "all", "any",  "arg_max", "arg_min"};

#define DTYPE(variant) ((duet_dtype)((variant) % DUET_DTYPE_COUNT))
#define OP(variant) ((duet_reduction)((variant) / DUET_DTYPE_COUNT))

static int reduce_name(int32_t v, char *name, size_t size) {
  duet_reduction op = OP(v);
  snprintf(name, size, "%s %s", names[op], duet_dtype_names[DTYPE(v)]);
  if (op == DUET_MEAN) return DTYPE(v) >= DUET_FLOAT16;
  return op != DUET_ALL && op != DUET_ANY ? 1 : DTYPE(v) == DUET_BOOL;
}

static duet_dtype result_dtype(duet_reduction op, duet_dtype dtype) {
  if (op == DUET_ARG_MAX || op == DUET_ARG_MIN) return DUET_INT64;
  if (op == DUET_SUM || op == DUET_PRODUCT) return dtype < DUET_FLOAT16 ? DUET_INT64 : dtype;
  return dtype;
}

// Results of runs of some length with others between them, as images leave for each channel.
static void reduce_runs_call(trial *t, int32_t v) {
  duet_reduction op = OP(v);
  duet_dtype dtype = DTYPE(v);
  duet_reduce_call call = {.reduction = op, .dtype = dtype, .kept_rank = 1, .reduced_rank = 2};
  int64_t shape[3] = {trial_int(t, 1, 4), PICK(t, 1, 2, 3, 4, 5, 8, 11), 0}, stride[3];
  shape[2] = PICK(t, 63, 64, 65, 80, 100, 196, 784, 1023, 1030, 3000);
  if (trial_is_large(t)) shape[1] = PICK(t, 67, 140);
  call.operand[1] =
      trial_view(t, dtype, 3, shape, trial_some_values(t), trial_chance(t, 70), stride);
  call.kept_shape[0] = shape[1], call.kept_stride[0] = stride[1];
  call.reduced_shape[0] = shape[0], call.reduced_stride[0] = stride[0];
  call.reduced_shape[1] = shape[2], call.reduced_stride[1] = stride[2];
  call.operand[0] = trial_result(t, result_dtype(op, dtype), shape[1]);
  duet_reduce(&call);
}

// Results side by side of several runs of rows.
static void reduce_row_runs_call(trial *t, int32_t v) {
  duet_reduction op = OP(v);
  duet_dtype dtype = DTYPE(v);
  duet_reduce_call call = {.reduction = op, .dtype = dtype, .kept_rank = 2, .reduced_rank = 2};
  int64_t shape[4] = {trial_int(t, 1, 6), trial_int(t, 1, 10), trial_int(t, 1, 40), 0}, stride[4];
  shape[3] = PICK(t, 2, 15, 16, 17, 65, 100, 200, 466, 1030, 5000);
  call.operand[1] =
      trial_view(t, dtype, 4, shape, trial_some_values(t), trial_chance(t, 70), stride);
  for (int i = 0; i < 2; i++) {
    call.reduced_shape[i] = shape[2 * i], call.reduced_stride[i] = stride[2 * i];
    call.kept_shape[i] = shape[2 * i + 1], call.kept_stride[i] = stride[2 * i + 1];
  }
  call.operand[0] = trial_result(t, result_dtype(op, dtype), shape[1] * shape[3]);
  duet_reduce(&call);
}

static void reduce_call(trial *t, int32_t v) {
  duet_reduction op = OP(v);
  duet_dtype dtype = DTYPE(v);
  if (trial_chance(t, 15)) return reduce_runs_call(t, v);
  if (trial_chance(t, 15)) return reduce_row_runs_call(t, v);
  duet_reduce_call call = {.reduction = op, .dtype = dtype};
  int64_t shape[DUET_MAX_RANK], stride[DUET_MAX_RANK];
  int32_t rank = trial_shape(t, 0, 4, 5000, shape);
  int needs_elements = op != DUET_SUM && op != DUET_PRODUCT && op != DUET_MEAN;
  for (int32_t i = 0; i < rank; i++)
    if (needs_elements && shape[i] == 0) shape[i] = 1;
  call.operand[1] =
      trial_view(t, dtype, rank, shape, trial_some_values(t), trial_chance(t, 60), stride);
  for (int32_t i = 0; i < rank; i++) {
    if (trial_chance(t, 60)) {
      call.reduced_shape[call.reduced_rank] = shape[i];
      call.reduced_stride[call.reduced_rank++] = stride[i];
    } else {
      call.kept_shape[call.kept_rank] = shape[i];
      call.kept_stride[call.kept_rank++] = stride[i];
    }
  }
  call.operand[0] =
      trial_result(t, result_dtype(op, dtype), trial_size(call.kept_rank, call.kept_shape));
  duet_reduce(&call);
}

static int softmax_name(int32_t v, char *name, size_t size) {
  static const char *const names[] = {"softmax", "log_softmax", "softmax_gradient",
                                      "log_softmax_gradient"};
  snprintf(name, size, "%s %s", names[v / DUET_DTYPE_COUNT], duet_dtype_names[DTYPE(v)]);
  return DTYPE(v) >= DUET_FLOAT16;
}
static void softmax_call(trial *t, int32_t v) {
  duet_softmax_call call = {.dtype = DTYPE(v), .inner = 1};
  if (trial_is_large(t)) {
    static const int64_t large[][2] = {{40, 2500}, {300, 301}, {5003, 3}, {2001, 10}};
    const int64_t *shape = large[trial_int(t, 0, 3)];
    call.rows = shape[0];
    call.columns = shape[1];
    if (trial_chance(t, 30)) call.inner = 3;
  } else {
    call.rows = PICK(t, 0, 1, 2, 3, 5, 16, 17, 35, 70);
    call.columns = PICK(t, 0, 1, 2, 3, 4, 5, 7, 15, 16, 17, 33, 62, 63, 64, 100, 1023, 1025, 2050);
    if (trial_chance(t, 40)) call.inner = PICK(t, 0, 2, 3, 16, 17);
  }
  int64_t count = call.rows * call.columns * call.inner;
  call.operand[1] = trial_input(t, call.dtype, count, trial_some_values(t));
  if (v / DUET_DTYPE_COUNT >= 2)
    call.operand[2] = trial_input(t, call.dtype, count, trial_some_values(t));
  call.operand[0] = trial_result(t, call.dtype, count);
  static const duet_kernel kernels[] = {duet_softmax, duet_log_softmax, duet_softmax_gradient,
                                        duet_log_softmax_gradient};
  kernels[v / DUET_DTYPE_COUNT](&call);
}

const trial_family duet_reduction_families[] = {
    {DUET_REDUCTION_COUNT * DUET_DTYPE_COUNT, reduce_name, reduce_call},
    {4 * DUET_DTYPE_COUNT, softmax_name, softmax_call},
    {0},
};
