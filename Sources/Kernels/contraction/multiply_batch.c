// Many products of tiny matrices: a batch of them side by side, one in each lane of a vector, so
// that what a product costs besides its multiply-adds is shared.
#include <string.h>

#include "engine.h"

#pragma STDC FP_CONTRACT OFF

enum {
  MATRIX_BYTES = 256,  // of each matrix: beyond this a product by itself is quick enough
  VECTOR_BYTES = 128,  // of k in products with a vector, likewise
  TINY = MATRIX_BYTES / 4,  // elements at most
  FEWEST = 8,          // products that are worth filling lanes for
  MOST_LANES = 16,
  TASK_WORK = 128 << 10,
  LINE = 64
};

// The matrices of an operand.
typedef struct {
  const char *base;
  int64_t rows, columns, row, column;  // the matrix and its strides in elements
  const int64_t *batch_stride;
  int64_t step;        // from one matrix to the next, if is_even
  int is_even;         // they lie at equal distances
  int is_dense;        // elements of one lie side by side
  int64_t lane_row, lane_column;  // strides of the matrix as lanes
} matrices;

typedef struct {
  const duet_product *p;
  const duet_matmul_call *call;
  int32_t batch_rank;
  int64_t batches, batches_per_task, lanes;
  int64_t storage, result_storage;
  duet_batch shape;
  duet_batch_fn multiply;
  matrices left, right;
} batch_job;

static matrices matrices_of(const char *base, int64_t rows, int64_t columns, int64_t row,
                            int64_t column, const int64_t *batch_stride, const int64_t *batch_shape,
                            int32_t rank) {
  matrices x = {.base = base, .rows = rows, .columns = columns, .row = row, .column = column,
                .batch_stride = batch_stride, .is_even = 1};
  int64_t next = 0, axes = 0;  // the step that the next outer axis has to have
  for (int axis = rank - 1; axis >= 0; axis--) {
    if (batch_shape[axis] == 1) continue;
    if (axes++ == 0) x.step = next = batch_stride[axis];
    if (batch_stride[axis] != next) x.is_even = 0;
    next *= batch_shape[axis];
  }
  int by_rows = (column == 1 || columns == 1) && (row == columns || rows == 1);
  int by_columns = (row == 1 || rows == 1) && (column == rows || columns == 1);
  x.is_dense = by_rows || by_columns;
  x.lane_row = by_rows || !by_columns ? columns : 1;
  x.lane_column = by_rows || !by_columns ? 1 : rows;
  return x;
}

// Element e of matrix l becomes to[e][l], in the type computed in.
static void fill_lanes(const batch_job *job, const matrices *x, char *to, int64_t first,
                       int64_t count) {
  const duet_engine *engine = job->p->engine;
  void (*widen)(void *, const void *, int64_t, int64_t) = job->p->table->widen[job->p->dtype];
  int64_t size = x->rows * x->columns, es = engine->element_size;
  if (count < job->lanes) memset(to, 0, (size_t)(size * LINE));
  int is_in_place = x->is_even && x->is_dense;
  const char *from = x->base + first * x->step * job->storage;
  if (!widen && is_in_place) {
    engine->pack(to, job->lanes, from, count, size, x->step, 1);
    return;
  }
  _Alignas(64) char wide[TINY * LINE];
  if (is_in_place && x->step == size) {
    widen(wide, from, count * size, 1);
  } else {
    for (int64_t l = 0; l < count; l++) {
      int64_t at = 0, batch = first + l;
      for (int axis = job->batch_rank - 1; axis >= 0; axis--) {
        at += batch % job->call->batch_shape[axis] * x->batch_stride[axis];
        batch /= job->call->batch_shape[axis];
      }
      for (int64_t i = 0; i < x->rows; i++) {
        const char *row = x->base + (at + i * x->row) * job->storage;
        char *wide_row = wide + (l * size + i * x->lane_row) * es;
        if (widen && x->lane_column == 1)
          widen(wide_row, row, x->columns, x->column);
        else
          for (int64_t j = 0; j < x->columns; j++) {
            const char *element = row + j * x->column * job->storage;
            char *wide_element = wide_row + j * x->lane_column * es;
            if (widen)
              widen(wide_element, element, 1, 1);
            else if (es == 4)
              memcpy(wide_element, element, 4);
            else
              memcpy(wide_element, element, 8);
          }
      }
    }
  }
  engine->pack(to, job->lanes, wide, count, size, size, 1);
}

