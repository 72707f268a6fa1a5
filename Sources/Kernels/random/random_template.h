#include "../elementwise/half_conversion.h"
#include "../math/math_f32.h"
#include "../math/math_f64.h"
#include "philox.h"
#include "random.h"

// The elements of one round, 16 (or 8) to a vector, in order.
typedef struct {
  f32x16 part[4];
} floats;

typedef struct {
  f64x8 part[4];
} doubles;

DUET_INLINE f32x16 uniform_f32(u32x16 word, int bits) {
  return __builtin_convertvector((i32x16)(word >> (32 - bits)), f32x16) *
         (1.0f / (float)((int64_t)1 << bits));
}

DUET_INLINE floats uniform_floats(philox_blocks b, int bits) {
  b = in_order(b);
  return (floats){{uniform_f32(b.word[0], bits), uniform_f32(b.word[1], bits),
                   uniform_f32(b.word[2], bits), uniform_f32(b.word[3], bits)}};
}

// The first 52 bits become the fraction of a number in [1, 2), the 53rd is added behind them.
DUET_INLINE f64x8 uniform_f64(u64x8 word) {
  f64x8 x = (f64x8)((word >> 12) | 0x3ff0000000000000) - 1.0;
  return x + ((word & 0x800) != 0 ? (f64x8)0x1p-53 : (f64x8)0.0);
}

DUET_INLINE doubles uniform_doubles(philox_blocks b) {
  b = in_order(b);
  return (doubles){{uniform_f64((u64x8)b.word[0]), uniform_f64((u64x8)b.word[1]),
                    uniform_f64((u64x8)b.word[2]), uniform_f64((u64x8)b.word[3])}};
}

// Box and Muller: words (0, 1) and (2, 3) of a block give a radius sqrt(-2 log u) and an angle; the
// even element takes the cosine, the odd one the sine. u = (w + 1/2) 2^-32 is never 0, the angle is
// pi 2^-31 times the other word as a signed integer.
typedef struct {
  u32x16 cosine, sine;
} normal_pair;

DUET_INLINE normal_pair normal_f32(u32x16 first, u32x16 second) {
  f32x16 u = (__builtin_convertvector(first, f32x16) + 0.5f) * 0x1p-32f;
  f32x16 radius = __builtin_elementwise_sqrt(math_log_f32(u) * -2.0f);
  f32x16 angle = __builtin_convertvector((i32x16)second, f32x16) * 1.46291807e-09f;
  return (normal_pair){(u32x16)(radius * math_cos_f32(angle)),
                       (u32x16)(radius * math_sin_f32(angle))};
}

DUET_INLINE floats normal_floats(philox_blocks b) {
  normal_pair p = normal_f32(b.word[0], b.word[1]), q = normal_f32(b.word[2], b.word[3]);
  b = in_order((philox_blocks){{p.cosine, p.sine, q.cosine, q.sine}});
  return (floats){{(f32x16)b.word[0], (f32x16)b.word[1], (f32x16)b.word[2], (f32x16)b.word[3]}};
}

// The same from the upper 52 bits of two 64-bit words, of which a block has just two.
DUET_INLINE void normal_f64(u64x8 first, u64x8 second, f64x8 *cosine, f64x8 *sine) {
  f64x8 u = ((f64x8)((first >> 12) | 0x3ff0000000000000) - 1.0) + 0x1p-53;
  f64x8 radius = __builtin_elementwise_sqrt(math_log_f64(u) * -2.0);
  f64x8 angle = ((f64x8)((second >> 12) | 0x3ff0000000000000) - 1.5) * 6.283185307179586;
  *cosine = radius * math_cos_f64(angle);
  *sine = radius * math_sin_f64(angle);
}

DUET_INLINE doubles normal_doubles(philox_blocks b) {
  b = in_order(b);
  doubles d;
  for (int half = 0; half < 2; half++) {
    u64x8 x = (u64x8)b.word[2 * half], y = (u64x8)b.word[2 * half + 1];
    f64x8 cosine, sine;
    normal_f64(__builtin_shufflevector(x, y, 0, 2, 4, 6, 8, 10, 12, 14),
               __builtin_shufflevector(x, y, 1, 3, 5, 7, 9, 11, 13, 15), &cosine, &sine);
    d.part[2 * half] = __builtin_shufflevector(cosine, sine, 0, 8, 1, 9, 2, 10, 3, 11);
    d.part[2 * half + 1] = __builtin_shufflevector(cosine, sine, 4, 12, 5, 13, 6, 14, 7, 15);
  }
  return d;
}

#define FILL(name, type, size, elements, store)                                                  \
  static void name(void *result, uint64_t seed, uint64_t counter, int64_t rounds) {              \
    char *to = result;                                                                           \
    for (int64_t r = 0; r < rounds; r++) {                                                       \
      philox_blocks b = philox(seed, counter + (uint64_t)r * DUET_ROUND_BLOCKS);                 \
      type v = elements;                                                                         \
      for (int k = 0; k < 4; k++) store(to + (r * 4 + k) * size, v.part[k]);                     \
    }                                                                                            \
  }
#define STORE_FLOAT16(to, v) store_u16(to, to_float16(v))
#define STORE_BFLOAT16(to, v) store_u16(to, to_bfloat16(v))

FILL(fill_uniform_f32, floats, 64, uniform_floats(b, 24), store_f32)
FILL(fill_uniform_f64, doubles, 64, uniform_doubles(b), store_f64)
FILL(fill_uniform_f16, floats, 32, uniform_floats(b, 11), STORE_FLOAT16)
FILL(fill_uniform_bf16, floats, 32, uniform_floats(b, 8), STORE_BFLOAT16)
FILL(fill_normal_f32, floats, 64, normal_floats(b), store_f32)
FILL(fill_normal_f64, doubles, 64, normal_doubles(b), store_f64)
FILL(fill_normal_f16, floats, 32, normal_floats(b), STORE_FLOAT16)
FILL(fill_normal_bf16, floats, 32, normal_floats(b), STORE_BFLOAT16)

static void fill_words(void *result, uint64_t seed, uint64_t counter, int64_t rounds) {
  char *to = result;
  for (int64_t r = 0; r < rounds; r++) {
    philox_blocks b = in_order(philox(seed, counter + (uint64_t)r * DUET_ROUND_BLOCKS));
    memcpy(to + r * (int64_t)sizeof b, &b, sizeof b);
  }
}

const duet_randoms DUET_SUFFIX(duet_randoms) = {
    .words = fill_words,
    .uniform = {[DUET_FLOAT32] = fill_uniform_f32, [DUET_FLOAT64] = fill_uniform_f64,
                [DUET_FLOAT16] = fill_uniform_f16, [DUET_BFLOAT16] = fill_uniform_bf16},
    .normal = {[DUET_FLOAT32] = fill_normal_f32, [DUET_FLOAT64] = fill_normal_f64,
               [DUET_FLOAT16] = fill_normal_f16, [DUET_BFLOAT16] = fill_normal_bf16},
};
