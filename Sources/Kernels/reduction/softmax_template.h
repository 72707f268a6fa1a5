#include "../math/math_f32.h"
#include "../math/math_f64.h"
#include "lanes.h"
#include "reduction.h"

#define JOIN_2(a, b) a##b
#define JOIN(a, b) JOIN_2(a, b)

DUET_INLINE void store_part_f32x16(void *p, f32x16 v, int64_t n) { store_part_f32(p, v, n); }
DUET_INLINE void store_part_f64x16(void *p, f64x16 v, int64_t n) {
  if (n < 8) {
    store_part_f64(p, v.lo, n);
    return;
  }
  store_f64(p, v.lo);
  if (n > 8) store_part_f64((double *)p + 8, v.hi, n - 8);
}

DUET_INLINE f32x16 exp_f32x16(f32x16 x) { return math_exp_f32(x); }
DUET_INLINE f32x16 log_f32x16(f32x16 x) { return math_log_f32(x); }
DUET_INLINE f64x16 exp_f64x16(f64x16 x) {
  f64x16 y;
  y.lo = math_exp_f64(x.lo);
  y.hi = math_exp_f64(x.hi);
  return y;
}
DUET_INLINE f64x16 log_f64x16(f64x16 x) {
  f64x16 y;
  y.lo = math_log_f64(x.lo);
  y.hi = math_log_f64(x.hi);
  return y;
}

#define TYPE float
#define VECTOR f32x16
#define IN(name) name##_f32
#include "softmax_type_template.h"

#define TYPE double
#define VECTOR f64x16
#define IN(name) name##_f64
#include "softmax_type_template.h"

const duet_softmaxes DUET_SUFFIX(duet_softmaxes) = {
    .rows = {{softmax_rows_f32, log_softmax_rows_f32}, {softmax_rows_f64, log_softmax_rows_f64}},
    .across = {{softmax_across_f32, log_softmax_across_f32},
               {softmax_across_f64, log_softmax_across_f64}},
};
