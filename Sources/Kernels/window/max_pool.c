// Max pooling, its selection and its gradient. A row of outputs is described by slots: which
// element of its window each maximum is. Values are then copied as they are, whatever their dtype.
#include <stdlib.h>

#include "pool.h"

#pragma STDC FP_CONTRACT OFF

enum { SEGMENT = 512 };

// The slots of outputs first ..< last of a row by comparisons in `type`.
#define SLOT_ROW(name, type)                                                                     \
  static void slots_##name(int32_t *slot, const void *plane, const duet_pool_call *c, int64_t oh, \
                           int64_t first, int64_t last) {                                        \
    const type *x = plane;                                                                       \
    duet_span rows = duet_window_rows(c, oh);                                                    \
    for (int64_t ow = first; ow < last; ow++) {                                                  \
      duet_span columns = duet_window_columns(c, ow);                                            \
      type m = 0;                                                                                \
      int32_t at = -1;                                                                           \
      for (int64_t ky = rows.first; ky < rows.last; ky++) {                                      \
        const type *row = x + (rows.start + ky * c->dilation_height) * c->in_width;              \
        for (int64_t kx = columns.first; kx < columns.last; kx++) {                              \
          type v = row[columns.start + kx * c->dilation_width];                                  \
          if (at >= 0 && (v <= m || m != m)) continue;                                           \
          m = v;                                                                                 \
          at = (int32_t)(ky * c->kernel_width + kx);                                             \
        }                                                                                        \
      }                                                                                          \
      slot[ow - first] = at;                                                                       \
    }                                                                                            \
  }
SLOT_ROW(uint8, uint8_t)
SLOT_ROW(int8, int8_t)
SLOT_ROW(int16, int16_t)
SLOT_ROW(int32, int32_t)
SLOT_ROW(int64, int64_t)
SLOT_ROW(float64, double)

// Memory of a task. Where values are compared as float32, which 16-bit floats are brought to, all slots of a plane are
// found at once.
typedef struct {
  int64_t *offset;  // of each element of a window in the plane, if those are not too many
  float *plane;     // of a 16-bit float
  int32_t *slots;   // of all outputs
  void *maxima;     // memory of the table
} findings;

static void *memory_of_maxima(const duet_pool_call *c) {
  void *memory = duet_pool_buffer((int64_t)(duet_max_layout_of(c).bytes / 4));
  *(int64_t *)memory = 0;
  return memory;
}

static findings make_findings(const duet_pool_job *job) {
  const duet_pool_call *c = job->call;
  enum { MOST_OFFSETS = 4096 };
  findings f = {0};
  int64_t height = c->kernel_height, width = c->kernel_width;
  if (height <= MOST_OFFSETS && width <= MOST_OFFSETS && height * width <= MOST_OFFSETS)
    f.offset = (int64_t *)duet_pool_buffer(2 * height * width);
  for (int64_t ky = 0; ky < height && f.offset; ky++)
    for (int64_t kx = 0; kx < width; kx++)
      f.offset[ky * width + kx] =
        ky * c->dilation_height * c->in_width + kx * c->dilation_width;
  if (duet_pool_is_half(c)) f.plane = duet_pool_buffer(job->in_size);
  if (!f.plane && c->dtype != DUET_FLOAT32) return f;
  f.slots = (int32_t *)duet_pool_buffer(job->out_size);
  f.maxima = memory_of_maxima(c);
  return f;
}

static void free_findings(findings *f) {
  free(f->offset);
  free(f->plane);
  free(f->slots);
  free(f->maxima);
}

