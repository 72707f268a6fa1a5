// exp, expm1 and the logarithms in float32. Polynomials are minimax fits (Remez) with coefficients
// rounded to float32 one after the other.
#ifndef DUET_MATH_EXPONENTIAL_F32_H
#define DUET_MATH_EXPONENTIAL_F32_H

#include "lanes.h"

// ln 2 and log10 2 as a float and the rest.
#define LN2_HIGH_F32 0.693147182f
#define LN2_LOW_F32 -1.90465421e-09f

// x = n ln 2 + r, |r| <= ln(2) / 2.
typedef struct {
  nearest_f32_result n;
  f32x16 r;
} exp_reduction_f32;

DUET_OVERLOADED exp_reduction_f32 reduce_exp_f32(f32x16 x) {
  nearest_f32_result n = nearest_product_f32(x, 1.44269502f);
  f32x16 r = fma_f32(-n.value, LN2_HIGH_F32, x);
  return (exp_reduction_f32){n, fma_f32(-n.value, LN2_LOW_F32, r)};
}

// e^r on the reduced interval: 1 + r + r^2 p(r), relative error of p 2^-28; what 1 + r rounds away
// joins the rest.
DUET_OVERLOADED f32x16 exp_reduced_f32(f32x16 r) {
  f32x16 p = POLY_F32(r, 0.49999994f, 0.166665211f, 0.0416682661f, 0.00836867374f, 0.00138206338f);
  f32x16 sum = 1.0f + r, rest = r - (sum - 1.0f);
  return sum + fma_f32(p, r * r, rest);
}

// e^x for |x| <= 150 (and NaN).
DUET_OVERLOADED f32x16 exp_bounded_f32(f32x16 x) {
  exp_reduction_f32 e = reduce_exp_f32(x);
  return scale_f32(exp_reduced_f32(e.r), e.n);
}

// The same where the result is a normal number.
DUET_OVERLOADED f32x16 exp_normal_f32(f32x16 x) {
  exp_reduction_f32 e = reduce_exp_f32(x);
  return scale_normal_f32(exp_reduced_f32(e.r), e.n);
}

DUET_OVERLOADED f32x16 math_exp_f32(f32x16 x) {
  return exp_bounded_f32(at_least_f32(at_most_f32(x, 90.0f), -105.0f));
}

// e^r - 1 on the reduced interval, relative error 2^-28.
DUET_OVERLOADED f32x16 expm1_reduced_f32(f32x16 r) {
  f32x16 p = POLY_F32(r, 0.5f, 0.166666359f, 0.0416665114f, 0.00834150892f, 0.00139305415f,
                      0.000150474443f);
  return fma_f32(p, r * r, r);
}

// The same with one term less, relative error 2^-26.
DUET_OVERLOADED f32x16 expm1_short_f32(f32x16 r) {
  f32x16 p = POLY_F32(r, 0.49999997f, 0.166665435f, 0.0416672006f, 0.00836654753f, 0.00138825167f);
  return fma_f32(p, r * r, r);
}

// 2 (s p + (s - 1/2)) with s = 2^(n-1), so that 2^128 is never needed.
DUET_OVERLOADED f32x16 math_expm1_f32(f32x16 x) {
  exp_reduction_f32 e = reduce_exp_f32(at_least_f32(at_most_f32(x, 88.8f), -30.0f));
  f32x16 p = expm1_reduced_f32(e.r), s = power_of_two_f32(e.n.integer - 1);
  f32x16 y = 2.0f * fma_f32(s, p, s - 0.5f);
  return abs_f32(x) < 0x1p-25f ? x : y;
}

// log(1 + f) = f + tail(f) for f in [sqrt(1/2) - 1, sqrt(2) - 1].
DUET_OVERLOADED f32x16 log1p_tail_f32(f32x16 f) {
  f32x16 p = POLY_F32(f, 0.333333313f, -0.250008225f, 0.200012609f, -0.166233301f, 0.142009065f,
                      -0.131597102f, 0.127691016f, -0.0764594302f);
  return fma_f32(p, f, -0.5f) * (f * f);
}

// What every logarithm answers outside the positive finite numbers: 0 -> -inf, x < 0 -> NaN.
DUET_OVERLOADED f32x16 log_special_f32(f32x16 x, f32x16 y) {
  y = x < INF_F32 ? y : x;
  f32x16 outside = x == 0.0f ? (f32x16)-INF_F32 : (f32x16)NAN_F32;
  return x <= 0.0f ? outside : y;
}

// e ln 2 + f + tail, the large sum compensated: |e ln 2| > |f| unless e is 0.
DUET_OVERLOADED f32x16 log_sum_f32(f32x16 e, f32x16 f, f32x16 tail) {
  f32x16 high = fma_f32(e, LN2_HIGH_F32, f);
  f32x16 low = fma_f32(e, LN2_HIGH_F32, -high) + f;
  return high + (fma_f32(e, LN2_LOW_F32, low) + tail);
}

DUET_OVERLOADED f32x16 math_log_f32(f32x16 x) {
  split_f32_result s = split_f32(x);
  f32x16 f = s.mantissa - 1.0f;
  return log_special_f32(x, log_sum_f32(s.exponent, f, log1p_tail_f32(f)));
}

// 1 + x = 2^e (1 + f) with f = x 2^-e + (2^-e - 1): one rounding, and none where e is 0.
DUET_OVERLOADED f32x16 math_log1p_f32(f32x16 x) {
  f32x16 u = x + 1.0f;
  i32x16 k = exponent_f32(bits_f32(u));
  // 2^-127 is no normal number; above 2^60 the 1 does not count and u stands for x.
  i32x16 large = u > 0x1p60f;
  f32x16 scale = power_of_two_f32(large ? (i32x16)0 : -k);
  f32x16 f = fma_f32(x, scale, scale - 1.0f);
  f = large ? (f32x16)(bits_f32(u) - (k << 23)) - 1.0f : f;
  f32x16 y = log_sum_f32(__builtin_convertvector(k, f32x16), f, log1p_tail_f32(f));
  y = log_special_f32(u, y);
  return abs_f32(x) < 0x1p-25f ? x : y;
}

// log(1 + f) / ln(base) as an unevaluated product: f + tail is split so that the factor's low part
// counts.
DUET_OVERLOADED f32x16 log_base_f32(f32x16 f, float high, float low) {
  f32x16 tail = log1p_tail_f32(f), sum = f + tail;
  f32x16 rest = (f - sum) + tail;
  return fma_f32(sum, high, fma_f32(rest, high, sum * low));
}

DUET_OVERLOADED f32x16 math_log2_f32(f32x16 x) {
  split_f32_result s = split_f32(x);
  f32x16 y = s.exponent + log_base_f32(s.mantissa - 1.0f, 1.44269502f, 1.92596303e-08f);
  return log_special_f32(x, y);
}

DUET_OVERLOADED f32x16 math_log10_f32(f32x16 x) {
  split_f32_result s = split_f32(x);
  f32x16 y = log_base_f32(s.mantissa - 1.0f, 0.434294492f, -1.010305e-08f);
  y = fma_f32(s.exponent, 0.30103001f, fma_f32(s.exponent, -1.43209888e-08f, y));
  return log_special_f32(x, y);
}

#endif
