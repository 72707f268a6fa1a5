// Loads and stores of the first n lanes, 0 < n < 16 or 8; the other lanes of a load are zero. Memory
// behind them is not touched. Where there are no masked accesses the lanes go through memory.
#ifndef DUET_PART_H
#define DUET_PART_H

#if defined(DUET_ISA_AVX512)
DUET_INLINE f32x16 load_part_f32(const void *p, int64_t n) {
  return (f32x16)_mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p);
}
DUET_INLINE void store_part_f32(void *p, f32x16 v, int64_t n) {
  _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), (__m512)v);
}
DUET_INLINE f64x8 load_part_f64(const void *p, int64_t n) {
  return (f64x8)_mm512_maskz_loadu_pd((__mmask8)((1u << n) - 1), p);
}
DUET_INLINE void store_part_f64(void *p, f64x8 v, int64_t n) {
  _mm512_mask_storeu_pd(p, (__mmask8)((1u << n) - 1), (__m512d)v);
}
#elif defined(DUET_ISA_AVX2)
DUET_INLINE __m256i mask_32(int64_t n, int first) {
  __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n - first), lane);
}

DUET_INLINE __m256i mask_64(int64_t n, int first) {
  __m256i lane = _mm256_setr_epi64x(0, 1, 2, 3);
  return _mm256_cmpgt_epi64(_mm256_set1_epi64x(n - first), lane);
}

DUET_INLINE f32x16 load_part_f32(const void *p, int64_t n) {
  __m256 low = _mm256_maskload_ps(p, mask_32(n, 0));
  __m256 high = _mm256_maskload_ps((const float *)p + 8, mask_32(n, 8));
  return __builtin_shufflevector(low, high, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
}

DUET_INLINE void store_part_f32(void *p, f32x16 v, int64_t n) {
  __m256 low = __builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7);
  __m256 high = __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15);
  _mm256_maskstore_ps(p, mask_32(n, 0), low);
  _mm256_maskstore_ps((float *)p + 8, mask_32(n, 8), high);
}

DUET_INLINE f64x8 load_part_f64(const void *p, int64_t n) {
  __m256d low = _mm256_maskload_pd(p, mask_64(n, 0));
  __m256d high = _mm256_maskload_pd((const double *)p + 4, mask_64(n, 4));
  return __builtin_shufflevector(low, high, 0, 1, 2, 3, 4, 5, 6, 7);
}

DUET_INLINE void store_part_f64(void *p, f64x8 v, int64_t n) {
  __m256d low = __builtin_shufflevector(v, v, 0, 1, 2, 3);
  __m256d high = __builtin_shufflevector(v, v, 4, 5, 6, 7);
  _mm256_maskstore_pd(p, mask_64(n, 0), low);
  _mm256_maskstore_pd((double *)p + 4, mask_64(n, 4), high);
}
#else
DUET_INLINE f32x16 load_part_f32(const void *p, int64_t n) {
  f32x16 v = 0;
  memcpy(&v, p, (size_t)n * 4);
  return v;
}
DUET_INLINE void store_part_f32(void *p, f32x16 v, int64_t n) { memcpy(p, &v, (size_t)n * 4); }
DUET_INLINE f64x8 load_part_f64(const void *p, int64_t n) {
  f64x8 v = 0;
  memcpy(&v, p, (size_t)n * 8);
  return v;
}
DUET_INLINE void store_part_f64(void *p, f64x8 v, int64_t n) { memcpy(p, &v, (size_t)n * 8); }
#endif

#endif
