#include "trial.h"

#include <stdio.h>

static const char *const unary_names[DUET_UNARY_COUNT] = {
    [DUET_NEGATE] = "negate", [DUET_ABSOLUTE] = "absolute", [DUET_SIGN] = "sign",
    [DUET_SQUARE] = "square", [DUET_SQRT] = "sqrt", [DUET_RSQRT] = "rsqrt",
    [DUET_RECIPROCAL] = "reciprocal", [DUET_EXP] = "exp", [DUET_EXPM1] = "expm1",
    [DUET_LOG] = "log", [DUET_LOG1P] = "log1p", [DUET_LOG2] = "log2", [DUET_LOG10] = "log10",
    [DUET_SIN] = "sin", [DUET_COS] = "cos", [DUET_TAN] = "tan", [DUET_ASIN] = "asin",
    [DUET_ACOS] = "acos", [DUET_ATAN] = "atan", [DUET_SINH] = "sinh", [DUET_COSH] = "cosh",
    [DUET_TANH] = "tanh", [DUET_ERF] = "erf", [DUET_SIGMOID] = "sigmoid", [DUET_RELU] = "relu",
    [DUET_GELU] = "gelu", [DUET_GELU_TANH] = "gelu_tanh", [DUET_SILU] = "silu",
    [DUET_SOFTPLUS] = "softplus", [DUET_FLOOR] = "floor", [DUET_CEIL] = "ceil",
    [DUET_ROUND] = "round", [DUET_TRUNCATE] = "truncate", [DUET_LOGICAL_NOT] = "logical_not",
    [DUET_IS_NAN] = "is_nan", [DUET_IS_INFINITE] = "is_infinite", [DUET_IS_FINITE] = "is_finite",
};

static const char *const binary_names[DUET_BINARY_COUNT] = {
    [DUET_ADD] = "add", [DUET_SUBTRACT] = "subtract", [DUET_MULTIPLY] = "multiply",
    [DUET_DIVIDE] = "divide", [DUET_FLOOR_DIVIDE] = "floor_divide",
    [DUET_REMAINDER] = "remainder", [DUET_FLOOR_REMAINDER] = "floor_remainder",
    [DUET_POWER] = "power", [DUET_MAXIMUM] = "maximum", [DUET_MINIMUM] = "minimum",
    [DUET_ATAN2] = "atan2", [DUET_HYPOT] = "hypot", [DUET_BITWISE_AND] = "bitwise_and",
    [DUET_BITWISE_OR] = "bitwise_or", [DUET_BITWISE_XOR] = "bitwise_xor",
    [DUET_SHIFT_LEFT] = "shift_left", [DUET_SHIFT_RIGHT] = "shift_right",
};

static const char *const comparison_names[DUET_COMPARISON_COUNT] = {
    "equal", "not_equal", "less", "less_equal", "greater", "greater_equal"};

// One loop over a whole array of that shape, as eager code and plans call it.
static void whole_of(trial *t, int32_t rank, const int64_t shape[DUET_MAX_RANK], duet_loop loop,
                     duet_dtype result, int32_t inputs, const duet_dtype *dtype) {
  duet_elementwise_call call = {.loop = loop, .operand_count = inputs + 1};
  call.rank = rank;
  memcpy(call.shape, shape, sizeof call.shape);
  trial_values values = trial_some_values(t);
  int64_t unit = (int64_t)duet_dtype_size(result);
  call.element_size = unit;
  for (int32_t axis = rank - 1; axis >= 0; axis--) {
    call.stride[0][axis] = unit;
    unit *= shape[axis];
  }
  int is_plain = trial_chance(t, 60);
  for (int32_t i = 0; i < inputs; i++) {
    int64_t part[DUET_MAX_RANK];
    memcpy(part, call.shape, sizeof part);
    if (trial_chance(t, 30))
      for (int32_t axis = 0; axis < rank; axis++)
        if (trial_chance(t, 50)) part[axis] = 1;
    call.input_size[i] = (int64_t)duet_dtype_size(dtype[i]);
    call.operand[i + 1] =
        trial_view(t, dtype[i], rank, part, values, is_plain, call.stride[i + 1]);
    for (int32_t axis = 0; axis < rank; axis++)
      if (part[axis] == 1) call.stride[i + 1][axis] = 0;
  }
  call.operand[0] = trial_result(t, result, trial_size(rank, shape));
  duet_elementwise_coalesce(&call);
  duet_elementwise(&call);
}

