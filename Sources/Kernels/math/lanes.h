// Small building blocks of the vector functions: selection, signs, splitting and building of
// floats.
#ifndef DUET_MATH_LANES_H
#define DUET_MATH_LANES_H

#define NAN_F32 __builtin_nanf("")
#define NAN_F64 __builtin_nan("")
#define INF_F32 __builtin_inff()
#define INF_F64 __builtin_inf()

DUET_OVERLOADED i32x16 bits_f32(f32x16 x) { return (i32x16)x; }
DUET_OVERLOADED i64x8 bits_f64(f64x8 x) { return (i64x8)x; }

DUET_OVERLOADED f32x16 abs_f32(f32x16 x) { return (f32x16)((i32x16)x & 0x7fffffff); }
DUET_OVERLOADED f64x8 abs_f64(f64x8 x) { return (f64x8)((i64x8)x & 0x7fffffffffffffff); }

// The sign bit alone, and x with its sign flipped where `sign` (such a bit) is set.
DUET_OVERLOADED i32x16 sign_f32(f32x16 x) { return (i32x16)x & (int32_t)0x80000000; }
DUET_OVERLOADED i64x8 sign_f64(f64x8 x) { return (i64x8)x & INT64_MIN; }
DUET_OVERLOADED f32x16 flip_f32(f32x16 x, i32x16 sign) { return (f32x16)((i32x16)x ^ sign); }
DUET_OVERLOADED f64x8 flip_f64(f64x8 x, i64x8 sign) { return (f64x8)((i64x8)x ^ sign); }

DUET_OVERLOADED int any_32(i32x16 mask) { return __builtin_reduce_or(mask) != 0; }
DUET_OVERLOADED int any_64(i64x8 mask) { return __builtin_reduce_or(mask) != 0; }

// x below `limit` (NaN stays), x above `limit` (NaN stays).
DUET_OVERLOADED f32x16 at_most_f32(f32x16 x, f32x16 limit) { return x > limit ? limit : x; }
DUET_OVERLOADED f64x8 at_most_f64(f64x8 x, f64x8 limit) { return x > limit ? limit : x; }
DUET_OVERLOADED f32x16 at_least_f32(f32x16 x, f32x16 limit) { return x < limit ? limit : x; }
DUET_OVERLOADED f64x8 at_least_f64(f64x8 x, f64x8 limit) { return x < limit ? limit : x; }

// Registers of a wide vector go through a function side by side, one step each in turn: compilers would rather
// take them one by one, and then fewer steps fit into what a processor looks ahead.
#if defined(DUET_MATH_WIDE)
#define IN_STEP(vector, quarter)                                                       \
  DUET_OVERLOADED vector in_step(vector p) {                                           \
    quarter q[4];                                                                      \
    memcpy(q, &p, sizeof q);                                                           \
    __asm__ volatile("" : "+x"(q[0]), "+x"(q[1]), "+x"(q[2]), "+x"(q[3]));             \
    memcpy(&p, q, sizeof q);                                                           \
    return p;                                                                          \
  }
#else
#define IN_STEP(vector, quarter) \
  DUET_OVERLOADED vector in_step(vector p) { return p; }
#endif
IN_STEP(f32x16, float32_quarter)
IN_STEP(f64x8, float64_quarter)
#undef IN_STEP

// Horner's rule; coefficients from the constant term up.
#define POLY_F32(x, ...)                                                                 \
  poly_f32(x, (const float[]){__VA_ARGS__}, sizeof((const float[]){__VA_ARGS__}) / sizeof(float))
#define POLY_F64(x, ...)                                                                  \
  poly_f64(x, (const double[]){__VA_ARGS__}, sizeof((const double[]){__VA_ARGS__}) / sizeof(double))

DUET_OVERLOADED f32x16 poly_f32(f32x16 x, const float *c, int n) {
  f32x16 p = c[n - 1];
#pragma clang loop unroll(full)
  for (int i = n - 2; i >= 0; i--) p = in_step(fma_f32(p, x, (f32x16)c[i]));
  return p;
}

DUET_OVERLOADED f64x8 poly_f64(f64x8 x, const double *c, int n) {
  f64x8 p = c[n - 1];
#pragma clang loop unroll(full)
  for (int i = n - 2; i >= 0; i--) p = in_step(fma_f64(p, x, (f64x8)c[i]));
  return p;
}

// The integer nearest to a small x (|x| < 2^22 or 2^51), as a float and as an integer. Adding 1.5 *
// 2^p leaves the integer in the low bits of the fraction; unlike a conversion it is defined for
// every x.
typedef struct {
  f32x16 value;
  i32x16 integer;
} nearest_f32_result;

