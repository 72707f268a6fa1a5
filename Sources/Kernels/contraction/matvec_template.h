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
// Columns contiguous in the rows of the matrix: strips of two vectors, four lanes at a time. Blocks of
// k keep a strip's lines in the first-level cache until the other lanes have read theirs.
static void NAME(matvec_columns)(ELEMENT *y, const ELEMENT *matrix, const ELEMENT *x, int64_t rows,
                                 int64_t k, int64_t k_stride, ELEMENT *lanes) {
  typedef NAME(vector) vector;
  typedef NAME(vector_any) vector_any;
  enum { GROUP = 4, WIDTH = 2 * LANES, BLOCK = 256 };
  memset(lanes, 0, 16 * duet_round_up(rows, WIDTH) * sizeof(ELEMENT));
  for (int64_t p0 = 0; p0 < k; p0 += BLOCK) {
    const int64_t end = k - p0 < BLOCK ? k : p0 + BLOCK;
    for (int64_t i0 = 0; i0 < rows; i0 += WIDTH) {
      const int64_t width = rows - i0 < WIDTH ? rows - i0 : WIDTH, over = width - LANES;
      const NAME(mask) mask0 = NAME(mask_of)(over < 0 ? width : LANES);
      const NAME(mask) mask1 = NAME(mask_of)(over < 0 ? 0 : over);
      for (int64_t l = 0; l < 16; l += GROUP) {
        ELEMENT *kept = lanes + i0 * 16 + l * WIDTH;
        vector sum0[GROUP], sum1[GROUP];
#pragma clang loop unroll(full)
        for (int r = 0; r < GROUP; r++) {
          sum0[r] = *(const vector_any *)(kept + r * WIDTH);
          sum1[r] = *(const vector_any *)(kept + r * WIDTH + LANES);
        }
        const ELEMENT *from = matrix + (p0 + l) * k_stride + i0;
        int64_t p = p0 + l;
        if (width == WIDTH)
          for (; p + GROUP <= end; p += 16, from += 16 * k_stride) {
#pragma clang loop unroll(full)
            for (int r = 0; r < GROUP; r++) {
              const ELEMENT *row = from + r * k_stride;
              sum0[r] = MULTIPLY_ADD(*(const vector_any *)row, (vector)x[p + r], sum0[r]);
              sum1[r] = MULTIPLY_ADD(*(const vector_any *)(row + LANES), (vector)x[p + r], sum1[r]);
            }
          }
        for (; p < end; p += 16, from += 16 * k_stride) {
#pragma clang loop unroll(full)
          for (int r = 0; r < GROUP; r++)
            if (p + r < end) {
              const ELEMENT *row = from + r * k_stride;
              sum0[r] = MULTIPLY_ADD(NAME(load_part)(row, mask0), (vector)x[p + r], sum0[r]);
              if (over > 0)
                sum1[r] = MULTIPLY_ADD(NAME(load_part)(row + LANES, mask1), (vector)x[p + r],
                                       sum1[r]);
            }
        }
#pragma clang loop unroll(full)
        for (int r = 0; r < GROUP; r++) {
          *(vector_any *)(kept + r * WIDTH) = sum0[r];
          *(vector_any *)(kept + r * WIDTH + LANES) = sum1[r];
        }
      }
    }
  }
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
#endif

// The same for large matrices with long rows: rows are read from end to end, lanes stay in memory.
static void NAME(matvec_long_rows)(ELEMENT *y, const ELEMENT *matrix, const ELEMENT *x,
                                   int64_t rows,
                                   int64_t k, int64_t k_stride, ELEMENT *lanes) {
  typedef NAME(vector) vector;
  typedef NAME(vector_any) vector_any;
  // Several rows at a time: enough streams to keep memory busy. Where registers are few, a lane that is loaded
  // takes several rows in turn before it is stored.
  enum { STRIP = 1024, TURNS = FEW_REGISTERS ? 4 : 1, GROUP = FEW_REGISTERS ? 2 : 4 };
  for (int64_t i0 = 0; i0 < rows; i0 += STRIP) {
    const int64_t count = rows - i0 < STRIP ? rows - i0 : STRIP, whole = count / LANES * LANES;
    memset(lanes, 0, 16 * count * sizeof(ELEMENT));
    for (int64_t q = 0; q < k; q += 16 * TURNS)
      for (int64_t l = 0; l < 16 && q + l < k; l += GROUP) {
        const int64_t p = q + l;
        const ELEMENT *from = matrix + p * k_stride + i0;
        ELEMENT *sum = lanes + l * count;
        int64_t done = 0;
        if (p + 16 * (TURNS - 1) + GROUP <= k)
          for (; done < whole; done += LANES) {
#pragma clang loop unroll(full)
            for (int64_t r = 0; r < GROUP; r++) {
              vector v = *(const vector_any *)(sum + r * count + done);
#pragma clang loop unroll(full)
              for (int64_t t = 0; t < TURNS; t++)
                v = MULTIPLY_ADD(*(const vector_any *)(from + (16 * t + r) * k_stride + done),
                                 (vector)x[p + 16 * t + r], v);
              *(vector_any *)(sum + r * count + done) = v;
            }
          }
        // Of fewer turns whole vectors, then what they leave over.
        for (int64_t t = 0; t < TURNS; t++) {
          int64_t begin = done;
          if (p + 16 * t + GROUP <= k)
            for (; begin < whole; begin += LANES) {
#pragma clang loop unroll(full)
              for (int64_t r = 0; r < GROUP; r++) {
                vector_any *to = (vector_any *)(sum + r * count + begin);
                *to = MULTIPLY_ADD(*(const vector_any *)(from + (16 * t + r) * k_stride + begin),
                                   (vector)x[p + 16 * t + r], (vector)*to);
              }
            }
          for (int64_t r = 0; r < GROUP && p + 16 * t + r < k; r++)
            for (int64_t i = begin; i < count; i += LANES) {
              const NAME(mask) mask = NAME(mask_of)(count - i < LANES ? count - i : LANES);
              ELEMENT *to = sum + r * count + i;
              NAME(store_part)(to, MULTIPLY_ADD(NAME(load_part)(from + (16 * t + r) * k_stride + i,
                                                                mask),
                                                (vector)x[p + 16 * t + r],
                                                NAME(load_part)(to, mask)), mask);
            }
        }
      }
    for (int64_t step = 8; step > 0; step /= 2)
      for (int64_t i = 0; i < step * count; i++) lanes[i] = lanes[i] + lanes[i + step * count];
    memcpy(y + i0, lanes, count * sizeof(ELEMENT));
  }
}

static void NAME(matvec)(void *result, const void *left, const void *right, int64_t rows, int64_t k,
                         int64_t row_stride, int64_t k_stride, void *lanes) {
  const ELEMENT *matrix = left, *x = right;
  ELEMENT *y = result;
  if (k_stride == 1) {
    int64_t i = 0;
    for (; i + 4 <= rows; i += 4) NAME(dot_rows)(y + i, matrix + i * row_stride, x, 4, k,
                                                 row_stride);
    for (; i < rows; i++) NAME(dot_rows)(y + i, matrix + i * row_stride, x, 1, k, row_stride);
  } else if (rows >= 256 && rows * k > (256 << 10)) {
    NAME(matvec_long_rows)(y, matrix, x, rows, k, k_stride, lanes);
  } else {
    NAME(matvec_columns)(y, matrix, x, rows, k, k_stride, lanes);
  }
}
