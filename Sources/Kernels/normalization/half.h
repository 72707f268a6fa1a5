// The 16-bit floats of this family: arrays become float32 ones, and results are rounded once.
#ifndef DUET_NORMALIZATION_HALF_H
#define DUET_NORMALIZATION_HALF_H

#include <stdlib.h>
#include <string.h>

#include "normalization.h"

typedef struct {
  int is_double, is_half;
  int64_t element, wide;  // sizes in bytes: in memory, as computed in
  duet_widen widen;
  duet_narrow narrow;
} duet_number_format;

static inline duet_number_format duet_number_format_of(duet_dtype dtype) {
  duet_number_format format = {.is_double = dtype == DUET_FLOAT64};
  format.element = (int64_t)duet_dtype_size(dtype);
  format.wide = format.is_double ? 8 : 4;
  format.is_half = dtype == DUET_FLOAT16 || dtype == DUET_BFLOAT16;
  if (format.is_half) {
    const duet_reductions *conversions = duet_current_reductions();
    format.widen = conversions->widen[dtype];
    format.narrow =
        dtype == DUET_FLOAT16 ? conversions->narrow_float16 : conversions->narrow_bfloat16;
  }
  return format;
}

// Numbers of the type computed in. What there is one of for a channel or a label is computed in float64
// and rounded once.
static inline double duet_number(const duet_number_format *format, const void *p, int64_t i) {
  return format->is_double ? ((const double *)p)[i] : ((const float *)p)[i];
}

static inline void duet_put(const duet_number_format *format, void *p, int64_t i, double value) {
  if (format->is_double)
    ((double *)p)[i] = value;
  else
    ((float *)p)[i] = (float)value;
}

// An element of an array as it lies in memory.
static inline double duet_element(const duet_number_format *format, const void *p, int64_t i) {
  if (!format->is_half) return duet_number(format, p, i);
  float wide;
  format->widen(&wide, (const char *)p + 2 * i, 2, 1);
  return wide;
}

static inline void *duet_scratch(int64_t bytes) {
  void *memory = malloc((size_t)(bytes > 0 ? bytes : 1));
  if (!memory) abort();
  return memory;
}

#endif
