// Windows of 2 x 2 two apart. The window's elements in row-major order are a, b (upper row), c, d.

// Runs `step(L, position)` along a row of outputs with as many lanes as fit; fewer than four are
// computed in four lanes of padded copies by `rest`.
#define ALONG_ROW(width, step, rest)                      \
  do {                                                    \
    int64_t ow = 0;                                       \
    for (; ow + 16 <= (width); ow += 16) step(16, ow);    \
    if (ow + 8 <= (width)) {                              \
      step(8, ow);                                        \
      ow += 8;                                            \
    }                                                     \
    if (ow + 4 <= (width)) {                              \
      step(4, ow);                                        \
      ow += 4;                                            \
    }                                                     \
    if (ow < (width)) rest(ow, (width) - ow);             \
  } while (0)

// Two input rows and the output row over them.
#define FOR_ROWS(planes, body)                                                         \
  for (int64_t p = 0; p < (planes); p++)                                               \
    for (int64_t oh = 0; oh < call->out_height; oh++) {                                \
      int64_t above = (p * call->in_height + 2 * oh) * call->in_width;                 \
      int64_t below = above + call->in_width;                                          \
      int64_t out = (p * call->out_height + oh) * call->out_width;                     \
      body                                                                             \
    }

#define MAX_STEP(L, at)                                                        \
  do {                                                                         \
    f32x##L m = even_##L(upper + 2 * (at)), b = odd_##L(upper + 2 * (at));     \
    f32x##L c = even_##L(lower + 2 * (at)), d = odd_##L(lower + 2 * (at));     \
    m = REPLACES(b, m) ? b : m;                                                \
    m = REPLACES(c, m) ? c : m;                                                \
    m = REPLACES(d, m) ? d : m;                                                \
    store_##L(to + (at), m);                                                   \
  } while (0)

#define AVERAGE_STEP(L, at)                                                    \
  do {                                                                         \
    f32x##L a = even_##L(upper + 2 * (at)), b = odd_##L(upper + 2 * (at));     \
    f32x##L c = even_##L(lower + 2 * (at)), d = odd_##L(lower + 2 * (at));     \
    store_##L(to + (at), (((a + b) + c) + d) / 4.0f);                          \
  } while (0)

