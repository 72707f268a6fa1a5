// Reductions over axes, and row-wise softmax.
//
// The order of a reduction is part of its definition. The R elements of one result, taken in row-major
// order of the reduced axes, are cut into chunks of 1,024. Within a chunk, lane l of 16 takes elements
// l, l + 16, ... in turn; lanes are combined as a tree: l with l + 8, then l + 4, l + 2, l + 1. Chunk results
// are combined as a binary tree over their indices: neighbours (2i, 2i + 1) first, level by level.
// Lanes start at the operation's identity (-0.0 for sums, so that signed zeros survive).
#ifndef DUET_REDUCTION_H
#define DUET_REDUCTION_H

#include "duet_types.h"

typedef enum : int32_t {
  DUET_SUM,   // integers wrap; float16, bfloat16 accumulate in float32; bool counts into int64
  DUET_MEAN,  // sum / count, floating point only
  DUET_PRODUCT,
  DUET_MAX, DUET_MIN,  // NaN wins; no value for no elements (rejected before the call)
  DUET_ALL, DUET_ANY,  // bool -> bool
  DUET_ARG_MAX, DUET_ARG_MIN,  // -> int64, the first of equals, the first NaN; index in row-major order
  DUET_REDUCTION_COUNT
} duet_reduction;

typedef struct {
  void *operand[DUET_MAX_OPERANDS];  // result (contiguous over the kept axes in order), input
  duet_reduction reduction;
  duet_dtype dtype;   // of the input
  int32_t kept_rank, reduced_rank;
  int64_t kept_shape[DUET_MAX_RANK], kept_stride[DUET_MAX_RANK];          // input strides in bytes
  int64_t reduced_shape[DUET_MAX_RANK], reduced_stride[DUET_MAX_RANK];
} duet_reduce_call;

// Result dtype: sum and product of bool: int64; sum and product of narrower integers: int64 as in NumPy
// and PyTorch; otherwise the input's.
duet_status duet_reduce(const void *call);

// softmax and log-softmax along the middle axis of a contiguous [rows, columns, inner] array of
// floating dtype. Maximum, then exp(x - maximum) and their sum in the order above, then the product
// with the sum's reciprocal (or x - maximum - log(sum)).
// The gradients: y (dy - sum(y dy)) and dy - exp(y) sum(dy), sums in the order above.
typedef struct {
  void *operand[DUET_MAX_OPERANDS];  // result, input; or result, the softmax y, its cotangent dy
  duet_dtype dtype;
  int64_t rows, columns, inner;
} duet_softmax_call;
duet_status duet_softmax(const void *call);
duet_status duet_log_softmax(const void *call);
duet_status duet_softmax_gradient(const void *call);
duet_status duet_log_softmax_gradient(const void *call);

#endif
