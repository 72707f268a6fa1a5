#include "window.h"

typedef DUET_LANES(float, 4) f32x4;
typedef DUET_LANES(float, 8) f32x8;
typedef DUET_LANES(int32_t, 4) i32x4;
typedef DUET_LANES(int32_t, 8) i32x8;

// Loads and stores of L lanes, and every second of 2 L neighbours.
#define LANES(L, EVEN, ODD, LOW, HIGH)                                                             \
  DUET_INLINE f32x##L load_##L(const float *p) {                                                   \
    f32x##L v;                                                                                     \
    memcpy(&v, p, sizeof v);                                                                       \
    return v;                                                                                      \
  }                                                                                                \
  DUET_INLINE void store_##L(float *p, f32x##L v) { memcpy(p, &v, sizeof v); }                     \
  DUET_INLINE f32x##L even_##L(const float *p) {                                                   \
    return __builtin_shufflevector(load_##L(p), load_##L(p + L), EVEN);                            \
  }                                                                                                \
  DUET_INLINE f32x##L odd_##L(const float *p) {                                                    \
    return __builtin_shufflevector(load_##L(p), load_##L(p + L), ODD);                             \
  }                                                                                                \
  DUET_INLINE void interleave_##L(float *p, f32x##L even, f32x##L odd) {                           \
    store_##L(p, __builtin_shufflevector(even, odd, LOW));                                         \
    store_##L(p + L, __builtin_shufflevector(even, odd, HIGH));                                    \
  }
#define LIST(...) __VA_ARGS__
LANES(4, LIST(0, 2, 4, 6), LIST(1, 3, 5, 7), LIST(0, 4, 1, 5), LIST(2, 6, 3, 7))
LANES(8, LIST(0, 2, 4, 6, 8, 10, 12, 14), LIST(1, 3, 5, 7, 9, 11, 13, 15),
      LIST(0, 8, 1, 9, 2, 10, 3, 11), LIST(4, 12, 5, 13, 6, 14, 7, 15))
LANES(16, LIST(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30),
      LIST(1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31),
      LIST(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23),
      LIST(8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31))

// Whether x takes the place of the maximum so far: only if it is larger, or the first NaN.
#define REPLACES(x, m) (~((x) <= (m)) & ((m) == (m)))

#include "pool_2x2_template.h"
#include "average_row_template.h"
#include "max_plane_template.h"

const duet_windows DUET_SUFFIX(duet_windows) = {
    .max_plane = max_plane,
    .average_row = average_row,
    .max_2x2 = max_2x2,
    .max_2x2_gradient = max_2x2_gradient,
    .average_2x2 = average_2x2,
    .average_2x2_gradient = average_2x2_gradient,
};
