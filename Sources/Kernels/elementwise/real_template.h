// All loops over floating-point dtypes, and their table.
#include "../math/wide.h"
#include "half_conversion.h"
#include "loops.h"
#include "real_operations.h"

#include "../simd/real_f32.h"
#include "arithmetic_template.h"
#include "real_loops_template.h"
#include "../simd/no_real.h"

#include "../simd/real_f64.h"
#include "arithmetic_template.h"
#include "real_loops_template.h"
#include "../simd/no_real.h"

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
