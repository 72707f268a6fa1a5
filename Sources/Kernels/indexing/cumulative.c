// Running sums, products and extremes. The first result is the first element itself.
#include "indexing.h"

#pragma STDC FP_CONTRACT OFF

enum { WIDTH = 256, ROWS = 4 };

typedef struct {
  const duet_cumulative_call *call;
  int64_t units, batch, blocks;
} scan;

#define ADD(x, y) ((x) + (y))
#define MULTIPLY(x, y) ((x) * (y))

// `rows` neighbouring rows along the axis (inner is 1): four chains at a time.
#define SCAN_ROWS(name, type, combine)                                                        \
  static void name##_rows(void *to, const void *from, int64_t rows, int64_t length) {         \
    type *y = to;                                                                             \
    const type *x = from;                                                                     \
    int64_t r = 0;                                                                            \
    for (; r + ROWS <= rows; r += ROWS, x += ROWS * length, y += ROWS * length) {             \
      type a = x[0], b = x[length], c = x[2 * length], d = x[3 * length];                     \
      for (int64_t i = 0;;) {                                                                 \
        y[i] = a, y[length + i] = b, y[2 * length + i] = c, y[3 * length + i] = d;            \
        if (++i == length) break;                                                             \
        a = (type)combine(a, x[i]), b = (type)combine(b, x[length + i]);                      \
        c = (type)combine(c, x[2 * length + i]), d = (type)combine(d, x[3 * length + i]);     \
      }                                                                                       \
    }                                                                                         \
    for (; r < rows; r++, x += length, y += length) {                                         \
      type a = y[0] = x[0];                                                                   \
      for (int64_t i = 1; i < length; i++) y[i] = a = (type)combine(a, x[i]);                 \
    }                                                                                         \
  }                                                                                           \
  static void name##_step(void *to, const void *before, const void *from, int64_t count) {    \
    type *y = to;                                                                             \
    const type *a = before, *x = from;                                                        \
    for (int64_t i = 0; i < count; i++) y[i] = (type)combine(a[i], x[i]);                     \
  }

