// Products of tiny matrices for one element type, as many at once as a cache line holds elements:
// one in each lane. Needs ELEMENT, NAME and MULTIPLY_ADD.
enum { NAME(WIDE) = 64 / sizeof(ELEMENT) };
typedef ELEMENT NAME(line) __attribute__((ext_vector_type(NAME(WIDE))));

// A block of the result, of one or two rows and columns: a chain for each element.
DUET_INLINE void NAME(batch_block)(NAME(line) *c, const NAME(line) *a, const NAME(line) *b,
                                   const duet_batch *s, const int rows, const int columns) {
  NAME(line) sum[2][2] = {{0}};
  for (int64_t p = 0; p < s->k; p++, a += s->a_k, b += s->b_k)
#pragma clang loop unroll(full)
    for (int i = 0; i < rows; i++)
#pragma clang loop unroll(full)
      for (int j = 0; j < columns; j++)
        sum[i][j] = MULTIPLY_ADD(a[i * s->a_row], b[j * s->b_column], sum[i][j]);
#pragma clang loop unroll(full)
  for (int i = 0; i < rows; i++)
#pragma clang loop unroll(full)
    for (int j = 0; j < columns; j++) c[i * s->n + j] = sum[i][j];
}

static void NAME(batch)(void *result, const void *left, const void *right, const duet_batch *s) {
  NAME(line) *c = result;
  const NAME(line) *a = left, *b = right;
  for (int64_t i = 0; i < s->m; i += 2)
    for (int64_t j = 0; j < s->n; j += 2) {
      NAME(line) *to = c + i * s->n + j;
      const NAME(line) *row = a + i * s->a_row, *column = b + j * s->b_column;
      if (i + 1 < s->m && j + 1 < s->n)
        NAME(batch_block)(to, row, column, s, 2, 2);
      else if (i + 1 < s->m)
        NAME(batch_block)(to, row, column, s, 2, 1);
      else if (j + 1 < s->n)
        NAME(batch_block)(to, row, column, s, 1, 2);
      else
        NAME(batch_block)(to, row, column, s, 1, 1);
    }
}

#if MATVEC_ORDER
// The same in the lane order of products with a vector. Lanes without an element hold +0, which
// makes a sum of nothing but -0 positive.
static void NAME(batch_with_vector)(void *result, const void *left, const void *right,
                                    const duet_batch *s) {
  const int64_t held = s->k < 16 ? s->k : 16;
  for (int64_t i = 0; i < s->m; i++)
    for (int64_t j = 0; j < s->n; j++) {
      const NAME(line) *a = (const NAME(line) *)left + i * s->a_row;
      const NAME(line) *b = (const NAME(line) *)right + j * s->b_column;
      NAME(line) lane[16];
      for (int64_t p = 0; p < s->k; p++)
        lane[p & 15] = MULTIPLY_ADD(a[p * s->a_k], b[p * s->b_k],
                                    p < 16 ? (NAME(line))(ELEMENT)0 : lane[p & 15]);
      for (int64_t half = 8; half > 0; half /= 2)
        for (int64_t l = 0; l < half && l + half < held; l++) lane[l] = lane[l] + lane[l + half];
      ((NAME(line) *)result)[i * s->n + j] = held < 16 ? lane[0] + (ELEMENT)0 : lane[0];
    }
}
#endif
