#include "trial.h"

#include <stdio.h>

// Products and convolutions mix every element into many results: special values are rare in
// most calls, or all results would be NaN.
static trial_values rare_specials(trial *t) {
  return (trial_values)PICK(t, ORDINARY, ORDINARY, SPRINKLED, SPRINKLED, SPECIAL, ARBITRARY);
}

static int matmul_name(int32_t v, char *name, size_t size) {
  snprintf(name, size, "matmul %s", duet_dtype_names[v]);
  return 1;
}

// What sums of a narrow type's products are kept in.
static duet_dtype wide_sums(duet_dtype dtype) {
  switch (dtype) {
    case DUET_FLOAT16:
    case DUET_BFLOAT16: return DUET_FLOAT32;
    case DUET_UINT8:
    case DUET_INT8:
    case DUET_INT16: return DUET_INT32;
    default: return dtype;
  }
}

// Elements of [batch..., rows, columns] laid out any way; batch axes repeat now and then. is_one
// says whether all of them have a size of 1.
static char *matrices(trial *t, const duet_matmul_call *call, int64_t rows, int64_t columns,
                      trial_values values, int64_t *stride, int64_t *batch_stride, int *is_one) {
  int64_t shape[DUET_MAX_RANK], strides[DUET_MAX_RANK], size = (int64_t)duet_dtype_size(call->dtype);
  int32_t rank = call->batch_rank;
  for (int32_t i = 0; i < rank; i++) shape[i] = trial_chance(t, 25) ? 1 : call->batch_shape[i];
  *is_one = trial_size(rank, shape) == 1;
  shape[rank] = rows;
  shape[rank + 1] = columns;
  char *base =
      trial_view(t, call->dtype, rank + 2, shape, values, trial_chance(t, 60), strides);
  for (int32_t i = 0; i < rank; i++)
    batch_stride[i] = shape[i] == 1 ? 0 : strides[i] / size;
  stride[0] = strides[rank] / size;
  stride[1] = strides[rank + 1] / size;
  if (trial_chance(t, 30) && rank == 0 && rows == columns) {  // the transpose of a square
    int64_t kept = stride[0];
    stride[0] = stride[1];
    stride[1] = kept;
  }
  return base;
}

