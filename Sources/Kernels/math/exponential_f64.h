// exp, expm1 and the logarithms in float64, built as those in float32.
#ifndef DUET_MATH_EXPONENTIAL_F64_H
#define DUET_MATH_EXPONENTIAL_F64_H

#include "lanes.h"

#define LN2_HIGH_F64 0.69314718055994529
#define LN2_LOW_F64 2.3190468138462996e-17

// x = n ln 2 + r, |r| <= ln(2) / 2.
typedef struct {
  nearest_f64_result n;
  f64x8 r;
} exp_reduction_f64;

DUET_OVERLOADED exp_reduction_f64 reduce_exp_f64(f64x8 x) {
  nearest_f64_result n = nearest_f64(x * 1.4426950408889634);
  f64x8 r = fma_f64(-n.value, LN2_HIGH_F64, x);
  return (exp_reduction_f64){n, fma_f64(-n.value, LN2_LOW_F64, r)};
}

// e^r on the reduced interval: 1 + r + r^2 p(r).
DUET_OVERLOADED f64x8 exp_reduced_f64(f64x8 r) {
  f64x8 p = POLY_F64(r, 0.50000000000000111, 0.1666666666666641, 0.041666666666529739,
                     0.008333333333494836, 0.001388888894375748, 0.00019841269506071696,
                     2.4801492952569832e-05, 2.7557586545913057e-06, 2.7630305107909579e-07,
                     2.5000097430334583e-08);
  return fma_f64(p, r * r, r) + 1.0;
}

// e^x for |x| <= 1200 (and NaN).
DUET_OVERLOADED f64x8 exp_bounded_f64(f64x8 x) {
  exp_reduction_f64 e = reduce_exp_f64(x);
  return scale_f64(exp_reduced_f64(e.r), e.n);
}

DUET_OVERLOADED f64x8 math_exp_f64(f64x8 x) {
  return exp_bounded_f64(at_least_f64(at_most_f64(x, 720.0), -760.0));
}

DUET_OVERLOADED f64x8 expm1_reduced_f64(f64x8 r) {
  f64x8 p = POLY_F64(r, 0.5, 0.16666666666666677, 0.041666666666666512, 0.0083333333333216568,
                     0.0013888888888962559, 0.00019841269886068739, 2.4801587172273045e-05,
                     2.7557244258724381e-06, 2.7557402771254997e-07, 2.510902292623297e-08,
                     2.0875322495285104e-09);
  return fma_f64(p, r * r, r);
}

DUET_OVERLOADED f64x8 math_expm1_f64(f64x8 x) {
  exp_reduction_f64 e = reduce_exp_f64(at_least_f64(at_most_f64(x, 710.0), -60.0));
  f64x8 p = expm1_reduced_f64(e.r), s = power_of_two_f64(e.n.integer - 1);
  f64x8 y = 2.0 * fma_f64(s, p, s - 0.5);
  return abs_f64(x) < 0x1p-54 ? x : y;
}

// log(1 + f) = f + tail(f): with s = f / (2 + f), log(1 + f) = 2 s + s z R(z), z = s^2, and
// 2 s = f - s f, so the tail is s (z R(z) - f) (fdlibm e_log.c).
DUET_OVERLOADED f64x8 log1p_tail_f64(f64x8 f) {
  f64x8 s = f / (f + 2.0), z = s * s;
  f64x8 p = POLY_F64(z, 0.66666666666667351, 0.39999999999412822, 0.28571428742884408,
                     0.2222219851410332, 0.18183567795917474, 0.15313952042469944,
                     0.14797028586140668);
  // f^2 / 2 carries the largest part of the tail, without the rounding of s.
  f64x8 half = 0.5 * f * f;
  return fma_f64(s, fma_f64(z, p, half), -half);
}

DUET_OVERLOADED f64x8 log_special_f64(f64x8 x, f64x8 y) {
  y = x < INF_F64 ? y : x;
  f64x8 outside = x == 0.0 ? (f64x8)-INF_F64 : (f64x8)NAN_F64;
  return x <= 0.0 ? outside : y;
}

DUET_OVERLOADED f64x8 log_sum_f64(f64x8 e, f64x8 f, f64x8 tail) {
  f64x8 high = fma_f64(e, LN2_HIGH_F64, f);
  f64x8 low = fma_f64(e, LN2_HIGH_F64, -high) + f;
  return high + (fma_f64(e, LN2_LOW_F64, low) + tail);
}

DUET_OVERLOADED f64x8 math_log_f64(f64x8 x) {
  split_f64_result s = split_f64(x);
  f64x8 f = s.mantissa - 1.0;
  return log_special_f64(x, log_sum_f64(s.exponent, f, log1p_tail_f64(f)));
}

DUET_OVERLOADED f64x8 math_log1p_f64(f64x8 x) {
  f64x8 u = x + 1.0;
  i64x8 k = exponent_f64(bits_f64(u));
  // 2^-1023 is no normal number; above 2^60 the 1 does not count and u stands for x.
  i64x8 large = u > 0x1p60;
  f64x8 scale = power_of_two_f64(large ? (i64x8)0 : -k);
  f64x8 f = fma_f64(x, scale, scale - 1.0);
  f = large ? (f64x8)(bits_f64(u) - (k << 52)) - 1.0 : f;
  f64x8 y = log_special_f64(u, log_sum_f64(to_f64(k), f, log1p_tail_f64(f)));
  return abs_f64(x) < 0x1p-54 ? x : y;
}

DUET_OVERLOADED f64x8 log_base_f64(f64x8 f, double high, double low) {
  f64x8 tail = log1p_tail_f64(f), sum = f + tail;
  f64x8 rest = (f - sum) + tail;
  return fma_f64(sum, high, fma_f64(rest, high, sum * low));
}

DUET_OVERLOADED f64x8 math_log2_f64(f64x8 x) {
  split_f64_result s = split_f64(x);
  f64x8 y = s.exponent +
            log_base_f64(s.mantissa - 1.0, 1.4426950408889634, 2.0355273740931033e-17);
  return log_special_f64(x, y);
}

DUET_OVERLOADED f64x8 math_log10_f64(f64x8 x) {
  split_f64_result s = split_f64(x);
  f64x8 y = log_base_f64(s.mantissa - 1.0, 0.43429448190325182, 1.0983196502167651e-17);
  y = fma_f64(s.exponent, 0.3010299956639812, fma_f64(s.exponent, -2.8037281277851704e-18, y));
  return log_special_f64(x, y);
}

#endif
