// Average pooling and its gradient. 16-bit floats compute in float32 and are rounded once.
#include <stdlib.h>

#include "pool.h"

#pragma STDC FP_CONTRACT OFF

static int64_t divisor(const duet_pool_call *c, duet_span rows, duet_span columns) {
  return c->count_include_pad ? c->kernel_height * c->kernel_width
                              : (rows.last - rows.first) * (columns.last - columns.first);
}

static void average_double_row(double *y, const double *x, const duet_pool_call *c, int64_t oh) {
  duet_span rows = duet_window_rows(c, oh);
  for (int64_t ow = 0; ow < c->out_width; ow++) {
    duet_span columns = duet_window_columns(c, ow);
    int is_empty = rows.first == rows.last || columns.first == columns.last;
    double sum = is_empty ? 0.0 : -0.0;
    for (int64_t ky = rows.first; ky < rows.last; ky++) {
      const double *row = x + (rows.start + ky * c->dilation_height) * c->in_width;
      for (int64_t kx = columns.first; kx < columns.last; kx++)
        sum += row[columns.start + kx * c->dilation_width];
    }
    y[ow] = sum / (double)divisor(c, rows, columns);
  }
}

static void average_half_planes(const duet_pool_job *job, int64_t first, int64_t last) {
  const duet_pool_call *c = job->call;
  float *x = duet_pool_buffer(job->in_size), *y = duet_pool_buffer(job->out_size);
  for (int64_t p = first; p < last; p++) {
    duet_pool_widen(c->dtype, x, (const char *)c->operand[1] + p * job->in_size * 2, job->in_size);
    for (int64_t oh = 0; oh < c->out_height; oh++)
      job->table->average_row(y + oh * c->out_width, x, x + job->in_size, c, oh);
    duet_pool_narrow(c->dtype, (char *)c->operand[0] + p * job->out_size * 2, y, job->out_size);
  }
  free(x);
  free(y);
}

static void average_planes(const duet_pool_job *job, int64_t first, int64_t last) {
  const duet_pool_call *c = job->call;
  if (duet_pool_is_half(c)) {
    average_half_planes(job, first, last);
  } else if (c->dtype == DUET_FLOAT64) {
    double *y = (double *)c->operand[0] + first * job->out_size;
    const double *x = (const double *)c->operand[1] + first * job->in_size;
    for (int64_t p = first; p < last; p++, x += job->in_size)
      for (int64_t oh = 0; oh < c->out_height; oh++, y += c->out_width)
        average_double_row(y, x, c, oh);
  } else {
    float *y = (float *)c->operand[0] + first * job->out_size;
    const float *x = c->operand[1], *end = x + c->planes * job->in_size;
    x += first * job->in_size;
    if (duet_is_pool_2x2(c)) {
      job->table->average_2x2(y, x, c, last - first);
      return;
    }
    for (int64_t p = first; p < last; p++, x += job->in_size)
      for (int64_t oh = 0; oh < c->out_height; oh++, y += c->out_width)
        job->table->average_row(y, x, end, c, oh);
  }
}

// Every dy over its window's size, to the elements inside the image, in ascending window order.
#define GRADIENT_PLANE(name, type)                                                            \
  static void name(type *dx, const type *dy, const duet_pool_call *c) {                       \
    int is_apart = duet_windows_are_apart(c);                                                 \
    memset(dx, 0, (size_t)(c->in_height * c->in_width) * sizeof(type));                       \
    for (int64_t oh = 0; oh < c->out_height; oh++) {                                          \
      duet_span rows = duet_window_rows(c, oh);                                               \
      for (int64_t ow = 0; ow < c->out_width; ow++) {                                         \
        duet_span columns = duet_window_columns(c, ow);                                       \
        type share = dy[oh * c->out_width + ow] / (type)divisor(c, rows, columns);            \
        for (int64_t ky = rows.first; ky < rows.last; ky++) {                                 \
          type *row = dx + (rows.start + ky * c->dilation_height) * c->in_width;              \
          for (int64_t kx = columns.first; kx < columns.last; kx++) {                         \
            type *to = row + columns.start + kx * c->dilation_width;                          \
            *to = is_apart ? share : *to + share;                                             \
          }                                                                                   \
        }                                                                                     \
      }                                                                                       \
    }                                                                                         \
  }
GRADIENT_PLANE(float_gradient, float)
GRADIENT_PLANE(double_gradient, double)

static void gradient_planes(const duet_pool_job *job, int64_t first, int64_t last) {
  const duet_pool_call *c = job->call;
  char *dx = c->operand[0];
  const char *dy = c->operand[1];
  if (duet_is_pool_2x2(c)) {
    job->table->average_2x2_gradient((float *)dx + first * job->in_size,
                                     (const float *)dy + first * job->out_size, c, last - first);
    return;
  }
  int is_half = duet_pool_is_half(c);
  float *wide_dx = is_half ? duet_pool_buffer(job->in_size) : 0;
  float *wide_dy = is_half ? duet_pool_buffer(job->out_size) : 0;
  for (int64_t p = first; p < last; p++) {
    char *to = dx + p * job->in_size * job->size;
    const char *from = dy + p * job->out_size * job->size;
    if (is_half) {
      duet_pool_widen(c->dtype, wide_dy, from, job->out_size);
      float_gradient(wide_dx, wide_dy, c);
      duet_pool_narrow(c->dtype, to, wide_dx, job->in_size);
    } else if (c->dtype == DUET_FLOAT64) {
      double_gradient((double *)to, (const double *)from, c);
    } else {
      float_gradient((float *)to, (const float *)from, c);
    }
  }
  free(wide_dx);
  free(wide_dy);
}

duet_status duet_average_pool(const void *call) { return duet_run_pool(call, average_planes); }
duet_status duet_average_pool_gradient(const void *call) {
  return duet_run_pool(call, gradient_planes);
}
