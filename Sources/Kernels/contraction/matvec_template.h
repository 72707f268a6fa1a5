// Products of a matrix and a vector for one element type, in the fixed lane order: lane l of 16
// holds the chain over k = l, l + 16, ...; the lanes are then added as l + 8, l + 4, l + 2, l + 1.
// Needs the macros and definitions of registers_template.h, and MULTIPLY_ADD.
typedef ELEMENT NAME(lanes16) __attribute__((ext_vector_type(16)));
typedef NAME(lanes16) NAME(lanes16_any) __attribute__((aligned(sizeof(ELEMENT))));

DUET_INLINE ELEMENT NAME(add_lanes)(NAME(lanes16) v) {
  ELEMENT x[16];
  memcpy(x, &v, sizeof x);
#pragma clang loop unroll(full)
  for (int step = 8; step > 0; step /= 2) {
#pragma clang loop unroll(full)
    for (int l = 0; l < step; l++) x[l] = x[l] + x[l + step];
  }
  return x[0];
}

// The same for four sums at once, which lie side by side once they are short.
DUET_INLINE void NAME(add_lanes_of_four)(ELEMENT *y, const NAME(lanes16) v[4]) {
  typedef NAME(lanes16) vector;
  // [sum 0 | sum 1] and [sum 2 | sum 3], 8 lanes each.
  vector eights[2];
#pragma clang loop unroll(full)
  for (int i = 0; i < 2; i++)
    eights[i] = __builtin_shufflevector(v[2 * i], v[2 * i + 1], 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18,
                                        19, 20, 21, 22, 23) +
                __builtin_shufflevector(v[2 * i], v[2 * i + 1], 8, 9, 10, 11, 12, 13, 14, 15, 24, 25,
                                        26, 27, 28, 29, 30, 31);
  vector fours = __builtin_shufflevector(eights[0], eights[1], 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18,
                                         19, 24, 25, 26, 27) +
                 __builtin_shufflevector(eights[0], eights[1], 4, 5, 6, 7, 12, 13, 14, 15, 20, 21,
                                         22, 23, 28, 29, 30, 31);
  fours = fours + __builtin_shufflevector(fours, fours, 2, 3, 2, 3, 6, 7, 6, 7, 10, 11, 10, 11, 14,
                                          15, 14, 15);
  fours = fours + __builtin_shufflevector(fours, fours, 1, 1, 2, 3, 5, 5, 6, 7, 9, 9, 10, 11, 13, 13,
                                          14, 15);
  y[0] = fours[0];
  y[1] = fours[4];
  y[2] = fours[8];
  y[3] = fours[12];
}

DUET_INLINE NAME(lanes16) NAME(first_lanes)(const ELEMENT *from, int64_t count) {
  ELEMENT x[16] = {0};
  for (int64_t l = 0; l < count; l++) x[l] = from[l];
  return *(const NAME(lanes16_any) *)x;
}

// Rows contiguous in k: the lanes of a register are the lanes of the sum.
DUET_INLINE void NAME(dot_rows)(ELEMENT *y, const ELEMENT *matrix, const ELEMENT *x, const int rows,
                                int64_t k, int64_t row_stride) {
  typedef NAME(lanes16) vector;
  typedef NAME(lanes16_any) vector_any;
  vector sum[4];
#pragma clang loop unroll(full)
  for (int i = 0; i < rows; i++) sum[i] = 0;
  int64_t p = 0;
  for (; p + 16 <= k; p += 16) {
    vector v = *(const vector_any *)(x + p);
#pragma clang loop unroll(full)
    for (int i = 0; i < rows; i++)
      sum[i] = MULTIPLY_ADD(*(const vector_any *)(matrix + i * row_stride + p), v, sum[i]);
  }
  if (p < k) {
    // A lane without an element keeps its sum.
    vector v = NAME(first_lanes)(x + p, k - p);
#pragma clang loop unroll(full)
    for (int i = 0; i < rows; i++) {
      vector next = MULTIPLY_ADD(NAME(first_lanes)(matrix + i * row_stride + p, k - p), v, sum[i]);
      ELEMENT kept[16], made[16];
      memcpy(kept, &sum[i], sizeof kept);
      memcpy(made, &next, sizeof made);
      for (int64_t l = 0; l < k - p; l++) kept[l] = made[l];
      memcpy(&sum[i], kept, sizeof kept);
    }
  }
  if (rows == 4) {
    NAME(add_lanes_of_four)(y, sum);
    return;
  }
#pragma clang loop unroll(full)
  for (int i = 0; i < rows; i++) y[i] = NAME(add_lanes)(sum[i]);
}

