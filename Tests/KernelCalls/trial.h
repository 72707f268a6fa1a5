// One call in the making: the numbers it is drawn from, and its arrays.
#ifndef DUET_TRIAL_H
#define DUET_TRIAL_H

#include <stdlib.h>
#include <string.h>

#include "DuetKernels.h"

enum { TRIAL_ARRAYS = 16 };

typedef struct {
  char *memory;  // what was allocated
  char *base;    // the elements
  int64_t bytes, count;
  duet_dtype dtype;
} trial_array;

typedef struct {
  uint64_t shapes;  // the generator's state: shapes and values
  uint64_t places;  // the same for where arrays lie
  uint64_t hash;
  int32_t call;     // the call's number
  int32_t overruns;
  int32_t count;    // arrays
  trial_array array[TRIAL_ARRAYS];
} trial;

// What kind of numbers an array holds.
typedef enum {
  ORDINARY,   // between -3 and 3, integers between -20 and 20
  SPRINKLED,  // ordinary ones, and one in a hundred that breaks formulas
  SPECIAL,    // three of ten: NaN, infinities, signed zeros, subnormals, extremes
  ARBITRARY,  // any bits
} trial_values;

// A kernel's calls, one variant per operation and dtype.
typedef struct {
  int32_t variants;
  // The variant's name; 0 if there is none of that kind.
  int (*name)(int32_t variant, char *name, size_t size);
  void (*call)(trial *t, int32_t variant);
} trial_family;

extern const trial_family duet_elementwise_families[], duet_reduction_families[],
    duet_contraction_families[], duet_window_families[], duet_indexing_families[],
    duet_random_families[], duet_plan_families[],
    duet_normalization_families[];  // each ends with a family of no variants

extern const char *const duet_dtype_names[DUET_DTYPE_COUNT];

int64_t trial_int(trial *t, int64_t low, int64_t high);  // low ... high
int trial_chance(trial *t, int32_t percent);
int64_t trial_pick(trial *t, const int64_t *from, int64_t count);
#define PICK(t, ...) \
  trial_pick(t, (const int64_t[]){__VA_ARGS__}, sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t))

// Sizes around the limits that kernels care about; about one call in ten is large enough for
// several threads. At most `limit` elements in a small one. Gives the rank.
int32_t trial_shape(trial *t, int32_t least, int32_t most, int64_t limit, int64_t *shape);
int trial_is_large(const trial *t);
int64_t trial_size(int32_t rank, const int64_t *shape);

trial_values trial_some_values(trial *t);
// An input, aligned to its elements and no better, now and then.
char *trial_input(trial *t, duet_dtype dtype, int64_t count, trial_values values);
// A result that is hashed when the trial ends; written outside of it counts as an overrun.
char *trial_result(trial *t, duet_dtype dtype, int64_t count);
// An input laid out with gaps, reversed, transposed or repeated axes, or contiguous; strides in
// bytes. Gives the address of element 0.
char *trial_view(trial *t, duet_dtype dtype, int32_t rank, const int64_t *shape,
                 trial_values values, int is_contiguous, int64_t *stride);
// Indices into an axis of that size, some of them negative.
char *trial_indices(trial *t, duet_dtype dtype, int64_t count, int64_t axis);
void trial_add(trial *t, uint64_t bits);  // to the hash
void trial_end(trial *t);

#endif
