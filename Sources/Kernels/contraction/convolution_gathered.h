// Convolutions with many output channels and the gradients of their inputs: products of the weights
// with gathered patches.
#ifndef DUET_CONTRACTION_CONVOLUTION_GATHERED_H
#define DUET_CONTRACTION_CONVOLUTION_GATHERED_H

#include "engine.h"

// Whether a convolution, or the gradient of its input, runs here. Nothing may be empty.
int duet_gathers_forward(const duet_conv2d_call *call);
int duet_gathers_input_gradient(const duet_conv2d_call *call);

void duet_conv2d_gathered(const duet_conv2d_call *call, const duet_engine *engine);
void duet_conv2d_input_gradient_gathered(const duet_conv2d_call *call, const duet_engine *engine);

#endif
