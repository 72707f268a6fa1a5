// The engines of the instruction set in use.
#include "engine.h"

#if defined(__x86_64__)
extern const duet_contraction_table duet_contractions_avx512, duet_contractions_avx2;
#elif defined(__aarch64__)
extern const duet_contraction_table duet_contractions_neon;
#endif
extern const duet_contraction_table duet_contractions_scalar;

const duet_contraction_table *duet_contractions(void) {
  switch (duet_current_isa()) {
#if defined(__x86_64__)
    case DUET_AVX512: return &duet_contractions_avx512;
    case DUET_AVX2: return &duet_contractions_avx2;
#elif defined(__aarch64__)
    case DUET_NEON: return &duet_contractions_neon;
#endif
    default: return &duet_contractions_scalar;
  }
}
