// Hyperbolic functions, erf and the activations built on them, in float64.
#ifndef DUET_MATH_ACTIVATION_F64_H
#define DUET_MATH_ACTIVATION_F64_H

#include "exponential_f64.h"

DUET_OVERLOADED f64x8 math_tanh_f64(f64x8 x) {
  f64x8 a = abs_f64(x), z = a * a;
  f64x8 small = POLY_F64(z, -0.33333333333333326, 0.13333333333331759, -0.053968253967210222,
                         0.021869488501382602, -0.0088632348494494754, 0.0035921195330487778,
                         -0.0014557632191192342, 0.00058961841211188669, -0.0002375017515497504,
                         9.2469529380238144e-05, -3.115795983867695e-05, 6.4940216398394455e-06);
  exp_reduction_f64 e = reduce_exp_f64(2.0 * at_most_f64(a, 20.0));
  f64x8 p = expm1_reduced_f64(e.r), s = power_of_two_f64(e.n.integer);
  f64x8 large = 1.0 - 2.0 / fma_f64(s, p, s + 1.0);
  return flip_f64(a < 0.6 ? fma_f64(small, z * a, a) : large, sign_f64(x));
}

DUET_OVERLOADED f64x8 half_exp_f64(f64x8 a) {
  exp_reduction_f64 e = reduce_exp_f64(at_most_f64(a, 720.0));
  nearest_f64_result below = {e.n.value - 1.0, e.n.integer - 1};
  return scale_f64(exp_reduced_f64(e.r), below);
}

DUET_OVERLOADED f64x8 math_sinh_f64(f64x8 x) {
  f64x8 a = abs_f64(x), z = a * a, e = half_exp_f64(a);
  f64x8 p = POLY_F64(z, 0.16666666666666669, 0.0083333333333331476, 0.00019841269841431878,
                     2.7557319157070319e-06, 2.5052123136959984e-08, 1.6057259751192832e-10,
                     7.7587493041788945e-13);
  f64x8 y = a < 1.0 ? fma_f64(p, z * a, a) : e - 0.25 / e;
  return flip_f64(y, sign_f64(x));
}

DUET_OVERLOADED f64x8 math_cosh_f64(f64x8 x) {
  f64x8 e = half_exp_f64(abs_f64(x));
  return e + 0.25 / e;
}

// Below 1 an odd polynomial; above it 1 - e^-a^2 q(u) / (1 + 2 a), u = (a - 3) / (a + 3).
DUET_OVERLOADED f64x8 math_erf_f64(f64x8 x) {
  f64x8 a = at_most_f64(abs_f64(x), 6.0), z = a * a;
  f64x8 small = POLY_F64(z, 0.12837916709551259, -0.37612638903183748, 0.11283791670954857,
                         -0.026866170645072882, 0.0052239776247807387, -0.00085483269787351704,
                         0.00012055331036653976, -1.4925593501243257e-05, 1.6460972730447419e-06,
                         -1.6350024345998901e-07, 1.465787421209309e-08, -1.136564518231408e-09,
                         5.9452281769815111e-11);
  f64x8 u = (a - 3.0) / (a + 3.0);
  f64x8 q = POLY_F64(u, 1.2530080582701966, -0.13562110610165407, -0.047562294191409976,
                     0.12964515234479265, -0.11927381689303639, 0.068306422472906053,
                     -0.023780462813720749, 0.0024894888942527792, 0.0017823620335494473,
                     -0.00096583154360829152, -0.00030617087138798296, 1.4105687916619637e-05);
  f64x8 large = 1.0 - exp_bounded_f64(-z) * (q / fma_f64(a, 2.0, 1.0));
  return flip_f64(a < 1.0 ? fma_f64(small, a, a) : large, sign_f64(x));
}

DUET_OVERLOADED f64x8 logistic_f64(f64x8 y, f64x8 v) {
  exp_reduction_f64 e = reduce_exp_f64(at_least_f64(at_most_f64(v, 780.0), -700.0));
  f64x8 p = expm1_reduced_f64(e.r);
  i64x8 shift = (e.n.integer > 512) & 512;
  f64x8 one = power_of_two_f64(-shift), s = power_of_two_f64(e.n.integer - shift);
  // s + 1 is exact up to 2^40; above, s joins last.
  i64x8 far = s > 0x1p40;
  f64x8 first = (f64x8)(bits_f64(s) & ~far), last = (f64x8)(bits_f64(s) & far);
  return (y * one) / (fma_f64(s, p, first + one) + last);
}

DUET_OVERLOADED f64x8 math_sigmoid_f64(f64x8 x) { return logistic_f64((f64x8)1.0, -x); }

DUET_OVERLOADED f64x8 math_silu_f64(f64x8 x) {
  x = at_least_f64(x, -770.0);
  return logistic_f64(x, -x);
}

DUET_OVERLOADED f64x8 math_gelu_f64(f64x8 x) {
  f64x8 half = 0.5 * at_least_f64(x, -40.0);
  return half * (1.0 + math_erf_f64(x * 0.70710678118654757));
}

DUET_OVERLOADED f64x8 math_gelu_tanh_f64(f64x8 x) {
  x = at_least_f64(x, -40.0);
  f64x8 c = at_most_f64(x, 40.0);
  f64x8 u = c * fma_f64(c * c, 0.035677408136300125, 0.79788456080286541);
  return logistic_f64(x, -2.0 * u);
}

DUET_OVERLOADED f64x8 math_softplus_f64(f64x8 x) {
  f64x8 e = exp_bounded_f64(at_least_f64(-abs_f64(x), -760.0));
  f64x8 y = at_least_f64(x, 0.0) + math_log1p_f64(e);
  return x == x ? y : x;
}

#endif
