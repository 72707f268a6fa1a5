// Maxima of one plane for any window. Rows of the image are brought between margins of -infinity, their columns sorted
// by the remainder by the stride, so that neighbouring windows read neighbours. The maxima along each row of the image
// are kept for all windows that meet it, and those of a window's rows are compared; of equals the first in row-major
// order wins that way, too.

typedef struct {
  float *runs;          // [stride][run]: one row of the image
  float *most;          // [kept][pitch]: the maxima along rows of the image
  int32_t *place;       // [kept][pitch]: which column of its window each is; -1: none
  int32_t *first;       // [pitch]: a window's first column inside; -1: none
  int64_t run, pitch, kept;
  int64_t remainder, at;            // of the first pixel of a row, by the stride
  int64_t step_remainder, step_at;  // of the step from one column of a window to the next
  int has_nan;                      // the row has
} max_memory;

// 2 L pixels to both runs; what is not a number is marked.
#define SORT_PIXELS(L)                                                                          \
  for (; j + 2 * L <= width; j += 2 * L) {                                                      \
    f32x##L even = even_##L(from + j), odd = odd_##L(from + j);                                 \
    store_##L(run + j / 2, even);                                                               \
    store_##L(next + j / 2, odd);                                                               \
    nan_##L |= (even != even) | (odd != odd);                                                   \
  }

// One row of the image to its runs.
DUET_INLINE void take_row(max_memory *m, const float *from, const duet_pool_call *c) {
  const int64_t stride = c->stride_width, width = c->in_width;
  int64_t remainder = m->remainder, at = m->at, j = 0;
  float *run = m->runs + remainder * m->run + at;
  i32x16 nan_16 = 0;
  i32x8 nan_8 = 0;
  i32x4 nan_4 = 0;
  int has_nan = 0;
  if (stride == 1) {
    for (; j + 16 <= width; j += 16) {
      f32x16 v = load_16(from + j);
      store_16(run + j, v);
      nan_16 |= v != v;
    }
    at += j;
  } else if (stride == 2) {
    // The second column and those two apart from it are in the other run, or a step behind in the first.
    float *next = remainder == 0 ? run + m->run : run - m->run + 1;
    SORT_PIXELS(16)
    SORT_PIXELS(8)
    SORT_PIXELS(4)
    at += j / 2;
  }
  for (; j < width; j++) {
    m->runs[remainder * m->run + at] = from[j];
    has_nan |= from[j] != from[j];
    if (++remainder < stride) continue;
    remainder = 0;
    at++;
  }
  int64_t words[14], some = has_nan;
  memcpy(words, &nan_16, 64);
  memcpy(words + 8, &nan_8, 32);
  memcpy(words + 12, &nan_4, 16);
  for (int i = 0; i < 14; i++) some |= words[i];
  m->has_nan = some != 0;
}

#undef SORT_PIXELS

// Whether x takes the place of the maximum so far, where NaN may be or not.
#define IS_MORE(x, m, has_nan) ((has_nan) ? REPLACES(x, m) : (x) > (m))

DUET_INLINE void max_along(const max_memory *m, float *most, int32_t *place, const duet_pool_call *c,
                           const int has_nan, const int has_slots) {
  const int64_t stride = c->stride_width;
  for (int64_t ow = 0; ow < m->pitch; ow += 16) {
    f32x16 largest = -__builtin_inff();
    i32x16 at;
    if (has_slots) memcpy(&at, m->first + ow, sizeof at);
    int64_t remainder = 0, at_column = ow;
    for (int64_t kx = 0; kx < c->kernel_width; kx++) {
      f32x16 x = load_16(m->runs + remainder * m->run + at_column);
      remainder += m->step_remainder, at_column += m->step_at;
      if (remainder >= stride) remainder -= stride, at_column++;
      i32x16 better = IS_MORE(x, largest, has_nan);
      largest = better ? x : largest;
      if (has_slots) at = better ? (i32x16)(int32_t)kx : at;
    }
    store_16(most + ow, largest);
    if (has_slots) memcpy(place + ow, &at, sizeof at);
  }
}

DUET_INLINE i32x16 places_at(const max_memory *m, int64_t at, int64_t ky, const duet_pool_call *c) {
  i32x16 place;
  memcpy(&place, m->place + at, sizeof place);
  return place < 0 ? place : place + (int32_t)(ky * c->kernel_width);
}

// The row of the maxima kept that comes `step` after another.
DUET_INLINE int64_t kept_after(const max_memory *m, int64_t kept, int64_t step) {
  kept += step;
  while (kept >= m->kept) kept -= m->kept;
  return kept;
}

