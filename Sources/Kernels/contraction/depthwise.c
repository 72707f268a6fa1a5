#include "depthwise.h"

#include "image.h"
#include "phases.h"

#include <string.h>

#pragma STDC FP_CONTRACT OFF

enum {
  BAND_BYTES = 64 << 10,   // of a prepared image
  TASK_WORK = 256 << 10    // multiply-adds that are worth a task
};

#if defined(__x86_64__)
extern const duet_depthwise_table duet_depthwise_avx512, duet_depthwise_avx2;
#elif defined(__aarch64__)
extern const duet_depthwise_table duet_depthwise_neon;
#endif
extern const duet_depthwise_table duet_depthwise_scalar;

const duet_depthwise_kernels *duet_depthwise_kernels_for(duet_dtype dtype) {
  const duet_depthwise_table *table = &duet_depthwise_scalar;
  switch (duet_current_isa()) {
#if defined(__x86_64__)
    case DUET_AVX512: table = &duet_depthwise_avx512; break;
    case DUET_AVX2: table = &duet_depthwise_avx2; break;
#elif defined(__aarch64__)
    case DUET_NEON: table = &duet_depthwise_neon; break;
#endif
    default: break;
  }
  return dtype == DUET_FLOAT64 ? &table->f64 : &table->f32;
}

int duet_is_depthwise(const duet_conv2d_call *c) {
  return c->groups > 1 && c->in_channels == c->groups;
}

typedef struct {
  const duet_conv2d_call *call;
  const duet_depthwise_kernels *kernels;
  int64_t es, outputs, taps;  // outputs of a channel
  int64_t rows;               // of a band
  int64_t planes_per_task;
  const duet_phases *phases;
  const char *weight;         // by phase, [channel][output][tap of the phase]
} depthwise_work;

static int64_t at_least_one(int64_t n) { return n < 1 ? 1 : n; }

// In what order two neighbouring rows of results meet the rows of an image.
static void find_lead(duet_correlation *x) {
  x->is_reversed = 0;
  for (int64_t lead = 1; lead < x->kernel_rows; lead++)
    for (int reversed = 0; reversed < 2; reversed++) {
      int64_t between = reversed ? -x->row : x->row, a = lead;
      while (a < x->kernel_rows && x->row_offset[a] == between + x->row_offset[a - lead]) a++;
      if (a < x->kernel_rows) continue;
      x->lead = lead;
      x->is_reversed = reversed;
      return;
    }
  x->lead = x->kernel_rows;
}

// A short row of elements of four or eight bytes. The last part overlaps the one before.
static inline void copy_short(char *to, const char *from, int64_t bytes) {
  typedef uint32_t part __attribute__((vector_size(16), aligned(4)));
  int64_t i = 0;
  for (; i + 16 <= bytes; i += 16) *(part *)(to + i) = *(const part *)(from + i);
  if (i == bytes) return;
  if (bytes >= 16)
    *(part *)(to + bytes - 16) = *(const part *)(from + bytes - 16);
  else
    for (; i < bytes; i += 4) *(uint32_t *)(to + i) = *(const uint32_t *)(from + i);
}

// Rows of results from prepared images. Those shorter than a vector, and those that fill vectors badly and share nothing
// with the next one, are computed as one long row, ends included, and the ends dropped.
static void correlate(const depthwise_work *w, duet_correlation x, int64_t pitch, char *scratch) {
  int64_t es = w->es, columns = x.columns;
  int64_t lanes = DUET_VECTOR_BYTES / es, filled = (int64_t)duet_round_up(columns, lanes);
  find_lead(&x);
  int is_long = columns < lanes || (x.lead == x.kernel_rows && pitch * 5 <= filled * 4);
  if (x.row != pitch || !is_long) {
    w->kernels->correlate(&x);
    return;
  }
  char *result = x.result;
  int64_t rows = x.rows;
  x.result = scratch;
  x.columns = (rows - 1) * pitch + columns;
  x.rows = 1;
  w->kernels->correlate(&x);
  for (int64_t i = 0; i < rows; i++)
    copy_short(result + i * x.result_row * es, scratch + i * pitch * es, columns * es);
}

