// sin, cos, tan and their inverses in float64.
#ifndef DUET_MATH_TRIGONOMETRIC_F64_H
#define DUET_MATH_TRIGONOMETRIC_F64_H

#include "huge_argument.h"
#include "lanes.h"

#define PIO2_HIGH_F64 1.5707963267948966
#define PIO2_LOW_F64 6.123233995736766e-17
#define PI_HIGH_F64 3.1415926535897931
#define PI_LOW_F64 1.2246467991473532e-16

// x = quadrant pi/2 + r + low; x >= 0 or NaN.
typedef struct {
  f64x8 r, low;
  i64x8 quadrant;
} angle_f64;

// Cody and Waite; what the second step rounds away is kept. Above 2^30 a lane takes the slow way.
DUET_INLINE angle_f64 reduce_angle_f64(f64x8 x) {
  nearest_f64_result n = nearest_f64(x * 0.63661977236758138);
  f64x8 first = fma_f64(-n.value, PIO2_HIGH_F64, x);
  f64x8 r = fma_f64(-n.value, PIO2_LOW_F64, first);
  f64x8 low = fma_f64(-n.value, PIO2_LOW_F64, first - r);
  low = fma_f64(-n.value, -1.4973849048591698e-33, low);
  angle_f64 angle = {r, low, n.integer};
  if (__builtin_expect(any_64(x > 0x1p30), 0)) {
    for (int i = 0; i < 8; i++) {
      double lane = x[i];
      if (!(lane > 0x1p30)) continue;
      huge_reduction huge = {NAN_F64, 0, 0};
      if (lane < INF_F64) huge = reduce_huge(lane);
      angle.r[i] = huge.high;
      angle.low[i] = huge.low;
      angle.quadrant[i] = huge.quadrant;
    }
  }
  return angle;
}

// sin(r + low) = sin r + low cos r, cos(r + low) = cos r - low r, to first order.
DUET_INLINE f64x8 sin_reduced_f64(f64x8 r, f64x8 low) {
  f64x8 z = r * r;
  f64x8 p = POLY_F64(z, -0.16666666666666627, 0.0083333333333209404, -0.00019841269828618698,
                     2.7557313276011778e-06, -2.5050692475903974e-08, 1.5892961820255708e-10);
  return r + fma_f64(p, z * r, fma_f64(-0.5 * z, low, low));
}

DUET_INLINE f64x8 cos_reduced_f64(f64x8 r, f64x8 low) {
  f64x8 z = r * r, half = 0.5 * z, w = 1.0 - half;
  f64x8 p = POLY_F64(z, 0.041666666666666588, -0.0013888888888872598, 2.4801587288491949e-05,
                     -2.7557314056538902e-07, 2.0875681874743236e-09, -1.1357448421332279e-11);
  // w loses what 1 - w - half brings back (fdlibm k_cos.c).
  return w + ((1.0 - w - half) + fma_f64(p, z * z, -(r * low)));
}

DUET_INLINE f64x8 math_sin_f64(f64x8 x) {
  angle_f64 a = reduce_angle_f64(abs_f64(x));
  i64x8 odd = (a.quadrant & 1) != 0;
  f64x8 y = odd ? cos_reduced_f64(a.r, a.low) : sin_reduced_f64(a.r, a.low);
  return x == x ? flip_f64(y, ((a.quadrant & 2) << 62) ^ sign_f64(x)) : x;
}

DUET_INLINE f64x8 math_cos_f64(f64x8 x) {
  angle_f64 a = reduce_angle_f64(abs_f64(x));
  i64x8 odd = (a.quadrant & 1) != 0;
  f64x8 y = odd ? sin_reduced_f64(a.r, a.low) : cos_reduced_f64(a.r, a.low);
  return x == x ? flip_f64(y, ((a.quadrant + 1) & 2) << 62) : x;
}

DUET_INLINE f64x8 math_tan_f64(f64x8 x) {
  angle_f64 a = reduce_angle_f64(abs_f64(x));
  f64x8 s = sin_reduced_f64(a.r, a.low), c = cos_reduced_f64(a.r, a.low);
  i64x8 odd = (a.quadrant & 1) != 0;
  f64x8 y = (odd ? -c : s) / (odd ? s : c);
  return x == x ? flip_f64(y, sign_f64(x)) : x;
}

