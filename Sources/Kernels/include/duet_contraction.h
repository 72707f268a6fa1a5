// Matrix products and convolutions: one packed, blocked engine. Every element of a result is one chain of
// fused multiply-adds in ascending k that starts at zero, whatever the blocking, packing, threads,
// strides and instruction set.
#ifndef DUET_CONTRACTION_H
#define DUET_CONTRACTION_H

#include "duet_types.h"

// result[b, m, n] = sum over k of left[b, m, k] * right[b, k, n]. float32, float64; int32 and int64 wrap.
// float16 and bfloat16 inputs accumulate in float32 and round once at the end.
typedef struct {
  void *operand[DUET_MAX_OPERANDS];  // result (contiguous [batch..., m, n]), left, right
  duet_dtype dtype;
  int64_t m, n, k;
  int64_t left_stride[2], right_stride[2];  // elements: [m, k] and [k, n]; any, 0 and negative included
  int32_t batch_rank;                       // 0 to 6
  int64_t batch_shape[6], left_batch_stride[6], right_batch_stride[6];  // elements
} duet_matmul_call;
duet_status duet_matmul(const void *call);

// Two-dimensional convolution (cross-correlation), contiguous NCHW and [out, in / groups, kh, kw].
typedef struct {
  void *operand[DUET_MAX_OPERANDS];
  duet_dtype dtype;  // float32 or float64
  int64_t batch, in_channels, out_channels, groups;
  int64_t in_height, in_width, out_height, out_width, kernel_height, kernel_width;
  int64_t stride_height, stride_width, pad_top, pad_left, dilation_height, dilation_width;
} duet_conv2d_call;
// k runs over (channel of the group, kh, kw); taps that fall on the padding multiply by +0.
duet_status duet_conv2d(const void *call);                  // y, x, w
// k runs over (output channel of the group, kh, kw); taps that meet no output are skipped.
duet_status duet_conv2d_input_gradient(const void *call);   // dx, dy, w
// k runs over (batch, output row, output column); taps that fall on the padding multiply by +0.
duet_status duet_conv2d_weight_gradient(const void *call);  // dw, x, dy

#endif
