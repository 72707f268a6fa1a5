// The core of convolutions: rows of results from packed weights and a prepared image.
#ifndef DUET_CONTRACTION_CONVOLVE_H
#define DUET_CONTRACTION_CONVOLVE_H

#include "engine.h"

//     result[m, i, j] = sum over channel c, tap t of
//                       weight[m, c, t] * image[c * channel + i * row + offset[t] + j]
// with strides in elements. Weights are packed by the engine: panels of rows m, each [channels][taps][rows].
typedef struct {
  const duet_engine *engine;
  const char *weight, *image;
  char *result;
  int64_t m, channels, taps;
  int64_t channel, row;
  const int64_t *offset;
  int64_t rows, columns;
  int64_t result_m, result_row, result_column;
  char *scratch;  // duet_convolve_scratch bytes
} duet_convolution;

// Positions of several rows are packed into one panel where rows fill vectors badly. Such an image
// has to be a copy, whose end may be read past by a vector.
int duet_convolve_packs(const duet_engine *engine, int64_t m, int64_t columns);
size_t duet_convolve_scratch(const duet_engine *engine, int64_t channels, int64_t taps);
void duet_convolve(const duet_convolution *convolution);

#endif