// Places in the plane, -1 for none, of outputs first ..< last.
static void find_places(const duet_pool_job *job, int64_t *place, const void *plane,
                        const findings *found, int64_t oh, int64_t first, int64_t last) {
  const duet_pool_call *c = job->call;
  int32_t slot[SEGMENT];
  if (!found->slots) switch (c->dtype) {
    case DUET_BOOL:
    case DUET_UINT8: slots_uint8(slot, plane, c, oh, first, last); break;
    case DUET_INT8: slots_int8(slot, plane, c, oh, first, last); break;
    case DUET_INT16: slots_int16(slot, plane, c, oh, first, last); break;
    case DUET_INT32: slots_int32(slot, plane, c, oh, first, last); break;
    case DUET_INT64: slots_int64(slot, plane, c, oh, first, last); break;
    default: slots_float64(slot, plane, c, oh, first, last); break;
  }
  const int32_t *slots = found->slots ? found->slots + oh * c->out_width + first : slot;
  int64_t corner = (oh * c->stride_height - c->pad_top) * c->in_width + first * c->stride_width - c->pad_left;
  for (int64_t i = 0; i < last - first; i++, corner += c->stride_width) {
    if (slots[i] < 0) {
      place[i] = -1;
    } else if (found->offset) {
      place[i] = corner + found->offset[slots[i]];
    } else {
      int64_t ky = slots[i] / c->kernel_width, kx = slots[i] % c->kernel_width;
      place[i] = corner + ky * c->dilation_height * c->in_width + kx * c->dilation_width;
    }
  }
}

#define COPY(type, none)                                                                    \
  for (int64_t i = 0; i < count; i++)                                                       \
    ((type *)to)[i] = place[i] < 0 ? (type)(none) : ((const type *)from)[place[i]];         \
  return;

// A window outside the image has the least value as its maximum, and selects 0.
static void copy_places(duet_dtype dtype, void *to, const void *from, const int64_t *place,
                        int64_t count, int is_maximum) {
  switch (dtype) {
    case DUET_BOOL:
    case DUET_UINT8: COPY(uint8_t, 0)
    case DUET_INT8: COPY(int8_t, is_maximum ? INT8_MIN : 0)
    case DUET_INT16: COPY(int16_t, is_maximum ? INT16_MIN : 0)
    case DUET_INT32: COPY(int32_t, is_maximum ? INT32_MIN : 0)
    case DUET_INT64: COPY(int64_t, is_maximum ? INT64_MIN : 0)
    case DUET_FLOAT16: COPY(uint16_t, is_maximum ? 0xfc00 : 0)
    case DUET_BFLOAT16: COPY(uint16_t, is_maximum ? 0xff80 : 0)
    case DUET_FLOAT32: COPY(float, is_maximum ? -__builtin_inff() : 0)
    default: COPY(double, is_maximum ? -__builtin_inf() : 0)
  }
}

// Takes the places of a segment of outputs of one plane, and where the segment begins in the plane.
typedef void (*place_sink)(void *context, int64_t at, const int64_t *place, int64_t count);

static void for_places(const duet_pool_job *job, const char *x, int64_t p, const findings *found,
                       place_sink sink, void *context) {
  const duet_pool_call *c = job->call;
  const void *plane = x + p * job->in_size * job->size;
  if (found->plane) {
    duet_pool_widen(c->dtype, found->plane, plane, job->in_size);
    plane = found->plane;
  }
  if (found->slots) job->table->max_plane(0, found->slots, plane, c, found->maxima);
  int64_t place[SEGMENT];
  for (int64_t oh = 0; oh < c->out_height; oh++)
    for (int64_t ow = 0; ow < c->out_width; ow += SEGMENT) {
      int64_t last = ow + SEGMENT < c->out_width ? ow + SEGMENT : c->out_width;
      find_places(job, place, plane, found, oh, ow, last);
      sink(context, oh * c->out_width + ow, place, last - ow);
    }
}

typedef struct {
  const duet_pool_job *job;
  char *to;          // the plane written
  const char *from;  // the plane read
  int is_maximum, is_apart;
} plane_context;

static void copy_sink(void *context, int64_t at, const int64_t *place, int64_t count) {
  const plane_context *p = context;
  copy_places(p->job->call->dtype, p->to + at * p->job->size, p->from, place, count, p->is_maximum);
}