// asin(s) = s + s tail(s^2) for 0 <= s <= 1/2.
DUET_INLINE f64x8 asin_tail_f64(f64x8 z) {
  return z * POLY_F64(z, 0.1666666666666676, 0.074999999999707939, 0.044642857174616746,
                      0.030381942707567389, 0.022372214993389278, 0.017351611915832146,
                      0.013980821662616744, 0.011398903510339124, 0.0107802996685192,
                      0.003706238171208139, 0.021707847527715294, -0.020999609694426772,
                      0.032628954270046431);
}

DUET_INLINE f64x8 math_asin_f64(f64x8 x) {
  f64x8 a = abs_f64(x);
  i64x8 large = a > 0.5;
  f64x8 z = large ? (1.0 - a) * 0.5 : a * a;
  f64x8 s = large ? __builtin_elementwise_sqrt(z) : a;
  f64x8 tail = s * asin_tail_f64(z);
  f64x8 high = fma_f64(s, -2.0, (f64x8)PIO2_HIGH_F64);
  f64x8 y = large ? high - fma_f64(tail, 2.0, (f64x8)-PIO2_LOW_F64) : s + tail;
  return flip_f64(y, sign_f64(x));
}

DUET_INLINE f64x8 math_acos_f64(f64x8 x) {
  f64x8 a = abs_f64(x);
  i64x8 large = a > 0.5;
  f64x8 z = large ? (1.0 - a) * 0.5 : a * a;
  f64x8 s = large ? __builtin_elementwise_sqrt(z) : x;
  f64x8 tail = s * asin_tail_f64(z);
  f64x8 middle = PIO2_HIGH_F64 - (s + (tail - PIO2_LOW_F64));
  f64x8 twice = 2.0 * (s + tail);
  f64x8 end = x < 0.0 ? PI_HIGH_F64 - (twice - PI_LOW_F64) : twice;
  return large ? end : middle;
}

// atan(t) for 0 <= t <= 1.
DUET_INLINE f64x8 atan_reduced_f64(f64x8 t) {
  f64x8 z = t * t;
  f64x8 p = POLY_F64(z, -0.33333333333333071, 0.19999999999951473, -0.14285714282575709,
                     0.11111111007041093, -0.090909070032167708, 0.076922798415377927,
                     -0.066664040732452842, 0.058805278945191483, -0.052535188594804758,
                     0.047223231197228814, -0.042191810223946649, 0.036641947935073034,
                     -0.029903910472810116, 0.021984910358053077, -0.01390060843396131,
                     0.0071965342767210004, -0.0028849331184436283, 0.0008313266315537382,
                     -0.00015216183018748226, 1.322516618583859e-05);
  return fma_f64(p, z * t, t);
}

DUET_INLINE f64x8 math_atan_f64(f64x8 x) {
  f64x8 a = abs_f64(x);
  i64x8 large = a > 1.0;
  f64x8 y = atan_reduced_f64(large ? 1.0 / a : a);
  y = large ? PIO2_HIGH_F64 - (y - PIO2_LOW_F64) : y;
  return flip_f64(y, sign_f64(x));
}

// The angle of (x, y), with the signs of zeros and the limits at infinity as in C99 F.9.1.4.
DUET_INLINE f64x8 math_atan2_f64(f64x8 y, f64x8 x) {
  f64x8 a = abs_f64(x), b = abs_f64(y);
  i64x8 steep = b > a;
  f64x8 small = steep ? a : b, large = steep ? b : a;
  f64x8 t = small / large;
  t = large == 0.0 ? (f64x8)0.0 : t;
  t = small == INF_F64 ? (f64x8)1.0 : t;
  f64x8 r = atan_reduced_f64(t);
  r = steep ? PIO2_HIGH_F64 - (r - PIO2_LOW_F64) : r;
  r = sign_f64(x) != 0 ? PI_HIGH_F64 - (r - PI_LOW_F64) : r;
  r = ((x != x) | (y != y)) ? x + y : r;
  return flip_f64(r, sign_f64(y));
}

#endif