// An image between margins of up to a vector, rows following each other, needs no general copy.
static void copy_image(const depthwise_work *w, const duet_image_copy *x, char *to, const char *from) {
  int64_t es = w->es, pitch = duet_image_pitch(x), lanes = DUET_VECTOR_BYTES / es;
  int64_t left = -x->first_column, right = x->columns - left - x->width;
  if (x->column_step > 1 || left < 0 || right < 0 || left > lanes || right > lanes || x->channels > 1) {
    duet_copy_image(x, to, from, es);
    return;
  }
  int64_t above = x->first_row < 0 ? -x->first_row : 0, below = x->first_row + x->rows - x->height;
  if (above > x->rows) above = x->rows;
  if (below < 0) below = 0;
  if (below > x->rows - above) below = x->rows - above;
  int64_t rows = x->rows - above - below;
  memset(to, 0, (size_t)(above * pitch * es));
  w->kernels->copy_rows(to + above * pitch * es, pitch, from + (x->first_row + above) * x->width * es, x->width, rows,
                        left);
  memset(to + (above + rows) * pitch * es, 0, (size_t)(below * pitch * es));
}

static duet_image_copy forward_copy(const duet_conv2d_call *c, int64_t row, int64_t rows) {
  return (duet_image_copy){
    .channels = 1,
    .height = c->in_height,
    .width = c->in_width,
    .first_row = row * c->stride_height - c->pad_top,
    .rows = (rows - 1) * c->stride_height + (c->kernel_height - 1) * c->dilation_height + 1,
    .row_step = c->stride_height,
    .first_column = -c->pad_left,
    .columns = (c->out_width - 1) * c->stride_width + (c->kernel_width - 1) * c->dilation_width + 1,
    .column_step = c->stride_width};
}

static void forward_task(void *context, int64_t index) {
  const depthwise_work *w = context;
  const duet_conv2d_call *c = w->call;
  int64_t es = w->es, planes = c->batch * c->groups;
  duet_image_copy copy = forward_copy(c, 0, w->rows);
  int64_t pitch = duet_image_pitch(&copy), run = duet_image_run(&copy);
  size_t offset_bytes = duet_round_up((c->kernel_height + c->kernel_width) * sizeof(int64_t), 64);
  size_t row_bytes = duet_round_up((w->rows * pitch + 64) * es, 64);
  char *memory = duet_scratch(1, offset_bytes + row_bytes + duet_image_bytes(&copy, es));
  int64_t *down = (int64_t *)memory, *right = down + c->kernel_height;
  char *scratch = memory + offset_bytes, *image = scratch + row_bytes;
  for (int64_t a = 0; a < c->kernel_height; a++) down[a] = a * c->dilation_height * pitch;
  for (int64_t b = 0; b < c->kernel_width; b++) {
    int64_t column = b * c->dilation_width;
    right[b] = column % c->stride_width * run + column / c->stride_width;
  }
  int64_t end = (index + 1) * w->planes_per_task;
  for (int64_t p = index * w->planes_per_task; p < planes && p < end; p++)
    for (int64_t i = 0; i < c->out_height; i += w->rows) {
      int64_t rows = c->out_height - i < w->rows ? c->out_height - i : w->rows;
      copy = forward_copy(c, i, rows);
      copy_image(w, &copy, image, (const char *)c->operand[1] + p * c->in_height * c->in_width * es);
      for (int64_t o = 0; o < w->outputs; o++) {
        duet_correlation x = {
          .result = (char *)c->operand[0] +
                    ((p * w->outputs + o) * c->out_height + i) * c->out_width * es,
          .image = image,
          .weight = (const char *)c->operand[2] +
                    (p % c->groups * w->outputs + o) * w->taps * es,
          .row_offset = down,
          .column_offset = right,
          .kernel_rows = c->kernel_height,
          .kernel_columns = c->kernel_width,
          .rows = rows,
          .columns = c->out_width,
          .row = c->stride_height * pitch,
          .result_row = c->out_width};
        correlate(w, x, pitch, scratch);
      }
    }
}

