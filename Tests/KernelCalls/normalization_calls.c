#include "trial.h"

#include <stdio.h>

#define DTYPE(variant) ((duet_dtype)(DUET_FLOAT16 + (variant) % 4))
#define KIND(variant) ((variant) / 4)

static duet_dtype statistics(duet_dtype dtype) {
  return dtype == DUET_FLOAT64 ? DUET_FLOAT64 : DUET_FLOAT32;
}

static double any_eps(trial *t) { return (double)PICK(t, 0, 1, 10000) * 1e-5; }

// MARK: Rows

static int row_norm_name(int32_t v, char *name, size_t size) {
  static const char *const names[] = {
      "layer_norm", "layer_norm_input_gradient", "layer_norm_parameter_gradient",
      "rms_norm",   "rms_norm_input_gradient",   "rms_norm_parameter_gradient"};
  snprintf(name, size, "%s %s", names[KIND(v)], duet_dtype_names[DTYPE(v)]);
  return 1;
}

static void row_norm_call(trial *t, int32_t v) {
  duet_dtype dtype = DTYPE(v);
  duet_row_norm_call call = {.norm = KIND(v) < 3 ? DUET_LAYER_NORM : DUET_RMS_NORM, .dtype = dtype};
  if (trial_is_large(t)) {
    static const int64_t large[][2] = {{1400, 401}, {5000, 33}, {3, 33000}, {40, 2500}, {70001, 1}};
    const int64_t *shape = large[trial_int(t, 0, 4)];
    call.rows = shape[0];
    call.columns = shape[1];
  } else {
    call.rows = PICK(t, 0, 1, 2, 3, 4, 5, 7, 17, 32, 33, 65, 130);
    call.columns = PICK(t, 0, 1, 2, 7, 15, 16, 17, 33, 100, 1023, 1024, 1025, 2050);
  }
  call.eps = any_eps(t);
  trial_values values = trial_some_values(t);
  int64_t count = call.rows * call.columns, sums = call.norm == DUET_LAYER_NORM ? 2 : 1;
  call.operand[1] = trial_input(t, dtype, count, values);
  switch (KIND(v) % 3) {
    case 0:
      call.operand[2] = trial_input(t, dtype, call.columns, values);
      if (call.norm == DUET_LAYER_NORM)
        call.operand[3] = trial_input(t, dtype, call.columns, values);
      call.operand[0] = trial_result(t, dtype, count);
      duet_row_norm_forward(&call);
      return;
    case 1:
      call.operand[2] = trial_input(t, dtype, call.columns, values);
      call.operand[3] = trial_input(t, dtype, count, values);
      call.operand[0] = trial_result(t, dtype, count);
      duet_row_norm_input_gradient(&call);
      return;
    default:
      call.operand[2] = trial_input(t, dtype, count, values);
      call.operand[0] = trial_result(t, dtype, sums * call.columns);
      duet_row_norm_parameter_gradient(&call);
  }
}

// MARK: Channels

static int channel_norm_name(int32_t v, char *name, size_t size) {
  static const char *const names[] = {"channel_moments", "channel_norm",
                                      "channel_norm_parameter_gradient",
                                      "channel_norm_input_gradient"};
  snprintf(name, size, "%s %s", names[KIND(v)], duet_dtype_names[DTYPE(v)]);
  return 1;
}

static void channel_norm_call(trial *t, int32_t v) {
  duet_dtype dtype = DTYPE(v), wide = statistics(dtype);
  duet_channel_norm_call call = {.dtype = dtype, .eps = any_eps(t)};
  if (trial_is_large(t)) {
    static const int64_t large[][3] = {{16, 13, 784}, {40, 11, 49}, {2100, 33, 1}, {3, 5, 4096},
                                       {1100, 17, 1}, {7, 300, 31}, {70001, 1, 1}, {1, 3, 30001}};
    const int64_t *shape = large[trial_int(t, 0, 7)];
    call.batch = shape[0];
    call.channels = shape[1];
    call.inner = shape[2];
  } else {
    call.batch = PICK(t, 0, 1, 2, 3, 5, 17, 70, 1100);
    call.channels = PICK(t, 0, 1, 2, 3, 4, 5, 16, 17, 33);
    call.inner = PICK(t, 0, 1, 1, 1, 2, 7, 15, 16, 17, 31, 32, 33, 100, 1040);
    if (call.batch * call.channels * call.inner > 100000) call.batch = 1;
  }
  trial_values values = trial_some_values(t);
  int64_t count = call.batch * call.channels * call.inner, channels = call.channels;
  call.operand[1] = trial_input(t, dtype, count, values);
  if (KIND(v) > 0) call.operand[2] = trial_input(t, wide, 2 * channels, values);
  switch (KIND(v)) {
    case 0:
      call.operand[0] = trial_result(t, wide, 2 * channels);
      duet_channel_moments(&call);
      return;
    case 1:
      call.operand[3] = trial_input(t, dtype, channels, values);
      call.operand[4] = trial_input(t, dtype, channels, values);
      call.operand[0] = trial_result(t, dtype, count);
      duet_channel_norm_forward(&call);
      return;
    case 2:
      call.operand[3] = trial_input(t, dtype, count, values);
      call.operand[0] = trial_result(t, wide, 2 * channels);
      duet_channel_norm_parameter_gradient(&call);
      return;
    default:
      call.operand[3] = trial_input(t, dtype, channels, values);
      call.operand[4] = trial_input(t, wide, 2 * channels, values);
      call.operand[5] = trial_input(t, dtype, count, values);
      call.operand[0] = trial_result(t, dtype, count);
      duet_channel_norm_input_gradient(&call);
  }
}