typedef struct {
  f64x8 value;
  i64x8 integer;
} nearest_f64_result;

DUET_OVERLOADED nearest_f32_result nearest_f32(f32x16 x) {
  f32x16 shifted = x + 0x1.8p23f;
  return (nearest_f32_result){shifted - 0x1.8p23f, (i32x16)shifted - 0x4b400000};
}

// The integer nearest to x y, the product unrounded.
DUET_OVERLOADED nearest_f32_result nearest_product_f32(f32x16 x, float y) {
  f32x16 shifted = fma_f32(x, (f32x16)y, (f32x16)0x1.8p23f);
  return (nearest_f32_result){shifted - 0x1.8p23f, (i32x16)shifted - 0x4b400000};
}

DUET_OVERLOADED nearest_f64_result nearest_f64(f64x8 x) {
  f64x8 shifted = x + 0x1.8p52;
  return (nearest_f64_result){shifted - 0x1.8p52, (i64x8)shifted - 0x4338000000000000};
}

// 2^n for a normal result.
DUET_OVERLOADED f32x16 power_of_two_f32(i32x16 n) { return (f32x16)((n + 127) << 23); }
DUET_OVERLOADED f64x8 power_of_two_f64(i64x8 n) { return (f64x8)((n + 1023) << 52); }

// p * 2^n rounded once, also into subnormals; p in [1/2, 2], |n| <= 250 (2,000 in float64).
DUET_OVERLOADED f32x16 scale_f32(f32x16 p, nearest_f32_result n) {
#if defined(DUET_ISA_AVX512)
  return (f32x16)_mm512_scalef_ps((__m512)p, (__m512)n.value);
#else
  i32x16 half = n.integer >> 1;
  return p * power_of_two_f32(half) * power_of_two_f32(n.integer - half);
#endif
}

// The same for a normal result and |n| <= 126.
DUET_OVERLOADED f32x16 scale_normal_f32(f32x16 p, nearest_f32_result n) {
#if defined(DUET_ISA_AVX512)
  return scale_f32(p, n);
#else
  return p * power_of_two_f32(n.integer);
#endif
}

DUET_OVERLOADED f64x8 scale_f64(f64x8 p, nearest_f64_result n) {
#if defined(DUET_ISA_AVX512)
  return (f64x8)_mm512_scalef_pd((__m512d)p, (__m512d)n.value);
#else
  i64x8 half = (i64x8)((u64x8)(n.integer + 4096) >> 1) - 2048;
  return p * power_of_two_f64(half) * power_of_two_f64(n.integer - half);
#endif
}

// x = m * 2^exponent with m in [sqrt(1/2), sqrt(2)) for positive finite x, subnormals included.
typedef struct {
  f32x16 mantissa, exponent;
} split_f32_result;

typedef struct {
  f64x8 mantissa, exponent;
} split_f64_result;

// The exponent that leaves a mantissa in [sqrt(1/2), sqrt(2)), from the bits of a positive normal
// number.
DUET_OVERLOADED i32x16 exponent_f32(i32x16 u) { return (i32x16)((u32x16)(u + 0x4afb0d) >> 23) - 127; }
DUET_OVERLOADED i64x8 exponent_f64(i64x8 u) {
  return (i64x8)((u64x8)(u + 0x95f619980c433) >> 52) - 1023;
}

// A small integer as a float64: there is no instruction for it before AVX-512.
DUET_OVERLOADED f64x8 to_f64(i64x8 k) { return (f64x8)(k + 0x4338000000000000) - 0x1.8p52; }

DUET_OVERLOADED split_f32_result split_f32(f32x16 x) {
  i32x16 tiny = x < 0x1p-126f;
  i32x16 u = bits_f32(tiny ? x * 0x1p25f : x);
  i32x16 k = exponent_f32(u);
  f32x16 exponent = __builtin_convertvector(k, f32x16);
  return (split_f32_result){(f32x16)(u - (k << 23)), tiny ? exponent - 25.0f : exponent};
}

DUET_OVERLOADED split_f64_result split_f64(f64x8 x) {
  i64x8 tiny = x < 0x1p-1022;
  i64x8 u = bits_f64(tiny ? x * 0x1p54 : x);
  i64x8 k = exponent_f64(u);
  f64x8 exponent = to_f64(k);
  return (split_f64_result){(f64x8)(u - (k << 52)), tiny ? exponent - 54.0 : exponent};
}

#endif