static void copy_planes(const duet_pool_job *job, int64_t first, int64_t last, const char *values) {
  const duet_pool_call *c = job->call;
  const char *x = c->operand[1];
  findings found = make_findings(job);
  for (int64_t p = first; p < last; p++) {
    plane_context context = {.job = job, .is_maximum = values == x};
    context.to = (char *)c->operand[0] + p * job->out_size * job->size;
    context.from = values + p * job->in_size * job->size;
    for_places(job, x, p, &found, copy_sink, &context);
  }
  free_findings(&found);
}

static void max_planes(const duet_pool_job *job, int64_t first, int64_t last) {
  const duet_pool_call *c = job->call;
  if (c->dtype != DUET_FLOAT32) {
    copy_planes(job, first, last, c->operand[1]);
    return;
  }
  float *y = (float *)c->operand[0] + first * job->out_size;
  const float *x = (const float *)c->operand[1] + first * job->in_size;
  if (duet_is_pool_2x2(c)) {
    job->table->max_2x2(y, x, c, last - first);
    return;
  }
  void *memory = memory_of_maxima(c);
  for (int64_t p = first; p < last; p++, x += job->in_size, y += job->out_size)
    job->table->max_plane(y, 0, x, c, memory);
  free(memory);
}

static void select_planes(const duet_pool_job *job, int64_t first, int64_t last) {
  copy_planes(job, first, last, job->call->operand[2]);
}

#define PLACE_GRADIENT(type)                                                         \
  {                                                                                  \
    type *dx = (type *)p->to;                                                        \
    const type *dy = (const type *)p->from + at;                                     \
    for (int64_t i = 0; i < count; i++) {                                            \
      if (place[i] < 0) continue;                                                    \
      dx[place[i]] = p->is_apart ? dy[i] : dx[place[i]] + dy[i];                     \
    }                                                                                \
  }

static void gradient_sink(void *context, int64_t at, const int64_t *place, int64_t count) {
  const plane_context *p = context;
  if (p->job->call->dtype == DUET_FLOAT64)
    PLACE_GRADIENT(double)
  else
    PLACE_GRADIENT(float)
}

// 16-bit floats add up in float32: buffers for x, dx and dy.
static void gradient_planes(const duet_pool_job *job, int64_t first, int64_t last) {
  const duet_pool_call *c = job->call;
  const char *x = c->operand[1], *dy = c->operand[2];
  char *dx = c->operand[0];
  if (duet_is_pool_2x2(c)) {
    job->table->max_2x2_gradient((float *)dx + first * job->in_size,
                                 (const float *)x + first * job->in_size,
                                 (const float *)dy + first * job->out_size, c, last - first);
    return;
  }
  int is_half = duet_pool_is_half(c);
  findings found = make_findings(job);
  float *wide_dx = 0, *wide_dy = 0;
  if (is_half) {
    wide_dx = duet_pool_buffer(job->in_size);
    wide_dy = duet_pool_buffer(job->out_size);
  }
  for (int64_t p = first; p < last; p++) {
    char *to = dx + p * job->in_size * job->size;
    const char *from = dy + p * job->out_size * job->size;
    plane_context context = {.job = job, .to = to, .from = from};
    context.is_apart = duet_windows_are_apart(c);
    if (is_half) {
      duet_pool_widen(c->dtype, wide_dy, from, job->out_size);
      context.to = (char *)wide_dx;
      context.from = (char *)wide_dy;
    }
    memset(context.to, 0, (size_t)job->in_size * (is_half ? 4 : (size_t)job->size));
    for_places(job, x, p, &found, gradient_sink, &context);
    if (is_half) duet_pool_narrow(c->dtype, to, wide_dx, job->in_size);
  }
  free_findings(&found);
  free(wide_dx);
  free(wide_dy);
}

duet_status duet_max_pool(const void *call) { return duet_run_pool(call, max_planes); }
duet_status duet_max_pool_select(const void *call) { return duet_run_pool(call, select_planes); }
duet_status duet_max_pool_gradient(const void *call) {
  return duet_run_pool(call, gradient_planes);
}
