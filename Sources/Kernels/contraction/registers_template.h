// Registers of one element type, and loads and stores of a part of one. The including source
// defines
//   ELEMENT, BITS       the type and its size
//   LANES, HALF         elements of a register and of a half one (0: none)
//   NAME(x)             x with the suffix of type and instruction set
#if BITS == 32
typedef uint32_t NAME(word);
#else
typedef uint64_t NAME(word);
#endif
typedef ELEMENT NAME(vector) __attribute__((ext_vector_type(LANES)));
typedef NAME(vector) NAME(vector_any) __attribute__((aligned(sizeof(ELEMENT))));
#if HALF
typedef ELEMENT NAME(half) __attribute__((ext_vector_type(HALF)));
#else
typedef NAME(vector) NAME(half);
#endif

#if defined(DUET_ISA_AVX512)
typedef uint32_t NAME(mask);
DUET_INLINE NAME(mask) NAME(mask_of)(int64_t n) { return (1u << n) - 1; }
#if BITS == 32
DUET_INLINE NAME(vector) NAME(load_part)(const ELEMENT *p, NAME(mask) m) {
  return (NAME(vector))_mm512_maskz_loadu_ps((__mmask16)m, p);
}
DUET_INLINE void NAME(store_part)(ELEMENT *p, NAME(vector) v, NAME(mask) m) {
  _mm512_mask_storeu_ps(p, (__mmask16)m, (__m512)v);
}
#if HALF
DUET_INLINE NAME(half) NAME(load_half)(const ELEMENT *p, NAME(mask) m) {
  return (NAME(half))_mm256_maskz_loadu_ps((__mmask8)m, p);
}
DUET_INLINE void NAME(store_half)(ELEMENT *p, NAME(half) v, NAME(mask) m) {
  _mm256_mask_storeu_ps(p, (__mmask8)m, (__m256)v);
}
#endif
#else
DUET_INLINE NAME(vector) NAME(load_part)(const ELEMENT *p, NAME(mask) m) {
  return (NAME(vector))_mm512_maskz_loadu_pd((__mmask8)m, p);
}
DUET_INLINE void NAME(store_part)(ELEMENT *p, NAME(vector) v, NAME(mask) m) {
  _mm512_mask_storeu_pd(p, (__mmask8)m, (__m512d)v);
}
#if HALF
DUET_INLINE NAME(half) NAME(load_half)(const ELEMENT *p, NAME(mask) m) {
  return (NAME(half))_mm256_maskz_loadu_pd((__mmask8)m, p);
}
DUET_INLINE void NAME(store_half)(ELEMENT *p, NAME(half) v, NAME(mask) m) {
  _mm256_mask_storeu_pd(p, (__mmask8)m, (__m256d)v);
}
#endif
#endif

#elif defined(DUET_ISA_AVX2)
typedef __m256i NAME(mask);
DUET_INLINE NAME(mask) NAME(mask_of)(int64_t n) {
  // The 8 words from 8 - n on select the first n words.
  static const int32_t words[16] = {-1, -1, -1, -1, -1, -1, -1, -1};
  return _mm256_loadu_si256((const void *)(words + (8 - n * (BITS / 32))));
}
#if BITS == 32
DUET_INLINE NAME(vector) NAME(load_part)(const ELEMENT *p, NAME(mask) m) {
  return (NAME(vector))_mm256_maskload_epi32((const void *)p, m);
}
DUET_INLINE void NAME(store_part)(ELEMENT *p, NAME(vector) v, NAME(mask) m) {
  _mm256_maskstore_epi32((void *)p, m, (__m256i)v);
}
#else
DUET_INLINE NAME(vector) NAME(load_part)(const ELEMENT *p, NAME(mask) m) {
  return (NAME(vector))_mm256_maskload_epi64((const void *)p, m);
}
DUET_INLINE void NAME(store_part)(ELEMENT *p, NAME(vector) v, NAME(mask) m) {
  _mm256_maskstore_epi64((void *)p, m, (__m256i)v);
}
#endif

#else
typedef int64_t NAME(mask);
DUET_INLINE NAME(mask) NAME(mask_of)(int64_t n) { return n; }
DUET_INLINE NAME(vector) NAME(load_part)(const ELEMENT *p, NAME(mask) m) {
  ELEMENT x[LANES] = {0};
  for (int64_t i = 0; i < m; i++) x[i] = p[i];
  return *(const NAME(vector_any) *)x;
}
DUET_INLINE void NAME(store_part)(ELEMENT *p, NAME(vector) v, NAME(mask) m) {
  ELEMENT x[LANES];
  *(NAME(vector_any) *)x = v;
  for (int64_t i = 0; i < m; i++) p[i] = x[i];
}
#endif

#if HALF == 0
DUET_INLINE NAME(half) NAME(load_half)(const ELEMENT *p,
                                       NAME(mask) m) { return NAME(load_part)(p, m); }
DUET_INLINE void NAME(store_half)(ELEMENT *p, NAME(half) v,
                                  NAME(mask) m) { NAME(store_part)(p, v, m); }
#endif

// A part of a row of b: without masks the whole register is read, and callers see to it that it
// exists.
#if MASKED
#define LOAD_B_PART NAME(load_part)
#else
#define LOAD_B_PART(p, m) (*(const NAME(vector_any) *)(p))
#endif
