// Cross entropy of labels: which labels are valid, the grid, losses and their mean or sum.
#include "half.h"

#pragma STDC FP_CONTRACT OFF

enum { TASK = 32768, WIDTH = 16, SHORT = 64 };

typedef struct {
  const duet_cross_entropy_call *call;
  const duet_class_loops *loops;
  duet_number_format format;
  const void *weights;      // of 16-bit floats the float32 copies; or NULL
  double all_weights;       // their sum
  int64_t rows;             // outer × inner
  int64_t width, groups;    // rows or positions side by side; groups of an outer index
  int64_t units, batch;
  int is_gradient;
  char *losses, *shares;    // [rows]; shares: what each counts for in a mean, where there are weights
  const char *cotangent;    // [1] or [rows], as computed in
  double scale;             // of the cotangent: 1 over what a mean is over
} loss_job;

static int64_t label_at(const duet_cross_entropy_call *c, int64_t row) {
  return c->label_dtype == DUET_INT32 ? ((const int32_t *)c->operand[2])[row]
                                      : ((const int64_t *)c->operand[2])[row];
}

static int is_ignored(const duet_cross_entropy_call *c, int64_t label) {
  return c->ignores && label == c->ignored;
}

// Counts the labels that are not ignored; the first that is no class fails.
static duet_status check_labels(const duet_cross_entropy_call *c, int64_t rows, int64_t *counted) {
  int64_t count = 0, wrong = 0;
#define COUNT(type)                                                              \
  {                                                                              \
    const type *labels = c->operand[2];                                          \
    for (int64_t row = 0; row < rows; row++) {                                   \
      int64_t label = labels[row], counts = !is_ignored(c, label);               \
      count += counts;                                                           \
      wrong += counts & ((uint64_t)label >= (uint64_t)c->classes);               \
    }                                                                            \
  }
  if (c->label_dtype == DUET_INT32)
    COUNT(int32_t)
  else
    COUNT(int64_t)
#undef COUNT
  *counted = count;
  for (int64_t row = 0; wrong && row < rows; row++) {
    int64_t label = label_at(c, row);
    if (!is_ignored(c, label) && (label < 0 || label >= c->classes))
      return duet_fail(DUET_INDEX_OUT_OF_RANGE, label, c->classes);
  }
  return DUET_OK;
}

static double weight(const loss_job *job, int64_t label) {
  return job->weights ? duet_number(&job->format, job->weights, label) : 1;
}

// Where the score of a row for a class lies.
static int64_t score_at(const loss_job *job, int64_t row, int64_t label) {
  const duet_cross_entropy_call *c = job->call;
  return (row / c->inner * c->classes + label) * c->inner + row % c->inner;
}

// Scratch of a task, in numbers of the type computed in.
typedef struct {
  _Alignas(64) double a[WIDTH], b[WIDTH], c[WIDTH];
  char *wide;  // of 16-bit floats: rows [16, classes], or positions [classes, 16]
} loss_space;

// The losses of up to sixteen rows from the maxima, logarithms and even sums in `space`. The score
// of the k-th row for a label lies at k row_step + label class_step of `scores`.
static void put_losses(const loss_job *job, int64_t row, int64_t count, const void *scores,
                       int64_t row_step, int64_t class_step, const loss_space *space) {
  const duet_cross_entropy_call *c = job->call;
  const duet_number_format *f = &job->format;
  double smoothing = c->smoothing, rest = 1 - smoothing, each = smoothing / (double)c->classes;
  for (int64_t k = 0; k < count; k++) {
    int64_t label = label_at(c, row + k);
    double loss = 0, share = 0;
    if (!is_ignored(c, label)) {
      double score = duet_number(f, scores, k * row_step + label * class_step);
      double log_sum = duet_number(f, space->b, k);
      share = weight(job, label);
      loss = share * (log_sum - (score - duet_number(f, space->a, k)));
      if (smoothing != 0)
        loss = rest * loss + each * (job->all_weights * log_sum - duet_number(f, space->c, k));
    }
    duet_put(f, job->losses, row + k, loss);
    if (job->shares) duet_put(f, job->shares, row + k, share);
  }
}

