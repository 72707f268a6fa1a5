// All loops over bool and the integer dtypes, and their table. The compiler vectorises them; the
// result may be an operand's own array, which never carries anything from one element to the next.
#include "loops.h"

#define PARAMETERS char *const *operand, const int64_t *stride, int64_t count
#define EACH                                                             \
  _Pragma("clang loop vectorize(assume_safety) interleave_count(2)") \
  for (int64_t i = 0; i < count; i++)

#define UNARY_LOOP(name, result, type, expression)                                              \
  static void name(PARAMETERS) {                                                                \
    char *r = operand[0];                                                                       \
    const char *a = operand[1];                                                                 \
    const int64_t s = stride[0], t = stride[1];                                                 \
    if (s == sizeof(result) && t == sizeof(type)) {                                             \
      EACH {                                                                                    \
        const type x = ((const type *)a)[i];                                                    \
        ((result *)r)[i] = (result)(expression);                                                \
      }                                                                                         \
    } else {                                                                                    \
      for (int64_t i = 0; i < count; i++) {                                                     \
        const type x = *(const type *)(a + i * t);                                              \
        *(result *)(r + i * s) = (result)(expression);                                          \
      }                                                                                         \
    }                                                                                           \
  }

#define BINARY_LOOP(name, result, type, expression)                                             \
  static void name(PARAMETERS) {                                                                \
    char *r = operand[0];                                                                       \
    const char *a = operand[1], *b = operand[2];                                                \
    const int64_t s = stride[0], t = stride[1], u = stride[2];                                  \
    if (s == sizeof(result) && t == sizeof(type) && u == sizeof(type)) {                        \
      EACH {                                                                                    \
        const type x = ((const type *)a)[i], y = ((const type *)b)[i];                          \
        ((result *)r)[i] = (result)(expression);                                                \
      }                                                                                         \
    } else if (s == sizeof(result) && t == sizeof(type) && u == 0) {                            \
      const type y = *(const type *)b;                                                          \
      EACH {                                                                                    \
        const type x = ((const type *)a)[i];                                                    \
        ((result *)r)[i] = (result)(expression);                                                \
      }                                                                                         \
    } else if (s == sizeof(result) && t == 0 && u == sizeof(type)) {                            \
      const type x = *(const type *)a;                                                          \
      EACH {                                                                                    \
        const type y = ((const type *)b)[i];                                                    \
        ((result *)r)[i] = (result)(expression);                                                \
      }                                                                                         \
    } else {                                                                                    \
      for (int64_t i = 0; i < count; i++) {                                                     \
        const type x = *(const type *)(a + i * t), y = *(const type *)(b + i * u);              \
        *(result *)(r + i * s) = (result)(expression);                                          \
      }                                                                                         \
    }                                                                                           \
  }

#define COMPARISON_TABLE(suffix)                                             \
  {                                                                          \
    [DUET_EQUAL] = equal_##suffix, [DUET_NOT_EQUAL] = not_equal_##suffix,    \
    [DUET_LESS] = less_##suffix, [DUET_LESS_EQUAL] = less_equal_##suffix,    \
    [DUET_GREATER] = greater_##suffix, [DUET_GREATER_EQUAL] = greater_equal_##suffix, \
  }

// For what has no vector instructions: division and powers.
#define PLAIN_BINARY_LOOP(name, type, expression)                                               \
  static void name(PARAMETERS) {                                                                \
    for (int64_t i = 0; i < count; i++) {                                                       \
      const type x = *(const type *)(operand[1] + i * stride[1]);                               \
      const type y = *(const type *)(operand[2] + i * stride[2]);                               \
      *(type *)(operand[0] + i * stride[0]) = expression;                                       \
    }                                                                                           \
  }

// One integer dtype: INTEGER adds the suffix, UNSIGNED is the type of the same width in which sums
// wrap.
#define TYPE uint8_t
#define UNSIGNED uint8_t
#define INTEGER(name) name##_uint8
#define IS_SIGNED 0
#include "integer_loops_template.h"

