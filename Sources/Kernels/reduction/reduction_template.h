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
#define PLACE int32_t
#define SOURCE float
#define LOAD_SOURCE load_f32x16
#define PART_SOURCE part_f32x16
#define OWN_TYPE 1
#define IN(name) name##_f32
#define INFINITE __builtin_inff()
#include "real_template.h"

#define TYPE double
#define SIGNED double
#define VECTOR f64x16
#define SIGNED_VECTOR f64x16
#define PLACE int64_t
#define SOURCE double
#define LOAD_SOURCE load_f64x16
#define PART_SOURCE part_f64x16
#define OWN_TYPE 1
#define IN(name) name##_f64
#define INFINITE __builtin_inf()
#include "real_template.h"

// The 16-bit floats are widened on the way from memory.
#define TYPE float
#define SIGNED float
#define VECTOR f32x16
#define SIGNED_VECTOR f32x16
#define PLACE int32_t
#define SOURCE uint16_t
#define LOAD_SOURCE load_wide_f16
#define PART_SOURCE part_wide_f16
#define IN(name) name##_f16
#define INFINITE __builtin_inff()
#include "real_template.h"

#define TYPE float
#define SIGNED float
#define VECTOR f32x16
#define SIGNED_VECTOR f32x16
#define PLACE int32_t
#define SOURCE uint16_t
#define LOAD_SOURCE load_wide_bf16
#define PART_SOURCE part_wide_bf16
#define IN(name) name##_bf16
#define INFINITE __builtin_inff()
#include "real_template.h"

#define TYPE uint64_t
#define SIGNED int64_t
#define VECTOR u64x16
#define SIGNED_VECTOR i64x16
#define PLACE int64_t
#define SOURCE uint64_t
#define LOAD_SOURCE load_u64x16
#define PART_SOURCE part_u64x16
#define OWN_TYPE 1
#define IN(name) name##_i64
#include "integer_template.h"

#define TYPE uint8_t
#define UNSIGNED uint8_t
#define WIDE uint16_t
#define LANES 64
#define SIGN 0
#define STEPS 128
#define IN(name) name##_u8
#include "narrow_integer_template.h"

#define TYPE int8_t
#define UNSIGNED uint8_t
#define WIDE uint16_t
#define LANES 64
#define SIGN 0x80
#define STEPS 128
#define IN(name) name##_i8
#include "narrow_integer_template.h"

#define TYPE int16_t
#define UNSIGNED uint16_t
#define WIDE uint32_t
#define LANES 32
#define SIGN 0x8000
#define STEPS 32768
#define IN(name) name##_i16
#include "narrow_integer_template.h"

#define TYPE int32_t
#define UNSIGNED uint32_t
#define WIDE uint64_t
#define LANES 16
#define SIGN 0x80000000
#define STEPS 1073741824
#define IN(name) name##_i32
#include "narrow_integer_template.h"

#include "widen_template.h"

#define REDUCER(name)                                                                             \
  {name##_rows,  name##_rows_from_memory, name##_lanes, name##_streams, name##_trees, \
   name##_columns, name##_join,           name##_clear}
#define HALF_REDUCER(op, type)                                                                    \
  {op##_##type##_rows, op##_##type##_rows_from_memory, op##_##type##_lanes, op##_##type##_streams, \
   op##_f32_trees,     0,                              op##_f32_join,       op##_f32_clear}
#define SQUARES(type)                                                                             \
  {sum_squares_##type##_rows,    sum_squares_##type##_rows_from_memory, sum_squares_##type##_lanes, \
   sum_squares_##type##_streams, sum_##type##_trees, 0, sum_##type##_join, sum_##type##_clear}
#define HALF_REDUCERS(type) \
  {HALF_REDUCER(sum, type), HALF_REDUCER(product, type), HALF_REDUCER(max, type), \
   HALF_REDUCER(min, type)}
#define REDUCERS(type) \
  {REDUCER(sum_##type), REDUCER(product_##type), REDUCER(max_##type), REDUCER(min_##type)}
#define FINDERS(type) {find_max_##type##_contiguous, find_min_##type##_contiguous}
#define EACH_FINDERS(type) {find_max_##type##_each, find_min_##type##_each}
#define ROW_FINDERS(type) {find_max_##type##_rows, find_min_##type##_rows}

#define NARROW_REDUCER(op, type) {narrow_##op##_##type, narrow_##op##_columns_##type}
#define NARROW(type) {NARROW_REDUCER(sum, type), NARROW_REDUCER(max, type), NARROW_REDUCER(min, type)}

const duet_reductions DUET_SUFFIX(duet_reductions) = {
    .reducer = {REDUCERS(f32), REDUCERS(f64), REDUCERS(i64)},
    .half_reducer = {HALF_REDUCERS(f16), HALF_REDUCERS(bf16)},
    .squares = {SQUARES(f32), SQUARES(f64)},
    .find = {FINDERS(f32), FINDERS(f64), FINDERS(i64)},
    .find_each = {EACH_FINDERS(f32), EACH_FINDERS(f64), EACH_FINDERS(i64)},
    .half_find = {FINDERS(f16), FINDERS(bf16)},
    .find_rows = {ROW_FINDERS(f32), ROW_FINDERS(f64), ROW_FINDERS(i64)},
    .narrow_integers = {NARROW(u8), NARROW(u8), NARROW(i8), NARROW(i16), NARROW(i32)},
    .widen = {[DUET_BOOL] = widen_uint8, [DUET_UINT8] = widen_uint8, [DUET_INT8] = widen_int8,
              [DUET_INT16] = widen_int16, [DUET_INT32] = widen_int32, [DUET_INT64] = widen_int64,
              [DUET_FLOAT16] = widen_strided_float16, [DUET_BFLOAT16] = widen_strided_bfloat16,
              [DUET_FLOAT32] = widen_float32, [DUET_FLOAT64] = widen_float64},
    .narrow_float16 = narrow_array_float16,
    .narrow_bfloat16 = narrow_array_bfloat16,
};
