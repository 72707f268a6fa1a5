#define DUET_ISA_SCALAR 1
#include "../simd/simd.h"
#include "../elementwise/half_conversion.h"
#include "indexing.h"

// Nothing overflows unseen: from + axis or what is left of 2 axis - 1 is then negative.
#define CHECK(type)                                                       \
  {                                                                       \
    const type *index = indices;                                          \
    const type size = (type)axis, most = (type)(2 * axis - 1);            \
    type outside = 0;                                                     \
    for (int64_t i = 0; i < count; i++) {                                 \
      type from = (type)((u##type)index[i] + (u##type)size);              \
      outside |= from | (type)((u##type)most - (u##type)from);            \
    }                                                                     \
    if (outside >= 0 && axis > 0) return DUET_OK;                         \
    int64_t i = 0;                                                        \
    while (index[i] >= -axis && index[i] < axis) i++;                     \
    return duet_fail(DUET_INDEX_OUT_OF_RANGE, index[i], axis);            \
  }

duet_status duet_check_indices(const duet_index_call *call, const void *indices, int64_t count) {
  const int64_t axis = call->axis;
  enum { SMALL = 1 << 30 };
  if (count == 0) return DUET_OK;
  if (call->index_dtype == DUET_INT32 && axis > SMALL) {
    const int32_t *index = indices;
    for (int64_t i = 0; i < count; i++)
      if (index[i] < -axis || index[i] >= axis)
        return duet_fail(DUET_INDEX_OUT_OF_RANGE, index[i], axis);
    return DUET_OK;
  }
  if (call->index_dtype == DUET_INT32) CHECK(int32_t)
  CHECK(int64_t)
}

#define PLACES(type)                                              \
  {                                                               \
    const type *index = (const type *)indices + first;            \
    for (int64_t i = 0; i < count; i++)                           \
      place[i] = (int64_t)index[i] + (index[i] < 0 ? axis : 0);   \
  }

void duet_places(int64_t *restrict place, const duet_index_call *call, const void *restrict indices,
                 int64_t first, int64_t count) {
  const int64_t axis = call->axis;
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
