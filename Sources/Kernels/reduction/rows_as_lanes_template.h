// Sixteen short rows side by side: row r becomes lane r of a vector for each column, so that what a
// row needs once (a logarithm, a tree of sums) is computed for all of them together. Included with
// TYPE, VECTOR, IN (adds the suffix), LOAD, STORE.
//
// A row's elements are the lanes of its sum (duet_reduction.h), column c lane c % 16: sums of
// vectors, added in the order of that tree, are the very sums of the rows. Lanes behind the end of
// a row are left out: what they would add changes no sum (see where they are added).

// From this on a row by itself fills its vectors.
enum { IN(LONG_ROW) = 64 };

typedef TYPE IN(four) __attribute__((ext_vector_type(4)));
typedef IN(four) IN(four_any) __attribute__((aligned(sizeof(TYPE))));

// Four columns of four rows, which lie `from_step` and `to_step` elements apart.
DUET_INLINE void IN(turn_four)(TYPE *to, int64_t to_step, const TYPE *from, int64_t from_step) {
  IN(four) a = *(const IN(four_any) *)from, b = *(const IN(four_any) *)(from + from_step);
  IN(four) c = *(const IN(four_any) *)(from + 2 * from_step);
  IN(four) d = *(const IN(four_any) *)(from + 3 * from_step);
  IN(four) ab0 = __builtin_shufflevector(a, b, 0, 4, 1, 5);
  IN(four) ab1 = __builtin_shufflevector(a, b, 2, 6, 3, 7);
  IN(four) cd0 = __builtin_shufflevector(c, d, 0, 4, 1, 5);
  IN(four) cd1 = __builtin_shufflevector(c, d, 2, 6, 3, 7);
  *(IN(four_any) *)to = __builtin_shufflevector(ab0, cd0, 0, 1, 4, 5);
  *(IN(four_any) *)(to + to_step) = __builtin_shufflevector(ab0, cd0, 2, 3, 6, 7);
  *(IN(four_any) *)(to + 2 * to_step) = __builtin_shufflevector(ab1, cd1, 0, 1, 4, 5);
  *(IN(four_any) *)(to + 3 * to_step) = __builtin_shufflevector(ab1, cd1, 2, 3, 6, 7);
}

// to[c][r] = from[r][c] for sixteen rows, and back. The last four columns may overlap others.
DUET_INLINE void IN(rows_to_lanes)(TYPE *to, const TYPE *from, int64_t columns) {
  if (columns < 4) {
    for (int64_t c = 0; c < columns; c++)
      for (int64_t r = 0; r < 16; r++) to[c * 16 + r] = from[r * columns + c];
    return;
  }
  for (int64_t r = 0; r < 16; r += 4)
    for (int64_t c = 0;; c = duet_least(c + 4, columns - 4)) {
      IN(turn_four)(to + c * 16 + r, 16, from + r * columns + c, columns);
      if (c == columns - 4) break;
    }
}

DUET_INLINE void IN(lanes_to_rows)(TYPE *to, const TYPE *from, int64_t columns) {
  if (columns < 4) {
    for (int64_t c = 0; c < columns; c++)
      for (int64_t r = 0; r < 16; r++) to[r * columns + c] = from[c * 16 + r];
    return;
  }
  for (int64_t r = 0; r < 16; r += 4)
    for (int64_t c = 0;; c = duet_least(c + 4, columns - 4)) {
      IN(turn_four)(to + r * columns + c, columns, from + c * 16 + r, 16);
      if (c == columns - 4) break;
    }
}

// The maxima of columns that lie `step` elements apart; NaN is none. Which zero it is where a row
// has both is left open: no sum or result shows it.
DUET_INLINE VECTOR IN(largest_of_lanes)(const TYPE *from, int64_t step, int64_t columns) {
  VECTOR m0 = -(TYPE)__builtin_inff(), m1 = m0;
  int64_t c = 0;
  for (; c + 2 <= columns; c += 2) {
    VECTOR x0 = LOAD(from + c * step), x1 = LOAD(from + (c + 1) * step);
    m0 = x0 > m0 ? x0 : m0;
    m1 = x1 > m1 ? x1 : m1;
  }
  if (c < columns) {
    VECTOR x = LOAD(from + c * step);
    m0 = x > m0 ? x : m0;
  }
  return m0 > m1 ? m0 : m1;
}

// Column c goes to its lane of the sixteen sums.
DUET_INLINE void IN(add_to_lane)(TYPE *lanes, VECTOR v, int64_t c) {
  TYPE *sum = lanes + c % 16 * 16;
  STORE(sum, c < 16 ? v : LOAD(sum) + v);
}

// The sum of the lanes of so many columns, as a tree.
DUET_INLINE VECTOR IN(folded)(TYPE *lanes, int64_t columns) {
  for (int64_t half = 8; half > 0; half /= 2)
    for (int64_t l = 0; l < half && l + half < columns; l++)
      STORE(lanes + l * 16, LOAD(lanes + l * 16) + LOAD(lanes + (l + half) * 16));
  return LOAD(lanes);
}
