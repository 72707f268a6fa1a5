// The engines of one instruction set: element types, register widths and block sizes.
#include "convert_template.h"
#include "pack_template.h"

#if defined(DUET_ISA_AVX512)
#define MASKED 1
#define BYTES 64
#elif defined(DUET_ISA_AVX2)
#define MASKED 1
#define BYTES 32
#else
#define MASKED 0
#define BYTES 16
#endif

#if defined(DUET_ISA_AVX512)
#define FLOAT_ROWS 14
#define FLOAT_K_BLOCK 640
#define INTEGER_ROWS 6
#define HALVES 1
#elif defined(DUET_ISA_NEON)
#define FLOAT_ROWS 12
#define FLOAT_K_BLOCK 512
#define INTEGER_ROWS 6
#define HALVES 0
#elif defined(DUET_ISA_AVX2)
#define FLOAT_ROWS 6
#define FLOAT_K_BLOCK 512
#define INTEGER_ROWS 4
#define HALVES 0
#else
#define FLOAT_ROWS 4
#define FLOAT_K_BLOCK 512
#define INTEGER_ROWS 4
#define HALVES 0
#endif

// Tiles of one vector: 8 rows keep multipliers busy that answer after four steps.
#if defined(DUET_ISA_AVX2)
#define NARROW_FLOAT_ROWS 8
#else
#define NARROW_FLOAT_ROWS FLOAT_ROWS
#endif

// 16 vector registers: tiles of few rows, which are reached from one pointer by multiples of a stride.
// The taller ones want a pointer for each.
#if defined(DUET_ISA_AVX512) || defined(DUET_ISA_NEON)
#define FEW_REGISTERS 0
#else
#define FEW_REGISTERS 1
#endif

// Sweeps over large matrices (multiply_streamed.c). Tiles were not compared with them on NEON.
#if defined(DUET_ISA_NEON)
#define SWEEPING 0
#else
#define SWEEPING 1
#endif

// Tall tiles of whole cache lines leave time to read rows that lie apart.
#if defined(DUET_ISA_AVX512)
#define IN_PLACE INT64_MAX
#elif defined(DUET_ISA_AVX2)
#define IN_PLACE (1 << 20)
#else
#define IN_PLACE (32 << 10)
#endif

// Multiples of the distance of rows, of which addressing has 1, 2, 4 and 8. The empty assembly keeps compilers
// from a register or a place on the stack for each.
typedef struct {
  int64_t one, three, five, seven;
} duet_distances;

DUET_INLINE duet_distances duet_distances_of(int64_t bytes) {
  duet_distances d = {bytes, 3 * bytes, 5 * bytes, 7 * bytes};
  __asm__("" : "+r"(d.three), "+r"(d.five), "+r"(d.seven));
  return d;
}

DUET_INLINE int64_t duet_distance(const duet_distances *d, const int rows) {
  return rows == 3 ? d->three : rows == 5 ? d->five : rows == 6 ? 2 * d->three : rows == 7 ? d->seven : rows * d->one;
}

#define FUSED(a, b, c) __builtin_elementwise_fma(a, b, c)
#define WRAPPING(a, b, c) ((a) * (b) + (c))

#define ELEMENT float
#define BITS 32
#define LANES (BYTES * 8 / BITS)
#define HALF (HALVES * LANES / 2)
#define ROWS FLOAT_ROWS
#define NARROW_ROWS NARROW_FLOAT_ROWS
#define NAME(x) DUET_SUFFIX(x##_f32)
#define MULTIPLY_ADD FUSED
#define PACK DUET_SUFFIX(pack_u32)
#define SPREAD DUET_SUFFIX(spread_u32)
#define SPREAD_PAST_CACHES DUET_SUFFIX(spread_past_caches_u32)
#define MATVEC NAME(matvec)
#define MATVEC_ORDER 1
#define K_BLOCK FLOAT_K_BLOCK
#define ROW_BLOCK 224
#include "registers_template.h"
#include "matvec_template.h"
#include "batch_template.h"
#include "tile_template.h"

#define ELEMENT double
#define BITS 64
#define LANES (BYTES * 8 / BITS)
#define HALF (HALVES * LANES / 2)
#define ROWS FLOAT_ROWS
#define NARROW_ROWS NARROW_FLOAT_ROWS
#define NAME(x) DUET_SUFFIX(x##_f64)
#define MULTIPLY_ADD FUSED
#define PACK DUET_SUFFIX(pack_u64)
#define SPREAD DUET_SUFFIX(spread_u64)
#define SPREAD_PAST_CACHES DUET_SUFFIX(spread_past_caches_u64)
#define MATVEC NAME(matvec)
#define MATVEC_ORDER 1
#define K_BLOCK (FLOAT_K_BLOCK / 2)
#define ROW_BLOCK 224
#include "registers_template.h"
#include "matvec_template.h"
#include "batch_template.h"
#include "tile_template.h"

#define ELEMENT uint32_t
#define BITS 32
#define LANES (BYTES * 8 / BITS)
#define HALF 0
#define ROWS INTEGER_ROWS
#define NARROW_ROWS ROWS
#define NAME(x) DUET_SUFFIX(x##_u32)
#define MULTIPLY_ADD WRAPPING
#define PACK DUET_SUFFIX(pack_u32)
#define SPREAD DUET_SUFFIX(spread_u32)
#define SPREAD_PAST_CACHES DUET_SUFFIX(spread_past_caches_u32)
#define MATVEC NULL
#define MATVEC_ORDER 0
#define K_BLOCK 256
#define ROW_BLOCK 240
#include "registers_template.h"
#include "batch_template.h"
#include "tile_template.h"

#define ELEMENT uint64_t
#define BITS 64
#define LANES (BYTES * 8 / BITS)
#define HALF 0
#define ROWS INTEGER_ROWS
#define NARROW_ROWS ROWS
#define NAME(x) DUET_SUFFIX(x##_u64)
#define MULTIPLY_ADD WRAPPING
#define PACK DUET_SUFFIX(pack_u64)
#define SPREAD DUET_SUFFIX(spread_u64)
#define SPREAD_PAST_CACHES DUET_SUFFIX(spread_past_caches_u64)
#define MATVEC NULL
#define MATVEC_ORDER 0
#define K_BLOCK 256
#define ROW_BLOCK 120
#include "registers_template.h"
#include "batch_template.h"
#include "tile_template.h"

const duet_contraction_table DUET_SUFFIX(duet_contractions) = {
  .engine = {&DUET_SUFFIX(engine_f32), &DUET_SUFFIX(engine_f64), &DUET_SUFFIX(engine_u32),
             &DUET_SUFFIX(engine_u64)},
  .widen = {[DUET_BOOL] = DUET_SUFFIX(widen_bool),
            [DUET_UINT8] = DUET_SUFFIX(widen_u8),
            [DUET_INT8] = DUET_SUFFIX(widen_i8),
            [DUET_INT16] = DUET_SUFFIX(widen_i16),
            [DUET_FLOAT16] = DUET_SUFFIX(widen_f16),
            [DUET_BFLOAT16] = DUET_SUFFIX(widen_bf16)},
  .narrow = {[DUET_BOOL] = DUET_SUFFIX(narrow_bool),
             [DUET_UINT8] = DUET_SUFFIX(narrow_u8),
             [DUET_INT8] = DUET_SUFFIX(narrow_u8),
             [DUET_INT16] = DUET_SUFFIX(narrow_i16),
             [DUET_FLOAT16] = DUET_SUFFIX(narrow_f16),
             [DUET_BFLOAT16] = DUET_SUFFIX(narrow_bf16)},
};
