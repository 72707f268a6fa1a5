#include "depthwise.h"

// Vectors, taps and columns computed at a time: as many as the registers hold.
#if defined(DUET_ISA_AVX512)
#define VECTORS 8
#define TAPS 9
#define COLUMNS 12
#else
#define VECTORS 4
#define TAPS 4
#define COLUMNS 6
#endif

// The first lanes of neighbouring vectors become neighbours: four rows of four elements, or two of two.
DUET_INLINE void DUET_SUFFIX(transpose_group_f32)(float *to, int64_t stride, const float *from) {
  typedef DUET_LANES(float, 4) quartet;
  typedef quartet quartet_any __attribute__((aligned(4)));
  const quartet a = *(const quartet_any *)from, b = *(const quartet_any *)(from + 16);
  const quartet c = *(const quartet_any *)(from + 32), d = *(const quartet_any *)(from + 48);
  const quartet low_ab = __builtin_shufflevector(a, b, 0, 4, 1, 5), low_cd = __builtin_shufflevector(c, d, 0, 4, 1, 5);
  const quartet high_ab = __builtin_shufflevector(a, b, 2, 6, 3, 7);
  const quartet high_cd = __builtin_shufflevector(c, d, 2, 6, 3, 7);
  *(quartet_any *)to = __builtin_shufflevector(low_ab, low_cd, 0, 1, 4, 5);
  *(quartet_any *)(to + stride) = __builtin_shufflevector(low_ab, low_cd, 2, 3, 6, 7);
  *(quartet_any *)(to + 2 * stride) = __builtin_shufflevector(high_ab, high_cd, 0, 1, 4, 5);
  *(quartet_any *)(to + 3 * stride) = __builtin_shufflevector(high_ab, high_cd, 2, 3, 6, 7);
}

DUET_INLINE void DUET_SUFFIX(transpose_group_f64)(double *to, int64_t stride, const double *from) {
  to[0] = from[0];
  to[1] = from[8];
  to[stride] = from[1];
  to[stride + 1] = from[9];
}

#define ELEMENT float
#define VECTOR f32x16
#define VECTOR_ANY f32x16_any
#define LANES 16
#define INTEGER int32_t
#define INTEGERS i32x16
#define NAME(x) DUET_SUFFIX(x##_f32)
#define FMA fma_f32
#define STORE_PART store_part_f32
#include "depthwise_lanes_template.h"
#include "depthwise_template.h"

#define ELEMENT double
#define VECTOR f64x8
#define VECTOR_ANY f64x8_any
#define LANES 8
#define INTEGER int64_t
#define INTEGERS i64x8
#define NAME(x) DUET_SUFFIX(x##_f64)
#define FMA fma_f64
#define STORE_PART store_part_f64
#include "depthwise_lanes_template.h"
#include "depthwise_template.h"

const duet_depthwise_table DUET_SUFFIX(duet_depthwise) = {
  .f32 = {DUET_SUFFIX(correlate_f32), DUET_SUFFIX(copy_rows_f32), DUET_SUFFIX(add_shifted_f32),
          DUET_SUFFIX(correlate_lanes_f32), DUET_SUFFIX(unpack_lanes_f32), DUET_SUFFIX(add_taps_f32)},
  .f64 = {DUET_SUFFIX(correlate_f64), DUET_SUFFIX(copy_rows_f64), DUET_SUFFIX(add_shifted_f64),
          DUET_SUFFIX(correlate_lanes_f64), DUET_SUFFIX(unpack_lanes_f64), DUET_SUFFIX(add_taps_f64)},
};
