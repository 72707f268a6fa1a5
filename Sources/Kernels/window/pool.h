// What the pooling kernels share: the table in use, planes of 16-bit floats as float32, the grid.
#ifndef DUET_POOL_H
#define DUET_POOL_H

#include <string.h>

#include "window.h"

// A task takes `batch` planes; `body` computes planes first ..< last.
typedef struct duet_pool_job {
  const duet_pool_call *call;
  const duet_windows *table;
  void (*body)(const struct duet_pool_job *job, int64_t first, int64_t last);
  int64_t batch, in_size, out_size;  // in_size, out_size: elements of a plane before and after
  int64_t size;                      // bytes of an element
} duet_pool_job;

duet_status duet_run_pool(const duet_pool_call *call,
                          void (*body)(const duet_pool_job *job, int64_t first, int64_t last));

static inline int duet_pool_is_half(const duet_pool_call *call) {
  return call->dtype == DUET_FLOAT16 || call->dtype == DUET_BFLOAT16;
}

// float32 windows of 2 x 2, two apart, without padding.
int duet_is_pool_2x2(const duet_pool_call *call);

// Whether no element lies in two windows: gradients are then assigned rather than added.
int duet_windows_are_apart(const duet_pool_call *call);

// Float32 memory for `count` elements, and conversions between it and a 16-bit float.
float *duet_pool_buffer(int64_t count);
void duet_pool_widen(duet_dtype dtype, float *to, const void *from, int64_t count);
void duet_pool_narrow(duet_dtype dtype, void *to, const float *from, int64_t count);

#endif
