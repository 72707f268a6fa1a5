// 64-byte vectors for every instruction set, and the macros that compile a template once per set.
//
// A template is a header without an include guard that is included between DUET_ISA_BEGIN and
// DUET_ISA_END by one source per instruction set, for example window/window_avx512.c:
//
//     #define DUET_ISA_AVX512 1
//     #include "../simd/simd.h"
//     #ifndef DUET_ISA_ABSENT
//     DUET_ISA_BEGIN
//     #include "window_template.h"
//     DUET_ISA_END
//     #endif
//
// All sets use the same 64-byte vectors; the compiler splits them where registers are narrower. What a lane
// holds and the order of operations are therefore the same everywhere, which is what keeps bits equal.
#ifndef DUET_SIMD_H
#define DUET_SIMD_H

#include <stdint.h>
#include <string.h>

#pragma STDC FP_CONTRACT OFF
#pragma clang diagnostic ignored "-Wpsabi"

#if defined(DUET_ISA_AVX512) && defined(__x86_64__)
#include <immintrin.h>
#define DUET_SUFFIX(name) name##_avx512
#define DUET_ISA_TARGET "avx512f,avx512vl,avx512dq,avx512bw,avx512cd,avx2,fma,f16c,bmi,bmi2"
#elif defined(DUET_ISA_AVX2) && defined(__x86_64__)
#include <immintrin.h>
#define DUET_SUFFIX(name) name##_avx2
#define DUET_ISA_TARGET "avx2,fma,f16c,bmi,bmi2"
#elif defined(DUET_ISA_NEON) && defined(__aarch64__)
#include <arm_neon.h>
#define DUET_SUFFIX(name) name##_neon
#elif defined(DUET_ISA_SCALAR)
#define DUET_SUFFIX(name) name##_scalar
#else
#define DUET_ISA_ABSENT 1  // this source is empty on this processor family
#endif

#ifdef DUET_ISA_TARGET
#define DUET_PRAGMA(x) _Pragma(#x)
#define DUET_ISA_PUSH(t) \
  DUET_PRAGMA(clang attribute push(__attribute__((target(t))), apply_to = function))
#define DUET_ISA_BEGIN DUET_ISA_PUSH(DUET_ISA_TARGET)
#define DUET_ISA_END _Pragma("clang attribute pop")
#else
#define DUET_ISA_BEGIN
#define DUET_ISA_END
#endif

#ifndef DUET_ISA_ABSENT

#define DUET_INLINE static inline __attribute__((always_inline))
// Of functions that there are for several numbers of lanes.
#define DUET_OVERLOADED DUET_INLINE __attribute__((overloadable))
#define DUET_LANES(type, lanes) type __attribute__((ext_vector_type(lanes)))

typedef DUET_LANES(float, 16) f32x16;
typedef DUET_LANES(double, 8) f64x8;
typedef DUET_LANES(int32_t, 16) i32x16;
typedef DUET_LANES(uint32_t, 16) u32x16;
typedef DUET_LANES(int64_t, 8) i64x8;
typedef DUET_LANES(uint64_t, 8) u64x8;
typedef DUET_LANES(int8_t, 16) i8x16;
typedef DUET_LANES(int8_t, 8) i8x8;

// The same vectors at any address.
typedef f32x16 f32x16_any __attribute__((aligned(4)));
typedef f64x8 f64x8_any __attribute__((aligned(8)));
typedef i32x16 i32x16_any __attribute__((aligned(4)));
typedef i64x8 i64x8_any __attribute__((aligned(8)));

DUET_ISA_BEGIN

DUET_INLINE f32x16 load_f32(const void *p) { return *(const f32x16_any *)p; }
DUET_INLINE void store_f32(void *p, f32x16 v) { *(f32x16_any *)p = v; }
DUET_INLINE f64x8 load_f64(const void *p) { return *(const f64x8_any *)p; }
DUET_INLINE void store_f64(void *p, f64x8 v) { *(f64x8_any *)p = v; }

#include "part.h"

// a * b + c with one rounding, on every set (the scalar one calls the C library's fma).
DUET_OVERLOADED f32x16 fma_f32(f32x16 a, f32x16 b, f32x16 c) { return __builtin_elementwise_fma(a, b, c); }
DUET_OVERLOADED f64x8 fma_f64(f64x8 a, f64x8 b, f64x8 c) { return __builtin_elementwise_fma(a, b, c); }

DUET_ISA_END

#endif  // DUET_ISA_ABSENT
#endif
