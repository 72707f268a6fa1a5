// Depthwise convolutions of one element type. The including source defines
//   ELEMENT, VECTOR, VECTOR_ANY, INTEGER and INTEGERS (of the same size), LANES, NAME(x)
//   FMA(a, b, c), STORE_PART(p, v, n)

// Vectors of results: where each reads and writes, and how many of its lanes are kept.
typedef struct {
  const ELEMENT *from;
  ELEMENT *to;
  int64_t lanes;
} NAME(place);

DUET_INLINE void NAME(correlate_places)(const NAME(place) *p, const int count,
                                        const duet_correlation *x) {
  const ELEMENT *weight = x->weight;
  const int64_t *offset = x->offset;
  VECTOR sum[VECTORS] = {0};
  for (int64_t t = 0; t < x->taps; t++) {
    VECTOR w = weight[t];
    int64_t at = offset[t];
#pragma clang loop unroll(full)
    for (int v = 0; v < count; v++)
      sum[v] = FMA(w, *(const VECTOR_ANY *)(p[v].from + at), sum[v]);
  }
#pragma clang loop unroll(full)
  for (int v = 0; v < count; v++) {
    if (p[v].lanes == LANES)
      *(VECTOR_ANY *)p[v].to = sum[v];
    else
      STORE_PART(p[v].to, sum[v], p[v].lanes);
  }
}

static void NAME(correlate)(const duet_correlation *x) {
  NAME(place) place[VECTORS];
  int waiting = 0;
  for (int64_t i = 0; i < x->rows; i++) {
    const ELEMENT *from = (const ELEMENT *)x->image + i * x->row;
    ELEMENT *to = (ELEMENT *)x->result + i * x->result_row;
    for (int64_t j = 0; j < x->columns; j += LANES) {
      int64_t lanes = x->columns - j < LANES ? x->columns - j : LANES;
      place[waiting++] = (NAME(place)){from + j, to + j, lanes};
      if (waiting < VECTORS) continue;
      NAME(correlate_places)(place, VECTORS, x);
      waiting = 0;
    }
  }
  for (int v = 0; v < waiting; v++) NAME(correlate_places)(place + v, 1, x);
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

// A vector of results in every row, from the taps low ..< low + count of each row of the kernel:
// what lies outside is read, and masked.
DUET_INLINE void NAME(sum_shifted)(const duet_shifted_sum *x, int64_t first, const INTEGERS *mask,
                                   int64_t low, const int64_t count) {
  int64_t lanes = x->result_columns - first < LANES ? x->result_columns - first : LANES;
  int64_t step = x->tap - x->column_step;
  ELEMENT *to = (ELEMENT *)x->result + first;
  for (int64_t y = 0; y < x->result_rows; y++, to += x->result_columns) {
    VECTOR sum = 0;
    int64_t row = y + x->top;
    const ELEMENT *from = (const ELEMENT *)x->products + row * x->columns + first + x->left +
                          low * step;
    for (int64_t a = 0; a < x->kernel_rows; a++) {
      if (row >= 0 && row < x->rows) {
        VECTOR along = 0;
        for (int64_t b = 0; b < count; b++) {
          VECTOR v = *(const VECTOR_ANY *)(from + b * step);
          along += (VECTOR)((INTEGERS)v & mask[b]);
        }
        sum += along;
      }
      row -= x->row_step;
      from += x->kernel_columns * x->tap - x->row_step * x->columns;
    }
    if (lanes == LANES)
      *(VECTOR_ANY *)to = sum;
    else
      STORE_PART(to, sum, lanes);
  }
}

static void NAME(add_shifted)(const duet_shifted_sum *x) {
  INTEGERS lane, mask[DUET_SHIFTED_COLUMNS];
  for (int i = 0; i < LANES; i++) lane[i] = i;
  for (int64_t first = 0; first < x->result_columns; first += LANES) {
    // The taps whose column lies inside for some lane.
    int64_t start = first + x->left, low = 0, high = 0;
    while (low < x->kernel_columns && start - low * x->column_step >= x->columns) low++;
    while (high < x->kernel_columns && start + LANES - 1 - high * x->column_step >= 0) high++;
    for (int64_t b = low; b < high; b++) {
      INTEGERS column = lane + (INTEGER)(start - b * x->column_step);
      mask[b - low] = (column >= 0) & (column < (INTEGER)x->columns);
    }
    if (high - low == 3)
      NAME(sum_shifted)(x, first, mask, low, 3);
    else if (high - low == 5)
      NAME(sum_shifted)(x, first, mask, low, 5);
    else
      NAME(sum_shifted)(x, first, mask, low, high - low);
  }
}

#undef ELEMENT
#undef INTEGERS
#undef INTEGER
#undef VECTOR
#undef VECTOR_ANY
#undef LANES
#undef NAME
#undef FMA
#undef STORE_PART
