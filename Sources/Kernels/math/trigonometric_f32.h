// sin, cos, tan and their inverses in float32.
#ifndef DUET_MATH_TRIGONOMETRIC_F32_H
#define DUET_MATH_TRIGONOMETRIC_F32_H

#include "huge_argument.h"
#include "lanes.h"

// x = quadrant pi/2 + r, |r| <= pi/4 (a little more near the ends); x >= 0 or NaN.
typedef struct {
  f32x16 r;
  i32x16 quadrant;
} angle_f32;

// Cody and Waite with three parts of pi/2 and fused multiply-adds, the first of them exact. Above
// 65,536 a lane takes the slow way, whatever its neighbours do.
DUET_INLINE angle_f32 reduce_angle_f32(f32x16 x) {
  nearest_f32_result n = nearest_f32(x * 0.636619772f);
  f32x16 r = fma_f32(-n.value, 1.57079637f, x);
  r = fma_f32(-n.value, -4.37113883e-08f, r);
  angle_f32 angle = {fma_f32(-n.value, -1.71512451e-15f, r), n.integer};
  if (__builtin_expect(any_32(x > 65536.0f), 0)) {
    for (int i = 0; i < 16; i++) {
      float lane = x[i];
      if (!(lane > 65536.0f)) continue;
      huge_reduction huge = {NAN_F64, 0, 0};
      if (lane < INF_F32) huge = reduce_huge(lane);
      angle.r[i] = (float)huge.high;
      angle.quadrant[i] = (int32_t)huge.quadrant;
    }
  }
  return angle;
}

DUET_INLINE f32x16 sin_reduced_f32(f32x16 r) {
  f32x16 z = r * r;
  return fma_f32(POLY_F32(z, -0.166666538f, 0.00833210628f, -0.000195078843f), z * r, r);
}

DUET_INLINE f32x16 cos_reduced_f32(f32x16 r) {
  f32x16 z = r * r;
  f32x16 p = POLY_F32(z, 0.0416666456f, -0.00138873013f, 2.44306684e-05f);
  return fma_f32(z, fma_f32(p, z, -0.5f), 1.0f);
}

DUET_INLINE f32x16 math_sin_f32(f32x16 x) {
  angle_f32 a = reduce_angle_f32(abs_f32(x));
  f32x16 y = (a.quadrant & 1) != 0 ? cos_reduced_f32(a.r) : sin_reduced_f32(a.r);
  return flip_f32(y, ((a.quadrant & 2) << 30) ^ sign_f32(x));
}

DUET_INLINE f32x16 math_cos_f32(f32x16 x) {
  angle_f32 a = reduce_angle_f32(abs_f32(x));
  f32x16 y = (a.quadrant & 1) != 0 ? sin_reduced_f32(a.r) : cos_reduced_f32(a.r);
  return flip_f32(y, ((a.quadrant + 1) & 2) << 30);
}

DUET_INLINE f32x16 math_tan_f32(f32x16 x) {
  angle_f32 a = reduce_angle_f32(abs_f32(x));
  f32x16 s = sin_reduced_f32(a.r), c = cos_reduced_f32(a.r);
  i32x16 odd = (a.quadrant & 1) != 0;
  f32x16 y = (odd ? -c : s) / (odd ? s : c);
  return flip_f32(y, sign_f32(x));
}

// asin(s) = s + s tail(s^2) for 0 <= s <= 1/2.
DUET_INLINE f32x16 asin_tail_f32(f32x16 z) {
  return z * POLY_F32(z, 0.166667521f, 0.0749530941f, 0.0454691499f, 0.0241847802f, 0.0421582982f);
}

// asin(x) = pi/2 - 2 asin(sqrt((1 - x) / 2)) above 1/2.
DUET_INLINE f32x16 math_asin_f32(f32x16 x) {
  f32x16 a = abs_f32(x);
  i32x16 large = a > 0.5f;
  f32x16 z = large ? (1.0f - a) * 0.5f : a * a;
  f32x16 s = large ? __builtin_elementwise_sqrt(z) : a;
  f32x16 tail = s * asin_tail_f32(z);
  f32x16 high = fma_f32(s, -2.0f, (f32x16)1.57079637f);
  f32x16 y = large ? high - fma_f32(tail, 2.0f, (f32x16)4.37113883e-08f) : s + tail;
  return flip_f32(y, sign_f32(x));
}

DUET_INLINE f32x16 math_acos_f32(f32x16 x) {
  f32x16 a = abs_f32(x);
  i32x16 large = a > 0.5f;
  f32x16 z = large ? (1.0f - a) * 0.5f : a * a;
  f32x16 s = large ? __builtin_elementwise_sqrt(z) : x;
  f32x16 tail = s * asin_tail_f32(z);
  // Middle: pi/2 - asin x. Ends: 2 asin(s) for positive x, pi - 2 asin(s) for negative x.
  f32x16 middle = 1.57079637f - (s + (tail + 4.37113883e-08f));
  f32x16 twice = 2.0f * (s + tail);
  f32x16 end = x < 0.0f ? 3.14159274f - (twice + 8.74227766e-08f) : twice;
  return large ? end : middle;
}

// atan(t) for 0 <= t <= 1.
DUET_INLINE f32x16 atan_reduced_f32(f32x16 t) {
  f32x16 z = t * t;
  f32x16 p = POLY_F32(z, -0.333332986f, 0.199985296f, -0.142640159f, 0.109508798f, -0.0839929879f,
                      0.0578810535f, -0.0310962852f, 0.0108680194f, -0.00178258657f);
  return fma_f32(p, z * t, t);
}

DUET_INLINE f32x16 math_atan_f32(f32x16 x) {
  f32x16 a = abs_f32(x);
  i32x16 large = a > 1.0f;
  f32x16 y = atan_reduced_f32(large ? 1.0f / a : a);
  y = large ? 1.57079637f - (y + 4.37113883e-08f) : y;
  return flip_f32(y, sign_f32(x));
}

// The angle of (x, y), with the signs of zeros and the limits at infinity as in C99 F.9.1.4.
DUET_INLINE f32x16 math_atan2_f32(f32x16 y, f32x16 x) {
  f32x16 a = abs_f32(x), b = abs_f32(y);
  i32x16 steep = b > a;
  f32x16 small = steep ? a : b, large = steep ? b : a;
  f32x16 t = small / large;
  t = large == 0.0f ? (f32x16)0.0f : t;
  t = small == INF_F32 ? (f32x16)1.0f : t;
  f32x16 r = atan_reduced_f32(t);
  r = steep ? 1.57079637f - (r + 4.37113883e-08f) : r;
  r = sign_f32(x) != 0 ? 3.14159274f - (r + 8.74227766e-08f) : r;
  r = ((x != x) | (y != y)) ? x + y : r;
  return flip_f32(r, sign_f32(y));
}

#endif
