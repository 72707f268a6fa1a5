// Normalisation over rows (layerNorm, rmsNorm) and over channels (batchNorm), with their gradients.
//
// Statistics are corrected two-pass ones (Chan, Golub, LeVeque, 1983): m is the rounded mean, and with
// d = x - m, c = Σd / n the mean is m + c and the variance Σd² / n - c². Sums over a row or a channel
// run in the order of duet_reduction.h: 16 lanes, chunks of 1,024, a tree; what a chunk holds of each
// plane of a channel begins at lane 0. float16 and bfloat16 are computed in float32 throughout and
// rounded once.
#ifndef DUET_NORMALIZATION_H
#define DUET_NORMALIZATION_H

#include "duet_types.h"

typedef enum : int32_t {
  DUET_LAYER_NORM,  // r (x - mean) with r = 1 / √(variance + eps)
  DUET_RMS_NORM,    // r x with r = 1 / √(mean of squares + eps)
  DUET_ROW_NORM_COUNT
} duet_row_norm;

typedef struct {
  void *operand[DUET_MAX_OPERANDS];
  duet_row_norm norm;
  duet_dtype dtype;
  int64_t rows, columns;
  double eps;
} duet_row_norm_call;

// y = x̂ scale + offset. Operands: y, x [rows, columns], scale [columns], and for a layer norm the
// offset.
duet_status duet_row_norm_forward(const void *call);
// r (g - mean(g) - x̂ mean(g x̂)) with g = dy scale; a root mean square has no mean(g). Operands: dx, x,
// scale, dy.
duet_status duet_row_norm_input_gradient(const void *call);
// The sums over rows of dy x̂, and for a layer norm behind them those of dy: of 32 rows in turn, those
// sums as a binary tree over their indices. Operands: the sums [1 or 2, columns], x, dy.
duet_status duet_row_norm_parameter_gradient(const void *call);

// [batch, channels, inner] arrays, normalised channel by channel. The moments are [2, channels]: means,
// then variances (biased); of 16-bit floats they are float32, and so are sums.
typedef struct {
  void *operand[DUET_MAX_OPERANDS];
  duet_dtype dtype;
  int64_t batch, channels, inner;
  double eps;
} duet_channel_norm_call;

// The moments of each channel. Operands: moments, x.
duet_status duet_channel_moments(const void *call);
// y = (x - mean) (r scale) + offset. Operands: y, x, moments, scale, offset.
duet_status duet_channel_norm_forward(const void *call);
// [2, channels]: the sums over a channel of dy x̂ and of dy. Operands: sums, x, moments, dy.
duet_status duet_channel_norm_parameter_gradient(const void *call);
// r scale (dy - Σdy / n - x̂ Σ(dy x̂) / n). Operands: dx, x, moments, scale, sums, dy.
duet_status duet_channel_norm_input_gradient(const void *call);

typedef enum : int32_t { DUET_EACH_LOSS, DUET_MEAN_LOSS, DUET_SUMMED_LOSS } duet_loss_reduction;

// Cross entropy of scores [outer, classes, inner] and labels [outer, inner]. With z = x - max(x),
// L = log Σ exp z (summed in the order of duet_reduction.h), class weights w (else 1), smoothing s and
// the label l a loss is (1 - s) w_l (L - z_l) + s / classes Σ w (L - z), and 0 where the label is the
// ignored one. A mean is over the sum of w_l of the labels that count. Where the scores are
// log-probabilities a loss is -w_l x_l. A label that is neither ignored nor in 0 ..< classes fails.
typedef struct {
  void *operand[DUET_MAX_OPERANDS];
  duet_dtype dtype, label_dtype;  // labels: int32 or int64
  duet_loss_reduction reduction;
  int32_t are_log_probabilities, has_weights, ignores;
  int64_t ignored, outer, classes, inner;
  double smoothing;
} duet_cross_entropy_call;

// Operands: the losses [outer, inner] or their mean or sum, scores, labels, weights if there are any.
duet_status duet_cross_entropy(const void *call);
// The gradient by the scores. Operands: that, scores, labels, cotangent, weights if there are any.
duet_status duet_cross_entropy_gradient(const void *call);

#endif
