// Loops over float32 or float64. Included once per type with REAL (adds the suffix), VECTOR, MASK,
// BYTES (as many bytes as lanes), LANES, SIZE.

#define PARAMETERS char *const *operand, const int64_t *stride, int64_t count

static const uint8_t REAL(sizes)[3] = {SIZE, SIZE, SIZE};
static const uint8_t REAL(test_sizes)[3] = {1, SIZE, SIZE};

DUET_INLINE void REAL(apply_unary)(PARAMETERS, VECTOR (*f)(VECTOR), duet_loop self) {
  if (__builtin_expect((stride[0] != SIZE || stride[1] != SIZE) && count != 1, 0))
    return duet_strided_loop(operand, stride, count, self, REAL(sizes), 2);
  char *r = operand[0];
  const char *a = operand[1];
  int64_t i = 0;
  for (; i + 2 * LANES <= count; i += 2 * LANES) {
    VECTOR x = f(REAL(load)(a + i * SIZE)), y = f(REAL(load)(a + (i + LANES) * SIZE));
    REAL(store)(r + i * SIZE, x);
    REAL(store)(r + (i + LANES) * SIZE, y);
  }
  for (; i + LANES <= count; i += LANES) REAL(store)(r + i * SIZE, f(REAL(load)(a + i * SIZE)));
  if (i < count)
    REAL(store_part)(r + i * SIZE, f(REAL(load_part)(a + i * SIZE, count - i)), count - i);
}

#if defined(DUET_ISA_AVX2)
// As many as wide vectors take; what they leave over, and strided operands, are for apply_unary.
DUET_INLINE void REAL(apply_wide)(PARAMETERS, WIDE (*wide)(WIDE), VECTOR (*f)(VECTOR), duet_loop self) {
  int64_t whole = stride[0] == SIZE && stride[1] == SIZE ? count / (2 * LANES) * (2 * LANES) : 0;
  for (int64_t i = 0; i < whole; i += 2 * LANES) {
    const char *a = operand[1] + i * SIZE;
    char *r = operand[0] + i * SIZE;
    WIDE x = wide(REAL(both)(REAL(load)(a), REAL(load)(a + LANES * SIZE)));
    REAL(store)(r, REAL(first_half)(x));
    REAL(store)(r + LANES * SIZE, REAL(second_half)(x));
  }
  char *rest[2] = {operand[0] + whole * SIZE, operand[1] + whole * SIZE};
  if (whole < count) REAL(apply_unary)(rest, stride, count - whole, f, self);
}
#define APPLY_WIDE(...) REAL(apply_wide)(__VA_ARGS__)
#else
#define APPLY_WIDE(operand, stride, count, wide, f, self) REAL(apply_unary)(operand, stride, count, f, self)
#endif

// A scalar operand is spread over a vector before the loop, and the second one goes through `with_number`.
DUET_INLINE void REAL(apply_binary)(PARAMETERS, VECTOR (*f)(VECTOR, VECTOR),
                                    VECTOR (*with_number)(VECTOR, VECTOR), duet_loop self) {
  char *r = operand[0];
  const char *a = operand[1], *b = operand[2];
  int64_t i = 0;
  if ((stride[0] == SIZE && stride[1] == SIZE && stride[2] == SIZE) || count == 1) {
    for (; i + LANES <= count; i += LANES)
      REAL(store)(r + i * SIZE, f(REAL(load)(a + i * SIZE), REAL(load)(b + i * SIZE)));
    if (i < count) {
      VECTOR x = REAL(load_part)(a + i * SIZE, count - i);
      VECTOR y = REAL(load_part)(b + i * SIZE, count - i);
      REAL(store_part)(r + i * SIZE, f(x, y), count - i);
    }
  } else if (stride[0] == SIZE && stride[1] == SIZE && stride[2] == 0) {
    VECTOR y = *(const SCALAR *)b;
    for (; i + LANES <= count; i += LANES)
      REAL(store)(r + i * SIZE, with_number(REAL(load)(a + i * SIZE), y));
    if (i < count)
      REAL(store_part)(r + i * SIZE, with_number(REAL(load_part)(a + i * SIZE, count - i), y), count - i);
  } else if (stride[0] == SIZE && stride[1] == 0 && stride[2] == SIZE) {
    VECTOR x = *(const SCALAR *)a;
    for (; i + LANES <= count; i += LANES)
      REAL(store)(r + i * SIZE, f(x, REAL(load)(b + i * SIZE)));
    if (i < count)
      REAL(store_part)(r + i * SIZE, f(x, REAL(load_part)(b + i * SIZE, count - i)), count - i);
  } else {
    duet_strided_loop(operand, stride, count, self, REAL(sizes), 3);
  }
}