// Of log-probabilities.
static void put_picked_loss(const loss_job *job, int64_t row) {
  const duet_cross_entropy_call *c = job->call;
  int64_t label = label_at(c, row);
  double loss = 0, share = 0;
  if (!is_ignored(c, label)) {
    double score = duet_element(&job->format, c->operand[1], score_at(job, row, label));
    share = weight(job, label);
    loss = -(share * score);
  }
  duet_put(&job->format, job->losses, row, loss);
  if (job->shares) duet_put(&job->format, job->shares, row, share);
}

// What the gradient of a row is made of: factor times the probabilities, less `even` times the weights,
// less `own` at the label.
static void row_factors(const loss_job *job, int64_t row, double *factor, double *even,
                        double *own) {
  const duet_cross_entropy_call *c = job->call;
  int64_t label = label_at(c, row);
  *factor = *even = *own = 0;
  if (is_ignored(c, label)) return;
  int64_t i = c->reduction == DUET_EACH_LOSS ? row : 0;
  double g = duet_number(&job->format, job->cotangent, i) * job->scale, w = weight(job, label);
  *own = g * w * (1 - c->smoothing);
  *even = g * (c->smoothing / (double)c->classes);
  *factor = *own + *even * job->all_weights;
}

static void subtract_at_label(const loss_job *job, void *dx, int64_t at, double own) {
  duet_put(&job->format, dx, at, duet_number(&job->format, dx, at) - own);
}

// The log-probabilities' gradient is nothing but the weights at the labels.
static void run_picks(const loss_job *job, int64_t outer) {
  const duet_cross_entropy_call *c = job->call;
  int64_t size = c->classes * c->inner;
  memset((char *)c->operand[0] + outer * size * job->format.element, 0,
         (size_t)(size * job->format.element));
  for (int64_t row = outer * c->inner; row < (outer + 1) * c->inner; row++) {
    double factor, even, own;
    row_factors(job, row, &factor, &even, &own);
    if (is_ignored(c, label_at(c, row))) continue;
    int64_t at = score_at(job, row, label_at(c, row));
    if (!job->format.is_half) {
      duet_put(&job->format, c->operand[0], at, -own);
      continue;
    }
    float wide = (float)-own;
    job->format.narrow((char *)c->operand[0] + at * 2, &wide, 1);
  }
}

// Up to sixteen rows that lie one behind the other.
static void run_rows(const loss_job *job, int64_t row, int64_t count, loss_space *space) {
  const duet_cross_entropy_call *c = job->call;
  const duet_number_format *f = &job->format;
  int64_t at = row * c->classes * f->element;
  const char *x = (const char *)c->operand[1] + at;
  char *to = (char *)c->operand[0] + at, *dx = to;
  int smooth = c->smoothing != 0;
  if (f->is_half) {
    f->widen(space->wide, x, 2, count * c->classes);
    x = dx = space->wide;
  }
  if (!job->is_gradient) {
    job->loops->sums(space->a, space->b, smooth ? space->c : NULL, x, job->weights, count,
                     c->classes);
    put_losses(job, row, count, x, c->classes, 1, space);
    return;
  }
  double own[WIDTH];
  for (int64_t k = 0; k < count; k++) {
    double factor, even;
    row_factors(job, row + k, &factor, &even, own + k);
    duet_put(f, space->a, k, factor);
    duet_put(f, space->b, k, even);
  }
  job->loops->gradient(dx, x, space->a, smooth ? space->b : NULL, job->weights, count, c->classes);
  for (int64_t k = 0; k < count; k++)
    if (!is_ignored(c, label_at(c, row + k)))
      subtract_at_label(job, dx, k * c->classes + label_at(c, row + k), own[k]);
  if (f->is_half) f->narrow(to, dx, count * c->classes);
}

