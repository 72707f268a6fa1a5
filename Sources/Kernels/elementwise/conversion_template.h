// Casts between all dtypes and selects, and their table.
//
// Integer to integer keeps the low bits; anything to bool asks whether it is not 0; floating point
// to integer truncates toward zero, saturates, and turns NaN into 0; everything else rounds once to
// nearest even.
#include "half_conversion.h"
#include "loops.h"

#define PARAMETERS char *const *operand, const int64_t *stride, int64_t count
#define EACH                                                             \
  _Pragma("clang loop vectorize(assume_safety) interleave_count(2)") \
  for (int64_t i = 0; i < count; i++)
#define EACH_PLAIN for (int64_t i = 0; i < count; i++)

#define CAST_LOOP(name, from, to, expression) CAST_LOOP_OVER(EACH, name, from, to, expression)

#define CAST_LOOP_OVER(each, name, from, to, expression)                                        \
  static void name(PARAMETERS) {                                                                \
    char *r = operand[0];                                                                       \
    const char *a = operand[1];                                                                 \
    const int64_t s = stride[0], t = stride[1];                                                 \
    if (s == sizeof(to) && t == sizeof(from)) {                                                 \
      each {                                                                                    \
        const from x = ((const from *)a)[i];                                                    \
        ((to *)r)[i] = (to)(expression);                                                        \
      }                                                                                         \
    } else {                                                                                    \
      for (int64_t i = 0; i < count; i++) {                                                     \
        const from x = *(const from *)(a + i * t);                                              \
        *(to *)(r + i * s) = (to)(expression);                                                  \
      }                                                                                         \
    }                                                                                           \
  }

// The bounds are exact in both floating-point types but for the greatest int64, and the greatest
// int32 in float32: the numbers from `above` on become those after the conversion. Small integers go
// through int32, which vectorises.
#define BOUNDED(from, least)             \
  from bounded = x == x ? x : (from)0;   \
  bounded = bounded <= (from)least ? (from)least : bounded;
#define SATURATING(name, from, to, least, greatest)                    \
  DUET_INLINE to name(from x) {                                        \
    BOUNDED(from, least)                                               \
    bounded = bounded >= (from)greatest ? (from)greatest : bounded;    \
    return (to)(int32_t)bounded;                                       \
  }
#define SATURATING_ABOVE(name, from, to, least, greatest, above)       \
  DUET_INLINE to name(from x) {                                        \
    BOUNDED(from, least)                                               \
    return bounded >= above ? (to)greatest : (to)bounded;              \
  }

// float64 to float32, rounded to odd: a later rounding to 16 bits is then correct.
DUET_INLINE float round_to_odd(double x) {
  float f = (float)x;
  double back = f;
  uint32_t u;
  memcpy(&u, &f, 4);
  int inexact = back != x && x == x;
  int away = __builtin_fabs(back) > __builtin_fabs(x);
  u -= (uint32_t)(inexact & away);
  u |= (uint32_t)inexact;
  memcpy(&f, &u, 4);
  return f;
}

// An integer of more than 53 bits as one that float64 holds exactly, the bits lost kept as one odd
// bit.
DUET_INLINE double odd_double(int64_t x) {
  int64_t kept = (x & ~(int64_t)0xffff) | (int64_t)((x & 0xffff) != 0) << 16;
  int fits = x > -((int64_t)1 << 53) && x < (int64_t)1 << 53;
  return (double)(fits ? x : kept);
}

