// Sixteen lanes of every type reduced in, whatever the width of a register: partial loads and the
// tree.
#ifndef DUET_REDUCTION_LANES_H
#define DUET_REDUCTION_LANES_H

#include "../elementwise/half_conversion.h"

typedef DUET_LANES(double, 16) f64x16;
typedef DUET_LANES(uint64_t, 16) u64x16;
typedef DUET_LANES(int64_t, 16) i64x16;

#define SIXTEEN(type, vector)                                                                 \
  DUET_INLINE vector load_##vector(const void *p) {                                           \
    typedef vector any __attribute__((aligned(sizeof(type))));                                \
    return *(const any *)p;                                                                   \
  }                                                                                           \
  DUET_INLINE void store_##vector(void *p, vector v) {                                        \
    typedef vector any __attribute__((aligned(sizeof(type))));                                \
    *(any *)p = v;                                                                            \
  }

SIXTEEN(float, f32x16)
SIXTEEN(double, f64x16)
SIXTEEN(uint64_t, u64x16)
#undef SIXTEEN

// The first n elements (0 < n < 16), the other lanes from `rest`.
#if defined(DUET_ISA_AVX512)
DUET_INLINE f32x16 part_f32x16(const void *p, int64_t n, f32x16 rest) {
  return (f32x16)_mm512_mask_loadu_ps((__m512)rest, (__mmask16)((1u << n) - 1), p);
}
DUET_INLINE u64x16 part_u64x16(const void *p, int64_t n, u64x16 rest) {
  u64x8 low = __builtin_shufflevector(rest, rest, 0, 1, 2, 3, 4, 5, 6, 7);
  u64x8 high = __builtin_shufflevector(rest, rest, 8, 9, 10, 11, 12, 13, 14, 15);
  uint32_t mask = (1u << n) - 1;
  low = (u64x8)_mm512_mask_loadu_epi64((__m512i)low, (__mmask8)mask, p);
  if (n > 8)
    high = (u64x8)_mm512_mask_loadu_epi64((__m512i)high, (__mmask8)(mask >> 8),
                                          (const char *)p + 64);
  return __builtin_shufflevector(low, high, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
}
#elif defined(DUET_ISA_AVX2)
DUET_INLINE f32x16 part_f32x16(const void *p, int64_t n, f32x16 rest) {
  const i32x16 lane = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  i32x16 mask = lane < (int32_t)n;
  __m256i low = (__m256i)__builtin_shufflevector(mask, mask, 0, 1, 2, 3, 4, 5, 6, 7);
  __m256i high = (__m256i)__builtin_shufflevector(mask, mask, 8, 9, 10, 11, 12, 13, 14, 15);
  __m256 a = _mm256_maskload_ps(p, low), b = _mm256_maskload_ps((const float *)p + 8, high);
  f32x16 v = __builtin_shufflevector(a, b, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  return mask ? v : rest;
}
DUET_INLINE u64x16 part_u64x16(const void *p, int64_t n, u64x16 rest) {
  for (int64_t i = 0; i < n; i++) rest[i] = ((const uint64_t *)p)[i];
  return rest;
}
#else
DUET_INLINE f32x16 part_f32x16(const void *p, int64_t n, f32x16 rest) {
  for (int64_t i = 0; i < n; i++) rest[i] = ((const float *)p)[i];
  return rest;
}
DUET_INLINE u64x16 part_u64x16(const void *p, int64_t n, u64x16 rest) {
  for (int64_t i = 0; i < n; i++) rest[i] = ((const uint64_t *)p)[i];
  return rest;
}
#endif
DUET_INLINE f64x16 part_f64x16(const void *p, int64_t n, f64x16 rest) {
  return (f64x16)part_u64x16(p, n, (u64x16)rest);
}

// Squares, and those of the first n elements, with -0 in the other lanes.
#define SQUARED(type, vector)                                                                \
  DUET_INLINE vector load_square_##vector(const void *p) {                                   \
    vector v = load_##vector(p);                                                             \
    return v * v;                                                                            \
  }                                                                                          \
  DUET_INLINE vector part_square_##vector(const void *p, int64_t n, vector rest) {           \
    return part_##vector(p, n, rest) * part_##vector(p, n, (vector)(type)1);                 \
  }
