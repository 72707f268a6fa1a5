#include "../include/duet_plan.h"

#pragma STDC FP_CONTRACT OFF

// One instruction may write an element as a float that another one moves as an integer.
#define ANY __attribute__((may_alias))
typedef float ANY f32;
typedef double ANY f64;
typedef int32_t ANY i32;
typedef int64_t ANY i64;
typedef uint8_t ANY u8;
typedef uint32_t ANY u32;
typedef uint64_t ANY u64;

// Type by type: suffix, C type, the dtype's enumerator. Sums of integers wrap.
#define REALS(X) X(F32, f32, DUET_FLOAT32) X(F64, f64, DUET_FLOAT64)
#define INTEGERS(X) X(I32, u32, DUET_INT32) X(I64, u64, DUET_INT64)
#define SIGNED(X) X(I32, i32, DUET_INT32) X(I64, i64, DUET_INT64)

// Operations that are one expression of C and have no special cases: arithmetic is that of IEEE 754, or wraps.
#define ARITHMETIC(X, T, type, dtype) \
  X(ADD, T, type, dtype, x + y) X(SUBTRACT, T, type, dtype, x - y) X(MULTIPLY, T, type, dtype, x *y)
#define COMPARISONS(X, T, type, dtype)                                      \
  X(EQUAL, T, type, dtype, x == y) X(NOT_EQUAL, T, type, dtype, x != y)     \
  X(LESS, T, type, dtype, x < y) X(LESS_EQUAL, T, type, dtype, x <= y)      \
  X(GREATER, T, type, dtype, x > y) X(GREATER_EQUAL, T, type, dtype, x >= y)
#define SELECTS(X) X(8, u8, DUET_BOOL) X(32, u32, DUET_INT32) X(64, u64, DUET_INT64)

enum {
  RUN_LOOP,
#define X(op, T, type, dtype, value) op##_##T,
#define Y(T, type, dtype) ARITHMETIC(X, T, type, dtype)
  REALS(Y) INTEGERS(Y)
#undef Y
#define Y(T, type, dtype) COMPARISONS(X, T, type, dtype)
  REALS(Y) SIGNED(Y)
#undef Y
#undef X
  DIVIDE_F32,
  DIVIDE_F64,
  NEGATE_F32,
  NEGATE_F64,
  NOT_BOOL,
  AND_BOOL,
  OR_BOOL,
#define X(bits, type, dtype) SELECT_##bits,
  SELECTS(X)
#undef X
};

int64_t duet_scalar_code(duet_loop loop) {
#define X(op, T, type, dtype, value) \
  if (loop == duet_binary_loop(DUET_##op, dtype)) return op##_##T;
#define Y(T, type, dtype) ARITHMETIC(X, T, type, dtype)
  REALS(Y) INTEGERS(Y)
#undef Y
#undef X
#define X(op, T, type, dtype, value) \
  if (loop == duet_comparison_loop(DUET_##op, dtype)) return op##_##T;
#define Y(T, type, dtype) COMPARISONS(X, T, type, dtype)
  REALS(Y) SIGNED(Y)
#undef Y
#undef X
  if (loop == duet_binary_loop(DUET_DIVIDE, DUET_FLOAT32)) return DIVIDE_F32;
  if (loop == duet_binary_loop(DUET_DIVIDE, DUET_FLOAT64)) return DIVIDE_F64;
  if (loop == duet_unary_loop(DUET_NEGATE, DUET_FLOAT32)) return NEGATE_F32;
  if (loop == duet_unary_loop(DUET_NEGATE, DUET_FLOAT64)) return NEGATE_F64;
  if (loop == duet_unary_loop(DUET_LOGICAL_NOT, DUET_BOOL)) return NOT_BOOL;
  if (loop == duet_binary_loop(DUET_BITWISE_AND, DUET_BOOL)) return AND_BOOL;
  if (loop == duet_binary_loop(DUET_BITWISE_OR, DUET_BOOL)) return OR_BOOL;
#define X(bits, type, dtype) \
  if (loop == duet_select_loop(dtype)) return SELECT_##bits;
  SELECTS(X)
#undef X
  return RUN_LOOP;
}

duet_status duet_scalar_program(const void *argument) {
  const duet_scalar_call *call = argument;
  const duet_scalar_instruction *i = call->instruction, *end = i + call->count;
  for (; i < end; i++) {
    switch (i->code) {
#define BINARY(label, result, type, value)              \
  case label: {                                         \
    type x = *(const type *)i->operand[1];              \
    type y = *(const type *)i->operand[2];              \
    *(result *)i->operand[0] = (result)(value);         \
    break;                                              \
  }
#define X(op, T, type, dtype, value) BINARY(op##_##T, type, type, value)
#define Y(T, type, dtype) ARITHMETIC(X, T, type, dtype)
      REALS(Y)
      INTEGERS(Y)
#undef Y
#undef X
#define X(op, T, type, dtype, value) BINARY(op##_##T, u8, type, value)
#define Y(T, type, dtype) COMPARISONS(X, T, type, dtype)
      REALS(Y)
      SIGNED(Y)
#undef Y
#undef X
      BINARY(DIVIDE_F32, f32, f32, x / y)
      BINARY(DIVIDE_F64, f64, f64, x / y)
      BINARY(AND_BOOL, u8, u8, x &y)
      BINARY(OR_BOOL, u8, u8, x | y)
      case NEGATE_F32: *(f32 *)i->operand[0] = -*(const f32 *)i->operand[1]; break;
      case NEGATE_F64: *(f64 *)i->operand[0] = -*(const f64 *)i->operand[1]; break;
      case NOT_BOOL: *i->operand[0] = !*(const u8 *)i->operand[1]; break;
#define X(bits, type, dtype)                                                  \
  case SELECT_##bits: {                                                       \
    type x = *(const type *)i->operand[2], y = *(const type *)i->operand[3];  \
    *(type *)i->operand[0] = *(const u8 *)i->operand[1] ? x : y;         \
    break;                                                                    \
  }
      SELECTS(X)
#undef X
      default: i->loop(i->operand, i->stride, 1);
    }
  }
  return DUET_OK;
}
