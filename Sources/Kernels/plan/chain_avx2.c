#define DUET_ISA_AVX2 1
#include "../simd/simd.h"
#ifndef DUET_ISA_ABSENT
DUET_ISA_BEGIN
#include "chain_interpreters.h"
DUET_ISA_END
#endif
