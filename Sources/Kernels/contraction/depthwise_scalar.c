#define DUET_ISA_SCALAR 1
#include "../simd/simd.h"
#ifndef DUET_ISA_ABSENT
#include "engine.h"
DUET_ISA_BEGIN
#include "depthwise_types_template.h"
DUET_ISA_END
#endif
