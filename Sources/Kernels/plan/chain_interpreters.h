// All interpreters of one instruction set.
#include "../elementwise/half_conversion.h"
#include "../elementwise/loops.h"
#include "../math/wide.h"
#include "chain.h"

#define HALVES
#include "../simd/real_f32.h"
#include "chain_interpreters_template.h"
#include "../simd/no_real.h"
#undef HALVES

#include "../simd/real_f64.h"
#include "chain_interpreters_template.h"
#include "../simd/no_real.h"
