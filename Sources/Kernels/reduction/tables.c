// The tables of the instruction set in use.
#include "../include/duet_isa.h"
#include "reduction.h"

const duet_reductions *duet_current_reductions(void) {
  switch (duet_current_isa()) {
#if defined(__x86_64__)
    case DUET_AVX512: return &duet_reductions_avx512;
    case DUET_AVX2: return &duet_reductions_avx2;
#elif defined(__aarch64__)
    case DUET_NEON: return &duet_reductions_neon;
#endif
    default: return &duet_reductions_scalar;
  }
}

const duet_softmaxes *duet_current_softmaxes(void) {
  switch (duet_current_isa()) {
#if defined(__x86_64__)
    case DUET_AVX512: return &duet_softmaxes_avx512;
    case DUET_AVX2: return &duet_softmaxes_avx2;
#elif defined(__aarch64__)
    case DUET_NEON: return &duet_softmaxes_neon;
#endif
    default: return &duet_softmaxes_scalar;
  }
}