static void matmul_call(trial *t, int32_t v) {
  duet_matmul_call call = {.dtype = (duet_dtype)v};
  if (trial_is_large(t)) {
    static const int64_t large[][5] = {{130, 257, 300, 1, 1}, {65, 90, 70, 6, 1},
                                       {1, 300, 2000, 1, 1},  {700, 1, 500, 1, 1},
                                       {64, 128, 784, 1, 1},  {50, 70, 64, 3, 2},
                                       {8, 600, 520, 1, 1},   {259, 33, 410, 1, 1},
                                       {9, 1100, 530, 1, 1},  {300, 350, 330, 1, 1},
                                       {19, 1409, 450, 1, 1}, {3, 1040, 4170, 1, 1},
                                       {143, 529, 517, 1, 1}, {131, 135, 2003, 1, 1},
                                       {45, 1030, 523, 1, 1}, {21, 1024, 70, 1, 1},
                                       {131, 1024, 270, 1, 1}, {7, 40, 4100, 1, 1},
                                       {16, 4115, 41, 1, 1},  {1, 1050, 391, 1, 1},
                                       {2, 2, 2, 61, 400},    {3, 4, 1, 30, 301},
                                       {1, 3, 5, 20011, 1},    {16, 1061, 515, 1, 1},
                                       {6, 1040, 533, 1, 1},  {14, 1030, 530, 1, 1},
                                       {1, 70, 333, 1, 1},    {1, 2100, 70, 1, 1},
                                       {72, 1060, 520, 1, 1}, {30, 270, 4200, 1, 1},
                                       {22, 540, 1000, 1, 1}, {61, 515, 1030, 1, 1},
                                       {36, 1040, 508, 2, 1}};
    const int64_t *s = large[trial_int(t, 0, 32)];
    call.m = s[0], call.n = s[1], call.k = s[2];
    if (s[3] > 1) {
      call.batch_rank = 2;
      call.batch_shape[0] = s[3];
      call.batch_shape[1] = s[4];
    }
  } else if (trial_chance(t, 40)) {
    // Many tiny ones.
    int64_t *sizes[3] = {&call.m, &call.n, &call.k};
    for (int i = 0; i < 3; i++)
      *sizes[i] = PICK(t, 0, 1, 1, 2, 2, 3, 3, 4, 5, 7, 8, 9, 15, 16, 21, 64);
    call.batch_rank = (int32_t)PICK(t, 1, 1, 2, 3);
    for (int32_t i = 0; i < call.batch_rank; i++)
      call.batch_shape[i] = call.batch_rank == 1 ? PICK(t, 7, 8, 9, 15, 16, 17, 33, 50)
                                                 : PICK(t, 1, 2, 3, 5, 8);
  } else {
    int64_t *sizes[3] = {&call.m, &call.n, &call.k};
    for (int i = 0; i < 3; i++)
      *sizes[i] = PICK(t, 0, 1, 1, 2, 3, 5, 8, 15, 16, 17, 31, 33, 48, 65);
    call.batch_rank = (int32_t)PICK(t, 0, 0, 1, 2);
    for (int32_t i = 0; i < call.batch_rank; i++) call.batch_shape[i] = PICK(t, 0, 1, 2, 3, 4);
  }
  trial_values values = rare_specials(t);
  int left_is_one, right_is_one;
  call.operand[1] = matrices(t, &call, call.m, call.k, values, call.left_stride,
                             call.left_batch_stride, &left_is_one);
  call.operand[2] = matrices(t, &call, call.k, call.n, values, call.right_stride,
                             call.right_batch_stride, &right_is_one);
  int64_t batch = trial_size(call.batch_rank, call.batch_shape);
  int has_one_row = call.m == 1 && (!right_is_one || batch == 1);
  call.vector = has_one_row || call.n == 1;
  call.result_dtype = trial_chance(t, 50) ? wide_sums(call.dtype) : call.dtype;
  call.has_bias = call.dtype != DUET_BOOL && trial_chance(t, 30);
  if (call.has_bias) {
    int64_t stride;
    call.operand[3] = trial_view(t, call.result_dtype, 1, &call.n, values, trial_chance(t, 60),
                                 &stride);
    call.bias_stride = stride / (int64_t)duet_dtype_size(call.result_dtype);
  }
  call.operand[0] = trial_result(t, call.result_dtype, batch * call.m * call.n);
  duet_matmul(&call);
}

static const char *const conv_names[3] = {"conv2d", "conv2d_input_gradient",
                                          "conv2d_weight_gradient"};

static int conv_name(int32_t v, char *name, size_t size) {
  snprintf(name, size, "%s %s", conv_names[v / 2], v % 2 ? "float64" : "float32");
  return 1;
}

typedef struct {
  int64_t kernel, stride, pad, dilation, in, out;
} window;

static window draw_window(trial *t, int64_t in) {
  window w = {.in = in, .stride = PICK(t, 1, 1, 1, 2, 3), .dilation = 1};
  w.kernel = PICK(t, 1, 2, 3, 3, 4, 5);
  if (w.kernel > in) w.kernel = in;
  if (w.kernel > 1 && (w.kernel - 1) * 2 < in) w.dilation = PICK(t, 1, 1, 2);
  w.pad = trial_int(t, 0, w.kernel / 2);
  w.out = (in + 2 * w.pad - (w.kernel - 1) * w.dilation - 1) / w.stride + 1;
  return w;
}