#if FEW_REGISTERS
enum { NAME(WIDTH) = 2 * LANES };  // columns of a strip, whose 16 lanes lie together

// Of each strip `group` lanes, with `turns` rows for each lane: at most 8 rows, which are read from end to end
// beside each other. As in sweep_template.h, each by an instruction of its own.
DUET_INLINE void NAME(sweep_lanes)(ELEMENT *kept, const ELEMENT *matrix, const ELEMENT *x, int64_t strips,
                                   const int group, const int turns, int64_t k_stride) {
  typedef NAME(vector) vector;
  typedef NAME(vector_any) vector_any;
  const duet_distances near = duet_distances_of(k_stride * (int64_t)sizeof(ELEMENT));
  const duet_distances far = duet_distances_of(16 * k_stride * (int64_t)sizeof(ELEMENT));
  for (int64_t i = 0; i < strips; i++, kept += 16 * NAME(WIDTH), matrix += NAME(WIDTH)) {
#pragma clang loop unroll(full)
    for (int r = 0; r < group; r++) {
      vector sum0 = *(const vector_any *)(kept + r * NAME(WIDTH));
      vector sum1 = *(const vector_any *)(kept + r * NAME(WIDTH) + LANES);
#pragma clang loop unroll(full)
      for (int t = 0; t < turns; t++) {
        const char *at = (const char *)matrix + duet_distance(&far, t) + duet_distance(&near, r);
        sum0 = MULTIPLY_ADD(*(const vector_any *)at, (vector)x[16 * t + r], sum0);
        sum1 = MULTIPLY_ADD(*((const vector_any *)at + 1), (vector)x[16 * t + r], sum1);
      }
      *(vector_any *)(kept + r * NAME(WIDTH)) = sum0;
      *(vector_any *)(kept + r * NAME(WIDTH) + LANES) = sum1;
    }
  }
}

// A part of a strip, for all k.
static void NAME(part_of_strip)(ELEMENT *kept, const ELEMENT *matrix, const ELEMENT *x, int64_t width, int64_t k,
                                int64_t k_stride) {
  typedef NAME(vector) vector;
  typedef NAME(vector_any) vector_any;
  enum { GROUP = 4 };
  const int64_t over = width - LANES;
  const NAME(mask) mask0 = NAME(mask_of)(over < 0 ? width : LANES);
  const NAME(mask) mask1 = NAME(mask_of)(over < 0 ? 0 : over);
  for (int64_t l = 0; l < 16; l += GROUP) {
    vector sum0[GROUP] = {0}, sum1[GROUP] = {0};
    for (int64_t p = l; p < k; p += 16) {
#pragma clang loop unroll(full)
      for (int r = 0; r < GROUP; r++)
        if (p + r < k) {
          const ELEMENT *row = matrix + (p + r) * k_stride;
          sum0[r] = MULTIPLY_ADD(NAME(load_part)(row, mask0), (vector)x[p + r], sum0[r]);
          if (over > 0) sum1[r] = MULTIPLY_ADD(NAME(load_part)(row + LANES, mask1), (vector)x[p + r], sum1[r]);
        }
    }
#pragma clang loop unroll(full)
    for (int r = 0; r < GROUP; r++) {
      ((vector_any *)(kept + (l + r) * NAME(WIDTH)))[0] = sum0[r];
      ((vector_any *)(kept + (l + r) * NAME(WIDTH)))[1] = sum1[r];
    }
  }
}

