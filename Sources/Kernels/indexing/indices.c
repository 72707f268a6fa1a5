#define DUET_ISA_SCALAR 1
#include "../simd/simd.h"
#include "../elementwise/half_conversion.h"
#include "indexing.h"

#define CHECK(type)                                               \
  {                                                               \
    const type *index = indices;                                  \
    type least = 0, most = 0;                                     \
    for (int64_t i = 0; i < count; i++) {                         \
      least = index[i] < least ? index[i] : least;                \
      most = index[i] > most ? index[i] : most;                   \
    }                                                             \
    if (least >= -axis && most < axis && axis > 0) return DUET_OK; \
    int64_t i = 0;                                                \
    while (index[i] >= -axis && index[i] < axis) i++;             \
    return duet_fail(DUET_INDEX_OUT_OF_RANGE, index[i], axis);    \
  }

duet_status duet_check_indices(const duet_index_call *call, const void *indices, int64_t count) {
  int64_t axis = call->axis;
  if (count == 0) return DUET_OK;
  if (call->index_dtype == DUET_INT32) CHECK(int32_t)
  CHECK(int64_t)
}

#define PLACES(type)                                                    \
  {                                                                     \
    const type *index = (const type *)indices + first;                  \
    for (int64_t i = 0; i < count; i++)                                 \
      place[i] = (int64_t)index[i] + (index[i] < 0 ? call->axis : 0);   \
  }

void duet_places(int64_t *place, const duet_index_call *call, const void *indices, int64_t first,
                 int64_t count) {
  if (call->index_dtype == DUET_INT32) PLACES(int32_t)
  else PLACES(int64_t)
}

void duet_widen_halves(duet_dtype dtype, float *to, const void *from, int64_t count) {
  int64_t whole = count & ~(int64_t)15;
  _Alignas(64) float last[16];
  const char *rest = (const char *)from + whole * 2;
  if (dtype == DUET_FLOAT16) {
    widen_float16(to, from, whole);
    widen_float16(last, rest, count - whole);
  } else {
    widen_bfloat16(to, from, whole);
    widen_bfloat16(last, rest, count - whole);
  }
  memcpy(to + whole, last, (size_t)(count - whole) * 4);
}

void duet_narrow_halves(duet_dtype dtype, void *to, const float *from, int64_t count) {
  int64_t whole = count & ~(int64_t)15;
  _Alignas(64) float last[16] = {0};
  memcpy(last, from + whole, (size_t)(count - whole) * 4);
  char *rest = (char *)to + whole * 2;
  if (dtype == DUET_FLOAT16) {
    narrow_float16(to, from, whole);
    narrow_float16(rest, last, count - whole);
  } else {
    narrow_bfloat16(to, from, whole);
    narrow_bfloat16(rest, last, count - whole);
  }
}