// Up to sixteen neighbouring positions.
static void run_positions(const loss_job *job, int64_t unit, loss_space *space) {
  const duet_cross_entropy_call *c = job->call;
  const duet_number_format *f = &job->format;
  int64_t outer = unit / job->groups, position = unit % job->groups * WIDTH;
  int64_t width = duet_least(WIDTH, c->inner - position), row = outer * c->inner + position;
  int64_t at = (outer * c->classes * c->inner + position) * f->element, stride = c->inner;
  const char *x = (const char *)c->operand[1] + at;
  char *to = (char *)c->operand[0] + at, *dx = to;
  int smooth = c->smoothing != 0;
  if (f->is_half) {
    for (int64_t k = 0; k < c->classes; k++)
      f->widen(space->wide + k * WIDTH * 4, x + k * c->inner * 2, 2, width);
    x = dx = space->wide;
    stride = WIDTH;
  }
  if (!job->is_gradient) {
    job->loops->column_sums(space->a, space->b, smooth ? space->c : NULL, x, job->weights, stride,
                            width, c->classes);
    put_losses(job, row, width, x, 1, stride, space);
    return;
  }
  double own[WIDTH];
  memset(space->a, 0, sizeof space->a);
  memset(space->b, 0, sizeof space->b);
  for (int64_t k = 0; k < width; k++) {
    double factor, even;
    row_factors(job, row + k, &factor, &even, own + k);
    duet_put(f, space->a, k, factor);
    duet_put(f, space->b, k, even);
  }
  job->loops->column_gradient(dx, x, space->a, smooth ? space->b : NULL, job->weights, stride,
                              width, c->classes);
  for (int64_t k = 0; k < width; k++)
    if (!is_ignored(c, label_at(c, row + k)))
      subtract_at_label(job, dx, label_at(c, row + k) * stride + k, own[k]);
  if (!f->is_half) return;
  for (int64_t k = 0; k < c->classes; k++)
    f->narrow(to + k * c->inner * 2, dx + k * WIDTH * 4, width);
}

static void run(void *context, int64_t task) {
  const loss_job *job = context;
  const duet_cross_entropy_call *c = job->call;
  int64_t first = task * job->batch, last = duet_least(first + job->batch, job->units);
  if (c->are_log_probabilities) {
    for (int64_t unit = first; unit < last; unit++) {
      if (job->is_gradient)
        run_picks(job, unit);
      else
        put_picked_loss(job, unit);
    }
    return;
  }
  loss_space space;
  space.wide = job->format.is_half ? duet_scratch(c->classes * job->width * 4) : NULL;
  if (c->inner == 1) {
    for (int64_t row = first; row < last; row += job->width)
      run_rows(job, row, duet_least(job->width, last - row), &space);
  } else {
    for (int64_t unit = first; unit < last; unit++) run_positions(job, unit, &space);
  }
  free(space.wide);
}

static void start(loss_job *job) {
  const duet_cross_entropy_call *c = job->call;
  int64_t work = c->classes;  // of a unit
  if (c->are_log_probabilities) {
    job->units = job->is_gradient ? c->outer : job->rows;
    work = job->is_gradient ? c->classes * c->inner : 1;
  } else if (c->inner == 1) {
    job->units = job->rows;
    // A row of many classes is dealt with by itself, while it is in the nearest cache; but the
    // logarithms of several are taken together.
    int is_long = c->classes >= SHORT && (job->is_gradient || job->format.is_half);
    job->width = is_long ? 1 : WIDTH;
  } else {
    job->width = WIDTH;
    job->groups = (c->inner + WIDTH - 1) / WIDTH;
    job->units = c->outer * job->groups;
    work *= WIDTH;
  }
  job->batch = duet_most(1, TASK / work);
  int64_t tasks = (job->units + job->batch - 1) / job->batch;
  if (tasks == 1)
    run(job, 0);
  else
    duet_parallel_for(tasks, run, job);
}

static double sum_of(const loss_job *job, const char *values) {
  double result[1];
  duet_reduced_type type = job->format.is_double ? DUET_IN_FLOAT64 : DUET_IN_FLOAT32;
  if (job->rows == 0) return 0;
  duet_current_reductions()->reducer[type][0].rows(result, values, 0, 1, job->rows);
  return duet_number(&job->format, result, 0);
}

