// Loops over float16 or bfloat16: blocks are widened to float32, the float32 loop runs, the result
// is rounded once. Included once per type with HALF (adds the suffix).

#define PARAMETERS char *const *operand, const int64_t *stride, int64_t count

static const uint8_t HALF(sizes)[3] = {2, 2, 2};
static const uint8_t HALF(test_sizes)[3] = {1, 2, 2};

// Every contiguous or scalar combination but an all-scalar one is widened here; the rest is
// gathered first.
static void HALF(apply)(PARAMETERS, int inputs, int is_test, duet_loop loop, duet_loop self) {
  int64_t size = is_test ? 1 : 2;
  int single = count == 1, scalars = 0, strided = !single && stride[0] != size;
  for (int k = 1; k <= inputs; k++) {
    scalars += !single && stride[k] == 0;
    strided |= !single && stride[k] != 0 && stride[k] != 2;
  }
  if (strided || scalars == inputs)
    return duet_strided_loop(operand, stride, count, self,
                             is_test ? HALF(test_sizes) : HALF(sizes), inputs + 1);
  enum { BLOCK = 256 };
  _Alignas(64) float wide[3][BLOCK];
  int64_t step[3] = {is_test ? 1 : 4, 4, 4};
  char *at[3] = {(char *)wide[0], (char *)wide[1], (char *)wide[2]};
  for (int k = 1; k <= inputs; k++) {
    if (single || stride[k] != 0) continue;
    HALF(widen)(wide[k], operand[k], 1);
    step[k] = 0;
  }
  for (int64_t i = 0; i < count; i += BLOCK) {
    int64_t n = count - i < BLOCK ? count - i : BLOCK;
    for (int k = 1; k <= inputs; k++)
      if (step[k] != 0) HALF(widen)(wide[k], operand[k] + i * 2, n);
    if (is_test) at[0] = operand[0] + i;
    loop(at, step, n);
    if (!is_test) HALF(narrow)(operand[0] + i * 2, wide[0], n);
  }
}

#define X(op, name)                                                                              \
  static void HALF(loop_##name)(PARAMETERS) {                                                    \
    HALF(apply)(operand, stride, count, 1, 0, loop_##name##_f32, HALF(loop_##name));             \
  }
REAL_UNARY(X)
#undef X

#define X(op, name)                                                                              \
  static void HALF(loop_##name)(PARAMETERS) {                                                    \
    HALF(apply)(operand, stride, count, 1, 1, loop_##name##_f32, HALF(loop_##name));             \
  }
REAL_UNARY_TEST(X)
#undef X

#define X(op, name)                                                                              \
  static void HALF(loop_##name)(PARAMETERS) {                                                    \
    HALF(apply)(operand, stride, count, 2, 0, loop_##name##_f32, HALF(loop_##name));             \
  }
REAL_BINARY(X)
#undef X

#define X(op, name)                                                                              \
  static void HALF(loop_##name)(PARAMETERS) {                                                    \
    HALF(apply)(operand, stride, count, 2, 1, loop_##name##_f32, HALF(loop_##name));             \
  }
REAL_COMPARISON(X)
#undef X

#undef PARAMETERS
