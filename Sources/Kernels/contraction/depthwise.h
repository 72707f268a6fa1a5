// Convolutions in which every group has one input channel.
#ifndef DUET_CONTRACTION_DEPTHWISE_H
#define DUET_CONTRACTION_DEPTHWISE_H

#include "engine.h"

enum {
  DUET_VECTOR_BYTES = 64,
  DUET_SHIFTED_COLUMNS = 16  // of a kernel, at most
};

//     result[i, j] = sum over row a, then column b of the kernel of
//       weight[a * kernel_columns + b] * image[i * row + row_offset[a] + column_offset[b] + j]
// in one chain. Strides in elements; whole vectors may be read from where a row of results begins.
typedef struct {
  void *result;
  const void *image, *weight;
  const int64_t *row_offset, *column_offset;
  int64_t kernel_rows, kernel_columns, rows, columns, row, result_row;
  // Of two rows of results, one meets a row of the image so many rows of the kernel before the other does (the second
  // one if it is reversed), or in no order that is of use: kernel_rows. At least 1.
  int64_t lead;
  int32_t is_reversed;
} duet_correlation;

// Lanes are channels:
//     result[i * result_row + j * result_column] =
//       sum over t ascending of weight[t] * image[i * row + j * column + offset[t]]
// in one chain, everything in vectors of DUET_VECTOR_BYTES.
typedef struct {
  void *result;
  const void *image, *weight;
  const int64_t *offset;
  int64_t taps, rows, columns, row, column, result_row, result_column;
} duet_lane_correlation;

// Lanes are channels:
//     sum[t] += dy[i, j] * image[i * row + j * column + offset[t]], i and j ascending,
// dy contiguous, everything in vectors of DUET_VECTOR_BYTES.
typedef struct {
  void *sum;
  const void *dy, *image;
  const int64_t *offset;
  int64_t taps, rows, columns, row, column;
} duet_tap_sums;

//     result[y, x] = sum over a ascending of (sum over b ascending of
//       products[a * kernel_columns + b][y - a * row_step + top, x - b * column_step + left]),
// of what lies in rows x columns there, each sum from +0. Reads up to a vector before and behind
// the products.
typedef struct {
  void *result;
  int64_t result_rows, result_columns;
  const void *products;
  int64_t tap, rows, columns;  // elements between taps; positions of one
  int64_t kernel_rows, kernel_columns, row_step, column_step, top, left;
} duet_shifted_sum;

typedef struct {
  void (*correlate)(const duet_correlation *call);
  // Rows of an image with up to a vector of zeros before and behind each, whole vectors being written.
  void (*copy_rows)(void *to, int64_t pitch, const void *from, int64_t width, int64_t rows, int64_t left);
  void (*add_shifted)(const duet_shifted_sum *call);
  void (*correlate_lanes)(const duet_lane_correlation *call);
  // to[i * stride + p] = lane i of from[p] for the first channels, stride in elements.
  void (*unpack_lanes)(void *to, int64_t stride, const void *from, int64_t channels, int64_t positions);
  void (*add_taps)(const duet_tap_sums *call);
} duet_depthwise_kernels;

typedef struct {
  duet_depthwise_kernels f32, f64;
} duet_depthwise_table;

const duet_depthwise_kernels *duet_depthwise_kernels_for(duet_dtype dtype);

int duet_is_depthwise(const duet_conv2d_call *call);

// Nothing may be empty.
void duet_depthwise(const duet_conv2d_call *call, const duet_engine *engine);
void duet_depthwise_input_gradient(const duet_conv2d_call *call, const duet_engine *engine);
void duet_depthwise_weight_gradient(const duet_conv2d_call *call, const duet_engine *engine);

// With channels as lanes, for rows of results that fill vectors badly. The bits are the same.
int duet_depthwise_prefers_lanes(const duet_conv2d_call *call);
int duet_depthwise_gradient_prefers_lanes(const duet_conv2d_call *call);
void duet_depthwise_lanes(const duet_conv2d_call *call, const duet_engine *engine);
void duet_depthwise_lanes_input_gradient(const duet_conv2d_call *call, const duet_engine *engine);

#endif
