// The gradient of a convolution by an input of few channels: products of the weights with dy for
// every tap, added up where they belong.
#ifndef DUET_CONTRACTION_CONVOLUTION_SPREAD_H
#define DUET_CONTRACTION_CONVOLUTION_SPREAD_H

#include "engine.h"

// Whether it runs here. Nothing may be empty.
int duet_spreads_input_gradient(const duet_conv2d_call *call);

void duet_conv2d_input_gradient_spread(const duet_conv2d_call *call, const duet_engine *engine);

#endif