static void run(depthwise_work *w, duet_task task, int64_t planes, double work) {
  w->planes_per_task = at_least_one((int64_t)(TASK_WORK / (work / (double)planes)));
  int64_t tasks = (planes + w->planes_per_task - 1) / w->planes_per_task;
  if (tasks == 1)
    task(w, 0);
  else
    duet_parallel_for(tasks, task, w);
}

static depthwise_work work_of(const duet_conv2d_call *c) {
  return (depthwise_work){.call = c,
                          .kernels = duet_depthwise_kernels_for(c->dtype),
                          .es = (int64_t)duet_dtype_size(c->dtype),
                          .outputs = c->out_channels / c->groups,
                          .taps = c->kernel_height * c->kernel_width};
}

static double work_in(const depthwise_work *w) {
  const duet_conv2d_call *c = w->call;
  return (double)c->batch * c->out_channels * c->out_height * c->out_width * w->taps;
}

void duet_depthwise(const duet_conv2d_call *c, const duet_engine *engine) {
  if (duet_depthwise_prefers_lanes(c)) {
    duet_depthwise_lanes(c, engine);
    return;
  }
  depthwise_work w = work_of(c);
  duet_image_copy copy = forward_copy(c, 0, 1);
  w.rows = at_least_one(BAND_BYTES / (duet_image_pitch(&copy) * w.es * c->stride_height));
  if (w.rows > c->out_height) w.rows = c->out_height;
  run(&w, forward_task, c->batch * c->groups, work_in(&w));
}

