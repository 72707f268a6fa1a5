#define DUET_ISA_AVX2 1
#include "../simd/simd.h"
#ifndef DUET_ISA_ABSENT
#include "limits.h"
DUET_ISA_BEGIN
#include "limits_template.h"
DUET_ISA_END
#endif
