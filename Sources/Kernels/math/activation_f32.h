// Hyperbolic functions, erf and the activations built on them, in float32.
#ifndef DUET_MATH_ACTIVATION_F32_H
#define DUET_MATH_ACTIVATION_F32_H

#include "exponential_f32.h"

// (1 - E) / (1 + E) with E = e^-2a = 2^n (1 + p): both sides take one rounding each, and for small
// a, where n is 0, they are -p and 2 + p. With a = n ln(2) / -2 + r, p is expm1 of -2r. Powers of -2 are part of
// the polynomial's coefficients, which gives -p / 2 and saves a product without changing a bit.
DUET_OVERLOADED f32x16 math_tanh_f32(f32x16 x) {
  f32x16 a = at_most_f32(abs_f32(x), 10.0f);
  nearest_f32_result n = nearest_product_f32(a, -2.88539004f);
  f32x16 r = fma_f32(n.value, 0.346573591f, a);
  f32x16 p = POLY_F32(r, -2 * 0.49999997f, 4 * 0.166665435f, -8 * 0.0416672006f,
                      16 * 0.00836654753f, -32 * 0.00138825167f);
  p = fma_f32(p, r * r, r);
  f32x16 s = power_of_two_f32(n.integer), twice = power_of_two_f32(n.integer + 1);
  f32x16 y = fma_f32(twice, p, 1.0f - s) / fma_f32(-twice, p, 1.0f + s);
  return flip_f32(y, sign_f32(x));
}

// e^a / 2 without overflow where e^a alone would be infinite.
DUET_OVERLOADED f32x16 half_exp_f32(f32x16 a) {
  exp_reduction_f32 e = reduce_exp_f32(at_most_f32(a, 90.0f));
  nearest_f32_result below = {e.n.value - 1.0f, e.n.integer - 1};
  return scale_f32(exp_reduced_f32(e.r), below);
}

// Below 1 an odd polynomial, above it (e^a - e^-a) / 2.
DUET_OVERLOADED f32x16 math_sinh_f32(f32x16 x) {
  f32x16 a = abs_f32(x), z = a * a, e = half_exp_f32(a);
  f32x16 p = POLY_F32(z, 0.166666672f, 0.00833331048f, 0.000198428956f, 2.78221319e-06f);
  f32x16 y = a < 1.0f ? fma_f32(p, z * a, a) : e - 0.25f / e;
  return flip_f32(y, sign_f32(x));
}

DUET_OVERLOADED f32x16 math_cosh_f32(f32x16 x) {
  f32x16 e = half_exp_f32(abs_f32(x));
  return e + 0.25f / e;
}

// Below 0.93 an odd polynomial, above it 1 - e^-g(a), g a polynomial (after N. Juffa's erff).
DUET_OVERLOADED f32x16 math_erf_f32(f32x16 x) {
  f32x16 a = at_most_f32(abs_f32(x), 4.0f), z = a * a;
  f32x16 small = POLY_F32(z, 0.128379151f, -0.376124889f, 0.112817302f, -0.0267629158f,
                          0.00498725241f, -0.000595897087f);
  f32x16 g = POLY_F32(a, 0.128651559f, 0.635138869f, 0.106257431f, -0.0237797387f, 0.00365080358f,
                      -0.000324853259f, 1.14358072e-05f);
  f32x16 large = 1.0f - exp_normal_f32(-fma_f32(g, a, a));
  return flip_f32(a < 0.93f ? fma_f32(small, a, a) : large, sign_f32(x));
}

#define BITS_87_F32 0x42ae0000
#define BITS_2_16_F32 0x47800000

// y / (1 + e^v) without the rounding of e^v = s (1 + p); |y| is between 2^-60 and 2^60 where v is
// above 87. There the 1 does not count, and both sides are scaled by 2^-64.
DUET_OVERLOADED f32x16 logistic_f32(f32x16 y, f32x16 v) {
  exp_reduction_f32 e = reduce_exp_f32(at_least_f32(v, -80.0f));
  f32x16 p = expm1_short_f32(e.r), s = power_of_two_f32(e.n.integer);
  // s + 1 is exact up to 2^16; above, s joins last. Comparing bits and masking leaves the multipliers' ports alone.
  i32x16 far = bits_f32(s) > BITS_2_16_F32;
  f32x16 first = (f32x16)(bits_f32(s) & ~far), last = (f32x16)(bits_f32(s) & far);
  f32x16 result = y / (fma_f32(s, p, first + 1.0f) + last);
  // NaN may be among them.
  i32x16 huge = bits_f32(v) > BITS_87_F32;
  if (__builtin_expect(any_32(huge), 0)) {
    e = reduce_exp_f32(at_most_f32(v, 115.0f));
    s = power_of_two_f32(e.n.integer - 64);
    f32x16 tail = y * 0x1p-64f / fma_f32(s, expm1_short_f32(e.r), s);
    result = huge ? tail : result;
  }
  return result;
}

DUET_OVERLOADED f32x16 math_sigmoid_f32(f32x16 x) { return logistic_f32((f32x16)1.0f, -x); }

// x sigmoid(x); -inf gives -0, the limit.
DUET_OVERLOADED f32x16 math_silu_f32(f32x16 x) {
  x = at_least_f32(x, -110.0f);
  return logistic_f32(x, -x);
}

// x / 2 (1 + erf(x / sqrt 2)); -inf gives -0, the limit. A product, so that -0 keeps its sign.
DUET_OVERLOADED f32x16 math_gelu_f32(f32x16 x) {
  f32x16 half = 0.5f * at_least_f32(x, -20.0f);
  return half * (1.0f + math_erf_f32(x * 0.707106769f));
}

// x / 2 (1 + tanh u) = x / (1 + e^-2u), u = sqrt(2 / pi) (x + 0.044715 x^3); -inf gives -0, the limit.
DUET_OVERLOADED f32x16 math_gelu_tanh_f32(f32x16 x) {
  x = at_least_f32(x, -20.0f);
  return logistic_f32(x, x * fma_f32(x * x, -0.0713548139f, (f32x16)-1.59576917f));
}

// log(1 + e^x) = max(x, 0) + log1p(e^-|x|).
DUET_OVERLOADED f32x16 math_softplus_f32(f32x16 x) {
  f32x16 e = exp_bounded_f32(at_least_f32(-abs_f32(x), -105.0f));
  f32x16 y = at_least_f32(x, 0.0f) + math_log1p_f32(e);
  return x == x ? y : x;
}

#endif
