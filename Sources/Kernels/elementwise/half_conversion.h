// Conversions between float32 and the 16-bit floats, sixteen elements at a time: round to nearest
// even, subnormals kept, NaN made quiet with the upper bits of its payload.
#ifndef DUET_HALF_CONVERSION_H
#define DUET_HALF_CONVERSION_H

typedef DUET_LANES(uint16_t, 16) u16x16;
typedef DUET_LANES(uint16_t, 8) u16x8;

DUET_INLINE u16x16 load_u16(const void *p) {
  u16x16 v;
  memcpy(&v, p, sizeof v);
  return v;
}

DUET_INLINE void store_u16(void *p, u16x16 v) { memcpy(p, &v, sizeof v); }

DUET_INLINE f32x16 quiet_f32(f32x16 x) {
  return x != x ? (f32x16)((i32x16)x | 0x400000) : x;
}

// The same bits, NaN left as it is.
DUET_INLINE f32x16 raw_bfloat16(u16x16 h) {
  return (f32x16)(__builtin_convertvector(h, u32x16) << 16);
}

DUET_INLINE f32x16 from_bfloat16(u16x16 h) { return quiet_f32(raw_bfloat16(h)); }

DUET_INLINE u16x16 to_bfloat16(f32x16 x) {
  u32x16 u = (u32x16)x;
  u32x16 rounded = (u + 0x7fff + (u >> 16 & 1)) >> 16;
  u32x16 quiet = u >> 16 | 0x40;
  return __builtin_convertvector((u32x16)((x != x) ? (i32x16)quiet : (i32x16)rounded), u16x16);
}

// x that is a bfloat16.
DUET_INLINE u16x16 exactly_bfloat16(f32x16 x) {
  return __builtin_convertvector((u32x16)x >> 16, u16x16);
}

// x rounded to bfloat16.
DUET_INLINE f32x16 round_bfloat16(f32x16 x) {
  u32x16 u = (u32x16)x, rounded = u + 0x7fff + (u >> 16 & 1), quiet = u | 0x400000;
  return (f32x16)((u32x16)((x != x) ? (i32x16)quiet : (i32x16)rounded) & 0xffff0000);
}

// The same where NaN, if it occurs, is a quiet bfloat16: it has nothing to round.
DUET_INLINE f32x16 round_arithmetic_bfloat16(f32x16 x) {
  u32x16 u = (u32x16)x;
  return (f32x16)((u + 0x7fff + (u >> 16 & 1)) & 0xffff0000);
}

#if defined(DUET_ISA_AVX512)
DUET_INLINE f32x16 from_float16(u16x16 h) { return (f32x16)_mm512_cvtph_ps((__m256i)h); }
DUET_INLINE u16x16 to_float16(f32x16 x) {
  return (u16x16)_mm512_cvtps_ph((__m512)x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
#elif defined(DUET_ISA_AVX2)
DUET_INLINE f32x16 from_float16(u16x16 h) {
  u16x8 low = __builtin_shufflevector(h, h, 0, 1, 2, 3, 4, 5, 6, 7);
  u16x8 high = __builtin_shufflevector(h, h, 8, 9, 10, 11, 12, 13, 14, 15);
  __m256 a = _mm256_cvtph_ps((__m128i)low), b = _mm256_cvtph_ps((__m128i)high);
  return __builtin_shufflevector(a, b, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
}
DUET_INLINE u16x16 to_float16(f32x16 x) {
  __m256 low = __builtin_shufflevector(x, x, 0, 1, 2, 3, 4, 5, 6, 7);
  __m256 high = __builtin_shufflevector(x, x, 8, 9, 10, 11, 12, 13, 14, 15);
  u16x8 a = (u16x8)_mm256_cvtps_ph(low, _MM_FROUND_TO_NEAREST_INT);
  u16x8 b = (u16x8)_mm256_cvtps_ph(high, _MM_FROUND_TO_NEAREST_INT);
  return __builtin_shufflevector(a, b, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
}
#else
// The exponent is moved by a multiplication, which also normalises subnormals.
DUET_INLINE f32x16 from_float16(u16x16 h) {
  i32x16 u = __builtin_convertvector(h, i32x16), magnitude = u & 0x7fff;
  f32x16 x = (f32x16)(magnitude << 13) * 0x1p112f;
  i32x16 special = (magnitude << 13) | 0x7f800000;
  i32x16 nan = magnitude > 0x7c00;
  special = nan ? special | 0x400000 : special;
  x = magnitude >= 0x7c00 ? (f32x16)special : x;
  return (f32x16)((i32x16)x | (u & 0x8000) << 16);
}

// Normal results round in the integer; subnormal ones by adding 1/2, whose last bit weighs 2^-24.
DUET_INLINE u16x16 to_float16(f32x16 x) {
  i32x16 u = (i32x16)x, sign = (i32x16)((u32x16)u >> 16) & 0x8000, a = u & 0x7fffffff;
  i32x16 normal = (a - 0x38000000 + 0xfff + ((a >> 13) & 1)) >> 13;
  i32x16 subnormal = (i32x16)((f32x16)a + 0.5f) - 0x3f000000;
  i32x16 r = a < 0x38800000 ? subnormal : normal;
  r = a >= 0x47800000 ? (i32x16)0x7c00 : r;
  i32x16 nan = 0x7e00 | (a >> 13 & 0x3ff);
  r = a > 0x7f800000 ? nan : r;
  return __builtin_convertvector(r | sign, u16x16);
}
#endif

DUET_INLINE f32x16 raw_float16(u16x16 h) { return from_float16(h); }
DUET_INLINE u16x16 exactly_float16(f32x16 x) { return to_float16(x); }
DUET_INLINE f32x16 round_float16(f32x16 x) { return from_float16(to_float16(x)); }
DUET_INLINE f32x16 round_arithmetic_float16(f32x16 x) { return round_float16(x); }

// n elements, n a multiple of 16 or the last ones of an array: those behind n are not touched in
// `h`, and may be in `x`, a buffer with room for a whole vector.
#define HALF_ARRAYS(type)                                                                        \
  DUET_INLINE void widen_##type(float *x, const char *h, int64_t n) {                            \
    int64_t i = 0;                                                                               \
    for (; i + 16 <= n; i += 16) store_f32(x + i, from_##type(load_u16(h + i * 2)));             \
    if (i < n) {                                                                                 \
      u16x16 last = 0;                                                                           \
      memcpy(&last, h + i * 2, (size_t)(n - i) * 2);                                             \
      store_f32(x + i, from_##type(last));                                                       \
    }                                                                                            \
  }                                                                                              \
  DUET_INLINE void narrow_##type(char *h, const float *x, int64_t n) {                           \
    int64_t i = 0;                                                                               \
    for (; i + 16 <= n; i += 16) store_u16(h + i * 2, to_##type(load_f32(x + i)));               \
    if (i < n) {                                                                                 \
      u16x16 last = to_##type(load_f32(x + i));                                                  \
      memcpy(h + i * 2, &last, (size_t)(n - i) * 2);                                             \
    }                                                                                            \
  }

HALF_ARRAYS(float16)
HALF_ARRAYS(bfloat16)
#undef HALF_ARRAYS

#endif
