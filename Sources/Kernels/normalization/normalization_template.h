#include "../reduction/lanes_math.h"
#include "normalization.h"

#define JOIN_2(a, b) a##b
#define JOIN(a, b) JOIN_2(a, b)

// Rows from memory go one after the other, which is how it likes to be read. A row takes registers of AVX2 twice as
// long, which pairs make up for if the next ones are fetched beside them.
#if defined(DUET_ISA_AVX2)
#define TOGETHER_FROM_MEMORY 2
#define LEAST_FETCHED 2
#else
#define TOGETHER_FROM_MEMORY 1
#define LEAST_FETCHED 4
#endif

#define TYPE float
#define VECTOR f32x16
#define IN(name) name##_f32
#define SQUARE_ROOT __builtin_sqrtf
#include "numbers_template.h"
#include "row_norm_template.h"
#include "channel_norm_template.h"
#include "cross_entropy_template.h"
#include "end_of_type.h"

#define TYPE double
#define VECTOR f64x16
#define IN(name) name##_f64
#define SQUARE_ROOT __builtin_sqrt
#include "numbers_template.h"
#include "row_norm_template.h"
#include "channel_norm_template.h"
#include "cross_entropy_template.h"
#include "end_of_type.h"

#define ROW_NORMS(type)                                                                        \
  {{layer_norm_rows_##type, layer_norm_streamed_##type, layer_norm_input_gradient_##type,      \
    layer_norm_parameter_gradient_##type},                                                     \
   {rms_norm_rows_##type, rms_norm_streamed_##type, rms_norm_input_gradient_##type,            \
    rms_norm_parameter_gradient_##type}}
#define CHANNELS(type)                                                                         \
  {clear_##type,               add_##type,                 add_centred_##type,                 \
   add_products_##type,        fold_##type,                column_sums_##type,                 \
   column_centred_sums_##type, column_product_sums_##type, affine_row_##type,                  \
   affine_planes_##type,       blend_row_##type,           blend_planes_##type,                \
   join_##type}
#define CROSS_ENTROPY(type) \
  {class_sums_##type, class_column_sums_##type, class_gradient_##type, class_column_gradient_##type}

const duet_normalizations DUET_SUFFIX(duet_normalizations) = {
    .together_from_memory = TOGETHER_FROM_MEMORY,
    .rows = {ROW_NORMS(f32), ROW_NORMS(f64)},
    .channels = {CHANNELS(f32), CHANNELS(f64)},
    .classes = {CROSS_ENTROPY(f32), CROSS_ENTROPY(f64)},
};
