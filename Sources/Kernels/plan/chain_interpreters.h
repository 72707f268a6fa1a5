// Both interpreters of one instruction set.
#include "../elementwise/loops.h"
#include "../math/math_f32.h"
#include "chain.h"

#define REAL(name) name##_f32
#define VECTOR f32x16
#define MASK i32x16
#include "../elementwise/arithmetic_template.h"

#define VECTORS 4
#include "chain_template.h"
#define VECTORS 1
#include "chain_template.h"
