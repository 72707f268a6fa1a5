#include "phases.h"

#include "engine.h"

static size_t axis_bytes(const duet_conv2d_call *c) {
  return duet_round_up((c->stride_height + c->stride_width) * sizeof(duet_phase_axis), 64);
}

size_t duet_phase_bytes(const duet_conv2d_call *c) {
  int64_t numbers = 2 * (c->stride_height * c->kernel_height + c->stride_width * c->kernel_width) +
                    c->stride_height * c->stride_width;
  return axis_bytes(c) + duet_round_up(numbers * sizeof(int64_t), 64);
}

// Output position o and tap k meet input position p where o * stride + k * dilation = p + pad.
static int64_t *make_axis(duet_phase_axis *axis, int64_t *store, int64_t size, int64_t kernel,
                          int64_t stride, int64_t dilation, int64_t pad, int64_t *low,
                          int64_t *high) {
  int any = 0;
  *low = *high = 0;
  for (int64_t r = 0; r < stride; r++, store += 2 * kernel) {
    int64_t *tap = store, *shift = store + kernel, taps = 0;
    for (int64_t k = 0; k < kernel; k++) {
      int64_t distance = r + pad - k * dilation;
      if (distance % stride != 0) continue;
      tap[taps] = k;
      shift[taps] = distance / stride;
      *low = any && *low < shift[taps] ? *low : shift[taps];
      *high = any && *high > shift[taps] ? *high : shift[taps];
      any = 1;
      taps++;
    }
    axis[r] = (duet_phase_axis){size > r ? (size - r + stride - 1) / stride : 0, taps, tap, shift};
  }
  return store;
}

duet_phases duet_make_phases(const duet_conv2d_call *c, char *memory) {
  duet_phase_axis *vertical = (duet_phase_axis *)memory, *horizontal = vertical + c->stride_height;
  int64_t *store = (int64_t *)(memory + axis_bytes(c)), taps = 0;
  duet_phases phases = {.vertical = vertical, .horizontal = horizontal};
  store = make_axis(vertical, store, c->in_height, c->kernel_height, c->stride_height,
                    c->dilation_height, c->pad_top, &phases.low_row, &phases.high_row);
  store = make_axis(horizontal, store, c->in_width, c->kernel_width, c->stride_width,
                    c->dilation_width, c->pad_left, &phases.low_column, &phases.high_column);
  phases.first_tap = store;
  for (int64_t r = 0; r < c->stride_height; r++)
    for (int64_t q = 0; q < c->stride_width; q++) {
      int64_t count = vertical[r].taps * horizontal[q].taps;
      *store++ = taps;
      taps += count;
      if (count > phases.most_taps) phases.most_taps = count;
    }
  return phases;
}

#define MERGE(type)                                                                           \
  type *x = (type *)to;                                                                       \
  const type *even = (const type *)part[0], *odd = step > 1 ? (const type *)part[1] : NULL;   \
  if (step == 2 && even && odd) {                                                             \
    for (int64_t j = 0; j < width / 2; j++) {                                                 \
      x[2 * j] = even[j];                                                                     \
      x[2 * j + 1] = odd[j];                                                                  \
    }                                                                                         \
    if (width % 2) x[width - 1] = even[width / 2];                                            \
  } else if (step == 2 && even) {                                                             \
    for (int64_t j = 0; j < width / 2; j++) {                                                 \
      x[2 * j] = even[j];                                                                     \
      x[2 * j + 1] = 0;                                                                       \
    }                                                                                         \
    if (width % 2) x[width - 1] = even[width / 2];                                            \
  } else {                                                                                    \
    for (int64_t q = 0; q < step && q < width; q++)                                           \
      for (int64_t j = 0; q + j * step < width; j++)                                          \
        x[q + j * step] = part[q] ? ((const type *)part[q])[j] : 0;                           \
  }

void duet_merge_row(char *to, const char *const *part, int64_t step, int64_t width, int64_t es) {
  if (es == 4) {
    MERGE(uint32_t)
  } else {
    MERGE(uint64_t)
  }
}

#undef MERGE
