#define DUET_ISA_SCALAR 1
#include "../simd/simd.h"
#include "../elementwise/half_conversion.h"
#include "../include/duet_isa.h"
#include "pool.h"

#include <stdlib.h>

enum { TASK = 32768 };

static const duet_windows *windows(void) {
  switch (duet_current_isa()) {
#if defined(__x86_64__)
    case DUET_AVX512: return &duet_windows_avx512;
    case DUET_AVX2: return &duet_windows_avx2;
#elif defined(__aarch64__)
    case DUET_NEON: return &duet_windows_neon;
#endif
    default: return &duet_windows_scalar;
  }
}

static int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }

static void run(void *context, int64_t task) {
  const duet_pool_job *job = context;
  int64_t first = task * job->batch, last = first + job->batch;
  job->body(job, first, last < job->call->planes ? last : job->call->planes);
}

duet_status duet_run_pool(const duet_pool_call *call,
                          void (*body)(const duet_pool_job *job, int64_t first, int64_t last)) {
  duet_pool_job job = {.call = call, .table = windows(), .body = body};
  job.in_size = call->in_height * call->in_width;
  job.out_size = call->out_height * call->out_width;
  job.size = (int64_t)duet_dtype_size(call->dtype);
  if (call->planes == 0) return DUET_OK;
  // Elements read and written, windows that overlap counted whole.
  int64_t window = call->kernel_height * call->kernel_width;
  job.batch = most(1, TASK / most(1, job.in_size + job.out_size * window));
  int64_t tasks = (call->planes + job.batch - 1) / job.batch;
  if (tasks == 1)
    run(&job, 0);
  else
    duet_parallel_for(tasks, run, &job);
  return DUET_OK;
}

int duet_is_pool_2x2(const duet_pool_call *c) {
  return c->dtype == DUET_FLOAT32 && c->kernel_height == 2 && c->kernel_width == 2 &&
         c->stride_height == 2 && c->stride_width == 2 && c->pad_top == 0 && c->pad_left == 0 &&
         c->dilation_height == 1 && c->dilation_width == 1 && 2 * c->out_height <= c->in_height &&
         2 * c->out_width <= c->in_width;
}

int duet_windows_are_apart(const duet_pool_call *c) {
  return (c->out_height <= 1 || c->stride_height > (c->kernel_height - 1) * c->dilation_height) &&
         (c->out_width <= 1 || c->stride_width > (c->kernel_width - 1) * c->dilation_width);
}

float *duet_pool_buffer(int64_t count) {
  float *buffer = malloc((size_t)(count + 16) * sizeof(float));
  if (!buffer) abort();
  return buffer;
}

void duet_pool_widen(duet_dtype dtype, float *to, const void *from, int64_t count) {
  if (dtype == DUET_FLOAT16)
    widen_float16(to, from, count);
  else
    widen_bfloat16(to, from, count);
}

void duet_pool_narrow(duet_dtype dtype, void *to, const float *from, int64_t count) {
  if (dtype == DUET_FLOAT16)
    narrow_float16(to, from, count);
  else
    narrow_bfloat16(to, from, count);
}
