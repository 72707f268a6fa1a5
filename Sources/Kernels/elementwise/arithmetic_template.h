// The operations of floating point that need no series. Included once per type with REAL, VECTOR,
// MASK.

DUET_INLINE VECTOR REAL(math_negate)(VECTOR x) { return -x; }
DUET_INLINE VECTOR REAL(math_absolute)(VECTOR x) { return REAL(abs)(x); }
DUET_INLINE VECTOR REAL(math_square)(VECTOR x) { return x * x; }
DUET_INLINE VECTOR REAL(math_sqrt)(VECTOR x) { return __builtin_elementwise_sqrt(x); }
DUET_INLINE VECTOR REAL(math_reciprocal)(VECTOR x) { return 1.0f / x; }
DUET_INLINE VECTOR REAL(math_floor)(VECTOR x) { return __builtin_elementwise_floor(x); }
DUET_INLINE VECTOR REAL(math_ceil)(VECTOR x) { return __builtin_elementwise_ceil(x); }
DUET_INLINE VECTOR REAL(math_round)(VECTOR x) { return __builtin_elementwise_rint(x); }
DUET_INLINE VECTOR REAL(math_truncate)(VECTOR x) { return __builtin_elementwise_trunc(x); }

// Zeros keep their sign, NaN stays.
DUET_INLINE VECTOR REAL(math_sign)(VECTOR x) {
  VECTOR y = x > 0.0f ? (VECTOR)1.0f : x;
  return x < 0.0f ? (VECTOR)-1.0f : y;
}

DUET_INLINE VECTOR REAL(math_relu)(VECTOR x) { return x <= 0.0f ? (VECTOR)0.0f : x; }

DUET_INLINE VECTOR REAL(math_add)(VECTOR x, VECTOR y) { return x + y; }
DUET_INLINE VECTOR REAL(math_subtract)(VECTOR x, VECTOR y) { return x - y; }
DUET_INLINE VECTOR REAL(math_multiply)(VECTOR x, VECTOR y) { return x * y; }
DUET_INLINE VECTOR REAL(math_divide)(VECTOR x, VECTOR y) { return x / y; }

// maximum and minimum of IEEE 754-2019: NaN wins, -0 < +0. Equal values differ in the sign of zero
// alone.
DUET_INLINE VECTOR REAL(math_maximum)(VECTOR x, VECTOR y) {
  VECTOR m = ((x > y) | (x != x)) ? x : y;
  return x == y ? (VECTOR)((MASK)x & (MASK)y) : m;
}

DUET_INLINE VECTOR REAL(math_minimum)(VECTOR x, VECTOR y) {
  VECTOR m = ((x < y) | (x != x)) ? x : y;
  return x == y ? (VECTOR)((MASK)x | (MASK)y) : m;
}

// The same with one number in all of y. What x is compared with is not below y, but where y is the greater or the lesser
// zero, and lets x win where that is NaN alone if y is NaN.
DUET_INLINE VECTOR REAL(math_maximum_number)(VECTOR x, VECTOR y) {
  VECTOR next = (VECTOR)((MASK)y - ((MASK)y == (MASK)(VECTOR)-0.0f));
  VECTOR limit = y == y ? next : (VECTOR)__builtin_inff();
  return x <= limit ? y : x;
}

DUET_INLINE VECTOR REAL(math_minimum_number)(VECTOR x, VECTOR y) {
  VECTOR next = (VECTOR)((MASK)y - ((MASK)y == (MASK)(VECTOR)0.0f));
  VECTOR limit = y == y ? next : (VECTOR)-__builtin_inff();
  return x >= limit ? y : x;
}

DUET_INLINE MASK REAL(test_is_nan)(VECTOR x) { return x != x; }
DUET_INLINE MASK REAL(test_is_infinite)(VECTOR x) { return REAL(abs)(x) == __builtin_inff(); }
DUET_INLINE MASK REAL(test_is_finite)(VECTOR x) { return REAL(abs)(x) < __builtin_inff(); }

DUET_INLINE MASK REAL(test_equal)(VECTOR x, VECTOR y) { return x == y; }
DUET_INLINE MASK REAL(test_not_equal)(VECTOR x, VECTOR y) { return x != y; }
DUET_INLINE MASK REAL(test_less)(VECTOR x, VECTOR y) { return x < y; }
DUET_INLINE MASK REAL(test_less_equal)(VECTOR x, VECTOR y) { return x <= y; }
DUET_INLINE MASK REAL(test_greater)(VECTOR x, VECTOR y) { return x > y; }
DUET_INLINE MASK REAL(test_greater_equal)(VECTOR x, VECTOR y) { return x >= y; }
