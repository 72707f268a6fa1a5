// The engines of one instruction set: element types, register widths, masks and block sizes.
#include "pack_template.h"
#include "convert_template.h"

#if defined(DUET_ISA_AVX512)
#define MASKED 1
#define BYTES 64
#define ROWS 14
#define INTEGER_ROWS 6
#elif defined(DUET_ISA_AVX2)
#define MASKED 1
#define BYTES 32
#define ROWS 6
#define INTEGER_ROWS 6

// The 8 words from words + 8 - n select the first n lanes.
static const int32_t DUET_SUFFIX(words)[16] = {-1, -1, -1, -1, -1, -1, -1, -1};

DUET_INLINE __m256i DUET_SUFFIX(mask_32)(int64_t n) {
  return _mm256_loadu_si256((const void *)(DUET_SUFFIX(words) + (8 - n)));
}
DUET_INLINE __m256i DUET_SUFFIX(mask_64)(int64_t n) {
  return _mm256_loadu_si256((const void *)(DUET_SUFFIX(words) + (8 - 2 * n)));
}
#else
#define MASKED 0
#define BYTES 16
#if defined(DUET_ISA_NEON)
#define ROWS 12
#else
#define ROWS 4
#endif
#define INTEGER_ROWS 4

#define PARTS(type, suffix)                                                                     \
  DUET_INLINE DUET_LANES(type, BYTES / sizeof(type))                                            \
  DUET_SUFFIX(load_part_##suffix)(const type *p, int64_t n) {                                   \
    type x[BYTES / sizeof(type)] = {0};                                                         \
    DUET_LANES(type, BYTES / sizeof(type)) v;                                                   \
    for (int64_t i = 0; i < n; i++) x[i] = p[i];                                                \
    memcpy(&v, x, sizeof v);                                                                    \
    return v;                                                                                   \
  }                                                                                             \
  DUET_INLINE void DUET_SUFFIX(store_part_##suffix)(                                            \
      type *p, DUET_LANES(type, BYTES / sizeof(type)) v, int64_t n) {                           \
    type x[BYTES / sizeof(type)];                                                               \
    memcpy(x, &v, sizeof v);                                                                    \
    for (int64_t i = 0; i < n; i++) p[i] = x[i];                                                \
  }
PARTS(float, f32)
PARTS(double, f64)
PARTS(uint32_t, u32)
PARTS(uint64_t, u64)
#undef PARTS
#endif

#define ELEMENT float
#define LANES (BYTES / 4)
#define NAME(x) DUET_SUFFIX(x##_f32)
#define MULTIPLY_ADD(a, b, c) __builtin_elementwise_fma(a, b, c)
#define PACK DUET_SUFFIX(pack_u32)
#define MATVEC NAME(matvec)
#define K_BLOCK 256
#define ROW_BLOCK 448
#if defined(DUET_ISA_AVX512)
#define HALF 8
#define MASK uint32_t
#define MASK_OF(n) ((1u << (n)) - 1)
#define LOAD_PART(p, m) (DUET_LANES(float, 16)) _mm512_maskz_loadu_ps((__mmask16)(m), p)
#define STORE_PART(p, v, m) _mm512_mask_storeu_ps(p, (__mmask16)(m), (__m512)(v))
#define LOAD_HALF(p, m) (DUET_LANES(float, 8)) _mm256_maskz_loadu_ps((__mmask8)(m), p)
#define STORE_HALF(p, v, m) _mm256_mask_storeu_ps(p, (__mmask8)(m), (__m256)(v))
#define LOAD_C_PART LOAD_PART
#elif defined(DUET_ISA_AVX2)
#define HALF 0
#define MASK __m256i
#define MASK_OF(n) DUET_SUFFIX(mask_32)(n)
#define LOAD_PART(p, m) (DUET_LANES(float, 8)) _mm256_maskload_ps(p, m)
#define STORE_PART(p, v, m) _mm256_maskstore_ps(p, m, (__m256)(v))
#define LOAD_C_PART LOAD_PART
#define LOAD_HALF LOAD_PART
#define STORE_HALF STORE_PART
#else
#define HALF 0
#define MASK int64_t
#define MASK_OF(n) (n)
#define LOAD_PART(p, m) *(const DUET_LANES(float, 4) __attribute__((aligned(4))) *)(p)
#define LOAD_C_PART(p, m) DUET_SUFFIX(load_part_f32)(p, m)
#define STORE_PART(p, v, m) DUET_SUFFIX(store_part_f32)(p, v, m)
#define LOAD_HALF LOAD_PART
#define STORE_HALF STORE_PART
#endif
#include "matvec_template.h"
#include "tile_template.h"

