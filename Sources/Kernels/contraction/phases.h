// The gradient of a convolution by its input, seen from the input: positions whose rows and columns
// have the same remainders by the stride, a phase, meet the same taps.
#ifndef DUET_CONTRACTION_PHASES_H
#define DUET_CONTRACTION_PHASES_H

#include "duet_contraction.h"

// Along one axis: positions remainder + i * stride for i < count; the taps that meet them,
// ascending; tap[k] meets output position i + shift[k].
typedef struct {
  int64_t count, taps;
  const int64_t *tap, *shift;
} duet_phase_axis;

typedef struct {
  const duet_phase_axis *vertical, *horizontal;            // by remainder
  int64_t low_row, high_row, low_column, high_column;      // bounds of the shifts
  int64_t most_taps;                                       // of a phase
  const int64_t *first_tap;  // by phase, [vertical][horizontal]: taps of the phases before it
} duet_phases;

size_t duet_phase_bytes(const duet_conv2d_call *call);
duet_phases duet_make_phases(const duet_conv2d_call *call, char *memory);

// `width` columns of dx, `step` apart in its column phases, from the rows of those; NULL: zeros.
void duet_merge_row(char *to, const char *const *part, int64_t step, int64_t width, int64_t es);

#endif
