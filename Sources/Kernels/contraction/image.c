#include "image.h"

#include <string.h>

#define SORT(type, step)                                                                      \
  for (int64_t i = 0; i < begin; i++) ((type *)to)[q * run + i] = 0;                         \
  for (int64_t i = begin; i < end; i++)                                                      \
    ((type *)to)[q * run + i] = ((const type *)from)[first + i * (step)];                    \
  for (int64_t i = end; i < run; i++) ((type *)to)[q * run + i] = 0;

static void sort_columns(const duet_image_copy *x, char *to, const char *from, int64_t es) {
  int64_t run = duet_image_run(x), step = x->column_step;
  for (int64_t q = 0; q < step; q++) {
    if (x->column_is_read && !x->column_is_read[q]) continue;
    // Inside the image: 0 <= first + i * step < width.
    int64_t first = x->first_column + q;
    int64_t begin = first < 0 ? (-first + step - 1) / step : 0;
    int64_t end = x->width > first ? (x->width - first + step - 1) / step : 0;
    if (begin > run) begin = run;
    if (end > run) end = run;
    if (end < begin) end = begin;
    if (es == 4 && step == 2) {
      SORT(uint32_t, 2)
    } else if (es == 4) {
      SORT(uint32_t, step)
    } else {
      SORT(uint64_t, step)
    }
  }
}

#undef SORT

void duet_mark_read(uint8_t *is_read, int64_t step, int64_t kernel, int64_t dilation) {
  for (int64_t r = 0; r < step; r++) is_read[r] = 0;
  for (int64_t k = 0; k < kernel; k++) is_read[k * dilation % step] = 1;
}

void duet_copy_image(const duet_image_copy *x, char *to, const char *from, int64_t es) {
  int64_t pitch = duet_image_pitch(x) * es;
  int64_t left = x->first_column < 0 ? -x->first_column : 0;
  if (left > x->columns) left = x->columns;
  int64_t end = x->width - x->first_column < x->columns ? x->width - x->first_column : x->columns;
  if (end < left) end = left;
  for (int64_t c = 0; c < x->channels; c++)
    for (int64_t r = 0; r < x->rows; r++, to += pitch) {
      int64_t row = x->first_row + r;
      if (x->row_is_read && !x->row_is_read[r % x->row_step]) continue;
      if (row < 0 || row >= x->height) {
        memset(to, 0, pitch);
        continue;
      }
      const char *source = from + (c * x->height + row) * x->width * es;
      if (x->column_step > 1) {
        sort_columns(x, to, source, es);
        continue;
      }
      memset(to, 0, left * es);
      memcpy(to + left * es, source + (x->first_column + left) * es, (end - left) * es);
      memset(to + end * es, 0, (x->columns - end) * es);
    }
}