SQUARED(float, f32x16)
SQUARED(double, f64x16)
#undef SQUARED

// Sixteen elements of a 16-bit float as float32, and the first n of them.
DUET_INLINE f32x16 load_wide_f16(const void *p) { return from_float16(load_u16(p)); }
DUET_INLINE f32x16 load_wide_bf16(const void *p) {
  return (f32x16)(__builtin_convertvector(load_u16(p), u32x16) << 16);
}
#define PART_WIDE(type)                                                                  \
  DUET_INLINE f32x16 part_wide_##type(const void *p, int64_t n, f32x16 rest) {           \
    const i32x16 lane = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};          \
    u16x16 h = 0;                                                                        \
    memcpy(&h, p, (size_t)n * 2);                                                        \
    return lane < (int32_t)n ? load_wide_##type(&h) : rest;                              \
  }
PART_WIDE(f16)
PART_WIDE(bf16)
#undef PART_WIDE

// Stores of the first n lanes (0 < n < 16).
DUET_INLINE void store_part_f32x16(void *p, f32x16 v, int64_t n) { store_part_f32(p, v, n); }
DUET_INLINE void store_part_f64x16(void *p, f64x16 v, int64_t n) {
  if (n < 8) {
    store_part_f64(p, v.lo, n);
    return;
  }
  store_f64(p, v.lo);
  if (n > 8) store_part_f64((double *)p + 8, v.hi, n - 8);
}
DUET_INLINE void store_part_u64x16(void *p, u64x16 v, int64_t n) {
  store_part_f64x16(p, (f64x16)v, n);
}

// Lanes l and l + 8, then l + 4, l + 2, l + 1 by a function of two vectors of any width.
#define TREE(v, combine)                             \
  ({                                                 \
    __auto_type v8 = combine((v).lo, (v).hi);        \
    __auto_type v4 = combine(v8.lo, v8.hi);          \
    __auto_type v2 = combine(v4.lo, v4.hi);          \
    combine(v2, v2.yx)[0];                           \
  })

#define ADD(x, y) ((x) + (y))
#define MULTIPLY(x, y) ((x) * (y))

// NaN wins, -0 < +0. Equal values differ in the sign of zero alone. BITS is the
// integer vector type of the same shape, whatever the width.
#define BITS(v) __typeof__((v) == (v))
#define MAXIMUM(a, b)                                          \
  ({                                                           \
    __auto_type left_ = a;                                         \
    __auto_type right_ = b;                                         \
    __auto_type m = ((left_ > right_) | (left_ != left_)) ? left_ : right_;              \
    (left_ == right_) ? (__typeof__(left_))((BITS(left_))left_ & (BITS(left_))right_) : m;   \
  })
#define MINIMUM(a, b)                                          \
  ({                                                           \
    __auto_type left_ = a;                                         \
    __auto_type right_ = b;                                         \
    __auto_type m = ((left_ < right_) | (left_ != left_)) ? left_ : right_;              \
    (left_ == right_) ? (__typeof__(left_))((BITS(left_))left_ | (BITS(left_))right_) : m;   \
  })

// Signed comparisons of unsigned vectors: sums have to wrap, which unsigned elements do.
#define INTEGER_MAXIMUM(a, b)                                     \
  ({                                                              \
    __auto_type left_ = a;                                            \
    __auto_type right_ = b;                                            \
    ((BITS(left_))left_ > (BITS(left_))right_) ? left_ : right_;                            \
  })
#define INTEGER_MINIMUM(a, b)                                     \
  ({                                                              \
    __auto_type left_ = a;                                            \
    __auto_type right_ = b;                                            \
    ((BITS(left_))left_ < (BITS(left_))right_) ? left_ : right_;                            \
  })

#endif