static void whole(trial *t, duet_loop loop, duet_dtype result, int32_t inputs,
                  const duet_dtype *dtype) {
  int64_t shape[DUET_MAX_RANK];
  int32_t rank = trial_shape(t, 0, 4, 3000, shape);
  whole_of(t, rank, shape, loop, result, inputs, dtype);
}

// One loop by itself: strides that a fused group gives it, results that replace an input.
static void bare(trial *t, duet_loop loop, duet_dtype result, int32_t inputs,
                 const duet_dtype *dtype) {
  int64_t count = PICK(t, 0, 1, 2, 3, 7, 8, 15, 16, 17, 31, 33, 63, 64, 65, 100, 1000, 2049);
  trial_values values = trial_some_values(t);
  char *operand[4];
  int64_t stride[4], size = (int64_t)duet_dtype_size(result);
  stride[0] = size;
  for (int32_t i = 0; i < inputs; i++) {
    int64_t from = (int64_t)duet_dtype_size(dtype[i]);
    int64_t step = PICK(t, 1, 1, 1, 1, 0, 2, 3, -1);
    int64_t room = count == 0 ? 0 : step == 0 ? 1 : (count - 1) * (step < 0 ? -step : step) + 1;
    operand[i + 1] = trial_input(t, dtype[i], room, values);
    if (step < 0 && count > 0) operand[i + 1] += (count - 1) * from;
    stride[i + 1] = step * from;
  }
  operand[0] = trial_result(t, result, count);
  // Takes over the memory of its last input.
  if (count > 0 && dtype[inputs - 1] == result && trial_chance(t, 30)) {
    if (stride[inputs] == size) memcpy(operand[0], operand[inputs], (size_t)(count * size));
    else memset(operand[0], 1, (size_t)(count * size));
    operand[inputs] = operand[0];
    stride[inputs] = size;
  }
  loop(operand, stride, count);
}

static void either(trial *t, duet_loop loop, duet_dtype result, int32_t inputs,
                   const duet_dtype *dtype) {
  if (!trial_is_large(t) && trial_chance(t, 40))
    bare(t, loop, result, inputs, dtype);
  else
    whole(t, loop, result, inputs, dtype);
}

#define DTYPE(variant) ((duet_dtype)((variant) % DUET_DTYPE_COUNT))
#define OP(variant) ((variant) / DUET_DTYPE_COUNT)

static int unary_name(int32_t v, char *name, size_t size) {
  snprintf(name, size, "%s %s", unary_names[OP(v)], duet_dtype_names[DTYPE(v)]);
  return duet_unary_loop((duet_unary)OP(v), DTYPE(v)) != NULL;
}
static void unary_call(trial *t, int32_t v) {
  duet_unary op = (duet_unary)OP(v);
  duet_dtype dtype = DTYPE(v);
  int tests = op == DUET_IS_NAN || op == DUET_IS_INFINITE || op == DUET_IS_FINITE;
  either(t, duet_unary_loop(op, dtype), tests ? DUET_BOOL : dtype, 1, &dtype);
}

static int binary_name(int32_t v, char *name, size_t size) {
  snprintf(name, size, "%s %s", binary_names[OP(v)], duet_dtype_names[DTYPE(v)]);
  return duet_binary_loop((duet_binary)OP(v), DTYPE(v)) != NULL;
}
static void binary_call(trial *t, int32_t v) {
  duet_dtype dtype = DTYPE(v), both[2] = {dtype, dtype};
  either(t, duet_binary_loop((duet_binary)OP(v), dtype), dtype, 2, both);
}

static int comparison_name(int32_t v, char *name, size_t size) {
  snprintf(name, size, "%s %s", comparison_names[OP(v)], duet_dtype_names[DTYPE(v)]);
  return duet_comparison_loop((duet_comparison)OP(v), DTYPE(v)) != NULL;
}
static void comparison_call(trial *t, int32_t v) {
  duet_dtype dtype = DTYPE(v), both[2] = {dtype, dtype};
  either(t, duet_comparison_loop((duet_comparison)OP(v), dtype), DUET_BOOL, 2, both);
}

static int select_name(int32_t v, char *name, size_t size) {
  snprintf(name, size, "select %s", duet_dtype_names[v]);
  return 1;
}
static void select_call(trial *t, int32_t v) {
  duet_dtype dtype = (duet_dtype)v, all[3] = {DUET_BOOL, dtype, dtype};
  either(t, duet_select_loop(dtype), dtype, 3, all);
}

