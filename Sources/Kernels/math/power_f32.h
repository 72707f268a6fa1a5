// Powers, roots and remainders in float32.
#ifndef DUET_MATH_POWER_F32_H
#define DUET_MATH_POWER_F32_H

#include "exponential_f64.h"

typedef DUET_LANES(float, 8) f32x8;

DUET_INLINE f64x8 low_f64(f32x16 x) {
  f32x8 low = __builtin_shufflevector(x, x, 0, 1, 2, 3, 4, 5, 6, 7);
  return __builtin_convertvector(low, f64x8);
}

DUET_INLINE f64x8 high_f64(f32x16 x) {
  f32x8 high = __builtin_shufflevector(x, x, 8, 9, 10, 11, 12, 13, 14, 15);
  return __builtin_convertvector(high, f64x8);
}

DUET_INLINE f32x16 narrow_f64(f64x8 low, f64x8 high) {
  f32x8 a = __builtin_convertvector(low, f32x8), b = __builtin_convertvector(high, f32x8);
  return __builtin_shufflevector(a, b, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
}

DUET_INLINE f32x16 math_rsqrt_f32(f32x16 x) { return 1.0f / __builtin_elementwise_sqrt(x); }

// 2^(y log2 a) for a >= 0 in float64, relative error below 2^-33, to be rounded once to float32.
// log2 m = 2 atanh(s) / ln 2 with s = (m - 1) / (m + 1).
DUET_INLINE f64x8 power_wide(f64x8 a, f64x8 y) {
  i64x8 u = bits_f64(a), k = exponent_f64(u);
  f64x8 m = (f64x8)(u - (k << 52)), s = (m - 1.0) / (m + 1.0);
  f64x8 p = POLY_F64(s * s, 2.8853900817778499, 0.96179669411331414, 0.57707794237590881,
                     0.41220925109408335, 0.31990575442405128, 0.28289928271236847);
  f64x8 log = fma_f64(p, s, to_f64(k));
  log = a == 0.0 ? (f64x8)-INF_F64 : log;
  log = a == INF_F64 ? a : log;
  f64x8 t = at_least_f64(at_most_f64(y * log, 200.0), -200.0);
  nearest_f64_result n = nearest_f64(t);
  f64x8 q = POLY_F64(t - n.value, 0.99999999996167666, 0.69314718072844783, 0.24022651198141382,
                     0.055504103534314723, 0.0096180272573434603, 0.0013333922595208806,
                     0.00015469289882833831, 1.5201911156934969e-05);
  return q * power_of_two_f64(n.integer);
}

// C99 F.9.4.4: pow(x, 0) = pow(1, y) = 1 even for NaN, pow(-1, +-inf) = 1, a negative base takes
// integer exponents only.
DUET_INLINE f32x16 math_pow_f32(f32x16 x, f32x16 y) {
  f32x16 a = abs_f32(x), b = abs_f32(y);
  f32x16 r = narrow_f64(power_wide(low_f64(a), low_f64(y)), power_wide(high_f64(a), high_f64(y)));
  r = ((a == 1.0f) & (b == INF_F32)) ? (f32x16)1.0f : r;
  f32x16 halved = 0.5f * y;
  i32x16 whole = __builtin_elementwise_trunc(y) == y;
  i32x16 odd = whole & (__builtin_elementwise_trunc(halved) != halved);
  r = flip_f32(r, sign_f32(x) & odd);
  r = ((x < 0.0f) & ~whole & (a < INF_F32) & (b < INF_F32)) ? (f32x16)NAN_F32 : r;
  r = ((x != x) | (y != y)) ? x + y : r;
  return ((x == 1.0f) | (y == 0.0f)) ? (f32x16)1.0f : r;
}

DUET_INLINE f64x8 hypot_wide(f64x8 x, f64x8 y) {
  return __builtin_elementwise_sqrt(fma_f64(x, x, y * y));
}

// An infinity wins over NaN.
DUET_INLINE f32x16 math_hypot_f32(f32x16 x, f32x16 y) {
  f32x16 r = narrow_f64(hypot_wide(low_f64(x), low_f64(y)), hypot_wide(high_f64(x), high_f64(y)));
  return ((abs_f32(x) == INF_F32) | (abs_f32(y) == INF_F32)) ? (f32x16)INF_F32 : r;
}

// a - b trunc(a / b), exact while the quotient is below 2^28; a, b > 0. A quotient that was rounded
// up to an integer leaves a negative remainder, which b mends.
DUET_INLINE f64x8 remainder_wide(f64x8 a, f64x8 b) {
  f64x8 r = fma_f64(-__builtin_elementwise_trunc(a / b), b, a);
  return r < 0.0 ? r + b : r;
}

// C's fmod: exact, with the sign of x. Lanes with a huge quotient ask the C library.
DUET_INLINE f32x16 math_remainder_f32(f32x16 x, f32x16 y) {
  f32x16 a = abs_f32(x), b = abs_f32(y);
  f32x16 r = narrow_f64(remainder_wide(low_f64(a), low_f64(b)),
                        remainder_wide(high_f64(a), high_f64(b)));
  r = a < b ? a : r;
  i32x16 huge = (a >= b * 0x1p28f) & (a < INF_F32) & (b > 0.0f);
  if (__builtin_expect(any_32(huge), 0)) {
    for (int i = 0; i < 16; i++)
      if (huge[i]) r[i] = __builtin_fmodf(a[i], b[i]);
  }
  r = ((a == INF_F32) | (b == 0.0f)) ? (f32x16)NAN_F32 : r;
  r = ((x != x) | (y != y)) ? x + y : r;
  return flip_f32(r, sign_f32(x));
}

// Python's %: the sign of the divisor.
DUET_INLINE f32x16 math_floor_remainder_f32(f32x16 x, f32x16 y) {
  f32x16 r = math_remainder_f32(x, y);
  i32x16 opposite = (sign_f32(r) != sign_f32(y)) & (r != 0.0f);
  f32x16 mended = opposite ? r + y : r;
  return r == 0.0f ? (f32x16)sign_f32(y) : mended;
}

// Python's //: the integer nearest to (x - x % y) / y; y = 0 divides.
DUET_INLINE f32x16 math_floor_divide_f32(f32x16 x, f32x16 y) {
  f32x16 r = math_remainder_f32(x, y), quotient = x / y;
  f32x16 d = (x - r) / y;
  d = ((sign_f32(r) != sign_f32(y)) & (r != 0.0f)) ? d - 1.0f : d;
  f32x16 whole = __builtin_elementwise_floor(d);
  whole = d - whole > 0.5f ? whole + 1.0f : whole;
  whole = d == 0.0f ? (f32x16)sign_f32(quotient) : whole;
  return y == 0.0f ? quotient : whole;
}

#endif