DUET_INLINE void max_down(const max_memory *m, float *y, int32_t *slot, const duet_pool_call *c, duet_span rows,
                          int64_t kept, const int has_nan, const int has_slots) {
  for (int64_t ow = 0; ow < c->out_width; ow += 16) {
    // The last vector lies over the one before.
    if (ow + 16 > c->out_width && c->out_width >= 16) ow = c->out_width - 16;
    f32x16 largest = -__builtin_inff();
    i32x16 at = -1;
    if (rows.first < rows.last) {
      largest = load_16(m->most + kept * m->pitch + ow);
      if (has_slots) at = places_at(m, kept * m->pitch + ow, rows.first, c);
    }
    int64_t next = kept;
    for (int64_t ky = rows.first + 1; ky < rows.last; ky++) {
      next = kept_after(m, next, c->dilation_height);
      f32x16 x = load_16(m->most + next * m->pitch + ow);
      i32x16 better = IS_MORE(x, largest, has_nan);
      largest = better ? x : largest;
      if (has_slots) at = better ? places_at(m, next * m->pitch + ow, ky, c) : at;
    }
    int64_t n = c->out_width < 16 ? c->out_width : 16;
    if (n == 16) {
      if (y) store_16(y + ow, largest);
      if (has_slots) memcpy(slot + ow, &at, sizeof at);
    } else {
      if (y) store_part_f32(y + ow, largest, n);
      if (has_slots) store_part_f32(slot + ow, (f32x16)at, n);
    }
  }
}

DUET_INLINE void max_rows(float *y, int32_t *slot, const float *plane, const duet_pool_call *c,
                          max_memory *m, int64_t *taken, const int has_slots) {
  for (int64_t oh = 0; oh < c->out_height; oh++) {
    duet_span rows = duet_window_rows(c, oh);
    int has_nan = 0;
    int64_t row = rows.start + rows.first * c->dilation_height, first = row > 0 ? row % m->kept : 0, kept = first;
    for (int64_t ky = rows.first; ky < rows.last; ky++, row += c->dilation_height) {
      // taken: a row of the image and whether it has NaN, as 2 row + has.
      if (taken[kept] >> 1 != row) {
        take_row(m, plane + row * c->in_width, c);
        float *most = m->most + kept * m->pitch;
        int32_t *place = m->place + kept * m->pitch;
        if (m->has_nan)
          max_along(m, most, place, c, 1, has_slots);
        else
          max_along(m, most, place, c, 0, has_slots);
        taken[kept] = 2 * row + m->has_nan;
      }
      has_nan |= taken[kept] & 1;
      kept = kept_after(m, kept, c->dilation_height);
    }
    float *to = y ? y + oh * c->out_width : 0;
    int32_t *slots = has_slots ? slot + oh * c->out_width : 0;
    if (has_nan)
      max_down(m, to, slots, c, rows, first, 1, has_slots);
    else
      max_down(m, to, slots, c, rows, first, 0, has_slots);
  }
}

// The maximum of one window; NaN stays once it is found. Answers which element it is.
DUET_INLINE int32_t max_single(float *most, const float *plane, const duet_pool_call *c, duet_span rows,
                               duet_span columns) {
  float m = -__builtin_inff();
  int32_t at = -1;
  for (int64_t ky = rows.first; ky < rows.last; ky++)
    for (int64_t kx = columns.first; kx < columns.last; kx++) {
      float x = plane[(rows.start + ky * c->dilation_height) * c->in_width + columns.start +
                      kx * c->dilation_width];
      if (at >= 0 && (x <= m || m != m)) continue;
      m = x;
      at = (int32_t)(ky * c->kernel_width + kx);
    }
  *most = m;
  return at;
}

DUET_INLINE void max_singles(float *y, int32_t *slot, const float *plane, const duet_pool_call *c) {
  for (int64_t ow = 0; ow < c->out_width; ow++) {
    duet_span columns = duet_window_columns(c, ow);
    for (int64_t oh = 0; oh < c->out_height; oh++) {
      float most;
      int32_t at = max_single(&most, plane, c, duet_window_rows(c, oh), columns);
      if (y) y[oh * c->out_width + ow] = most;
      if (slot) slot[oh * c->out_width + ow] = at;
    }
  }
}

static void max_plane(float *y, int32_t *slot, const float *plane, const duet_pool_call *c, void *memory) {
  if (duet_max_is_single(c)) {
    max_singles(y, slot, plane, c);
    return;
  }
  duet_max_layout layout = duet_max_layout_of(c);
  int64_t stride = c->stride_width, *is_ready = memory, *taken = is_ready + 1;
  max_memory m = {.run = layout.run, .pitch = layout.pitch, .kept = layout.kept};
  m.remainder = c->pad_left % stride, m.at = c->pad_left / stride;
  m.step_remainder = c->dilation_width % stride, m.step_at = c->dilation_width / stride;
  m.runs = (float *)(taken + m.kept);
  m.most = m.runs + stride * m.run;
  m.place = (int32_t *)(m.most + m.kept * m.pitch);
  m.first = m.place + m.kept * m.pitch;
  for (int64_t i = 0; i < m.kept; i++) taken[i] = -1;
  if (!*is_ready) {
    for (int64_t i = 0; i < stride * m.run; i++) m.runs[i] = -__builtin_inff();
    for (int64_t ow = 0; ow < m.pitch; ow++) {
      duet_span columns = duet_window_columns(c, ow);
      m.first[ow] = columns.first < columns.last ? (int32_t)columns.first : -1;
    }
    *is_ready = 1;
  }
  if (slot)
    max_rows(y, slot, plane, c, &m, taken, 1);
  else
    max_rows(y, slot, plane, c, &m, taken, 0);
}

#undef IS_MORE
