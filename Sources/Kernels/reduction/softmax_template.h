#include "lanes_math.h"
#include "reduction.h"

#define JOIN_2(a, b) a##b
#define JOIN(a, b) JOIN_2(a, b)

// e^x for arguments of either sign.
DUET_INLINE f32x16 any_exp_f32x16(f32x16 x) { return math_exp_f32(x); }
DUET_INLINE f64x16 any_exp_f64x16(f64x16 x) { return exp_f64x16(x); }

#define TYPE float
#define VECTOR f32x16
#define IN(name) name##_f32
#include "softmax_type_template.h"

#define TYPE double
#define VECTOR f64x16
#define IN(name) name##_f64
#include "softmax_type_template.h"

#define ROWS(type) \
  {plain_rows_##type, log_rows_##type, plain_gradient_rows_##type, log_gradient_rows_##type}
#define ACROSS(type)                                                         \
  {plain_across_##type, log_across_##type, plain_gradient_across_##type, \
   log_gradient_across_##type}

const duet_softmaxes DUET_SUFFIX(duet_softmaxes) = {
    .rows = {ROWS(f32), ROWS(f64)},
    .across = {ACROSS(f32), ACROSS(f64)},
};