static void batch_task(void *context, int64_t task) {
  const batch_job *job = context;
  const duet_product *p = job->p;
  const duet_engine *engine = p->engine;
  void (*narrow)(void *, const void *, int64_t) = p->table->narrow[p->result_dtype];
  int64_t size = p->m * p->n, es = engine->element_size;
  int64_t begin = task * job->batches_per_task, end = begin + job->batches_per_task;
  if (end > job->batches) end = job->batches;
  // Packing overwrites up to eight elements behind what it makes.
  _Alignas(64) char a[TINY * LINE + LINE], b[TINY * LINE + LINE], c[TINY * LINE];
  _Alignas(64) char rows[TINY * LINE + LINE];
  for (int64_t first = begin; first < end; first += job->lanes) {
    int64_t count = end - first < job->lanes ? end - first : job->lanes;
    fill_lanes(job, &job->left, a, first, count);
    fill_lanes(job, &job->right, b, first, count);
    job->multiply(c, a, b, &job->shape);
    const char *made = c;
    if (size > 1) {
      engine->pack(rows, size, c, size, job->lanes, job->lanes, 1);
      made = rows;
    }
    char *to = p->c + first * size * job->result_storage;
    if (narrow)
      narrow(to, made, count * size);
    else
      memcpy(to, made, (size_t)(count * size * es));
  }
  if (!p->bias) return;
  duet_product all = *p;
  all.c = p->c + begin * size * job->result_storage;
  duet_add_bias(&all, 0, (end - begin) * p->m, 0, p->n);
}

int duet_multiply_batch(const duet_product *p, const duet_matmul_call *call, int32_t batch_rank,
                        int64_t batches, int with_vector) {
  int64_t es = p->engine->element_size, most = MATRIX_BYTES / es;
  if (batches < FEWEST || p->k == 0 || p->m * p->k > most || p->k * p->n > most ||
      p->m * p->n > most || (with_vector && p->k * es > VECTOR_BYTES))
    return 0;
  batch_job job = {.p = p, .call = call, .batch_rank = batch_rank, .batches = batches,
                   .lanes = LINE / es,
                   .storage = (int64_t)duet_dtype_size(p->dtype),
                   .result_storage = (int64_t)duet_dtype_size(p->result_dtype)};
  job.multiply = with_vector ? p->engine->batch_with_vector : p->engine->batch;
  job.left = matrices_of(p->a, p->m, p->k, p->a_row, p->a_k, call->left_batch_stride,
                         call->batch_shape, batch_rank);
  job.right = matrices_of(p->b, p->k, p->n, p->b_k, p->b_column, call->right_batch_stride,
                          call->batch_shape, batch_rank);
  job.shape = (duet_batch){.m = p->m, .n = p->n, .k = p->k,
                           .a_row = job.left.lane_row, .a_k = job.left.lane_column,
                           .b_k = job.right.lane_row, .b_column = job.right.lane_column};
  int64_t work = p->m * p->k + p->k * p->n + p->m * p->n + p->m * p->k * p->n / 4;
  job.batches_per_task = (int64_t)duet_round_up(TASK_WORK / work, MOST_LANES);
  int64_t tasks = (batches + job.batches_per_task - 1) / job.batches_per_task;
  if (tasks == 1)
    batch_task(&job, 0);
  else
    duet_parallel_for(tasks, batch_task, &job);
  return 1;
}
