// The instruction set in use: the best that the processor has, unless the environment variable DUET_ISA
// names another (avx512, avx2, neon, scalar). Chosen once, at the first use.
#ifndef DUET_ISA_H
#define DUET_ISA_H

#include "duet_types.h"

typedef enum : int32_t { DUET_SCALAR, DUET_NEON, DUET_AVX2, DUET_AVX512, DUET_ISA_COUNT } duet_isa;

duet_isa duet_current_isa(void);
int duet_isa_available(duet_isa isa);
const char *duet_isa_name(duet_isa isa);
// For tests and benchmarks: uses another instruction set from now on; 0 if the processor lacks it.
int duet_use_isa(duet_isa isa);
// Whether the processor takes its widest registers in two halves (AMD's Zen 4), which changes what is fastest
// without changing a bit. Written before main alone.
extern int32_t duet_halved_registers;
static inline int duet_halves_registers(void) { return duet_halved_registers; }

#endif
