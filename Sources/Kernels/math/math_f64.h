// Vector functions of f64x8: a lane's result depends on that lane alone and is the same on every
// instruction set. Include between DUET_ISA_BEGIN and DUET_ISA_END.
#include "activation_f64.h"
#include "exponential_f64.h"
#include "power_f64.h"
#include "trigonometric_f64.h"
