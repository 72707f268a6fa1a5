// Gathering and scattering by index, sorting.
#ifndef DUET_INDEXING_H
#define DUET_INDEXING_H

#include "duet_types.h"

// Arrays are contiguous, seen as [outer, axis, inner]; indices are int32 or int64, negative ones count from
// the end; an index outside -axis ..< axis answers DUET_INDEX_OUT_OF_RANGE.
typedef struct {
  void *operand[DUET_MAX_OPERANDS];
  duet_dtype dtype, index_dtype;
  int64_t outer, axis, inner;  // of the indexed array
  int64_t count;               // indices (take), or the indices' size along the axis (take along)
} duet_index_call;

// result[o, i, n] = source[o, indices[i], n];  operands: result [outer, count, inner], source, indices
duet_status duet_take(const void *call);
// result = base, then result[o, indices[i], n] += updates[o, i, n] in ascending i;
// operands: result [outer, axis, inner], base, indices, updates. result may be base.
duet_status duet_scatter_add(const void *call);
// result[o, i, n] = source[o, indices[o, i, n], n]; operands: result [outer, count, inner], source, indices
duet_status duet_take_along(const void *call);
// result = base, then result[o, indices[o, i, n], n] += updates[o, i, n] in ascending i; result may be base.
duet_status duet_scatter_add_along(const void *call);
// result = base, then result[o, indices[i], n] = updates[o, i, n] in ascending i (the last one stays);
// result may be base.
duet_status duet_scatter_set(const void *call);

// The first `count` places of the stable order of [outer, axis, inner] along the axis; NaN last.
// operands: result (int64, [outer, count, inner]), source
typedef struct {
  void *operand[DUET_MAX_OPERANDS];
  duet_dtype dtype;
  int64_t outer, axis, inner;
  int64_t count;
  int32_t descending;
} duet_sort_call;
duet_status duet_arg_sort(const void *call);

// Running sums, products, maxima or minima along the axis in ascending order; NaN wins, and equal zeros keep
// the sign that `duet_reduce` would give; float16, bfloat16 keep a float32 accumulator.
typedef enum : int32_t {
  DUET_RUNNING_SUM,
  DUET_RUNNING_PRODUCT,
  DUET_RUNNING_MAX,
  DUET_RUNNING_MIN,
} duet_running;

typedef struct {
  void *operand[DUET_MAX_OPERANDS];  // result, source
  duet_dtype dtype;
  int64_t outer, axis, inner;
  duet_running operation;
} duet_cumulative_call;
duet_status duet_cumulative(const void *call);

#endif
