// Vector functions of f32x16: a lane's result depends on that lane alone and is the same on every
// instruction set. Include between DUET_ISA_BEGIN and DUET_ISA_END.
#include "activation_f32.h"
#include "exponential_f32.h"
#include "power_f32.h"
#include "trigonometric_f32.h"
