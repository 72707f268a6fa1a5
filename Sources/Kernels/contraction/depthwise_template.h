// Depthwise convolutions of one element type. The including source defines
//   ELEMENT, VECTOR, VECTOR_ANY, INTEGER and INTEGERS (of the same size), LANES, NAME(x)
//   FMA(a, b, c), STORE_PART(p, v, n)

#define EACH_VECTOR(body)         \
  _Pragma("clang loop unroll(full)") \
  for (int v = 0; v < count; v++) body
#define VECTOR_AT(p) (*(VECTOR_ANY *)((p) + (v < count - 1 ? v * LANES : last)))
#define PIXELS_AT(p) (*(const VECTOR_ANY *)((p) + (v < count - 1 ? v * LANES : last)))

// `count` vectors of one row of results, or of two, which share what they read. The last one, of which `lanes` are kept,
// begins `last` behind the first.
DUET_INLINE void NAME(correlate_block)(const duet_correlation *x, const ELEMENT *image, ELEMENT *to,
                                       const int is_pair, const int count, const int64_t columns,
                                       int64_t last, int64_t lanes) {
  const ELEMENT *weight = x->weight;
  const int64_t *right = x->column_offset, *down = x->row_offset;
  const int64_t rows = x->kernel_rows, lead = is_pair ? x->lead : rows;
  const ELEMENT *ahead = image + (is_pair && x->is_reversed ? x->row : 0);
  const ELEMENT *behind = image + (x->is_reversed ? 0 : x->row);
  VECTOR first[VECTORS] = {0}, second[VECTORS] = {0};
  for (int64_t a = 0; is_pair && lead == rows && a < rows; a++)
    for (int64_t b = 0; b < columns; b++) {
      const int64_t at = down[a] + right[b];
      const VECTOR w = weight[a * columns + b];
      EACH_VECTOR({
        first[v] = FMA(w, PIXELS_AT(ahead + at), first[v]);
        second[v] = FMA(w, PIXELS_AT(behind + at), second[v]);
      })
    }
  const int64_t alone = is_pair && lead == rows ? 0 : lead;
  for (int64_t a = 0; a < alone; a++)
    for (int64_t b = 0; b < columns; b++) {
      const ELEMENT *from = ahead + down[a] + right[b];
      const VECTOR w = weight[a * columns + b];
      EACH_VECTOR({ first[v] = FMA(w, PIXELS_AT(from), first[v]); })
    }
  for (int64_t a = lead; a < rows; a++)
    for (int64_t b = 0; b < columns; b++) {
      const ELEMENT *from = ahead + down[a] + right[b];
      const VECTOR w = weight[a * columns + b], w_behind = weight[(a - lead) * columns + b];
      EACH_VECTOR({
        const VECTOR pixels = PIXELS_AT(from);
        first[v] = FMA(w, pixels, first[v]);
        second[v] = FMA(w_behind, pixels, second[v]);
      })
    }
  for (int64_t a = rows - alone; is_pair && a < rows; a++)
    for (int64_t b = 0; b < columns; b++) {
      const ELEMENT *from = behind + down[a] + right[b];
      const VECTOR w = weight[a * columns + b];
      EACH_VECTOR({ second[v] = FMA(w, PIXELS_AT(from), second[v]); })
    }
  ELEMENT *to_first = to + (is_pair && x->is_reversed ? x->result_row : 0);
  ELEMENT *to_second = to + (x->is_reversed ? 0 : x->result_row);
  if (lanes == LANES) {
    EACH_VECTOR({
      VECTOR_AT(to_first) = first[v];
      if (is_pair) VECTOR_AT(to_second) = second[v];
    })
    return;
  }
  STORE_PART(to_first, first[0], lanes);
  if (is_pair) STORE_PART(to_second, second[0], lanes);
}

// One row of results or two. Where vectors do not fit, the last ones lie over those before.
DUET_INLINE void NAME(correlate_rows)(const duet_correlation *x, int64_t row, const int is_pair,
                                      const int64_t taps) {
  const ELEMENT *image = (const ELEMENT *)x->image + row * x->row;
  ELEMENT *to = (ELEMENT *)x->result + row * x->result_row;
  const int count = is_pair ? VECTORS / 2 : VECTORS;
  const int64_t columns = x->columns, block = count * LANES;
  if (columns < LANES) {
    NAME(correlate_block)(x, image, to, is_pair, 1, taps, 0, columns);
    return;
  }
#define BLOCK(j, count, last) \
  NAME(correlate_block)(x, image + (j), to + (j), is_pair, count, taps, last, LANES)
  int64_t j = 0;
  for (; j + block <= columns; j += block) BLOCK(j, count, block - LANES);
  for (; j + 2 * LANES <= columns; j += 2 * LANES) BLOCK(j, 2, LANES);
  if (columns - j > LANES)
    BLOCK(j, 2, columns - j - LANES);
  else if (columns > j)
    BLOCK(columns - LANES, 1, 0);
#undef BLOCK
}

// `taps` of each row of the kernel.
DUET_INLINE void NAME(correlate_all)(const duet_correlation *x, const int64_t taps) {
  int64_t i = 0;
  for (; i + 2 <= x->rows; i += 2) NAME(correlate_rows)(x, i, 1, taps);
  if (i < x->rows) NAME(correlate_rows)(x, i, 0, taps);
}

static void NAME(correlate)(const duet_correlation *x) {
  if (x->kernel_columns == 3)
    NAME(correlate_all)(x, 3);
  else if (x->kernel_columns == 5)
    NAME(correlate_all)(x, 5);
  else
    NAME(correlate_all)(x, x->kernel_columns);
}

// Rows of `width` elements between margins, whole vectors being written behind the last one.
static void NAME(copy_rows)(void *to, int64_t pitch, const void *from, int64_t width, int64_t rows,
                            int64_t left) {
  const ELEMENT *source = from;
  ELEMENT *row = to;
  for (int64_t i = 0; i < rows; i++, row += pitch, source += width) {
    *(VECTOR_ANY *)row = (VECTOR){0};
    *(VECTOR_ANY *)(row + left + width) = (VECTOR){0};
    int64_t j = 0;
    for (; j + LANES <= width; j += LANES)
      *(VECTOR_ANY *)(row + left + j) = *(const VECTOR_ANY *)(source + j);
    if (j == width) continue;
    if (width >= LANES)
      *(VECTOR_ANY *)(row + left + width - LANES) = *(const VECTOR_ANY *)(source + width - LANES);
    else
      for (; j < width; j++) row[left + j] = source[j];
  }
}

#undef EACH_VECTOR
#undef VECTOR_AT
#undef PIXELS_AT

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