// The image of dy, its channels that belong to one input channel one behind the other; then each
// remainder of positions by the stride is a correlation with its own taps.
static void gradient_task(void *context, int64_t index) {
  const depthwise_work *w = context;
  const duet_conv2d_call *c = w->call;
  const duet_phases *phases = w->phases;
  int64_t es = w->es, planes = c->batch * c->groups;
  int64_t columns = phases->horizontal[0].count;
  duet_image_copy copy = {.channels = w->outputs,
                          .height = c->out_height,
                          .width = c->out_width,
                          .rows = w->rows + phases->high_row - phases->low_row,
                          .row_step = 1,
                          .first_column = phases->low_column,
                          .columns = columns + phases->high_column - phases->low_column,
                          .column_step = 1};
  int64_t pitch = duet_image_pitch(&copy), part = duet_round_up(w->rows * columns * es, 64);
  size_t offset_bytes =
    duet_round_up((w->outputs * c->kernel_height + c->kernel_width) * sizeof(int64_t), 64);
  size_t pointer_bytes = duet_round_up(2 * c->stride_width * sizeof(char *), 64);
  size_t row_bytes = duet_round_up((w->rows * pitch + 64) * es, 64);
  char *memory = duet_scratch(1, offset_bytes + pointer_bytes + row_bytes +
                                   c->stride_width * part + duet_image_bytes(&copy, es));
  int64_t *down = (int64_t *)memory, *right = down + w->outputs * c->kernel_height;
  const char **results = (const char **)(memory + offset_bytes), **row = results + c->stride_width;
  char *scratch = memory + offset_bytes + pointer_bytes, *parts = scratch + row_bytes;
  char *image = parts + c->stride_width * part;
  int is_whole = c->stride_height * c->stride_width == 1;

  int64_t end = (index + 1) * w->planes_per_task;
  for (int64_t p = index * w->planes_per_task; p < planes && p < end; p++)
    for (int64_t i = 0; i < phases->vertical[0].count; i += w->rows) {
      copy.first_row = i + phases->low_row;
      const char *dy =
        (const char *)c->operand[1] + p * w->outputs * c->out_height * c->out_width * es;
      char *dx = (char *)c->operand[0] + p * c->in_height * c->in_width * es;
      copy_image(w, &copy, image, dy);
      for (int64_t r = 0; r < c->stride_height; r++) {
        const duet_phase_axis *v = phases->vertical + r;
        int64_t rows = v->count - i < w->rows ? v->count - i : w->rows;
        if (rows <= 0) continue;
        for (int64_t q = 0; q < c->stride_width; q++) {
          const duet_phase_axis *h = phases->horizontal + q;
          int64_t count = v->taps * h->taps;
          results[q] = NULL;
          if (count == 0 || h->count == 0) continue;
          for (int64_t o = 0; o < w->outputs; o++)
            for (int64_t a = 0; a < v->taps; a++)
              down[o * v->taps + a] = (o * copy.rows + v->shift[a] - phases->low_row) * pitch;
          for (int64_t b = 0; b < h->taps; b++) right[b] = h->shift[b] - phases->low_column;
          char *to = is_whole ? dx + i * c->in_width * es : parts + q * part;
          results[q] = to;
          duet_correlation x = {
            .result = to,
            .image = image,
            .weight = w->weight + (phases->first_tap[r * c->stride_width + q] * c->out_channels +
                                   p % c->groups * w->outputs * count) * es,
            .row_offset = down,
            .column_offset = right,
            .kernel_rows = w->outputs * v->taps,
            .kernel_columns = h->taps,
            .rows = rows,
            .columns = h->count,
            .row = pitch,
            .result_row = is_whole ? c->in_width : columns};
          correlate(w, x, pitch, scratch);
        }
        if (is_whole) continue;
        for (int64_t k = 0; k < rows; k++) {
          for (int64_t q = 0; q < c->stride_width; q++)
            row[q] = results[q] ? results[q] + k * columns * es : NULL;
          duet_merge_row(dx + ((i + k) * c->stride_height + r) * c->in_width * es, row,
                         c->stride_width, c->in_width, es);
        }
      }
    }
}

void duet_depthwise_input_gradient(const duet_conv2d_call *c, const duet_engine *engine) {
  if (duet_depthwise_gradient_prefers_lanes(c)) {
    duet_depthwise_lanes_input_gradient(c, engine);
    return;
  }
  depthwise_work w = work_of(c);
  size_t phase_bytes = duet_phase_bytes(c);
  char *memory = duet_scratch(0, phase_bytes + c->out_channels * w.taps * w.es);
  duet_phases phases = duet_make_phases(c, memory);
  w.phases = &phases;
  w.weight = memory + phase_bytes;
  for (int64_t r = 0; r < c->stride_height; r++)
    for (int64_t q = 0; q < c->stride_width; q++) {
      const duet_phase_axis *v = phases.vertical + r, *h = phases.horizontal + q;
      char *to = memory + phase_bytes +
                 phases.first_tap[r * c->stride_width + q] * c->out_channels * w.es;
      for (int64_t o = 0; o < c->out_channels; o++)
        for (int64_t a = 0; a < v->taps; a++)
          for (int64_t b = 0; b < h->taps; b++, to += w.es)
            memcpy(to,
                   (const char *)c->operand[2] +
                     (o * w.taps + v->tap[a] * c->kernel_width + h->tap[b]) * w.es,
                   w.es);
    }
  int64_t pitch = phases.horizontal[0].count + phases.high_column - phases.low_column;
  w.rows = at_least_one(BAND_BYTES / (pitch * w.es * w.outputs));
  if (w.rows > phases.vertical[0].count) w.rows = phases.vertical[0].count;
  run(&w, gradient_task, c->batch * c->groups, work_in(&w));
}
