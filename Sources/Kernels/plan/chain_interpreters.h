// All interpreters of one instruction set.
#include "../elementwise/half_conversion.h"
#include "../elementwise/loops.h"
#include "../math/math_f32.h"
#include "../math/math_f64.h"
#include "chain.h"

typedef DUET_LANES(int8_t, 16) i8x16;
typedef DUET_LANES(int8_t, 8) i8x8;

#define REAL(name) name##_f32
#define SCALAR float
#define VECTOR f32x16
#define MASK i32x16
#define BYTES i8x16
#define LANES 16
#define HALVES
#include "../elementwise/arithmetic_template.h"
#include "chain_operations_template.h"
#define INTERPRET DUET_SUFFIX(duet_interpret_chain_f32)
#define VECTORS 4
#include "chain_template.h"
#define INTERPRET DUET_SUFFIX(duet_interpret_narrow_chain_f32)
#define VECTORS 1
#include "chain_template.h"
#undef REAL
#undef SCALAR
#undef VECTOR
#undef MASK
#undef BYTES
#undef LANES
#undef HALVES

#define REAL(name) name##_f64
#define SCALAR double
#define VECTOR f64x8
#define MASK i64x8
#define BYTES i8x8
#define LANES 8
#include "../elementwise/arithmetic_template.h"
#include "chain_operations_template.h"
#define INTERPRET DUET_SUFFIX(duet_interpret_chain_f64)
#define VECTORS 4
#include "chain_template.h"
#define INTERPRET DUET_SUFFIX(duet_interpret_narrow_chain_f64)
#define VECTORS 1
#include "chain_template.h"
