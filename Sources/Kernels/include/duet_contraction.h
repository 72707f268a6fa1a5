// Matrix products and convolutions: one packed, blocked engine. Every element of a result is one
// chain of fused multiply-adds in ascending k that starts at +0, whatever the blocking, packing,
// threads, strides and instruction set; convolutions that go by Winograd's algorithm (see below)
// make a few such chains into a result. Where an operand holds NaNs, which NaN a result holds is
// left open.
#ifndef DUET_CONTRACTION_H
#define DUET_CONTRACTION_H

#include "duet_types.h"

// result[b, m, n] = sum over k of left[b, m, k] * right[b, k, n]. float32, float64; integers wrap;
// bool is "or" of "and". float16 and bfloat16 inputs accumulate in float32 and round once, to even,
// at the end. k == 0 gives +0. Where the result's dtype is wider than the operands' (float32 for
// float16 and bfloat16, int32 for int8, uint8 and int16), the sums are stored as they are.
//
// Products with a vector (`vector` set, floating point) have a lane order of their own: 16 chains,
// chain l over k = l, l + 16, l + 32, ..., each from +0; then chain l += chain l + 8 for l < 8, and
// the same with 4, 2 and 1; chain 0 is the result. They are those whose n is 1, or that have one
// row: m is 1, and if the right operand has no batch axes, so are the batch axes of the left one.
// This follows from the shapes alone, so a batch of products with a vector is not the same, bit
// for bit, as one product of matrices.
//
// With a bias, result[b, m, n] + bias[n] is what is stored: the product, rounded to the result's
// dtype as it would be without, and one addition in that dtype.
typedef struct {
  void *operand[DUET_MAX_OPERANDS];  // result (contiguous [batch..., m, n]), left, right, bias
  duet_dtype dtype, result_dtype;
  int32_t vector;    // set: one of m (over all that shares a right operand) and n is 1
  int32_t has_bias;
  int64_t m, n, k;
  int64_t left_stride[2], right_stride[2];  // elements: [m, k] and [k, n]; any sign, or 0
  int64_t bias_stride;
  int32_t batch_rank;                       // 0 to 7
  int64_t batch_shape[7], left_batch_stride[7], right_batch_stride[7];  // elements
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
//
// Winograd's algorithm F(2 x 2, 3 x 3) computes the convolution and both its gradients where
//   - the type is float32, the kernel 3 x 3, strides and dilations are 1,
//   - a group has at least 16 input and 16 output channels, and all groups together at most 2^22
//     pairs of them,
//   - results have at least 2 rows and 2 columns.
// Results are cut into tiles of 2 x 2 from the first row and column on; pixels outside are +0. Per
// tile, with k a channel of x, m the sum and y the result:
//     y = A' (sum over k ascending of (G w G') * (B' x B)) A
//     B' = [1 0 -1 0; 0 1 1 0; 0 -1 1 0; 0 1 0 -1]   A' = [1 1 1 0; 0 1 -1 -1]
//     G  = [1 0 0; 1/2 1/2 1/2; 1/2 -1/2 1/2; 0 0 1]
// where each of the 16 sums is one chain of fused multiply-adds from +0, columns are transformed
// before rows, and (a + b) + c, (b - c) - d, ((a + c) + b) / 2, ((a + c) - b) / 2 are the orders of
// what has three terms. The gradient by x is the same with dy, the weights turned by 180 degrees and
// the padding 2 - p. The gradient by w is
//     dw = G' (sum over tiles ascending of (A dy A') * (B' x B)) G
// with a + (b + c) / 2, (b - c) / 2, (b + c) / 2 + d, and tiles in the order image, part, row,
// column, where parts are as few equal runs of at most 56 columns of tiles as there can be.
// Differences from the direct form: errors are smaller (chains are a ninth as long); integers stay
// exact below 2^22 instead of 2^24; a NaN or infinity of x reaches the whole tile, as NaN, and one
// of w all results of its channel; sums of four pixels, or of nine weights, may overflow.
//
// The direct forms:
// k runs over (channel of the group, kh, kw); taps that fall on the padding multiply by +0, so that
// an infinite or NaN weight gives NaN there.
duet_status duet_conv2d(const void *call);                  // y, x, w
// k runs over (output channel of the group, kh, kw). Taps are skipped where they miss the grid of
// the strides; those on the grid that fall outside the output multiply by +0.
// Not so where a group has few input channels, strides are 1, and products of all of them with all
// taps of one image are small (duet_spreads_input_gradient): there k runs over the output channels
// alone, with a chain for every tap; the chains of a row of the kernel that fall inside the output
// are added up from +0, kw ascending, and these sums from +0, kh ascending.
duet_status duet_conv2d_input_gradient(const void *call);   // dx, dy, w
// k runs over (batch, output row, output column); taps that fall on the padding multiply by +0.
duet_status duet_conv2d_weight_gradient(const void *call);  // dw, x, dy

#endif
