// All loops over floating-point dtypes, and their table.
#include "../math/math_f32.h"
#include "../math/math_f64.h"
#include "half_conversion.h"
#include "loops.h"
#include "real_operations.h"

typedef DUET_LANES(int8_t, 16) i8x16;
typedef DUET_LANES(int8_t, 8) i8x8;

#define REAL(name) name##_f32
#define SCALAR float
#define VECTOR f32x16
#define MASK i32x16
#define BYTES i8x16
#define LANES 16
#define SIZE 4
#include "arithmetic_template.h"
#include "real_loops_template.h"
#undef REAL
#undef SCALAR
#undef VECTOR
#undef MASK
#undef BYTES
#undef LANES
#undef SIZE

#define REAL(name) name##_f64
#define SCALAR double
#define VECTOR f64x8
#define MASK i64x8
#define BYTES i8x8
#define LANES 8
#define SIZE 8
#include "arithmetic_template.h"
#include "real_loops_template.h"
#undef REAL
#undef SCALAR
#undef VECTOR
#undef MASK
#undef BYTES
#undef LANES
#undef SIZE

#define HALF(name) name##_float16
#include "half_loops_template.h"
#undef HALF

#define HALF(name) name##_bfloat16
#include "half_loops_template.h"
#undef HALF

#define UNARY(op, name) [DUET_##op] = REAL(loop_##name),
#define TABLE                                         \
  {                                                   \
    .unary = {REAL_UNARY(UNARY) REAL_UNARY_TEST(UNARY)}, \
    .binary = {REAL_BINARY(UNARY)},                   \
    .comparison = {REAL_COMPARISON(UNARY)},           \
  }

const duet_loops DUET_SUFFIX(duet_real_loops)[DUET_REAL_DTYPES] = {
#define REAL(name) name##_float16
    TABLE,
#undef REAL
#define REAL(name) name##_bfloat16
    TABLE,
#undef REAL
#define REAL(name) name##_f32
    TABLE,
#undef REAL
#define REAL(name) name##_f64
    TABLE,
#undef REAL
};

#undef UNARY
#undef TABLE