// Columns contiguous in the rows of the matrix.
static void NAME(matvec_columns)(ELEMENT *y, const ELEMENT *matrix, const ELEMENT *x, int64_t rows,
                                 int64_t k, int64_t k_stride, ELEMENT *lanes) {
  enum { WIDTH = NAME(WIDTH) };
  const int64_t strips = rows / WIDTH, rest = rows % WIDTH;
  memset(lanes, 0, 16 * duet_round_up(rows, WIDTH) * sizeof(ELEMENT));
  int64_t p = 0;
  for (; p + 16 * 8 <= k; p += 16 * 8)
    for (int64_t l = 0; l < 16; l++)
      NAME(sweep_lanes)(lanes + l * WIDTH, matrix + (p + l) * k_stride, x + p + l, strips, 1, 8, k_stride);
  for (; p + 16 * 2 <= k; p += 16 * 2)
    for (int64_t l = 0; l < 16; l += 4)
      NAME(sweep_lanes)(lanes + l * WIDTH, matrix + (p + l) * k_stride, x + p + l, strips, 4, 2, k_stride);
  for (; p < k; p++)
    NAME(sweep_lanes)(lanes + p % 16 * WIDTH, matrix + p * k_stride, x + p, strips, 1, 1, k_stride);
  if (rest > 0)
    NAME(part_of_strip)(lanes + strips * WIDTH * 16, matrix + strips * WIDTH, x, rest, k, k_stride);
  for (int64_t i0 = 0; i0 < rows; i0 += WIDTH) {
    ELEMENT *sum = lanes + i0 * 16;
    for (int64_t step = 8; step > 0; step /= 2)
      for (int64_t i = 0; i < step * WIDTH; i++) sum[i] = sum[i] + sum[i + step * WIDTH];
    memcpy(y + i0, sum, (rows - i0 < WIDTH ? rows - i0 : WIDTH) * sizeof(ELEMENT));
  }
}
#else
// Columns contiguous in the rows of the matrix: 16 registers per strip of rows, one for each lane.
// Blocks of k bound the pages in use when the matrix is large.
static void NAME(matvec_columns)(ELEMENT *y, const ELEMENT *matrix, const ELEMENT *x, int64_t rows,
                                 int64_t k, int64_t k_stride, ELEMENT *lanes) {
  typedef NAME(vector) vector;
  typedef NAME(vector_any) vector_any;
  enum { BLOCK = 256 };
  for (int64_t p0 = 0; p0 < k; p0 += BLOCK) {
    int64_t count = k - p0 < BLOCK ? k - p0 : BLOCK;
    for (int64_t i0 = 0; i0 < rows; i0 += LANES) {
      const ELEMENT *from = matrix + p0 * k_stride + i0;
      ELEMENT *kept = lanes + i0 * 16;
      int64_t width = rows - i0;
      vector sum[16];
#pragma clang loop unroll(full)
      for (int l = 0; l < 16; l++) sum[l] = p0 ? *(const vector_any *)(kept + l * LANES) : 0;
      int64_t p = 0;
      if (width >= LANES) {
        for (; p + 16 <= count; p += 16) {
#pragma clang loop unroll(full)
          for (int l = 0; l < 16; l++)
            sum[l] = MULTIPLY_ADD(*(const vector_any *)(from + (p + l) * k_stride),
                                  (vector)x[p0 + p + l],
                                  sum[l]);
        }
#pragma clang loop unroll(full)
        for (int l = 0; l < 16; l++)
          if (p + l < count)
            sum[l] = MULTIPLY_ADD(*(const vector_any *)(from + (p + l) * k_stride),
                                  (vector)x[p0 + p + l],
                                  sum[l]);
      } else {
        const NAME(mask) mask = NAME(mask_of)(width);
        for (; p < count; p += 16) {
#pragma clang loop unroll(full)
          for (int l = 0; l < 16; l++)
            if (p + l < count)
              sum[l] = MULTIPLY_ADD(NAME(load_part)(from + (p + l) * k_stride, mask),
                                    (vector)x[p0 + p + l], sum[l]);
        }
      }
      if (p0 + count < k) {
#pragma clang loop unroll(full)
        for (int l = 0; l < 16; l++) *(vector_any *)(kept + l * LANES) = sum[l];
      } else {
#pragma clang loop unroll(full)
        for (int step = 8; step > 0; step /= 2) {
#pragma clang loop unroll(full)
          for (int l = 0; l < step; l++) sum[l] = sum[l] + sum[l + step];
        }
        if (width >= LANES)
          *(vector_any *)(y + i0) = sum[0];
        else
          for (int64_t i = 0; i < width; i++) y[i0 + i] = sum[0][i];
      }
    }
  }
  if (k == 0) memset(y, 0, rows * sizeof(ELEMENT));
}

