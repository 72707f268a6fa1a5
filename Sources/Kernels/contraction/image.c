#include "image.h"

#include <string.h>

typedef uint32_t four __attribute__((vector_size(16), aligned(4)));

// Reads nothing behind the last element.
static inline void copy_four(uint32_t *to, const uint32_t *from) {
  *(four *)to =
    __builtin_shufflevector(*(const four *)from, *(const four *)(from + 3), 0, 2, 5, 7);
}

// to[i] = from[2 * i] for i < count. Rows are often short: the last four overlap those before.
static void copy_every_second(uint32_t *to, const uint32_t *from, int64_t count) {
  int64_t i = 0;
  for (; i + 4 <= count; i += 4) copy_four(to + i, from + 2 * i);
  if (i == count) return;
  if (count >= 4)
    copy_four(to + count - 4, from + 2 * (count - 4));
  else
    for (; i < count; i++) to[i] = from[2 * i];
}

// Margins are a few elements, for which compilers would call memset.
static inline void clear(uint32_t *to, int64_t count) {
  for (int64_t i = 0; i < count; i++) {
    to[i] = 0;
    __asm__ volatile("");
  }
}

// Both halves of a row at once: even[i] = from[2 * i] for i < evens, odd[i] = from[2 * i + 1] for i < odds.
static void copy_both(uint32_t *even, int64_t evens, uint32_t *odd, int64_t odds,
                      const uint32_t *from) {
  int64_t i = 0;
  for (; i + 4 <= evens && i + 4 <= odds; i += 4) {
    four a = *(const four *)(from + 2 * i), b = *(const four *)(from + 2 * i + 4);
    *(four *)(even + i) = __builtin_shufflevector(a, b, 0, 2, 4, 6);
    *(four *)(odd + i) = __builtin_shufflevector(a, b, 1, 3, 5, 7);
  }
  copy_every_second(even + i, from + 2 * i, evens - i);
  copy_every_second(odd + i, from + 2 * i + 1, odds - i);
}

// The columns of one remainder: begin ..< end of its run lie inside the image, from `first` on.
typedef struct {
  int64_t first, begin, end;
} sorted_run;

static sorted_run run_of(const duet_image_copy *x, int64_t q) {
  int64_t run = duet_image_run(x), step = x->column_step;
  // Inside the image: 0 <= first + i * step < width.
  sorted_run r = {.first = x->first_column + q};
  r.begin = r.first < 0 ? (-r.first + step - 1) / step : 0;
  r.end = x->width > r.first ? (x->width - r.first + step - 1) / step : 0;
  if (r.begin > run) r.begin = run;
  if (r.end > run) r.end = run;
  if (r.end < r.begin) r.end = r.begin;
  return r;
}

#define SORT(type)                                                                         \
  type *run = (type *)to + q * length;                                                     \
  const type *source = (const type *)from;                                                 \
  for (int64_t i = 0; i < r.begin; i++) run[i] = 0;                                        \
  if (step == 2 && sizeof(type) == 4)                                                      \
    copy_every_second((uint32_t *)run + r.begin,                                           \
                      (const uint32_t *)from + r.first + 2 * r.begin, r.end - r.begin);    \
  else                                                                                     \
    for (int64_t i = r.begin; i < r.end; i++) run[i] = source[r.first + i * step];         \
  for (int64_t i = r.end; i < length; i++) run[i] = 0;

static void sort_columns(const duet_image_copy *x, const sorted_run *runs, int64_t length,
                         char *to, const char *from, int64_t es) {
  int64_t step = x->column_step;
  if (es == 4 && step == 2 && runs && !x->column_is_read) {
    uint32_t *even = (uint32_t *)to, *odd = even + length;
    clear(even, runs[0].begin);
    clear(odd, runs[1].begin);
    clear(even + runs[0].end, length - runs[0].end);
    clear(odd + runs[1].end, length - runs[1].end);
    // The first column inside is of either remainder.
    const uint32_t *source = (const uint32_t *)from + x->first_column;
    int64_t first_even = 2 * runs[0].begin, first_odd = 2 * runs[1].begin + 1;
    even += runs[0].begin, odd += runs[1].begin;
    int64_t evens = runs[0].end - runs[0].begin, odds = runs[1].end - runs[1].begin;
    if (first_even < first_odd)
      copy_both(even, evens, odd, odds, source + first_even);
    else
      copy_both(odd, odds, even, evens, source + first_odd);
    return;
  }
  for (int64_t q = 0; q < step; q++) {
    if (x->column_is_read && !x->column_is_read[q]) continue;
    sorted_run r = runs ? runs[q] : run_of(x, q);
    if (es == 4) {
      SORT(uint32_t)
    } else {
      SORT(uint64_t)
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
  enum { KEPT_RUNS = 16 };
  sorted_run kept[KEPT_RUNS], *runs = x->column_step <= KEPT_RUNS ? kept : NULL;
  int64_t length = duet_image_run(x);
  if (runs)
    for (int64_t q = 0; q < x->column_step; q++) runs[q] = run_of(x, q);
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
        sort_columns(x, runs, length, to, source, es);
        continue;
      }
      memset(to, 0, left * es);
      memcpy(to + left * es, source + (x->first_column + left) * es, (end - left) * es);
      memset(to + end * es, 0, (x->columns - end) * es);
    }
}
