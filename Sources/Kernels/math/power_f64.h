// Powers, roots and remainders in float64.
#ifndef DUET_MATH_POWER_F64_H
#define DUET_MATH_POWER_F64_H

#include "exponential_f64.h"

DUET_INLINE f64x8 math_rsqrt_f64(f64x8 x) { return 1.0 / __builtin_elementwise_sqrt(x); }

// An unevaluated sum, |low| far below |high|.
typedef struct {
  f64x8 high, low;
} pair_f64;

// |a| >= |b|.
DUET_INLINE pair_f64 fast_sum_f64(f64x8 a, f64x8 b) {
  f64x8 s = a + b;
  return (pair_f64){s, (a - s) + b};
}

DUET_INLINE pair_f64 product_f64(f64x8 a, f64x8 b) {
  f64x8 p = a * b;
  return (pair_f64){p, fma_f64(a, b, -p)};
}

DUET_INLINE pair_f64 pair_product_f64(pair_f64 a, pair_f64 b) {
  pair_f64 p = product_f64(a.high, b.high);
  return fast_sum_f64(p.high, fma_f64(a.high, b.low, fma_f64(a.low, b.high, p.low)));
}

DUET_INLINE pair_f64 pair_sum_f64(pair_f64 a, pair_f64 b) {
  f64x8 s = a.high + b.high, v = s - a.high;
  f64x8 rest = (a.high - (s - v)) + (b.high - v);
  return fast_sum_f64(s, rest + (a.low + b.low));
}

// log a for a > 0 as a pair with a relative error near 2^-66: e ln 2 + 2 s + 2/3 s^3 + s^5 p(s^2)
// with s = (m - 1) / (m + 1), all but p in pairs.
DUET_INLINE pair_f64 log_pair_f64(f64x8 a) {
  split_f64_result split = split_f64(a);
  f64x8 m = split.mantissa, e = split.exponent;
  f64x8 f = m - 1.0;  // exact
  pair_f64 d = fast_sum_f64((f64x8)2.0, f);
  f64x8 s = f / d.high;
  f64x8 rest = fma_f64(-s, d.low, fma_f64(-s, d.high, f)) / d.high;
  pair_f64 t = {s, rest}, z = pair_product_f64(t, t);
  f64x8 p = POLY_F64(z.high, 0.3999999999999998, 0.28571428571445173, 0.22222222217520074,
                     0.18181818872410033, 0.15384556722975859, 0.13336323287210713,
                     0.11674696236472427, 0.1199005510665871);
  pair_f64 third = {(f64x8)0.66666666666666663, fma_f64(p, z.high, (f64x8)3.7007434154171886e-17)};
  third = fast_sum_f64(third.high, third.low);
  pair_f64 cubic = pair_product_f64(pair_product_f64(z, third), t);
  pair_f64 log = pair_sum_f64((pair_f64){t.high * 2.0, t.low * 2.0}, cubic);
  pair_f64 scaled = product_f64(e, (f64x8)LN2_HIGH_F64);
  scaled.low = fma_f64(e, LN2_LOW_F64, scaled.low);
  return pair_sum_f64(scaled, log);
}