#define POOL_2X2(name, STEP)                                                                       \
  DUET_INLINE void name##_rest(float *y, const float *up, const float *low, int64_t n) {           \
    float upper[8] = {0}, lower[8] = {0}, to[4];                                                   \
    memcpy(upper, up, (size_t)n * 8);                                                              \
    memcpy(lower, low, (size_t)n * 8);                                                             \
    STEP(4, 0);                                                                                    \
    memcpy(y, to, (size_t)n * 4);                                                                  \
  }                                                                                                \
  static void name(float *y, const float *x, const duet_pool_call *call, int64_t planes) {         \
    FOR_ROWS(planes, {                                                                             \
      const float *upper = x + above; const float *lower = x + below;                              \
      float *to = y + out;                                                                         \
      ALONG_ROW(call->out_width, STEP, name##_REST);                                               \
    })                                                                                             \
  }
#define max_2x2_REST(at, n) max_2x2_rest(to + (at), upper + 2 * (at), lower + 2 * (at), n)
#define average_2x2_REST(at, n) average_2x2_rest(to + (at), upper + 2 * (at), lower + 2 * (at), n)
POOL_2X2(max_2x2, MAX_STEP)
POOL_2X2(average_2x2, AVERAGE_STEP)

// Every dy goes to one of four places, the others are 0: nothing is read back.
#define MAX_GRADIENT_STEP(L, at)                                               \
  do {                                                                         \
    f32x##L m = even_##L(upper + 2 * (at)), b = odd_##L(upper + 2 * (at));     \
    f32x##L c = even_##L(lower + 2 * (at)), d = odd_##L(lower + 2 * (at));     \
    i32x##L at_b = REPLACES(b, m);                                             \
    m = at_b ? b : m;                                                          \
    i32x##L at_c = REPLACES(c, m);                                             \
    m = at_c ? c : m;                                                          \
    i32x##L at_d = REPLACES(d, m), g = (i32x##L)load_##L(from + (at));         \
    at_c &= ~at_d;                                                             \
    at_b &= ~(at_c | at_d);                                                    \
    i32x##L at_a = ~(at_b | at_c | at_d);                                      \
    interleave_##L(dx_upper + 2 * (at), (f32x##L)(g & at_a), (f32x##L)(g & at_b)); \
    interleave_##L(dx_lower + 2 * (at), (f32x##L)(g & at_c), (f32x##L)(g & at_d)); \
  } while (0)

DUET_INLINE void max_2x2_gradient_rest(float *dx_up, float *dx_low, const float *up,
                                       const float *low, const float *dy, int64_t n) {
  float upper[8] = {0}, lower[8] = {0}, from[4] = {0}, dx_upper[8], dx_lower[8];
  memcpy(upper, up, (size_t)n * 8);
  memcpy(lower, low, (size_t)n * 8);
  memcpy(from, dy, (size_t)n * 4);
  MAX_GRADIENT_STEP(4, 0);
  memcpy(dx_up, dx_upper, (size_t)n * 8);
  memcpy(dx_low, dx_lower, (size_t)n * 8);
}

#define AVERAGE_GRADIENT_STEP(L, at)                   \
  do {                                                 \
    f32x##L g = load_##L(from + (at)) / 4.0f;          \
    interleave_##L(dx_upper + 2 * (at), g, g);         \
    interleave_##L(dx_lower + 2 * (at), g, g);         \
  } while (0)

DUET_INLINE void average_2x2_gradient_rest(float *dx_up, float *dx_low, const float *dy,
                                           int64_t n) {
  float from[4] = {0}, dx_upper[8], dx_lower[8];
  memcpy(from, dy, (size_t)n * 4);
  AVERAGE_GRADIENT_STEP(4, 0);
  memcpy(dx_up, dx_upper, (size_t)n * 8);
  memcpy(dx_low, dx_lower, (size_t)n * 8);
}

// Rows and columns of the image that no window covers.
DUET_INLINE void clear_uncovered(float *dx, const duet_pool_call *call, int64_t planes) {
  int64_t height = call->in_height, width = call->in_width;
  int64_t rows = 2 * call->out_height, columns = 2 * call->out_width;
  if (rows == height && columns == width) return;
  for (int64_t p = 0; p < planes; p++) {
    float *plane = dx + p * height * width;
    for (int64_t r = 0; r < rows && columns < width; r++)
      memset(plane + r * width + columns, 0, (size_t)(width - columns) * 4);
    memset(plane + rows * width, 0, (size_t)((height - rows) * width) * 4);
  }
}

static void max_2x2_gradient(float *dx, const float *x, const float *dy, const duet_pool_call *call,
                             int64_t planes) {
#define REST(at, n)                                                                              \
  max_2x2_gradient_rest(dx_upper + 2 * (at), dx_lower + 2 * (at), upper + 2 * (at),              \
                        lower + 2 * (at), from + (at), n)
  FOR_ROWS(planes, {
    const float *upper = x + above;
    const float *lower = x + below;
    const float *from = dy + out;
    float *dx_upper = dx + above;
    float *dx_lower = dx + below;
    ALONG_ROW(call->out_width, MAX_GRADIENT_STEP, REST);
  })
#undef REST
  clear_uncovered(dx, call, planes);
}

static void average_2x2_gradient(float *dx, const float *dy, const duet_pool_call *call,
                                 int64_t planes) {
#define REST(at, n) \
  average_2x2_gradient_rest(dx_upper + 2 * (at), dx_lower + 2 * (at), from + (at), n)
  FOR_ROWS(planes, {
    const float *from = dy + out;
    float *dx_upper = dx + above;
    float *dx_lower = dx + below;
    ALONG_ROW(call->out_width, AVERAGE_GRADIENT_STEP, REST);
  })
#undef REST
  clear_uncovered(dx, call, planes);
}
