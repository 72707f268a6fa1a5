// Averages of one row of outputs for any window. Where all of a window's columns lie inside the image
// and windows are one or two apart, sixteen outputs at a time; else one by one.

// Element x[0], x[stride], ... for sixteen outputs.
DUET_INLINE f32x16 neighbours(const float *x, int64_t stride) {
  return stride == 1 ? load_16(x) : even_16(x);
}

// The outputs of a row whose windows have all their columns inside.
typedef struct {
  int64_t first, last;
} interior;

DUET_INLINE interior interior_of(const duet_pool_call *c) {
  int64_t stride = c->stride_width;
  int64_t room = c->in_width - 1 - (c->kernel_width - 1) * c->dilation_width;
  interior in = {(c->pad_left + stride - 1) / stride, 0};
  if (room + c->pad_left >= 0) in.last = (room + c->pad_left) / stride + 1;
  in.last = in.last > c->out_width ? c->out_width : in.last;
  if (stride > 2 || in.last <= in.first) in.first = in.last = c->out_width;
  return in;
}

// Whether sixteen windows from output ow on may be read whole.
DUET_INLINE int is_readable(const duet_pool_call *c, duet_span rows, int64_t ow, const float *plane,
                            const float *end) {
  int64_t row = rows.start + (rows.last - 1) * c->dilation_height;
  int64_t column = ow * c->stride_width - c->pad_left + (c->kernel_width - 1) * c->dilation_width;
  return end - plane >= row * c->in_width + column + 16 * c->stride_width;
}

DUET_INLINE void average_single(float *y, const float *plane, const duet_pool_call *c,
                                duet_span rows, int64_t ow) {
  duet_span columns = duet_window_columns(c, ow);
  int64_t inside = (rows.last - rows.first) * (columns.last - columns.first);
  float sum = inside > 0 ? -0.0f : 0.0f;
  for (int64_t ky = rows.first; ky < rows.last; ky++)
    for (int64_t kx = columns.first; kx < columns.last; kx++)
      sum += plane[(rows.start + ky * c->dilation_height) * c->in_width + columns.start +
                   kx * c->dilation_width];
  y[ow] = sum / (float)(c->count_include_pad ? c->kernel_height * c->kernel_width : inside);
}

static void average_row(float *y, const float *plane, const float *end, const duet_pool_call *c,
                        int64_t oh) {
  duet_span rows = duet_window_rows(c, oh);
  interior in = interior_of(c);
  if (rows.first == rows.last) in.first = in.last = c->out_width;
  int64_t down = c->dilation_height * c->in_width, height = rows.last - rows.first;
  float count = (float)((c->count_include_pad ? c->kernel_height : height) * c->kernel_width);
  for (int64_t ow = 0; ow < in.first; ow++) average_single(y, plane, c, rows, ow);
  int64_t ow = in.first;
  while (ow < in.last && is_readable(c, rows, ow, plane, end)) {
    int64_t n = in.last - ow < 16 ? in.last - ow : 16;
    const float *x = plane + rows.start * c->in_width + ow * c->stride_width - c->pad_left;
    f32x16 sum = -0.0f;
    for (int64_t ky = rows.first; ky < rows.last; ky++)
      for (int64_t kx = 0; kx < c->kernel_width; kx++)
        sum += neighbours(x + ky * down + kx * c->dilation_width, c->stride_width);
    sum /= count;
    if (n == 16)
      store_f32(y + ow, sum);
    else
      store_part_f32(y + ow, sum, n);
    ow += n;
  }
  for (; ow < c->out_width; ow++) average_single(y, plane, c, rows, ow);
}