static void conv_call(trial *t, int32_t v) {
  duet_conv2d_call c = {.dtype = v % 2 ? DUET_FLOAT64 : DUET_FLOAT32};
  window h, w;
  int64_t in, out;
  if (trial_chance(t, 12)) {
    // More channels than a tile has rows, over few positions or very long rows.
    int is_wide = trial_is_large(t);
    c.groups = PICK(t, 1, 1, 2);
    c.batch = is_wide ? 1 : PICK(t, 1, 3);
    in = c.groups * (is_wide ? PICK(t, 3, 40) : PICK(t, 33, 50, 97, 110));
    out = c.groups * (is_wide ? PICK(t, 2, 33) : PICK(t, 20, 34, 98, 115));
    int64_t kernel = PICK(t, 1, 1, 2, 3), side = trial_int(t, 3, 9);
    h = (window){kernel, PICK(t, 1, 2), kernel / 2, 1, is_wide ? 3 : side, 0};
    h.out = (h.in + 2 * h.pad - kernel) / h.stride + 1;
    w = h;
    if (is_wide) w = (window){kernel, PICK(t, 1, 2), 0, 1, trial_int(t, 1000, 2300), 0};
    w.out = (w.in + 2 * w.pad - kernel) / w.stride + 1;
  } else if (trial_chance(t, 40)) {
    // The common form, square and stride 1, with enough channels for every fast path.
    int64_t channels[] = {1, 3, 8, 16, 32, 40, 64};
    int is_large = trial_is_large(t);
    c.groups = 1;
    in = trial_pick(t, channels, is_large ? 7 : 5);
    out = trial_pick(t, channels, is_large ? 7 : 5);
    c.batch = is_large ? 4 : PICK(t, 1, 2);
    int64_t kernel = PICK(t, 1, 3, 3, 3, 5), side = is_large ? 21 : PICK(t, 5, 6, 7, 12, 14);
    h = (window){kernel, 1, kernel / 2, 1, side, 0};
    h.stride = PICK(t, 1, 1, 1, 2);
    h.out = (side + 2 * h.pad - kernel) / h.stride + 1;
    w = h;
  } else {
    int is_depthwise = trial_chance(t, 15);
    c.groups = is_depthwise ? PICK(t, 4, 16, 33) : PICK(t, 1, 1, 2, 3);
    int64_t most = trial_is_large(t) ? 9 : 4;
    in = c.groups * (is_depthwise ? 1 : trial_int(t, 1, most));
    out = c.groups * (is_depthwise ? PICK(t, 1, 1, 2) : trial_int(t, 1, most + 1));
    c.batch = trial_is_large(t) ? 4 : trial_int(t, 0, 3);
    h = draw_window(t, trial_is_large(t) ? 28 : trial_int(t, 1, 14));
    w = draw_window(t, is_depthwise ? trial_int(t, 1, trial_chance(t, 50) ? 24 : 90) : trial_is_large(t) ? 29 : trial_int(t, 1, 18));
  }
  c.in_channels = in, c.out_channels = out;
  c.in_height = h.in, c.out_height = h.out, c.kernel_height = h.kernel;
  c.in_width = w.in, c.out_width = w.out, c.kernel_width = w.kernel;
  c.stride_height = h.stride, c.pad_top = h.pad, c.dilation_height = h.dilation;
  c.stride_width = w.stride, c.pad_left = w.pad, c.dilation_width = w.dilation;
  int64_t x = c.batch * in * h.in * w.in, y = c.batch * out * h.out * w.out;
  int64_t weight = out * (in / c.groups) * h.kernel * w.kernel;
  trial_values values = rare_specials(t);
  switch (v / 2) {
    case 0:
      c.operand[1] = trial_input(t, c.dtype, x, values);
      c.operand[2] = trial_input(t, c.dtype, weight, values);
      c.operand[0] = trial_result(t, c.dtype, y);
      duet_conv2d(&c);
      break;
    case 1:
      c.operand[1] = trial_input(t, c.dtype, y, values);
      c.operand[2] = trial_input(t, c.dtype, weight, values);
      c.operand[0] = trial_result(t, c.dtype, x);
      duet_conv2d_input_gradient(&c);
      break;
    default:
      c.operand[1] = trial_input(t, c.dtype, x, values);
      c.operand[2] = trial_input(t, c.dtype, y, values);
      c.operand[0] = trial_result(t, c.dtype, weight);
      duet_conv2d_weight_gradient(&c);
  }
}

const trial_family duet_contraction_families[] = {
    {DUET_DTYPE_COUNT, matmul_name, matmul_call},
    {6, conv_name, conv_call},
    {0},
};
