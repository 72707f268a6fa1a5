#include "depthwise.h"

// Vectors and taps computed at a time: as many as the registers hold.
#if defined(DUET_ISA_AVX512)
#define VECTORS 8
#define TAPS 9
#else
#define VECTORS 4
#define TAPS 4
#endif

#define ELEMENT float
#define VECTOR f32x16
#define VECTOR_ANY f32x16_any
#define LANES 16
#define INTEGER int32_t
#define INTEGERS i32x16
#define NAME(x) DUET_SUFFIX(x##_f32)
#define FMA fma_f32
#define STORE_PART store_part_f32
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
#include "depthwise_template.h"

const duet_depthwise_table DUET_SUFFIX(duet_depthwise) = {
  .f32 = {DUET_SUFFIX(correlate_f32), DUET_SUFFIX(copy_rows_f32), DUET_SUFFIX(add_taps_f32),
          DUET_SUFFIX(add_shifted_f32)},
  .f64 = {DUET_SUFFIX(correlate_f64), DUET_SUFFIX(copy_rows_f64), DUET_SUFFIX(add_taps_f64),
          DUET_SUFFIX(add_shifted_f64)},
};