static int cast_name(int32_t v, char *name, size_t size) {
  snprintf(name, size, "cast %s to %s", duet_dtype_names[OP(v)], duet_dtype_names[DTYPE(v)]);
  return duet_cast_loop((duet_dtype)OP(v), DTYPE(v)) != NULL;
}
static void cast_call(trial *t, int32_t v) {
  duet_dtype from = (duet_dtype)OP(v);
  either(t, duet_cast_loop(from, DTYPE(v)), DTYPE(v), 1, &from);
}

static int copy_name(int32_t v, char *name, size_t size) {
  snprintf(name, size, "copy %s", duet_dtype_names[v]);
  return 1;
}
// A copy of an array of that shape.
static void copy_of(trial *t, int32_t rank, const int64_t shape[DUET_MAX_RANK], duet_dtype dtype) {
  duet_copy_call call = {.element_size = (int64_t)duet_dtype_size(dtype), .rank = rank};
  int64_t axis[DUET_MAX_RANK], unit = call.element_size;
  memcpy(call.shape, shape, sizeof call.shape);
  call.operand[1] = trial_view(t, dtype, call.rank, call.shape, ARBITRARY, trial_chance(t, 20),
                               call.source_stride);
  // The destination's axes lie in any order.
  for (int32_t i = 0; i < call.rank; i++) axis[i] = i;
  if (trial_chance(t, 50))
    for (int32_t i = call.rank - 1; i > 0; i--) {
      int64_t j = trial_int(t, 0, i), kept = axis[i];
      axis[i] = axis[j];
      axis[j] = kept;
    }
  for (int32_t i = call.rank - 1; i >= 0; i--) {
    call.destination_stride[axis[i]] = unit;
    unit *= call.shape[axis[i]];
  }
  call.operand[0] = trial_result(t, dtype, trial_size(call.rank, call.shape));
  duet_copy(&call);
}
static void copy_call(trial *t, int32_t v) {
  duet_dtype dtype = (duet_dtype)v;
  if (trial_chance(t, 20)) return bare(t, duet_copy_loop(dtype), dtype, 1, &dtype);
  int64_t shape[DUET_MAX_RANK];
  int32_t rank = trial_shape(t, 0, 5, 3000, shape);
  copy_of(t, rank, shape, dtype);
}

// Axes so short that blocks of many rows are gathered, enough of them for several threads now and then.
static int32_t short_shape(trial *t, int64_t *shape) {
  int32_t rank = (int32_t)trial_int(t, 2, 6);
  int64_t count = 1, most = trial_is_large(t) ? 200000 : 6000;
  for (int32_t i = rank - 1; i >= 0; i--) {
    shape[i] = PICK(t, 1, 2, 2, 3, 3, 4, 5, 6, 7, 8, 9, 12, 16, 17, 24, 32, 33, 48, 63);
    if (i == 0 || trial_chance(t, 10)) shape[i] = most / count - trial_int(t, 0, 3);
    if (shape[i] < 1 || shape[i] * count > most) shape[i] = trial_int(t, 1, 2);
    count *= shape[i];
  }
  return rank;
}

enum { SHORT_MULTIPLY, SHORT_EQUAL, SHORT_SQUARE, SHORT_SELECT, SHORT_CAST, SHORT_COPY, SHORT_OPS };

static int short_name(int32_t v, char *name, size_t size) {
  static const char *const names[] = {"multiply", "equal", "square", "select", "cast", "copy"};
  snprintf(name, size, "short rows %s %s", names[OP(v)], duet_dtype_names[DTYPE(v)]);
  return DTYPE(v) != DUET_BOOL || OP(v) >= SHORT_SELECT;
}
static void short_call(trial *t, int32_t v) {
  duet_dtype dtype = DTYPE(v), both[2] = {dtype, dtype}, all[3] = {DUET_BOOL, dtype, dtype};
  int64_t shape[DUET_MAX_RANK] = {0};
  int32_t rank = short_shape(t, shape);
  switch (OP(v)) {
    case SHORT_MULTIPLY:
      return whole_of(t, rank, shape, duet_binary_loop(DUET_MULTIPLY, dtype), dtype, 2, both);
    case SHORT_EQUAL:
      return whole_of(t, rank, shape, duet_comparison_loop(DUET_EQUAL, dtype), DUET_BOOL, 2, both);
    case SHORT_SQUARE:
      return whole_of(t, rank, shape, duet_unary_loop(DUET_SQUARE, dtype), dtype, 1, both);
    case SHORT_SELECT:
      return whole_of(t, rank, shape, duet_select_loop(dtype), dtype, 3, all);
    case SHORT_CAST: {
      duet_dtype to = (duet_dtype)trial_int(t, 0, DUET_DTYPE_COUNT - 1);
      return whole_of(t, rank, shape, duet_cast_loop(dtype, to), to, 1, both);
    }
    default: return copy_of(t, rank, shape, dtype);
  }
}

