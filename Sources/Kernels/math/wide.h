// The functions of exponential_*.h and activation_*.h on vectors twice as long, for AVX2: there a vector is two
// registers, and two that wait for their own results leave the multipliers idle; four do not. The same sources,
// compiled for other types under the same names, and so with the same results bit for bit.
#ifndef DUET_MATH_WIDE_H
#define DUET_MATH_WIDE_H

#include "math_f32.h"
#include "math_f64.h"

#if defined(DUET_ISA_AVX2)

typedef DUET_LANES(float, 32) f32x32;
typedef DUET_LANES(int32_t, 32) i32x32;
typedef DUET_LANES(uint32_t, 32) u32x32;
typedef DUET_LANES(double, 16) f64x16;
typedef DUET_LANES(int64_t, 16) i64x16;
typedef DUET_LANES(uint64_t, 16) u64x16;
typedef DUET_LANES(float, 8) float32_quarter;
typedef DUET_LANES(double, 4) float64_quarter;

DUET_OVERLOADED f32x32 fma_f32(f32x32 a, f32x32 b, f32x32 c) { return __builtin_elementwise_fma(a, b, c); }
DUET_OVERLOADED f64x16 fma_f64(f64x16 a, f64x16 b, f64x16 c) { return __builtin_elementwise_fma(a, b, c); }

#define DUET_MATH_WIDE
#define f32x16 f32x32
#define i32x16 i32x32
#define u32x16 u32x32
#define f64x8 f64x16
#define i64x8 i64x16
#define u64x8 u64x16
#define nearest_f32_result nearest_f32x32_result
#define nearest_f64_result nearest_f64x16_result
#define split_f32_result split_f32x32_result
#define split_f64_result split_f64x16_result
#define exp_reduction_f32 exp_reduction_f32x32
#define exp_reduction_f64 exp_reduction_f64x16
#undef DUET_MATH_LANES_H
#undef DUET_MATH_EXPONENTIAL_F32_H
#undef DUET_MATH_EXPONENTIAL_F64_H
#undef DUET_MATH_ACTIVATION_F32_H
#undef DUET_MATH_ACTIVATION_F64_H

#include "activation_f32.h"
#include "activation_f64.h"

#undef DUET_MATH_WIDE
#undef f32x16
#undef i32x16
#undef u32x16
#undef f64x8
#undef i64x8
#undef u64x8
#undef nearest_f32_result
#undef nearest_f64_result
#undef split_f32_result
#undef split_f64_result
#undef exp_reduction_f32
#undef exp_reduction_f64

// Two vectors as one, and its halves.
DUET_INLINE f32x32 both_f32(f32x16 a, f32x16 b) {
  return __builtin_shufflevector(a, b, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21,
                                 22, 23, 24, 25, 26, 27, 28, 29, 30, 31);
}
DUET_INLINE f32x16 first_half_f32(f32x32 x) {
  return __builtin_shufflevector(x, x, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
}
DUET_INLINE f32x16 second_half_f32(f32x32 x) {
  return __builtin_shufflevector(x, x, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31);
}
DUET_INLINE f64x16 both_f64(f64x8 a, f64x8 b) {
  return __builtin_shufflevector(a, b, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
}
DUET_INLINE f64x8 first_half_f64(f64x16 x) { return __builtin_shufflevector(x, x, 0, 1, 2, 3, 4, 5, 6, 7); }
DUET_INLINE f64x8 second_half_f64(f64x16 x) { return __builtin_shufflevector(x, x, 8, 9, 10, 11, 12, 13, 14, 15); }

#endif
#endif
