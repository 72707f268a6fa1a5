#ifndef DUET_KERNELS_H
#define DUET_KERNELS_H

#include "duet_call_stack.h"
#include "duet_contraction.h"
#include "duet_elementwise.h"
#include "duet_indexing.h"
#include "duet_isa.h"
#include "duet_limits.h"
#include "duet_normalization.h"
#include "duet_plan.h"
#include "duet_random.h"
#include "duet_reduction.h"
#include "duet_types.h"
#include "duet_wait.h"
#include "duet_window.h"

// Room for the argument block of any kernel.
typedef union {
  duet_operands operands;
  duet_elementwise_call elementwise;
  duet_copy_call copy;
  duet_join_call join;
  duet_fill_call fill;
  duet_iota_call iota;
  duet_reduce_call reduce;
  duet_softmax_call softmax;
  duet_row_norm_call row_norm;
  duet_channel_norm_call channel_norm;
  duet_cross_entropy_call cross_entropy;
  duet_matmul_call matmul;
  duet_conv2d_call conv2d;
  duet_pool_call pool;
  duet_index_call index;
  duet_sort_call sort;
  duet_cumulative_call cumulative;
  duet_random_call random;
  duet_random_advance_call random_advance;
} duet_call;

#endif
