// The tables behind the pooling kernels: float32 in vectors. `end` is the end of the array that the
// plane lies in, up to which vectors may read.
#ifndef DUET_WINDOW_TABLES_H
#define DUET_WINDOW_TABLES_H

#include "../include/duet_window.h"

typedef struct {
  // Of one plane the maxima (unless y is 0), and which element of its window each is, in row-major order, -1 for none
  // (unless slot is 0). `memory`: duet_max_layout_of(call).bytes, aligned to 8, that begin with a word of 0 for the first
  // plane and are left alone between planes.
  void (*max_plane)(float *y, int32_t *slot, const float *plane, const duet_pool_call *call, void *memory);
  void (*average_row)(float *y, const float *plane, const float *end, const duet_pool_call *call,
                      int64_t oh);
  // Windows of 2 x 2 two apart without padding: whole planes.
  void (*max_2x2)(float *y, const float *x, const duet_pool_call *call, int64_t planes);
  void (*max_2x2_gradient)(float *dx, const float *x, const float *dy, const duet_pool_call *call,
                           int64_t planes);
  void (*average_2x2)(float *y, const float *x, const duet_pool_call *call, int64_t planes);
  void (*average_2x2_gradient)(float *dx, const float *dy, const duet_pool_call *call,
                               int64_t planes);
} duet_windows;

// The part of a window that lies inside the image along one axis: the first coordinate, and which
// of the window's elements are inside.
typedef struct {
  int64_t start, first, last;
} duet_span;

static inline duet_span duet_window_span(int64_t out, int64_t stride, int64_t pad, int64_t dilation,
                                         int64_t kernel, int64_t size) {
  duet_span s = {out * stride - pad, 0, kernel};
  if (s.start < 0) s.first = (-s.start + dilation - 1) / dilation;
  if (s.start + (kernel - 1) * dilation >= size)
    s.last = size > s.start ? (size - 1 - s.start) / dilation + 1 : 0;
  if (s.first > kernel) s.first = kernel;
  if (s.last < s.first) s.last = s.first;
  return s;
}

// Rows of few outputs are computed one by one, and windows that are mostly outside the image.
static inline int duet_max_is_single(const duet_pool_call *c) {
  return c->out_width <= 2 || c->kernel_width > 2 * c->in_width + 16;
}

// Memory of max_plane: see there.
typedef struct {
  int64_t run, pitch, kept;
  size_t bytes;
} duet_max_layout;

static inline duet_max_layout duet_max_layout_of(const duet_pool_call *c) {
  if (duet_max_is_single(c)) return (duet_max_layout){.bytes = 8};
  int64_t stride = c->stride_width, reach = (c->kernel_width - 1) * c->dilation_width;
  int64_t pitch = (c->out_width + 15) & ~(int64_t)15, run = pitch + reach / stride;
  int64_t image = (c->pad_left + c->in_width) / stride + 2;
  int64_t kept = (c->kernel_height - 1) * c->dilation_height + 1;
  duet_max_layout x = {.run = (run > image ? run : image) + 16, .pitch = pitch};
  x.kept = kept < c->in_height ? kept : c->in_height > 1 ? c->in_height : 1;
  x.bytes = (size_t)(8 + 8 * x.kept + 4 * (stride * x.run + 2 * x.kept * pitch + pitch));
  return x;
}

static inline duet_span duet_window_rows(const duet_pool_call *c, int64_t oh) {
  return duet_window_span(oh, c->stride_height, c->pad_top, c->dilation_height, c->kernel_height,
                          c->in_height);
}

static inline duet_span duet_window_columns(const duet_pool_call *c, int64_t ow) {
  return duet_window_span(ow, c->stride_width, c->pad_left, c->dilation_width, c->kernel_width,
                          c->in_width);
}

#define DUET_DECLARE_WINDOWS(isa) extern const duet_windows duet_windows_##isa;
#if defined(__x86_64__)
DUET_DECLARE_WINDOWS(avx512)
DUET_DECLARE_WINDOWS(avx2)
#elif defined(__aarch64__)
DUET_DECLARE_WINDOWS(neon)
#endif
DUET_DECLARE_WINDOWS(scalar)

#endif