#define INTEGER_TO_REAL(name, from)                \
  CAST_LOOP(name##_to_bool, from, uint8_t, x != 0) \
  CAST_LOOP(name##_to_float32, from, float, x)     \
  CAST_LOOP(name##_to_float64, from, double, x)

INTEGER_TO_REAL(uint8, uint8_t)
INTEGER_TO_REAL(int8, int8_t)
INTEGER_TO_REAL(int16, int16_t)
INTEGER_TO_REAL(int32, int32_t)
INTEGER_TO_REAL(int64, int64_t)
CAST_LOOP(uint8_to_int16, uint8_t, int16_t, x)
CAST_LOOP(uint8_to_int32, uint8_t, int32_t, x)
CAST_LOOP(uint8_to_int64, uint8_t, int64_t, x)
CAST_LOOP(int8_to_int16, int8_t, int16_t, x)
CAST_LOOP(int8_to_int32, int8_t, int32_t, x)
CAST_LOOP(int8_to_int64, int8_t, int64_t, x)
CAST_LOOP(int16_to_8, int16_t, uint8_t, x)
CAST_LOOP(int16_to_int32, int16_t, int32_t, x)
CAST_LOOP(int16_to_int64, int16_t, int64_t, x)
CAST_LOOP(int32_to_8, int32_t, uint8_t, x)
CAST_LOOP(int32_to_int16, int32_t, int16_t, x)
CAST_LOOP(int32_to_int64, int32_t, int64_t, x)
CAST_LOOP(int64_to_8, int64_t, uint8_t, x)
CAST_LOOP(int64_to_int16, int64_t, int16_t, x)
CAST_LOOP(int64_to_int32, int64_t, int32_t, x)

#define CASTS_OF_REAL(name, from)                                                               \
  CAST_LOOP(name##_to_bool, from, uint8_t, x != 0)                                              \
  SATURATING(name##_uint8, from, uint8_t, 0, 255)                                               \
  SATURATING(name##_int8, from, int8_t, -128, 127)                                              \
  SATURATING(name##_int16, from, int16_t, -32768, 32767)                                        \
  SATURATING_ABOVE(name##_int64, from, int64_t, INT64_MIN, INT64_MAX, 0x1p63f)                  \
  CAST_LOOP(name##_to_uint8, from, uint8_t, name##_uint8(x))                                    \
  CAST_LOOP(name##_to_int8, from, int8_t, name##_int8(x))                                       \
  CAST_LOOP(name##_to_int16, from, int16_t, name##_int16(x))                                    \
  CAST_LOOP(name##_to_int32, from, int32_t, name##_int32(x))

SATURATING_ABOVE(float32_int32, float, int32_t, INT32_MIN, INT32_MAX, 0x1p31f)
SATURATING(float64_int32, double, int32_t, INT32_MIN, INT32_MAX)
CASTS_OF_REAL(float32, float)
CASTS_OF_REAL(float64, double)

#if defined(DUET_ISA_AVX2)
// AVX2 converts to int64 one by one. Vectors of numbers under 2^51 are added to 1.5 * 2^52, which
// leaves their integers in the low bits of the sum.
#define CAST_TO_INT64(name, from)                                                               \
  static void name##_to_int64(PARAMETERS) {                                                     \
    typedef DUET_LANES(from, 16) numbers;                                                       \
    typedef numbers numbers_any __attribute__((aligned(sizeof(from))));                         \
    typedef DUET_LANES(double, 16) wide;                                                        \
    typedef DUET_LANES(int64_t, 16) integers;                                                   \
    typedef integers integers_any __attribute__((aligned(8)));                                  \
    const int64_t s = stride[0], t = stride[1];                                                 \
    char *r = operand[0];                                                                       \
    const char *a = operand[1];                                                                 \
    int64_t i = 0;                                                                              \
    for (; s == 8 && t == sizeof(from) && i + 16 <= count; i += 16) {                           \
      const numbers x = *(const numbers_any *)(a + i * t);                                      \
      if (__builtin_reduce_and(__builtin_elementwise_abs(x) < (from)0x1p51)) {                  \
        const wide sum =                                                                        \
            __builtin_elementwise_trunc(__builtin_convertvector(x, wide)) + 0x1.8p52;           \
        *(integers_any *)(r + i * s) = (integers)sum - (integers)(wide)0x1.8p52;                \
      } else {                                                                                  \
        for (int64_t k = i; k < i + 16; k++)                                                    \
          ((int64_t *)r)[k] = name##_int64(((const from *)a)[k]);                               \
      }                                                                                         \
    }                                                                                           \
    for (; i < count; i++) *(int64_t *)(r + i * s) = name##_int64(*(const from *)(a + i * t));  \
  }
#else
#define CAST_TO_INT64(name, from) CAST_LOOP(name##_to_int64, from, int64_t, name##_int64(x))
#endif

CAST_TO_INT64(float32, float)
CAST_TO_INT64(float64, double)
CAST_LOOP(float32_to_float64, float, double, x)
CAST_LOOP(float64_to_float32, double, float, x)

// To float32 on the way to 16 bits, for the dtypes that float32 cannot hold.
CAST_LOOP_OVER(EACH_PLAIN, int32_to_odd, int32_t, float, round_to_odd((double)x))
CAST_LOOP_OVER(EACH_PLAIN, int64_to_odd, int64_t, float, round_to_odd(odd_double(x)))
CAST_LOOP_OVER(EACH_PLAIN, float64_to_odd, double, float, round_to_odd(x))

enum { BLOCK = 256 };

// From 16 bits to any dtype of `size` bytes, and back, by way of float32. `loop` converts from or
// to float32; without one, the other side is float32 itself, and only what vectors leave over goes
// through a buffer.
typedef void (*widening)(float *x, const char *h, int64_t n);
typedef void (*narrowing)(char *h, const float *x, int64_t n);

DUET_INLINE void from_half(PARAMETERS, widening widen, duet_loop loop, uint8_t size,
                           duet_loop self) {
  if ((stride[0] != size || stride[1] != 2) && count != 1)
    return duet_strided_loop(operand, stride, count, self, (uint8_t[]){size, 2}, 2);
  _Alignas(64) float wide[BLOCK];
  int64_t i = 0;
  if (!loop) {
    i = count / 16 * 16;
    widen((float *)operand[0], operand[1], i);
  }
  for (; i < count; i += BLOCK) {
    int64_t n = count - i < BLOCK ? count - i : BLOCK;
    widen(wide, operand[1] + i * 2, n);
    char *r = operand[0] + i * size;
    if (loop) {
      loop((char *[]){r, (char *)wide}, (int64_t[]){size, 4}, n);
    } else {
      memcpy(r, wide, (size_t)n * 4);
    }
  }
}

DUET_INLINE void to_half(PARAMETERS, duet_loop loop, uint8_t size, narrowing narrow,
                         duet_loop self) {
  if ((stride[0] != 2 || stride[1] != size) && count != 1)
    return duet_strided_loop(operand, stride, count, self, (uint8_t[]){2, size}, 2);
  _Alignas(64) float wide[BLOCK];
  int64_t i = 0;
  if (!loop) {
    i = count / 16 * 16;
    narrow(operand[0], (const float *)operand[1], i);
  }
  for (; i < count; i += BLOCK) {
    int64_t n = count - i < BLOCK ? count - i : BLOCK;
    char *a = operand[1] + i * size;
    if (loop) {
      loop((char *[]){(char *)wide, a}, (int64_t[]){4, size}, n);
    } else {
      memcpy(wide, a, (size_t)n * 4);
    }
    narrow(operand[0] + i * 2, wide, n);
  }
}

#define FROM_HALF(half, name, loop, size)                                                  \
  static void half##_to_##name(PARAMETERS) {                                               \
    from_half(operand, stride, count, widen_##half, loop, size, half##_to_##name);         \
  }

#define TO_HALF(name, half, loop, size)                                                    \
  static void name##_to_##half(PARAMETERS) {                                               \
    to_half(operand, stride, count, loop, size, narrow_##half, name##_to_##half);          \
  }

#define HALF_CASTS(half)                                \
  FROM_HALF(half, bool, float32_to_bool, 1)             \
  FROM_HALF(half, uint8, float32_to_uint8, 1)           \
  FROM_HALF(half, int8, float32_to_int8, 1)             \
  FROM_HALF(half, int16, float32_to_int16, 2)           \
  FROM_HALF(half, int32, float32_to_int32, 4)           \
  FROM_HALF(half, int64, float32_to_int64, 8)           \
  FROM_HALF(half, float32, NULL, 4)                     \
  FROM_HALF(half, float64, float32_to_float64, 8)       \
  TO_HALF(uint8, half, uint8_to_float32, 1)             \
  TO_HALF(int8, half, int8_to_float32, 1)               \
  TO_HALF(int16, half, int16_to_float32, 2)             \
  TO_HALF(int32, half, int32_to_odd, 4)                 \
  TO_HALF(int64, half, int64_to_odd, 8)                 \
  TO_HALF(float32, half, NULL, 4)                       \
  TO_HALF(float64, half, float64_to_odd, 8)

HALF_CASTS(float16)
HALF_CASTS(bfloat16)
TO_HALF(float16, bfloat16, float16_to_float32, 2)
TO_HALF(bfloat16, float16, bfloat16_to_float32, 2)

static void same_8(PARAMETERS) {
  duet_copy_strided(operand[0], stride[0], operand[1], stride[1], count, 1);
}
static void same_16(PARAMETERS) {
  duet_copy_strided(operand[0], stride[0], operand[1], stride[1], count, 2);
}
static void same_32(PARAMETERS) {
  duet_copy_strided(operand[0], stride[0], operand[1], stride[1], count, 4);
}
static void same_64(PARAMETERS) {
  duet_copy_strided(operand[0], stride[0], operand[1], stride[1], count, 8);
}

// result = condition ? a : b on elements of one size, whatever they hold.
#define SELECT_LOOP(name, type)                                                                 \
  static void name(PARAMETERS) {                                                                \
    typedef type unit;                                                                          \
    char *r = operand[0];                                                                       \
    const uint8_t *c = (const uint8_t *)operand[1];                                             \
    const char *a = operand[2], *b = operand[3];                                                \
    const int64_t s = sizeof(unit), p = stride[2], q = stride[3];                               \
    const int plain = stride[0] == s && stride[1] == 1;                                         \
    if (stride[1] == 0 && count > 1) {                                                          \
      duet_copy_strided(r, stride[0], *c ? a : b, *c ? p : q, count, s);                        \
    } else if (plain && p == s && q == s) {                                                     \
      EACH {                                                                                    \
        const unit x = ((const unit *)a)[i], y = ((const unit *)b)[i];                          \
        ((unit *)r)[i] = (unit)(c[i] ? x : y);                                                  \
      }                                                                                         \
    } else if (plain && p == 0 && q == s) {                                                     \
      const unit x = *(const unit *)a;                                                          \
      EACH {                                                                                    \
        const unit y = ((const unit *)b)[i];                                                    \
        ((unit *)r)[i] = (unit)(c[i] ? x : y);                                                  \
      }                                                                                         \
    } else if (plain && p == s && q == 0) {                                                     \
      const unit y = *(const unit *)b;                                                          \
      EACH {                                                                                    \
        const unit x = ((const unit *)a)[i];                                                    \
        ((unit *)r)[i] = (unit)(c[i] ? x : y);                                                  \
      }                                                                                         \
    } else if (plain && p == 0 && q == 0) {                                                     \
      const unit x = *(const unit *)a, y = *(const unit *)b;                                    \
      EACH ((unit *)r)[i] = c[i] ? x : y;                                                       \
    } else {                                                                                    \
      for (int64_t i = 0; i < count; i++) {                                                     \
        const char *from = c[i * stride[1]] ? a + i * p : b + i * q;                            \
        *(unit *)(r + i * stride[0]) = *(const unit *)from;                                     \
      }                                                                                         \
    }                                                                                           \
  }

SELECT_LOOP(select_8, uint8_t)
SELECT_LOOP(select_16, uint16_t)
SELECT_LOOP(select_32, uint32_t)
SELECT_LOOP(select_64, uint64_t)

#define CASTS(from)                                                                             \
  [DUET_BOOL] = from##_to_bool, [DUET_FLOAT16] = from##_to_float16,                             \
  [DUET_BFLOAT16] = from##_to_bfloat16, [DUET_FLOAT32] = from##_to_float32,                     \
  [DUET_FLOAT64] = from##_to_float64

// Signed and unsigned bytes have the same low bits; the bool column counts as uint8.
#define INTEGER_CASTS(from, to8, to16, to32, to64)                                              \
  [DUET_UINT8] = to8, [DUET_INT8] = to8, [DUET_INT16] = to16, [DUET_INT32] = to32,              \
  [DUET_INT64] = to64, CASTS(from)

#define REAL_CASTS(from)                                                                        \
  [DUET_UINT8] = from##_to_uint8, [DUET_INT8] = from##_to_int8,                                 \
  [DUET_INT16] = from##_to_int16, [DUET_INT32] = from##_to_int32,                               \
  [DUET_INT64] = from##_to_int64, [DUET_BOOL] = from##_to_bool

const duet_conversions DUET_SUFFIX(duet_conversions) = {
    .cast =
        {
            [DUET_BOOL] = {[DUET_BOOL] = same_8, [DUET_UINT8] = same_8, [DUET_INT8] = same_8,
                           [DUET_INT16] = uint8_to_int16, [DUET_INT32] = uint8_to_int32,
                           [DUET_INT64] = uint8_to_int64, [DUET_FLOAT16] = uint8_to_float16,
                           [DUET_BFLOAT16] = uint8_to_bfloat16,
                           [DUET_FLOAT32] = uint8_to_float32, [DUET_FLOAT64] = uint8_to_float64},
            [DUET_UINT8] = {INTEGER_CASTS(uint8, same_8, uint8_to_int16, uint8_to_int32,
                                          uint8_to_int64)},
            [DUET_INT8] = {INTEGER_CASTS(int8, same_8, int8_to_int16, int8_to_int32,
                                         int8_to_int64)},
            [DUET_INT16] = {INTEGER_CASTS(int16, int16_to_8, same_16, int16_to_int32,
                                          int16_to_int64)},
            [DUET_INT32] = {INTEGER_CASTS(int32, int32_to_8, int32_to_int16, same_32,
                                          int32_to_int64)},
            [DUET_INT64] = {INTEGER_CASTS(int64, int64_to_8, int64_to_int16, int64_to_int32,
                                          same_64)},
            [DUET_FLOAT16] = {REAL_CASTS(float16), [DUET_FLOAT16] = same_16,
                              [DUET_BFLOAT16] = float16_to_bfloat16,
                              [DUET_FLOAT32] = float16_to_float32,
                              [DUET_FLOAT64] = float16_to_float64},
            [DUET_BFLOAT16] = {REAL_CASTS(bfloat16), [DUET_FLOAT16] = bfloat16_to_float16,
                               [DUET_BFLOAT16] = same_16, [DUET_FLOAT32] = bfloat16_to_float32,
                               [DUET_FLOAT64] = bfloat16_to_float64},
            [DUET_FLOAT32] = {REAL_CASTS(float32), [DUET_FLOAT16] = float32_to_float16,
                              [DUET_BFLOAT16] = float32_to_bfloat16, [DUET_FLOAT32] = same_32,
                              [DUET_FLOAT64] = float32_to_float64},
            [DUET_FLOAT64] = {REAL_CASTS(float64), [DUET_FLOAT16] = float64_to_float16,
                              [DUET_BFLOAT16] = float64_to_bfloat16,
                              [DUET_FLOAT32] = float64_to_float32, [DUET_FLOAT64] = same_64},
        },
    .select = {select_8, select_16, select_32, select_64},
};
