#include "../elementwise/half_conversion.h"
#include "lanes.h"
#include "reduction.h"

#define JOIN_2(a, b) a##b
#define JOIN(a, b) JOIN_2(a, b)

// The four operations on floating point, with the place of the extremes.
#define TYPE float
#define SIGNED float
#define VECTOR f32x16
#define SIGNED_VECTOR f32x16
#define IN(name) name##_f32
#define INFINITE __builtin_inff()
#include "real_template.h"

#define TYPE double
#define SIGNED double
#define VECTOR f64x16
#define SIGNED_VECTOR f64x16
#define IN(name) name##_f64
#define INFINITE __builtin_inf()
#include "real_template.h"

#define TYPE uint64_t
#define SIGNED int64_t
#define VECTOR u64x16
#define SIGNED_VECTOR i64x16
#define IN(name) name##_i64
#include "integer_template.h"

#include "widen_template.h"

#define REDUCER(name) {name##_rows, name##_lanes, name##_join, name##_clear}
#define REDUCERS(type) \
  {REDUCER(sum_##type), REDUCER(product_##type), REDUCER(max_##type), REDUCER(min_##type)}
#define FINDERS(type) {find_max_##type##_contiguous, find_min_##type##_contiguous}
#define ROW_FINDERS(type) {find_max_##type##_rows, find_min_##type##_rows}

const duet_reductions DUET_SUFFIX(duet_reductions) = {
    .reducer = {REDUCERS(f32), REDUCERS(f64), REDUCERS(i64)},
    .find = {FINDERS(f32), FINDERS(f64), FINDERS(i64)},
    .find_rows = {ROW_FINDERS(f32), ROW_FINDERS(f64), ROW_FINDERS(i64)},
    .widen = {[DUET_BOOL] = widen_uint8, [DUET_UINT8] = widen_uint8, [DUET_INT8] = widen_int8,
              [DUET_INT16] = widen_int16, [DUET_INT32] = widen_int32, [DUET_INT64] = widen_int64,
              [DUET_FLOAT16] = widen_strided_float16, [DUET_BFLOAT16] = widen_strided_bfloat16,
              [DUET_FLOAT32] = widen_float32, [DUET_FLOAT64] = widen_float64},
    .narrow_float16 = narrow_array_float16,
    .narrow_bfloat16 = narrow_array_bfloat16,
};
