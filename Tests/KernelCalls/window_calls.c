#include "trial.h"

#include <stdio.h>

enum { MAX, SELECT, MAX_GRADIENT, AVERAGE, AVERAGE_GRADIENT, KERNELS };

static const char *const names[KERNELS] = {"max_pool", "max_pool_select", "max_pool_gradient",
                                           "average_pool", "average_pool_gradient"};

#define DTYPE(variant) ((duet_dtype)((variant) % DUET_DTYPE_COUNT))

static int pool_name(int32_t v, char *name, size_t size) {
  snprintf(name, size, "%s %s", names[v / DUET_DTYPE_COUNT], duet_dtype_names[DTYPE(v)]);
  return v / DUET_DTYPE_COUNT <= SELECT ? DTYPE(v) != DUET_BOOL : DTYPE(v) >= DUET_FLOAT16;
}

static int64_t out_size(trial *t, int64_t in, int64_t *kernel, int64_t *stride, int64_t *pad,
                        int64_t *dilation) {
  *kernel = trial_int(t, 1, in < 5 ? in : 5);
  *dilation = *kernel > 1 && (*kernel - 1) * 2 < in ? PICK(t, 1, 1, 2) : 1;
  *stride = trial_int(t, 1, 3);
  *pad = trial_int(t, 0, *kernel / 2);
  if (trial_chance(t, 40) && in >= 2) *kernel = 2, *stride = 2, *pad = 0, *dilation = 1;
  return (in + 2 * *pad - (*kernel - 1) * *dilation - 1) / *stride + 1;
}

static void pool_call(trial *t, int32_t v) {
  duet_pool_call c = {.dtype = DTYPE(v), .count_include_pad = trial_chance(t, 50)};
  int is_large = trial_is_large(t);
  c.planes = is_large ? 64 : trial_int(t, 0, 9);
  c.in_height = is_large ? 40 : trial_int(t, 1, 17);
  c.in_width = is_large ? 41 : trial_int(t, 1, 35);
  c.out_height = out_size(t, c.in_height, &c.kernel_height, &c.stride_height, &c.pad_top,
                          &c.dilation_height);
  c.out_width = out_size(t, c.in_width, &c.kernel_width, &c.stride_width, &c.pad_left,
                         &c.dilation_width);
  int64_t in = c.planes * c.in_height * c.in_width, out = c.planes * c.out_height * c.out_width;
  trial_values values = trial_some_values(t);
  switch (v / DUET_DTYPE_COUNT) {
    case MAX:
      c.operand[1] = trial_input(t, c.dtype, in, values);
      c.operand[0] = trial_result(t, c.dtype, out);
      duet_max_pool(&c);
      break;
    case SELECT:
      c.operand[1] = trial_input(t, c.dtype, in, values);
      c.operand[2] = trial_input(t, c.dtype, in, values);
      c.operand[0] = trial_result(t, c.dtype, out);
      duet_max_pool_select(&c);
      break;
    case MAX_GRADIENT:
      c.operand[1] = trial_input(t, c.dtype, in, values);
      c.operand[2] = trial_input(t, c.dtype, out, values);
      c.operand[0] = trial_result(t, c.dtype, in);
      duet_max_pool_gradient(&c);
      break;
    case AVERAGE:
      c.operand[1] = trial_input(t, c.dtype, in, values);
      c.operand[0] = trial_result(t, c.dtype, out);
      duet_average_pool(&c);
      break;
    default:
      c.operand[1] = trial_input(t, c.dtype, out, values);
      c.operand[0] = trial_result(t, c.dtype, in);
      duet_average_pool_gradient(&c);
  }
}

const trial_family duet_window_families[] = {
    {KERNELS * DUET_DTYPE_COUNT, pool_name, pool_call},
    {0},
};
