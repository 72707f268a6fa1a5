// The tables behind duet_unary_loop and its companions, and what the loops share.
#ifndef DUET_ELEMENTWISE_LOOPS_H
#define DUET_ELEMENTWISE_LOOPS_H

#include <string.h>

#include "../include/duet_elementwise.h"

// The loops of one dtype.
typedef struct {
  duet_loop unary[DUET_UNARY_COUNT];
  duet_loop binary[DUET_BINARY_COUNT];
  duet_loop comparison[DUET_COMPARISON_COUNT];
} duet_loops;

enum { DUET_INTEGER_DTYPES = 6, DUET_REAL_DTYPES = 4, DUET_SELECT_SIZES = 4 };

// Casts of one dtype to all others, and selects by the logarithm of the element size.
typedef struct {
  duet_loop cast[DUET_DTYPE_COUNT][DUET_DTYPE_COUNT];
  duet_loop select[DUET_SELECT_SIZES];
} duet_conversions;

#define DUET_DECLARE_LOOPS(isa)                                       \
  extern const duet_loops duet_integer_loops_##isa[DUET_INTEGER_DTYPES]; \
  extern const duet_loops duet_real_loops_##isa[DUET_REAL_DTYPES];       \
  extern const duet_conversions duet_conversions_##isa;

#if defined(__x86_64__)
DUET_DECLARE_LOOPS(avx512)
DUET_DECLARE_LOOPS(avx2)
#elif defined(__aarch64__)
DUET_DECLARE_LOOPS(neon)
#endif
DUET_DECLARE_LOOPS(scalar)

// Runs a loop over any strides through contiguous buffers of 256 elements, so that a strided
// element meets the same vector code as a contiguous one. size: of one element, per operand (result
// first).
void duet_strided_loop(char *const *operand, const int64_t *stride, int64_t count, duet_loop loop,
                       const uint8_t *size, int operands);

// Writes one element of 1, 2, 4 or 8 bytes, the low ones of `bits`, count times.
void duet_fill_run(char *to, uint64_t bits, int64_t count, int64_t size);

// Copies count elements of 1, 2, 4 or 8 bytes between any strides.
void duet_copy_strided(char *to, int64_t to_stride, const char *from, int64_t from_stride,
                       int64_t count, int64_t size);

// Copies rows of `bytes` bytes, of which each operand's lie so many bytes apart. By vectors from the
// front: the C library's copy takes a call for each row, and where source and destination lie at like
// places of their pages it goes from the back, which may take more than twice as long.
void duet_copy_rows(char *to, int64_t to_row, const char *from, int64_t from_row, int64_t rows,
                    int64_t bytes);

// Runs a call with many short rows by blocks of rows, for which operands that do not lie densely are
// gathered; 0 if the call is none of that kind. shape: of the part to run.
int duet_run_blocks(const duet_elementwise_call *call, const int64_t *shape, char *const *operand);

// The loop that copies elements of 1, 2, 4 or 8 bytes.
duet_loop duet_copy_loop_of(int64_t size);

// Writes rows x columns elements of 1, 2, 4 or 8 bytes, dense along a row, from a source dense
// along a column; past the caches if `streams`, for which every sixteenth element of a destination's
// row, from the first, begins a line.
void duet_transpose(char *to, int64_t to_row, const char *from, int64_t from_column, int64_t rows,
                    int64_t columns, int64_t size, int streams);

#endif