static void put_results(const loss_job *job, const void *values, int64_t count) {
  if (job->format.is_half)
    job->format.narrow(job->call->operand[0], values, count);
  else
    memcpy(job->call->operand[0], values, (size_t)(count * job->format.wide));
}

// Of 16-bit floats a float32 copy, which belongs to the caller.
static const char *widened(const loss_job *job, const void *from, int64_t count, char **owned) {
  *owned = NULL;
  if (!job->format.is_half) return from;
  *owned = duet_scratch(count * 4 + 64);
  job->format.widen(*owned, from, 2, count);
  return *owned;
}

static duet_status open_job(loss_job *job, const duet_cross_entropy_call *call, int64_t *counted) {
  *job = (loss_job){.call = call, .format = duet_number_format_of(call->dtype)};
  job->loops = &duet_current_normalizations()->classes[job->format.is_double];
  job->rows = call->outer * call->inner;
  return check_labels(call, job->rows, counted);
}

static void take_weights(loss_job *job, const void *weights, char **owned) {
  const duet_cross_entropy_call *c = job->call;
  *owned = NULL;
  job->all_weights = (double)c->classes;
  if (!c->has_weights) return;
  job->weights = widened(job, weights, c->classes, owned);
  job->all_weights = 0;
  for (int64_t k = 0; k < c->classes; k++)
    job->all_weights += duet_number(&job->format, job->weights, k);
}

duet_status duet_cross_entropy(const void *block) {
  const duet_cross_entropy_call *call = block;
  loss_job job;
  int64_t counted;
  duet_status status = open_job(&job, call, &counted);
  if (status != DUET_OK) return status;
  int is_each = call->reduction == DUET_EACH_LOSS;
  if (is_each && job.rows == 0) return DUET_OK;
  char *owned;
  take_weights(&job, call->operand[3], &owned);
  char *memory = duet_scratch(2 * job.rows * job.format.wide);
  job.losses = memory;
  if (call->reduction == DUET_MEAN_LOSS && call->has_weights)
    job.shares = memory + job.rows * job.format.wide;
  if (job.rows > 0) start(&job);
  if (is_each) {
    put_results(&job, job.losses, job.rows);
  } else {
    double sum = sum_of(&job, job.losses), result[1];
    if (call->reduction == DUET_MEAN_LOSS)
      sum /= job.shares ? sum_of(&job, job.shares) : (double)counted;
    duet_put(&job.format, result, 0, sum);
    put_results(&job, result, 1);
  }
  free(memory);
  free(owned);
  return DUET_OK;
}

// What a mean is over.
static double mean_size(loss_job *job, int64_t counted) {
  const duet_cross_entropy_call *c = job->call;
  if (!job->weights) return (double)counted;
  job->shares = duet_scratch(job->rows * job->format.wide);
  for (int64_t row = 0; row < job->rows; row++) {
    int64_t label = label_at(c, row);
    duet_put(&job->format, job->shares, row, is_ignored(c, label) ? 0 : weight(job, label));
  }
  double size = sum_of(job, job->shares);
  free(job->shares);
  return size;
}

duet_status duet_cross_entropy_gradient(const void *block) {
  const duet_cross_entropy_call *call = block;
  loss_job job;
  int64_t counted;
  duet_status status = open_job(&job, call, &counted);
  if (status != DUET_OK || job.rows == 0 || call->classes == 0) return status;
  char *owned, *cotangent;
  job.is_gradient = 1;
  take_weights(&job, call->operand[4], &owned);
  job.cotangent = widened(&job, call->operand[3],
                          call->reduction == DUET_EACH_LOSS ? job.rows : 1, &cotangent);
  job.scale = call->reduction == DUET_MEAN_LOSS ? 1 / mean_size(&job, counted) : 1;
  start(&job);
  free(cotangent);
  free(owned);
  return DUET_OK;
}