#define SCANS(suffix, type)               \
  SCAN_ROWS(sum_##suffix, type, ADD)    \
  SCAN_ROWS(product_##suffix, type, MULTIPLY)

// Integers wrap; 16-bit ones are widened first, since their product would overflow an int.
#define MULTIPLY_16(x, y) ((uint32_t)(x) * (uint32_t)(y))
SCANS(8, uint8_t)
SCAN_ROWS(sum_16, uint16_t, ADD)
SCAN_ROWS(product_16, uint16_t, MULTIPLY_16)
SCANS(32, uint32_t)
SCANS(64, uint64_t)
SCANS(float, float)
SCANS(double, double)

#define LARGER(x, y) ((x) > (y) ? (x) : (y))
#define SMALLER(x, y) ((x) < (y) ? (x) : (y))
#define EXTREME_SCANS(suffix, type)       \
  SCAN_ROWS(max_##suffix, type, LARGER)   \
  SCAN_ROWS(min_##suffix, type, SMALLER)
EXTREME_SCANS(u8, uint8_t)
EXTREME_SCANS(i8, int8_t)
EXTREME_SCANS(i16, int16_t)
EXTREME_SCANS(i32, int32_t)
EXTREME_SCANS(i64, int64_t)

// NaN wins, and of zeros the positive one as the larger.
#define REAL_EXTREME(name, type, word, better, join)                                        \
  static inline type name(type x, type y) {                                                 \
    word a, b;                                                                              \
    memcpy(&a, &x, sizeof a);                                                               \
    memcpy(&b, &y, sizeof b);                                                               \
    word m = ((x better y) | (x != x)) ? a : b;                                             \
    m = x == y ? (a join b) : m;                                                            \
    memcpy(&x, &m, sizeof x);                                                               \
    return x;                                                                               \
  }
REAL_EXTREME(larger_float, float, uint32_t, >, &)
REAL_EXTREME(smaller_float, float, uint32_t, <, |)
REAL_EXTREME(larger_double, double, uint64_t, >, &)
REAL_EXTREME(smaller_double, double, uint64_t, <, |)
SCAN_ROWS(max_float, float, larger_float)
SCAN_ROWS(min_float, float, smaller_float)
SCAN_ROWS(max_double, double, larger_double)
SCAN_ROWS(min_double, double, smaller_double)

typedef void (*rows_function)(void *, const void *, int64_t, int64_t);
typedef void (*step_function)(void *, const void *, const void *, int64_t);

// What a running operation does in one type: whole rows, or one step of many rows side by side.
typedef struct {
  rows_function rows;
  step_function step;
} running;
#define RUNNING(operation, type) {operation##_##type##_rows, operation##_##type##_step}
#define FOUR(sums, extremes)                                                     \
  {RUNNING(sum, sums), RUNNING(product, sums), RUNNING(max, extremes), RUNNING(min, extremes)}
static const running running_functions[DUET_DTYPE_COUNT][4] = {
    [DUET_UINT8] = FOUR(8, u8),           [DUET_INT8] = FOUR(8, i8),
    [DUET_INT16] = FOUR(16, i16),         [DUET_INT32] = FOUR(32, i32),
    [DUET_INT64] = FOUR(64, i64),         [DUET_FLOAT16] = FOUR(float, float),
    [DUET_BFLOAT16] = FOUR(float, float), [DUET_FLOAT32] = FOUR(float, float),
    [DUET_FLOAT64] = FOUR(double, double),
};
#undef FOUR
#undef RUNNING

// One row of a 16-bit float, block by block behind the running value.
static void scan_half_row(const duet_cumulative_call *c, char *y, const char *x) {
  float wide[WIDTH + 1];
  for (int64_t i = 0; i < c->axis; i += WIDTH) {
    int64_t n = duet_min(WIDTH, c->axis - i), before = i > 0;
    duet_widen_halves(c->dtype, wide + before, x + i * 2, n);
    running_functions[c->dtype][c->operation].rows(wide, wide, 1, n + before);
    duet_narrow_halves(c->dtype, y + i * 2, wide + before, n);
    wide[0] = wide[n + before - 1];
  }
}

// Up to WIDTH positions behind the axis.
static void scan_block(const duet_cumulative_call *c, char *y, const char *x, int64_t width,
                       int64_t size) {
  step_function step = running_functions[c->dtype][c->operation].step;
  int64_t stride = c->inner * size;
  if (!duet_is_half(c->dtype)) {
    memmove(y, x, (size_t)(width * size));
    for (int64_t a = 1; a < c->axis; a++)
      step(y + a * stride, y + (a - 1) * stride, x + a * stride, width);
    return;
  }
  float sum[WIDTH], wide[WIDTH];
  for (int64_t a = 0; a < c->axis; a++) {
    duet_widen_halves(c->dtype, a == 0 ? sum : wide, x + a * stride, width);
    if (a > 0) step(sum, sum, wide, width);
    duet_narrow_halves(c->dtype, y + a * stride, sum, width);
  }
}

static void run(void *context, int64_t task) {
  const scan *s = context;
  const duet_cumulative_call *c = s->call;
  int64_t size = (int64_t)duet_dtype_size(c->dtype);
  int64_t first = task * s->batch, last = duet_min(first + s->batch, s->units);
  char *y = c->operand[0];
  const char *x = c->operand[1];
  if (c->inner == 1 && !duet_is_half(c->dtype)) {
    int64_t at = first * c->axis * size;
    running_functions[c->dtype][c->operation].rows(y + at, x + at, last - first, c->axis);
    return;
  }
  for (int64_t unit = first; unit < last; unit++) {
    int64_t position = unit % s->blocks * WIDTH;
    int64_t at = (unit / s->blocks * c->axis * c->inner + position) * size;
    if (c->inner == 1)
      scan_half_row(c, y + at, x + at);
    else
      scan_block(c, y + at, x + at, duet_min(WIDTH, c->inner - position), size);
  }
}

duet_status duet_cumulative(const void *block) {
  const duet_cumulative_call *call = block;
  if (call->outer == 0 || call->axis == 0 || call->inner == 0) return DUET_OK;
  scan s = {.call = call, .blocks = (call->inner + WIDTH - 1) / WIDTH};
  s.units = call->outer * s.blocks;
  s.batch = duet_max(1, DUET_INDEX_TASK / (call->axis * duet_min(call->inner, WIDTH)));
  int64_t tasks = (s.units + s.batch - 1) / s.batch;
  if (tasks == 1)
    run(&s, 0);
  else
    duet_parallel_for(tasks, run, &s);
  return DUET_OK;
}