// `turns` rows of one lane, which are 16 rows apart, for whole pairs of vectors; answers how many columns that were.
DUET_INLINE int64_t NAME(sweep_lane)(ELEMENT *sum, const ELEMENT *from, const ELEMENT *x, int64_t count,
                                     const int turns, int64_t k_stride) {
  typedef NAME(vector) vector;
  typedef NAME(vector_any) vector_any;
  int64_t i = 0;
  for (; i + 2 * LANES <= count; i += 2 * LANES) {
    vector sum0 = *(const vector_any *)(sum + i), sum1 = *(const vector_any *)(sum + i + LANES);
#pragma clang loop unroll(full)
    for (int t = 0; t < turns; t++) {
      const ELEMENT *row = from + t * 16 * k_stride + i;
      sum0 = MULTIPLY_ADD(*(const vector_any *)row, (vector)x[16 * t], sum0);
      sum1 = MULTIPLY_ADD(*(const vector_any *)(row + LANES), (vector)x[16 * t], sum1);
    }
    *(vector_any *)(sum + i) = sum0;
    *(vector_any *)(sum + i + LANES) = sum1;
  }
  return i;
}

// The same for larger matrices with longer rows: eight of them are read from end to end beside each other, and lanes
// stay in memory.
static void NAME(matvec_long_rows)(ELEMENT *y, const ELEMENT *matrix, const ELEMENT *x,
                                   int64_t rows,
                                   int64_t k, int64_t k_stride, ELEMENT *lanes) {
  enum { STRIP = (256 << 10) / (16 * sizeof(ELEMENT)), TURNS = 8 };
  for (int64_t i0 = 0; i0 < rows; i0 += STRIP) {
    const int64_t count = rows - i0 < STRIP ? rows - i0 : STRIP;
    memset(lanes, 0, 16 * count * sizeof(ELEMENT));
    for (int64_t p = 0; p < k; p += 16 * TURNS)
      for (int64_t l = 0; l < 16 && p + l < k; l++) {
        ELEMENT *sum = lanes + l * count;
        const ELEMENT *from = matrix + (p + l) * k_stride + i0, *own = x + p + l;
        const int64_t left = (k - p - l + 15) / 16, turns = left < TURNS ? left : TURNS;
        int64_t done = 0, t = 0;
        if (turns == TURNS) {
          done = NAME(sweep_lane)(sum, from, own, count, TURNS, k_stride);
          t = TURNS;
        }
        for (; t + 2 <= turns; t += 2)
          done = NAME(sweep_lane)(sum, from + t * 16 * k_stride, own + t * 16, count, 2, k_stride);
        if (t < turns) done = NAME(sweep_lane)(sum, from + t * 16 * k_stride, own + t * 16, count, 1, k_stride);
        for (int64_t i = done; i < count; i += LANES) {
          const NAME(mask) mask = NAME(mask_of)(count - i < LANES ? count - i : LANES);
          NAME(vector) v = NAME(load_part)(sum + i, mask);
          for (t = 0; t < turns; t++)
            v = MULTIPLY_ADD(NAME(load_part)(from + t * 16 * k_stride + i, mask), (NAME(vector))own[16 * t], v);
          NAME(store_part)(sum + i, v, mask);
        }
      }
    for (int64_t step = 8; step > 0; step /= 2)
      for (int64_t i = 0; i < step * count; i++) lanes[i] = lanes[i] + lanes[i + step * count];
    memcpy(y + i0, lanes, count * sizeof(ELEMENT));
  }
}
#endif

static void NAME(matvec)(void *result, const void *left, const void *right, int64_t rows, int64_t k,
                         int64_t row_stride, int64_t k_stride, void *lanes) {
  const ELEMENT *matrix = left, *x = right;
  ELEMENT *y = result;
  if (k_stride == 1) {
    int64_t i = 0;
    for (; i + 4 <= rows; i += 4) NAME(dot_rows)(y + i, matrix + i * row_stride, x, 4, k,
                                                 row_stride);
    for (; i < rows; i++) NAME(dot_rows)(y + i, matrix + i * row_stride, x, 1, k, row_stride);
#if !FEW_REGISTERS
  } else if (rows >= 4 * LANES && rows * k > (8 << 10) && (k >= 128 || rows * k > (32 << 10))) {
    NAME(matvec_long_rows)(y, matrix, x, rows, k, k_stride, lanes);
#endif
  } else {
    NAME(matvec_columns)(y, matrix, x, rows, k, k_stride, lanes);
  }
}
