// Pooling over windows of contiguous NCHW images.
#ifndef DUET_WINDOW_H
#define DUET_WINDOW_H

#include "duet_types.h"

typedef struct {
  void *operand[DUET_MAX_OPERANDS];
  duet_dtype dtype;  // any floating dtype; max pooling also integers
  int64_t planes;    // N * C
  int64_t in_height, in_width, out_height, out_width, kernel_height, kernel_width;
  int64_t stride_height, stride_width, pad_top, pad_left, dilation_height, dilation_width;
  int32_t count_include_pad;  // average pooling: divide by the whole window (1) or its part inside (0)
} duet_pool_call;

// Max pooling looks only inside the image; the first maximum in row-major order wins, and NaN wins.
duet_status duet_max_pool(const void *call);            // y, x
// values at the places of the maxima of x: y = values[argmax(x)]
duet_status duet_max_pool_select(const void *call);     // y, x, values
// dx: each dy goes to the place of its window's maximum; overlaps add in ascending window order.
duet_status duet_max_pool_gradient(const void *call);   // dx, x, dy
// The sum over the window in row-major order, then the quotient.
duet_status duet_average_pool(const void *call);            // y, x
duet_status duet_average_pool_gradient(const void *call);   // dx, dy

#endif
