// All interpreters of one instruction set.
#include "../elementwise/half_conversion.h"
#include "../elementwise/loops.h"
#include "../math/math_f32.h"
#include "../math/math_f64.h"
#include "chain.h"

#define HALVES
#include "../simd/real_f32.h"
#include "../elementwise/arithmetic_template.h"
#include "chain_operations_template.h"
#define INTERPRET DUET_SUFFIX(duet_interpret_chain_f32)
#define VECTORS 4
#include "chain_template.h"
#define INTERPRET DUET_SUFFIX(duet_interpret_narrow_chain_f32)
#define VECTORS 1
#include "chain_template.h"
#include "../simd/no_real.h"
#undef HALVES

#include "../simd/real_f64.h"
#include "../elementwise/arithmetic_template.h"
#include "chain_operations_template.h"
#define INTERPRET DUET_SUFFIX(duet_interpret_chain_f64)
#define VECTORS 4
#include "chain_template.h"
#define INTERPRET DUET_SUFFIX(duet_interpret_narrow_chain_f64)
#define VECTORS 1
#include "chain_template.h"
#include "../simd/no_real.h"
