// What convolutions share: images in which every tap of a row of results is one contiguous run.
#ifndef DUET_CONTRACTION_IMAGE_H
#define DUET_CONTRACTION_IMAGE_H

#include "engine.h"

// A copy of `channels` images [height, width] with a margin of zeros and with the columns sorted by
// their remainder, so that columns `column_step` apart become neighbours:
//     copy[c][r][q][i] = image[c][first_row + r][first_column + i * column_step + q],  0 outside.
typedef struct {
  int64_t channels, height, width;
  int64_t first_row, rows;        // of the copy
  int64_t row_step;               // rows that no output row needs are not copied: see row_is_read
  int64_t first_column, columns;  // before sorting
  int64_t column_step;
  const uint8_t *row_is_read;     // [row_step], by r % row_step; NULL: all
  const uint8_t *column_is_read;  // [column_step], by q; NULL: all
} duet_image_copy;

static inline int64_t duet_image_run(const duet_image_copy *x) {
  return (x->columns + x->column_step - 1) / x->column_step;
}
static inline int64_t duet_image_pitch(const duet_image_copy *x) {
  return x->column_step * duet_image_run(x);
}
// Bytes of the copy; whole vectors that begin in it end in it.
static inline size_t duet_image_bytes(const duet_image_copy *x, int64_t es) {
  return duet_round_up((x->channels * x->rows * duet_image_pitch(x) + 64) * es, 64);
}

// Whether the image itself already is what a copy would be, except for its pitch.
static inline int duet_image_is_ready(const duet_image_copy *x) {
  return x->column_step == 1 && x->first_row >= 0 && x->first_row + x->rows <= x->height &&
         x->first_column >= 0 && x->first_column + x->columns <= x->width;
}

// Which remainders by the stride the taps of a kernel meet.
enum { DUET_MARKED_STRIDE = 16 };
void duet_mark_read(uint8_t *is_read, int64_t step, int64_t kernel, int64_t dilation);

void duet_copy_image(const duet_image_copy *x, char *to, const char *from, int64_t es);

// A 1 x 1 convolution that keeps positions does not care where rows end: merges some of them, so
// that rows are long.
static inline duet_conv2d_call duet_merged_rows(const duet_conv2d_call *call) {
  duet_conv2d_call c = *call;
  if (c.kernel_height != 1 || c.kernel_width != 1 || c.stride_height != 1 || c.stride_width != 1 ||
      c.pad_top != 0 || c.pad_left != 0 || c.out_height != c.in_height || c.out_width != c.in_width)
    return c;
  int64_t merged = 1;
  while (merged < c.in_height && (c.in_height % merged != 0 || merged * c.in_width < 128)) merged++;
  c.in_height /= merged;
  c.in_width *= merged;
  c.out_height = c.in_height;
  c.out_width = c.in_width;
  return c;
}

// Columns begin ..< end of a row of elements of four or eight bytes, each `step` columns behind the one before.
static inline void duet_copy_columns(char *to, const char *from, int64_t begin, int64_t end,
                                     int64_t step, int64_t es) {
#define COPY(type, step)                                                                      \
  for (int64_t j = begin; j < end; j++) ((type *)to)[j] = ((const type *)from)[j * (step)];
  if (es == 4 && step == 2) {
    COPY(uint32_t, 2)
  } else if (es == 4) {
    COPY(uint32_t, step)
  } else {
    COPY(uint64_t, step)
  }
#undef COPY
}

#endif
