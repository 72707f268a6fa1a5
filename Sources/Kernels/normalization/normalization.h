// The tables behind the normalisations.
#ifndef DUET_NORMALIZATION_TABLES_H
#define DUET_NORMALIZATION_TABLES_H

#include "../include/duet_normalization.h"
#include "../reduction/reduction.h"

// One of float32 and float64. `together`, 1, 2 or 4 rows are taken side by side.
typedef struct {
  void (*forward)(void *y, const void *x, const void *scale, const void *offset, int64_t rows,
                  int64_t columns, double eps, int together);
  // Past the caches, to rows that begin and end where lines do; one at a time.
  void (*streamed)(void *y, const void *x, const void *scale, const void *offset, int64_t rows,
                   int64_t columns, double eps);
  void (*input_gradient)(void *dx, const void *x, const void *scale, const void *dy, int64_t rows,
                         int64_t columns, double eps, int together);
  // Adds dy x̂ and dy of up to 32 rows to sums [2, columns] ([1, columns] for a root mean square),
  // which begin with the first row if `fresh`.
  void (*parameter_gradient)(void *sums, const void *x, const void *dy, int64_t rows,
                             int64_t columns, double eps, int fresh, int together);
} duet_row_norm_loops;

// Sums over channels. Up to four channels whose elements lie `stride` apart, `length` elements of
// each at a time, beginning at lane 0: `lanes` holds sixteen lanes for every sum of every channel,
// [sums, 4, 16].
typedef struct {
  void (*clear)(void *lanes);  // [2, 4, 16]
  void (*add)(void *lanes, const void *x, int64_t stride, int64_t length, int64_t channels);
  // x - mean and its square.
  void (*add_centred)(void *lanes, const void *x, const void *mean, int64_t stride, int64_t length,
                      int64_t channels);
  // dy (x - mean) and dy.
  void (*add_products)(void *lanes, const void *x, const void *dy, const void *mean, int64_t stride,
                       int64_t length, int64_t channels);
  void (*fold)(void *values, const void *lanes);  // [2, 4]
  // The same for sixteen neighbouring columns of `rows` rows, at most a chunk: values [sums, 16].
  void (*column_sums)(void *values, const void *x, int64_t stride, int64_t rows, int64_t width);
  void (*column_centred_sums)(void *values, const void *x, const void *mean, int64_t stride,
                              int64_t rows, int64_t width);
  void (*column_product_sums)(void *values, const void *x, const void *dy, const void *mean,
                              int64_t stride, int64_t rows, int64_t width);
  // y = (x - mean) scale + offset: of each element of a row its own, or of each of `planes` planes of
  // `count` elements.
  void (*affine_row)(void *y, const void *x, const void *mean, const void *scale,
                     const void *offset, int64_t count);
  void (*affine_planes)(void *y, const void *x, const void *mean, const void *scale,
                        const void *offset, int64_t count, int64_t planes);
  // dx = dy a + (x - mean) b + c in the same manner.
  void (*blend_row)(void *dx, const void *x, const void *dy, const void *mean, const void *a,
                    const void *b, const void *c, int64_t count);
  void (*blend_planes)(void *dx, const void *x, const void *dy, const void *mean, const void *a,
                       const void *b, const void *c, int64_t count, int64_t planes);
  void (*join)(void *a, const void *b, int64_t count);  // a += b
} duet_channel_loops;

// Cross entropy. Of every row, or of `width` <= 16 neighbouring positions whose classes lie `stride`
// apart: the maximum m, the log Σ exp (x - m), and where `even` is not NULL Σ w (x - m) with weights w,
// or 1 if there are none.
typedef struct {
  void (*sums)(void *maximum, void *log_sum, void *even, const void *x, const void *weights,
               int64_t rows, int64_t classes);
  void (*column_sums)(void *maximum, void *log_sum, void *even, const void *x, const void *weights,
                      int64_t stride, int64_t width, int64_t classes);
  // dx = factor exp (x - m) / Σ exp (x - m) - even w; where factor is 0 so is dx. dx may be x.
  void (*gradient)(void *dx, const void *x, const void *factor, const void *even,
                   const void *weights, int64_t rows, int64_t classes);
  void (*column_gradient)(void *dx, const void *x, const void *factor, const void *even,
                          const void *weights, int64_t stride, int64_t width, int64_t classes);
} duet_class_loops;

typedef struct {
  int32_t together_from_memory;  // rows taken side by side of arrays that come from memory, 1 to 8 KiB each
  duet_row_norm_loops rows[2][DUET_ROW_NORM_COUNT];  // [is float64]
  duet_channel_loops channels[2];
  duet_class_loops classes[2];
} duet_normalizations;

const duet_normalizations *duet_current_normalizations(void);

#define DUET_DECLARE_NORMALIZATIONS(isa) \
  extern const duet_normalizations duet_normalizations_##isa;
#if defined(__x86_64__)
DUET_DECLARE_NORMALIZATIONS(avx512)
DUET_DECLARE_NORMALIZATIONS(avx2)
#elif defined(__aarch64__)
DUET_DECLARE_NORMALIZATIONS(neon)
#endif
DUET_DECLARE_NORMALIZATIONS(scalar)

#endif