// C99 F.9.4.4, as in float32.
DUET_INLINE f64x8 math_pow_f64(f64x8 x, f64x8 y) {
  f64x8 a = abs_f64(x), b = abs_f64(y);
  pair_f64 log = log_pair_f64(a);
  // Exponents above 2^65 decide nothing any more, but their products would overflow.
  f64x8 bounded = at_least_f64(at_most_f64(y, 0x1p65), -0x1p65);
  pair_f64 t = product_f64(bounded, log.high);
  t.low = fma_f64(bounded, log.low, t.low);
  f64x8 clamped = at_least_f64(at_most_f64(t.high, 720.0), -760.0);
  f64x8 low = clamped == t.high ? t.low : (f64x8)0.0;
  exp_reduction_f64 e = reduce_exp_f64(clamped);
  f64x8 p = expm1_reduced_f64(e.r), w = p + 1.0;
  f64x8 r = scale_f64(w + fma_f64(low, w, (1.0 - w) + p), e.n);
  i64x8 rising = (a > 1.0) == (y > 0.0);
  f64x8 limit = rising ? (f64x8)INF_F64 : (f64x8)0.0;
  r = ((a == 0.0) | (a == INF_F64) | (b == INF_F64)) ? limit : r;
  r = ((a == 1.0) & (b == INF_F64)) ? (f64x8)1.0 : r;
  f64x8 halved = 0.5 * y;
  i64x8 whole = __builtin_elementwise_trunc(y) == y;
  i64x8 odd = whole & (__builtin_elementwise_trunc(halved) != halved);
  r = flip_f64(r, sign_f64(x) & odd);
  r = ((x < 0.0) & ~whole & (a < INF_F64) & (b < INF_F64)) ? (f64x8)NAN_F64 : r;
  r = ((x != x) | (y != y)) ? x + y : r;
  return ((x == 1.0) | (y == 0.0)) ? (f64x8)1.0 : r;
}

// Scaled by a power of two so that no square overflows or vanishes.
DUET_INLINE f64x8 math_hypot_f64(f64x8 x, f64x8 y) {
  f64x8 a = abs_f64(x), b = abs_f64(y);
  f64x8 large = a > b ? a : b, small = a > b ? b : a;
  f64x8 up = large > 0x1p500 ? (f64x8)0x1p-600 : (f64x8)1.0;
  up = large < 0x1p-500 ? (f64x8)0x1p600 : up;
  f64x8 down = large > 0x1p500 ? (f64x8)0x1p600 : (f64x8)1.0;
  down = large < 0x1p-500 ? (f64x8)0x1p-600 : down;
  f64x8 l = large * up, s = small * up;
  f64x8 r = __builtin_elementwise_sqrt(fma_f64(l, l, s * s)) * down;
  r = ((x != x) | (y != y)) ? x + y : r;
  return ((a == INF_F64) | (b == INF_F64)) ? (f64x8)INF_F64 : r;
}

// C's fmod, exact: the fused step is while the quotient is below 2^52; other lanes ask the C
// library.
DUET_INLINE f64x8 math_remainder_f64(f64x8 x, f64x8 y) {
  f64x8 a = abs_f64(x), b = abs_f64(y);
  f64x8 q = a / b, r = fma_f64(-__builtin_elementwise_trunc(q), b, a);
  r = r < 0.0 ? r + b : r;
  r = a < b ? a : r;
  i64x8 huge = (q >= 0x1p52) & (a < INF_F64) & (b > 0.0);
  if (__builtin_expect(any_64(huge), 0)) {
    for (int i = 0; i < 8; i++)
      if (huge[i]) r[i] = __builtin_fmod(a[i], b[i]);
  }
  r = ((a == INF_F64) | (b == 0.0)) ? (f64x8)NAN_F64 : r;
  r = ((x != x) | (y != y)) ? x + y : r;
  return flip_f64(r, sign_f64(x));
}

DUET_INLINE f64x8 math_floor_remainder_f64(f64x8 x, f64x8 y) {
  f64x8 r = math_remainder_f64(x, y);
  i64x8 opposite = (sign_f64(r) != sign_f64(y)) & (r != 0.0);
  f64x8 mended = opposite ? r + y : r;
  return r == 0.0 ? (f64x8)sign_f64(y) : mended;
}

DUET_INLINE f64x8 math_floor_divide_f64(f64x8 x, f64x8 y) {
  f64x8 r = math_remainder_f64(x, y), quotient = x / y;
  f64x8 d = (x - r) / y;
  d = ((sign_f64(r) != sign_f64(y)) & (r != 0.0)) ? d - 1.0 : d;
  f64x8 whole = __builtin_elementwise_floor(d);
  whole = d - whole > 0.5 ? whole + 1.0 : whole;
  whole = d == 0.0 ? (f64x8)sign_f64(quotient) : whole;
  return y == 0.0 ? quotient : whole;
}

#endif