// A mask as bytes 0 and 1.
DUET_INLINE void REAL(store_test)(char *r, MASK mask, int64_t n) {
  BYTES bytes = __builtin_convertvector(mask, BYTES) & 1;
  if (n >= LANES) {
    memcpy(r, &bytes, LANES);
  } else {
    memcpy(r, &bytes, (size_t)n);
  }
}

DUET_INLINE void REAL(apply_unary_test)(PARAMETERS, MASK (*f)(VECTOR), duet_loop self) {
  if ((stride[0] != 1 || stride[1] != SIZE) && count != 1)
    return duet_strided_loop(operand, stride, count, self, REAL(test_sizes), 2);
  char *r = operand[0];
  const char *a = operand[1];
  int64_t i = 0;
  for (; i + LANES <= count; i += LANES)
    REAL(store_test)(r + i, f(REAL(load)(a + i * SIZE)), LANES);
  if (i < count)
    REAL(store_test)(r + i, f(REAL(load_part)(a + i * SIZE, count - i)), count - i);
}

DUET_INLINE void REAL(apply_comparison)(PARAMETERS, MASK (*f)(VECTOR, VECTOR), duet_loop self) {
  char *r = operand[0];
  const char *a = operand[1], *b = operand[2];
  int64_t i = 0;
  if ((stride[0] == 1 && stride[1] == SIZE && stride[2] == SIZE) || count == 1) {
    for (; i + LANES <= count; i += LANES)
      REAL(store_test)(r + i, f(REAL(load)(a + i * SIZE), REAL(load)(b + i * SIZE)), LANES);
    if (i < count) {
      VECTOR x = REAL(load_part)(a + i * SIZE, count - i);
      VECTOR y = REAL(load_part)(b + i * SIZE, count - i);
      REAL(store_test)(r + i, f(x, y), count - i);
    }
  } else if (stride[0] == 1 && stride[1] == SIZE && stride[2] == 0) {
    VECTOR y = *(const SCALAR *)b;
    for (; i + LANES <= count; i += LANES)
      REAL(store_test)(r + i, f(REAL(load)(a + i * SIZE), y), LANES);
    if (i < count)
      REAL(store_test)(r + i, f(REAL(load_part)(a + i * SIZE, count - i), y), count - i);
  } else {
    duet_strided_loop(operand, stride, count, self, REAL(test_sizes), 3);
  }
}

#define X(op, name)                                                                              \
  static void REAL(loop_##name)(PARAMETERS) {                                                    \
    REAL(apply_unary)(operand, stride, count, REAL(math_##name), REAL(loop_##name));             \
  }
REAL_NARROW_UNARY(X)
#undef X

#define X(op, name)                                                                              \
  static void REAL(loop_##name)(PARAMETERS) {                                                    \
    APPLY_WIDE(operand, stride, count, REAL(math_##name), REAL(math_##name), REAL(loop_##name)); \
  }
REAL_WIDE_UNARY(X)
#undef X
#undef APPLY_WIDE

#define X(op, name)                                                                              \
  static void REAL(loop_##name)(PARAMETERS) {                                                    \
    REAL(apply_unary_test)(operand, stride, count, REAL(test_##name), REAL(loop_##name));        \
  }
REAL_UNARY_TEST(X)
#undef X

#define X(op, name)                                                                              \
  static void REAL(loop_##name)(PARAMETERS) {                                                    \
    REAL(apply_binary)(operand, stride, count, REAL(math_##name), REAL(math_##name),             \
                       REAL(loop_##name));                                                       \
  }
REAL_PLAIN_BINARY(X)
#undef X

#define X(op, name)                                                                              \
  static void REAL(loop_##name)(PARAMETERS) {                                                    \
    REAL(apply_binary)(operand, stride, count, REAL(math_##name), REAL(math_##name##_number),    \
                       REAL(loop_##name));                                                       \
  }
REAL_EXTREME(X)
#undef X

#define X(op, name)                                                                              \
  static void REAL(loop_##name)(PARAMETERS) {                                                    \
    REAL(apply_comparison)(operand, stride, count, REAL(test_##name), REAL(loop_##name));        \
  }
REAL_COMPARISON(X)
#undef X

#undef PARAMETERS
