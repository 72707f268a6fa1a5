// The loops of one integer dtype. Included by integer_template.h with TYPE, UNSIGNED, INTEGER and
// IS_SIGNED, which end here. Arithmetic wraps.

#define BITS ((int)sizeof(TYPE) * 8)

DUET_INLINE TYPE INTEGER(quotient)(TYPE x, TYPE y) {
  if (y == 0) return 0;
#if IS_SIGNED
  if (y == -1) return (TYPE)(0 - (UNSIGNED)x);  // the least value wraps
#endif
  return (TYPE)(x / y);
}

DUET_INLINE TYPE INTEGER(rest)(TYPE x, TYPE y) {
#if IS_SIGNED
  if (y == -1) return 0;
#endif
  return y == 0 ? 0 : (TYPE)(x % y);
}

DUET_INLINE TYPE INTEGER(floor_quotient)(TYPE x, TYPE y) {
  TYPE q = INTEGER(quotient)(x, y);
#if IS_SIGNED
  TYPE r = INTEGER(rest)(x, y);
  if (r != 0 && (r < 0) != (y < 0)) q--;
#endif
  return q;
}

DUET_INLINE TYPE INTEGER(floor_rest)(TYPE x, TYPE y) {
  TYPE r = INTEGER(rest)(x, y);
#if IS_SIGNED
  if (r != 0 && (r < 0) != (y < 0)) r = (TYPE)((UNSIGNED)r + (UNSIGNED)y);
#endif
  return r;
}

DUET_INLINE TYPE INTEGER(raised)(TYPE x, TYPE y) {
#if IS_SIGNED
  if (y < 0) return x == 1 ? 1 : x == -1 ? (y & 1 ? -1 : 1) : 0;
#endif
  uint64_t base = (UNSIGNED)x, power = 1;
  for (uint64_t e = (UNSIGNED)y; e != 0; e >>= 1) {
    if (e & 1) power *= base;
    base *= base;
  }
  return (TYPE)power;
}

// A shift by the width or more, or by a negative count, moves every bit out.
DUET_INLINE TYPE INTEGER(shifted_left)(TYPE x, TYPE y) {
  UNSIGNED n = (UNSIGNED)y;
  return n < BITS ? (TYPE)((UNSIGNED)x << (n & (BITS - 1))) : 0;
}

DUET_INLINE TYPE INTEGER(shifted_right)(TYPE x, TYPE y) {
  UNSIGNED n = (UNSIGNED)y;
  TYPE out = IS_SIGNED ? (TYPE)(x >> (BITS - 1)) : 0;
  return n < BITS ? (TYPE)(x >> (n & (BITS - 1))) : out;
}

UNARY_LOOP(INTEGER(negate), TYPE, TYPE, 0 - (UNSIGNED)x)
UNARY_LOOP(INTEGER(not), TYPE, TYPE, ~x)
UNARY_LOOP(INTEGER(square), TYPE, TYPE, (uint64_t)x * (uint64_t)x)
UNARY_LOOP(INTEGER(same), TYPE, TYPE, x)
UNARY_LOOP(INTEGER(never), uint8_t, TYPE, ((void)x, 0))
UNARY_LOOP(INTEGER(always), uint8_t, TYPE, ((void)x, 1))
#if IS_SIGNED
UNARY_LOOP(INTEGER(absolute), TYPE, TYPE, x < 0 ? 0 - (UNSIGNED)x : (UNSIGNED)x)
UNARY_LOOP(INTEGER(sign), TYPE, TYPE, (x > 0) - (x < 0))
UNARY_LOOP(INTEGER(relu), TYPE, TYPE, x > 0 ? x : 0)
#else
UNARY_LOOP(INTEGER(absolute), TYPE, TYPE, x)
UNARY_LOOP(INTEGER(sign), TYPE, TYPE, x != 0)
UNARY_LOOP(INTEGER(relu), TYPE, TYPE, x)
#endif

BINARY_LOOP(INTEGER(add), TYPE, TYPE, (UNSIGNED)x + (UNSIGNED)y)
BINARY_LOOP(INTEGER(subtract), TYPE, TYPE, (UNSIGNED)x - (UNSIGNED)y)
BINARY_LOOP(INTEGER(multiply), TYPE, TYPE, (UNSIGNED)x * 1u * (UNSIGNED)y)
PLAIN_BINARY_LOOP(INTEGER(divide), TYPE, INTEGER(quotient)(x, y))
PLAIN_BINARY_LOOP(INTEGER(floor_divide), TYPE, INTEGER(floor_quotient)(x, y))
PLAIN_BINARY_LOOP(INTEGER(remainder), TYPE, INTEGER(rest)(x, y))
PLAIN_BINARY_LOOP(INTEGER(floor_remainder), TYPE, INTEGER(floor_rest)(x, y))
PLAIN_BINARY_LOOP(INTEGER(power), TYPE, INTEGER(raised)(x, y))
BINARY_LOOP(INTEGER(maximum), TYPE, TYPE, x > y ? x : y)
BINARY_LOOP(INTEGER(minimum), TYPE, TYPE, x < y ? x : y)
BINARY_LOOP(INTEGER(and), TYPE, TYPE, x & y)
BINARY_LOOP(INTEGER(or), TYPE, TYPE, x | y)
BINARY_LOOP(INTEGER(xor), TYPE, TYPE, x ^ y)
BINARY_LOOP(INTEGER(shift_left), TYPE, TYPE, INTEGER(shifted_left)(x, y))
BINARY_LOOP(INTEGER(shift_right), TYPE, TYPE, INTEGER(shifted_right)(x, y))
BINARY_LOOP(INTEGER(equal), uint8_t, TYPE, x == y)
BINARY_LOOP(INTEGER(not_equal), uint8_t, TYPE, x != y)
BINARY_LOOP(INTEGER(less), uint8_t, TYPE, x < y)
BINARY_LOOP(INTEGER(less_equal), uint8_t, TYPE, x <= y)
BINARY_LOOP(INTEGER(greater), uint8_t, TYPE, x > y)
BINARY_LOOP(INTEGER(greater_equal), uint8_t, TYPE, x >= y)

#undef BITS
#undef TYPE
#undef UNSIGNED
#undef INTEGER
#undef IS_SIGNED
