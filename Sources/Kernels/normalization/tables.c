// The tables of the instruction set in use.
#include "../include/duet_isa.h"
#include "normalization.h"

const duet_normalizations *duet_current_normalizations(void) {
  switch (duet_current_isa()) {
#if defined(__x86_64__)
    case DUET_AVX512: return &duet_normalizations_avx512;
    case DUET_AVX2: return &duet_normalizations_avx2;
#elif defined(__aarch64__)
    case DUET_NEON: return &duet_normalizations_neon;
#endif
    default: return &duet_normalizations_scalar;
  }
}
