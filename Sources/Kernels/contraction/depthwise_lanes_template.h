// Depthwise convolutions of one element type in which lanes are channels. The including source defines
//   ELEMENT, VECTOR, LANES, NAME(x), FMA(a, b, c), TAPS, COLUMNS, NAME(transpose_group)

// `count` neighbouring results of a row.
DUET_INLINE void NAME(correlate_columns)(const duet_lane_correlation *x, const VECTOR *image, VECTOR *to,
                                         const int64_t column, const int count) {
  const VECTOR *weight = x->weight;
  const int64_t *offset = x->offset, taps = x->taps;
  VECTOR sum[COLUMNS] = {0};
  for (int64_t t = 0; t < taps; t++) {
    const VECTOR w = weight[t], *at = image + offset[t];
#pragma clang loop unroll(full)
    for (int j = 0; j < count; j++) sum[j] = FMA(w, at[j * column], sum[j]);
  }
#pragma clang loop unroll(full)
  for (int j = 0; j < count; j++) to[j * x->result_column] = sum[j];
}

// Rows of results in parts that are as long as each other, or one longer.
DUET_INLINE void NAME(correlate_rows_of_lanes)(const duet_lane_correlation *x, const int64_t column) {
  const int64_t parts = (x->columns + COLUMNS - 1) / COLUMNS;
  const int64_t shorter = x->columns / parts, longer = x->columns % parts;
  for (int64_t i = 0; i < x->rows; i++) {
    const VECTOR *image = (const VECTOR *)x->image + i * x->row;
    VECTOR *to = (VECTOR *)x->result + i * x->result_row;
    for (int64_t part = 0; part < parts; part++) {
      const int64_t count = shorter + (part < longer);
      switch (count) {
#define PART(n)                                              \
  case n:                                                    \
    NAME(correlate_columns)(x, image, to, column, n); \
    break;
        PART(1) PART(2) PART(3) PART(4) PART(5) PART(6)
#if COLUMNS > 6
        PART(7) PART(8) PART(9) PART(10) PART(11) PART(12)
#endif
#undef PART
      }
      image += count * column;
      to += count * x->result_column;
    }
  }
}

static void NAME(correlate_lanes)(const duet_lane_correlation *x) {
  if (x->column == 1)
    NAME(correlate_rows_of_lanes)(x, 1);
  else if (x->column == 2)
    NAME(correlate_rows_of_lanes)(x, 2);
  else
    NAME(correlate_rows_of_lanes)(x, x->column);
}

// to[i * stride + p] = from[p][i], where positions do not come in fours with some that were written already.
static void NAME(unpack_lanes)(void *result, int64_t stride, const void *source, int64_t channels, int64_t positions) {
  enum { GROUP = 16 / sizeof(ELEMENT) };
  const ELEMENT *from = source;
  ELEMENT *to = result;
  int64_t i = 0;
  for (; positions >= GROUP && i + GROUP <= channels; i += GROUP, to += GROUP * stride)
    for (int64_t done = 0; done < positions; done += GROUP) {
      const int64_t p = done + GROUP <= positions ? done : positions - GROUP;
      NAME(transpose_group)(to + p, stride, from + p * LANES + i);
    }
  for (; i < channels; i++, to += stride)
    for (int64_t p = 0; p < positions; p++) to[p] = from[p * LANES + i];
}

DUET_INLINE void NAME(add_block)(const duet_tap_sums *x, int64_t first, const int taps) {
  VECTOR sum[TAPS];
  VECTOR *sums = (VECTOR *)x->sum + first;
  const VECTOR *dy = x->dy, *at[TAPS];
#pragma clang loop unroll(full)
  for (int t = 0; t < taps; t++) {
    sum[t] = sums[t];
    at[t] = (const VECTOR *)x->image + x->offset[first + t];
  }
  for (int64_t i = 0; i < x->rows; i++)
    for (int64_t j = 0; j < x->columns; j++) {
      VECTOR d = *dy++;
      int64_t where = i * x->row + j * x->column;
#pragma clang loop unroll(full)
      for (int t = 0; t < taps; t++) sum[t] = FMA(d, at[t][where], sum[t]);
    }
#pragma clang loop unroll(full)
  for (int t = 0; t < taps; t++) sums[t] = sum[t];
}

static void NAME(add_taps)(const duet_tap_sums *x) {
  int64_t t = 0;
  for (; t + TAPS <= x->taps; t += TAPS) NAME(add_block)(x, t, TAPS);
  for (; t + 3 <= x->taps; t += 3) NAME(add_block)(x, t, 3);
  for (; t < x->taps; t++) NAME(add_block)(x, t, 1);
}
