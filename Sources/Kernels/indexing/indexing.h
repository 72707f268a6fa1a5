// What gathering and scattering share: checked indices, 16-bit floats as float32.
#ifndef DUET_INDEXING_SHARED_H
#define DUET_INDEXING_SHARED_H

#include <string.h>

#include "../include/duet_indexing.h"

// Indices are brought to int64 and counted from the front in blocks of that many.
enum { DUET_INDEX_BLOCK = 256, DUET_INDEX_TASK = 32768 };

static inline int64_t duet_min(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t duet_max(int64_t a, int64_t b) { return a > b ? a : b; }

// The first index outside -axis ..< axis fails, before anything is written. Otherwise tells whether
// the indices are places as they are: int64, and none is negative.
duet_status duet_check_indices(const duet_index_call *call, const void *indices, int64_t count,
                               int *are_places);

// Indices first ..< first + count as places 0 ..< axis: where they lie, or in `place`.
const int64_t *duet_places(int64_t *place, const duet_index_call *call, const void *indices,
                           int64_t first, int64_t count, int are_places);

// Float32 from and to float16 or bfloat16, n contiguous elements.
void duet_widen_halves(duet_dtype dtype, float *to, const void *from, int64_t count);
void duet_narrow_halves(duet_dtype dtype, void *to, const float *from, int64_t count);

static inline int duet_is_half(duet_dtype dtype) {
  return dtype == DUET_FLOAT16 || dtype == DUET_BFLOAT16;
}

#endif