// MARK: Cross entropy

static int cross_entropy_name(int32_t v, char *name, size_t size) {
  static const char *const names[] = {"cross_entropy", "cross_entropy_gradient"};
  snprintf(name, size, "%s %s", names[KIND(v)], duet_dtype_names[DTYPE(v)]);
  return 1;
}

// Labels, now and then the ignored one, and rarely one that is no class.
static char *labels(trial *t, const duet_cross_entropy_call *call) {
  int64_t count = call->outer * call->inner;
  int is_wrong = trial_chance(t, 5);
  char *base = trial_input(t, call->label_dtype, count, ORDINARY);
  for (int64_t i = 0; i < count; i++) {
    int64_t label = call->classes > 0 ? trial_int(t, 0, call->classes - 1) : 0;
    if (call->ignores && trial_chance(t, 10)) label = call->ignored;
    if (is_wrong && trial_chance(t, 1)) label = PICK(t, -1, call->classes);
    memcpy(base + i * (int64_t)duet_dtype_size(call->label_dtype), &label,
           duet_dtype_size(call->label_dtype));
  }
  return base;
}

static void cross_entropy_call(trial *t, int32_t v) {
  duet_dtype dtype = DTYPE(v);
  duet_cross_entropy_call call = {.dtype = dtype};
  call.label_dtype = (duet_dtype)PICK(t, DUET_INT32, DUET_INT64);
  call.reduction = (duet_loss_reduction)trial_int(t, DUET_EACH_LOSS, DUET_SUMMED_LOSS);
  call.are_log_probabilities = trial_chance(t, 25);
  call.has_weights = trial_chance(t, 50);
  call.ignores = trial_chance(t, 50);
  call.ignored = PICK(t, -100, 0);
  if (!call.are_log_probabilities) call.smoothing = (double)PICK(t, 0, 0, 1) * 0.1;
  if (trial_is_large(t)) {
    static const int64_t large[][3] = {{40, 4100, 1}, {20000, 10, 1}, {3, 17, 3660},
                                       {2, 1100, 77}, {30003, 3, 1},  {3, 5, 6000}};
    const int64_t *shape = large[trial_int(t, 0, 5)];
    call.outer = shape[0];
    call.classes = shape[1];
    call.inner = shape[2];
  } else {
    call.outer = PICK(t, 0, 1, 2, 3, 5, 15, 16, 17, 33, 50);
    call.classes = PICK(t, 1, 1, 2, 3, 5, 10, 15, 16, 17, 33, 63, 64, 100, 1023, 1024, 1025, 2050);
    call.inner = PICK(t, 0, 1, 1, 1, 1, 2, 15, 16, 17, 33);
    if (call.outer * call.inner == 0 && trial_chance(t, 20)) call.classes = 0;
    if (call.outer * call.classes * call.inner > 100000) call.outer = 1;
  }
  trial_values values = trial_some_values(t);
  int64_t places = call.outer * call.inner, count = places * call.classes;
  int64_t losses = call.reduction == DUET_EACH_LOSS ? places : 1;
  call.operand[1] = trial_input(t, dtype, count, values);
  call.operand[2] = labels(t, &call);
  int is_gradient = KIND(v) == 1;
  if (is_gradient) call.operand[3] = trial_input(t, dtype, losses, values);
  if (call.has_weights)
    call.operand[is_gradient ? 4 : 3] = trial_input(t, dtype, call.classes, values);
  call.operand[0] = trial_result(t, dtype, is_gradient ? count : losses);
  duet_status status = is_gradient ? duet_cross_entropy_gradient(&call) : duet_cross_entropy(&call);
  trial_add(t, (uint64_t)status);
}

const trial_family duet_normalization_families[] = {
    {6 * 4, row_norm_name, row_norm_call},
    {4 * 4, channel_norm_name, channel_norm_call},
    {2 * 4, cross_entropy_name, cross_entropy_call},
    {0},
};
