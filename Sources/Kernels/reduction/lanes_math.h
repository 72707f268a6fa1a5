// exp and log of 16 lanes in the types that templates over rows are made for. Included once per instruction set.
#include "../math/math_f32.h"
#include "../math/math_f64.h"
#include "lanes.h"

// e^x for x <= 0 (and NaN): there is no overflow to take care of.
DUET_INLINE f32x16 exp_f32x16(f32x16 x) { return exp_bounded_f32(at_least_f32(x, -105.0f)); }
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
