#define DUET_ISA_SCALAR 1
#include "../simd/simd.h"
#include "../elementwise/half_conversion.h"
#include "duet_isa.h"
#include "indexing.h"

// The loops by the widest vectors of integers that there are.
#if defined(__x86_64__)
#define FOR_EACH_SET(loop, type)                    \
  loop(type, type)                                  \
  __attribute__((target("avx2"))) loop(type##_avx2, type)
#define WIDEST(name) (duet_current_isa() == DUET_SCALAR ? name : name##_avx2)
#else
#define FOR_EACH_SET(loop, type) loop(type, type)
#define WIDEST(name) name
#endif

// Whether all indices are inside, and, if so, whether some are negative. Nothing overflows unseen:
// from + axis or what is left of 2 axis - 1 is then negative.
#define LOOK(name, type)                                                                     \
  static int look_##name(const type *index, int64_t count, int64_t axis, int *some_negative) { \
    const type size = (type)axis, most = (type)(2 * axis - 1);                               \
    type outside = 0, negative = 0;                                                          \
    for (int64_t i = 0; i < count; i++) {                                                    \
      type from = (type)((u##type)index[i] + (u##type)size);                                 \
      outside |= from | (type)((u##type)most - (u##type)from);                               \
      negative |= index[i];                                                                  \
    }                                                                                        \
    *some_negative = negative < 0;                                                           \
    return outside >= 0;                                                                     \
  }
FOR_EACH_SET(LOOK, int32_t)
FOR_EACH_SET(LOOK, int64_t)

static int64_t index_at(const duet_index_call *call, const void *indices, int64_t i) {
  return call->index_dtype == DUET_INT32 ? ((const int32_t *)indices)[i]
                                         : ((const int64_t *)indices)[i];
}

duet_status duet_check_indices(const duet_index_call *call, const void *indices, int64_t count,
                               int *are_places) {
  const int64_t axis = call->axis;
  enum { SMALL = 1 << 30 };
  int is_inside = 0, some_negative = 1;
  if (call->index_dtype == DUET_INT64)
    is_inside = WIDEST(look_int64_t)(indices, count, axis, &some_negative);
  else if (axis <= SMALL)
    is_inside = WIDEST(look_int32_t)(indices, count, axis, &some_negative);
  *are_places = call->index_dtype == DUET_INT64 && !some_negative;
  if (is_inside && axis > 0) return DUET_OK;
  for (int64_t i = 0; i < count; i++) {
    int64_t index = index_at(call, indices, i);
    if (index < -axis || index >= axis) return duet_fail(DUET_INDEX_OUT_OF_RANGE, index, axis);
  }
  return DUET_OK;
}

#define PLACES(name, type)                                                                  \
  static void places_##name(int64_t *restrict place, const type *restrict index, int64_t axis, \
                            int64_t count) {                                                \
    for (int64_t i = 0; i < count; i++)                                                     \
      place[i] = (int64_t)index[i] + (index[i] < 0 ? axis : 0);                             \
  }
FOR_EACH_SET(PLACES, int32_t)
FOR_EACH_SET(PLACES, int64_t)

const int64_t *duet_places(int64_t *place, const duet_index_call *call, const void *indices,
                           int64_t first, int64_t count, int are_places) {
  if (are_places) return (const int64_t *)indices + first;
  if (call->index_dtype == DUET_INT32)
    WIDEST(places_int32_t)(place, (const int32_t *)indices + first, call->axis, count);
  else
    WIDEST(places_int64_t)(place, (const int64_t *)indices + first, call->axis, count);
  return place;
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