static int join_name(int32_t v, char *name, size_t size) {
  (void)v;
  snprintf(name, size, "join");
  return 1;
}
static void join_call(trial *t, int32_t v) {
  (void)v;
  duet_join_call call = {.parts = (int32_t)trial_int(t, 1, DUET_MAX_PARTS)};
  int is_large = trial_is_large(t);
  call.rows = is_large ? PICK(t, 70, 5000) : PICK(t, 0, 1, 2, 3, 17, 70);
  int64_t width = 0;
  for (int32_t i = 0; i < call.parts; i++) {
    call.bytes[i] = is_large && call.rows == 70
                        ? PICK(t, 1, 3000, 8192, 10001)
                        : PICK(t, 0, 1, 2, 3, 4, 7, 8, 12, 16, 31, 32, 33, 64, 100, 515);
    call.operand[i + 1] = trial_input(t, DUET_UINT8, call.rows * call.bytes[i], ARBITRARY);
    width += call.bytes[i];
  }
  call.result_row = width + PICK(t, 0, 0, 1, 40);
  char *result = trial_result(t, DUET_UINT8, call.rows * call.result_row);
  if (call.rows * call.result_row > 0) memset(result, 7, (size_t)(call.rows * call.result_row));
  call.operand[0] = result;
  duet_join(&call);
}

static int fill_name(int32_t v, char *name, size_t size) {
  snprintf(name, size, "fill %s", duet_dtype_names[v]);
  return 1;
}
static void fill_call(trial *t, int32_t v) {
  duet_fill_call call = {.element_size = (int64_t)duet_dtype_size((duet_dtype)v)};
  call.count = trial_is_large(t) ? 300001 : PICK(t, 0, 1, 2, 3, 15, 16, 17, 100, 1025);
  call.bits = v == DUET_BOOL ? 1 : (uint64_t)trial_int(t, 0, INT64_MAX - 1);
  call.operand[0] = trial_result(t, (duet_dtype)v, call.count);
  duet_fill(&call);
}

static int iota_name(int32_t v, char *name, size_t size) {
  snprintf(name, size, "iota %s", duet_dtype_names[v]);
  return v != DUET_BOOL;
}
static void iota_call(trial *t, int32_t v) {
  duet_iota_call call = {.dtype = (duet_dtype)v};
  call.count = trial_is_large(t) ? 150001 : PICK(t, 0, 1, 2, 3, 15, 16, 17, 100, 1025);
  call.integer_start = trial_int(t, -100, 100);
  call.integer_step = trial_int(t, -3, 5);
  call.start = (double)call.integer_start / 8;
  call.step = (double)trial_int(t, -1000, 1000) / 64;
  call.operand[0] = trial_result(t, call.dtype, call.count);
  duet_iota(&call);
}

const trial_family duet_elementwise_families[] = {
    {DUET_UNARY_COUNT * DUET_DTYPE_COUNT, unary_name, unary_call},
    {DUET_BINARY_COUNT * DUET_DTYPE_COUNT, binary_name, binary_call},
    {DUET_COMPARISON_COUNT * DUET_DTYPE_COUNT, comparison_name, comparison_call},
    {DUET_DTYPE_COUNT, select_name, select_call},
    {DUET_DTYPE_COUNT * DUET_DTYPE_COUNT, cast_name, cast_call},
    {DUET_DTYPE_COUNT, copy_name, copy_call},
    {SHORT_OPS * DUET_DTYPE_COUNT, short_name, short_call},
    {1, join_name, join_call},
    {DUET_DTYPE_COUNT, fill_name, fill_call},
    {DUET_DTYPE_COUNT, iota_name, iota_call},
    {0},
};
