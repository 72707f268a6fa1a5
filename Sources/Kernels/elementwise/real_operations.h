// The floating-point operations by kind: enumerator, name.
#define REAL_UNARY(X) REAL_NARROW_UNARY(X) REAL_WIDE_UNARY(X)

#define REAL_NARROW_UNARY(X)                                                                    \
  X(NEGATE, negate) X(ABSOLUTE, absolute) X(SIGN, sign) X(SQUARE, square) X(SQRT, sqrt)         \
  X(RSQRT, rsqrt) X(RECIPROCAL, reciprocal) X(SIN, sin) X(COS, cos) X(TAN, tan)                 \
  X(ASIN, asin) X(ACOS, acos) X(ATAN, atan) X(RELU, relu) X(FLOOR, floor) X(CEIL, ceil)         \
  X(ROUND, round) X(TRUNCATE, truncate)

// Functions that are also compiled for wide vectors (math/wide.h).
#define REAL_WIDE_UNARY(X)                                                                      \
  X(EXP, exp) X(EXPM1, expm1) X(LOG, log) X(LOG1P, log1p) X(LOG2, log2) X(LOG10, log10)         \
  X(SINH, sinh) X(COSH, cosh) X(TANH, tanh) X(ERF, erf) X(SIGMOID, sigmoid) X(GELU, gelu)       \
  X(GELU_TANH, gelu_tanh) X(SILU, silu) X(SOFTPLUS, softplus)

#define REAL_UNARY_TEST(X) \
  X(IS_NAN, is_nan) X(IS_INFINITE, is_infinite) X(IS_FINITE, is_finite)

#define REAL_BINARY(X) REAL_PLAIN_BINARY(X) REAL_EXTREME(X)

#define REAL_PLAIN_BINARY(X)                                                                    \
  X(ADD, add) X(SUBTRACT, subtract) X(MULTIPLY, multiply) X(DIVIDE, divide)                     \
  X(FLOOR_DIVIDE, floor_divide) X(REMAINDER, remainder) X(FLOOR_REMAINDER, floor_remainder)     \
  X(POWER, pow) X(ATAN2, atan2) X(HYPOT, hypot)

// These take fewer instructions where the second operand is a number.
#define REAL_EXTREME(X) X(MAXIMUM, maximum) X(MINIMUM, minimum)

#define REAL_COMPARISON(X)                                                                      \
  X(EQUAL, equal) X(NOT_EQUAL, not_equal) X(LESS, less) X(LESS_EQUAL, less_equal)               \
  X(GREATER, greater) X(GREATER_EQUAL, greater_equal)