#define TYPE int8_t
#define UNSIGNED uint8_t
#define INTEGER(name) name##_int8
#define IS_SIGNED 1
#include "integer_loops_template.h"

#define TYPE int16_t
#define UNSIGNED uint16_t
#define INTEGER(name) name##_int16
#define IS_SIGNED 1
#include "integer_loops_template.h"

#define TYPE int32_t
#define UNSIGNED uint32_t
#define INTEGER(name) name##_int32
#define IS_SIGNED 1
#include "integer_loops_template.h"

#define TYPE int64_t
#define UNSIGNED uint64_t
#define INTEGER(name) name##_int64
#define IS_SIGNED 1
#include "integer_loops_template.h"

UNARY_LOOP(not_bool, uint8_t, uint8_t, x == 0)
BINARY_LOOP(and_bool, uint8_t, uint8_t, x & y)
BINARY_LOOP(or_bool, uint8_t, uint8_t, x | y)
BINARY_LOOP(xor_bool, uint8_t, uint8_t, x ^ y)

#define INTEGER_TABLE(t)                                                                         \
  {                                                                                              \
    .unary = {[DUET_NEGATE] = negate_##t, [DUET_ABSOLUTE] = absolute_##t,                        \
              [DUET_SIGN] = sign_##t, [DUET_SQUARE] = square_##t, [DUET_RELU] = relu_##t,        \
              [DUET_FLOOR] = same_##t, [DUET_CEIL] = same_##t, [DUET_ROUND] = same_##t,          \
              [DUET_TRUNCATE] = same_##t, [DUET_LOGICAL_NOT] = not_##t,                          \
              [DUET_IS_NAN] = never_##t, [DUET_IS_INFINITE] = never_##t,                         \
              [DUET_IS_FINITE] = always_##t},                                                    \
    .binary = {[DUET_ADD] = add_##t, [DUET_SUBTRACT] = subtract_##t,                             \
               [DUET_MULTIPLY] = multiply_##t, [DUET_DIVIDE] = divide_##t,                       \
               [DUET_FLOOR_DIVIDE] = floor_divide_##t, [DUET_REMAINDER] = remainder_##t,         \
               [DUET_FLOOR_REMAINDER] = floor_remainder_##t, [DUET_POWER] = power_##t,           \
               [DUET_MAXIMUM] = maximum_##t, [DUET_MINIMUM] = minimum_##t,                       \
               [DUET_BITWISE_AND] = and_##t, [DUET_BITWISE_OR] = or_##t,                         \
               [DUET_BITWISE_XOR] = xor_##t, [DUET_SHIFT_LEFT] = shift_left_##t,                 \
               [DUET_SHIFT_RIGHT] = shift_right_##t},                                            \
    .comparison = COMPARISON_TABLE(t),                                                           \
  }

// Comparing bools is comparing their bytes; maximum and minimum are or and and.
const duet_loops DUET_SUFFIX(duet_integer_loops)[DUET_INTEGER_DTYPES] = {
    [DUET_BOOL] = {.unary = {[DUET_LOGICAL_NOT] = not_bool, [DUET_IS_NAN] = never_uint8,
                             [DUET_IS_INFINITE] = never_uint8, [DUET_IS_FINITE] = always_uint8},
                   .binary = {[DUET_MAXIMUM] = or_bool, [DUET_MINIMUM] = and_bool,
                              [DUET_BITWISE_AND] = and_bool, [DUET_BITWISE_OR] = or_bool,
                              [DUET_BITWISE_XOR] = xor_bool},
                   .comparison = COMPARISON_TABLE(uint8)},
    [DUET_UINT8] = INTEGER_TABLE(uint8),
    [DUET_INT8] = INTEGER_TABLE(int8),
    [DUET_INT16] = INTEGER_TABLE(int16),
    [DUET_INT32] = INTEGER_TABLE(int32),
    [DUET_INT64] = INTEGER_TABLE(int64),
};
