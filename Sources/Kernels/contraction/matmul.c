// The matmul kernel: batches, the task grid, and products with a vector.
#include "engine.h"

#pragma STDC FP_CONTRACT OFF

enum {
  TASK_WORK = 2 << 20,   // multiply-adds that are worth a task
  LARGE_WORK = 32 << 20, // multiply-adds from which packed operands are shared by the tasks
  LARGE_SIDE = 128,      // and the least m, n and k for that
  IN_PLACE_WORK = 144 << 20,  // up to which right operands that can be read in place are not packed for all
  TASKS = 12,            // beyond this a product is split only to bound its parts
  PART_ROWS = 1024,      // bounds of a part: its packed operands stay in the last-level cache
  PART_COLUMNS = 1024,
  LONG_ROW = 1024,       // columns that are read from memory at full speed
  STRIP_COLUMNS = 4096,  // of a right operand that few rows meet
  LEAST_STRIP = 2048,    // but two of LONG_ROW are enough for sweeps
  SHARED_BYTES = 4 << 20,  // of a left operand of few rows, packed once for all tasks:
  SHORT_STRIP = 128,     // columns of the right one that are a task's then, if there are FEW_STRIPS of them;
  FEW_STRIPS = 8,        // more are twice as wide
  VECTOR_WORK = 64 << 10, // elements of a matrix that are worth a task
  FETCHED_BYTES = 256 << 10 // of a product in a batch: the next one fits beside it
};

typedef struct {
  const duet_matmul_call *call;
  const duet_contraction_table *table;
  const duet_engine *engine;
  int64_t batches, batches_per_task;
  int64_t m, m_parts, n_parts;  // m with the batch axes that were merged into it
  const char *a_panels;         // NULL, or the left operand, packed for all tasks
  int32_t batch_rank;
  int64_t es, rs;  // bytes of an operand's element and of a result's
} matmul_work;

// Element offsets of the operands of a batch.
static void locate(const matmul_work *w, int64_t batch, const char **left, const char **right) {
  const duet_matmul_call *call = w->call;
  int64_t l = 0, r = 0;
  for (int axis = w->batch_rank - 1; axis >= 0; axis--) {
    int64_t i = batch % call->batch_shape[axis];
    batch /= call->batch_shape[axis];
    l += i * call->left_batch_stride[axis];
    r += i * call->right_batch_stride[axis];
  }
  *left = (const char *)call->operand[1] + l * w->es;
  *right = (const char *)call->operand[2] + r * w->es;
}

static duet_product product_of(const matmul_work *w) {
  const duet_matmul_call *call = w->call;
  return (duet_product){.table = w->table,
                        .engine = w->engine,
                        .dtype = call->dtype,
                        .result_dtype = call->result_dtype,
                        .m = w->m,
                        .n = call->n,
                        .k = call->k,
                        .a_row = call->left_stride[0],
                        .a_k = call->left_stride[1],
                        .b_k = call->right_stride[0],
                        .b_column = call->right_stride[1],
                        .c_row = call->n,
                        .c_column = 1,
                        .bias = call->has_bias ? call->operand[3] : NULL,
                        .bias_step = call->bias_stride,
                        .a_panels = w->a_panels};
}

static int is_dense(const int64_t stride[2], int64_t rows, int64_t columns) {
  return (stride[1] == 1 && stride[0] == columns) || (stride[0] == 1 && stride[1] == rows);
}

static void matrix_task(void *context, int64_t index) {
  const matmul_work *w = context;
  const duet_matmul_call *call = w->call;
  int64_t j = index % w->n_parts, i = index / w->n_parts % w->m_parts;
  int64_t first = index / (w->n_parts * w->m_parts) * w->batches_per_task;
  int64_t last = first + w->batches_per_task;
  if (last > w->batches) last = w->batches;
  // Columns are split in whole panels of any engine.
  duet_parts n_split = duet_split((call->n + 31) / 32,
                                  ((call->n + 31) / 32 + w->n_parts - 1) / w->n_parts);
  duet_parts m_split = duet_split(w->m, (w->m + w->m_parts - 1) / w->m_parts);
  if (i >= m_split.count || j >= n_split.count) return;
  int64_t m0 = duet_part_begin(m_split, i), m1 = duet_part_begin(m_split, i + 1);
  int64_t n0 = duet_part_begin(n_split, j) * 32, n1 = duet_part_begin(n_split, j + 1) * 32;
  if (n1 > call->n) n1 = call->n;

  duet_product p = product_of(w);
  p.m = m1 - m0;
  p.n = n1 - n0;
  if (p.bias) p.bias += n0 * p.bias_step * w->rs;
  int64_t product_bytes = (w->m * call->k + call->k * call->n) * w->es + w->m * call->n * w->rs;
  int is_whole = w->m_parts * w->n_parts == 1 && product_bytes <= FETCHED_BYTES &&
                 is_dense(call->left_stride, w->m, call->k) &&
                 is_dense(call->right_stride, call->k, call->n);
  for (int64_t batch = first; batch < last; batch++) {
    const char *left, *right;
    if (is_whole && batch + 1 < w->batches) {
      locate(w, batch + 1, &p.next[0], &p.next[1]);
      p.next[2] = (const char *)call->operand[0] + (batch + 1) * w->m * call->n * w->rs;
    } else {
      p.next[0] = NULL;
    }
    locate(w, batch, &left, &right);
    p.a = left + m0 * p.a_row * w->es;
    p.b = right + n0 * p.b_column * w->es;
    p.c = (char *)call->operand[0] + ((batch * w->m + m0) * call->n + n0) * w->rs;
    duet_multiply(&p);
  }
}

static duet_status multiply_matrices(matmul_work *w) {
  const duet_matmul_call *call = w->call;
  // Rows of several batches that meet the same right operand are rows of one product.
  while (w->batch_rank > 0 && call->right_batch_stride[w->batch_rank - 1] == 0 &&
         (call->left_batch_stride[w->batch_rank - 1] == w->m * call->left_stride[0] ||
          call->batch_shape[w->batch_rank - 1] == 1)) {
    w->m *= call->batch_shape[w->batch_rank - 1];
    w->batch_rank--;
  }
  w->batches = 1;
  for (int axis = 0; axis < w->batch_rank; axis++) w->batches *= call->batch_shape[axis];
  if (w->batches == 0 || w->m == 0 || call->n == 0) return DUET_OK;

  duet_product first = product_of(w);
  first.a = call->operand[1], first.b = call->operand[2], first.c = call->operand[0];
  if (duet_multiply_batch(&first, call, w->batch_rank, w->batches, 0)) return DUET_OK;

  double each = (double)w->m * call->n * call->k;
  int is_in_place = each < IN_PLACE_WORK && call->right_stride[1] == 1 &&
                    call->k * call->n * w->es <= w->engine->in_place;
  // Short tiles read rows that cross lines, or compete for the sets of a cache, more slowly than packed ones.
  int64_t row_bytes = call->right_stride[0] * w->es;
  if (w->engine->in_place_mode == DUET_TILE_STRIDED && (row_bytes % 64 != 0 || row_bytes % 512 == 0)) is_in_place = 0;
  duet_product whole = product_of(w);
  const int shares_left = w->batches == 1 && call->n >= FEW_STRIPS * SHORT_STRIP && duet_streams_in_parts(&whole) &&
                          duet_streamed_bytes(&whole) <= SHARED_BYTES;
  int is_large = each >= LARGE_WORK && w->m >= LARGE_SIDE && call->n >= LARGE_SIDE && call->k >= LARGE_SIDE;
  if (is_large && !is_in_place && !shares_left && !w->table->widen[call->dtype]) {
    for (int64_t batch = 0; batch < w->batches; batch++) {
      duet_product p = product_of(w);
      locate(w, batch, &p.a, &p.b);
      p.c = (char *)call->operand[0] + batch * w->m * call->n * w->rs;
      duet_multiply_large(&p);
    }
    return DUET_OK;
  }
  w->batches_per_task = each >= TASK_WORK ? 1 : (int64_t)(TASK_WORK / (each < 1 ? 1 : each)) + 1;
  int64_t groups = (w->batches + w->batches_per_task - 1) / w->batches_per_task;
  w->m_parts = (w->m + PART_ROWS - 1) / PART_ROWS;
  int sweeps = duet_sweeps(&whole), is_swept = sweeps && duet_streams(&whole);
  int is_skinny = sweeps ? is_swept : w->m <= 2 * DUET_TILE_ROWS || shares_left;
  int64_t most_columns = is_skinny ? STRIP_COLUMNS : PART_COLUMNS;
  w->n_parts = (call->n + most_columns - 1) / most_columns;
  if (each >= 2 * TASK_WORK)
    while (groups * w->m_parts * w->n_parts < TASKS &&
           each / ((double)w->m_parts * w->n_parts) >= 2 * TASK_WORK) {
      int64_t rows = w->m / w->m_parts, columns = call->n / w->n_parts;
      int64_t strip = shares_left                     ? w->n_parts < FEW_STRIPS ? SHORT_STRIP : 2 * SHORT_STRIP
                      : is_swept && w->n_parts == 1 ? LONG_ROW
                                                    : LEAST_STRIP;
      if (is_skinny && columns >= 2 * strip)
        w->n_parts *= 2;
      else if (!is_skinny && columns >= rows && columns >= 64)
        w->n_parts++;
      else if (!is_swept && !shares_left && rows >= 2 * DUET_TILE_ROWS)
        w->m_parts++;
      else
        break;
    }
  if (shares_left) {
    locate(w, 0, &whole.a, &whole.b);
    char *panels = duet_scratch(0, duet_streamed_bytes(&whole));
    duet_pack_streamed(&whole, panels);
    w->a_panels = panels;
  }
  int64_t tasks = groups * w->m_parts * w->n_parts;
  if (tasks == 1)
    matrix_task(w, 0);
  else
    duet_parallel_for(tasks, matrix_task, w);
  return DUET_OK;
}

// A matrix and a vector: the matrix is left [rows, k], or right [k, rows] seen from its columns.
typedef struct {
  matmul_work *work;
  int64_t rows, rows_per_task, parts;
  int64_t row_stride, k_stride, vector_stride;
  int matrix_is_left;
} vector_work;

static void vector_task(void *context, int64_t index) {
  const vector_work *v = context;
  const matmul_work *w = v->work;
  const duet_engine *engine = w->engine;
  void (*widen)(void *, const void *, int64_t, int64_t) = w->table->widen[w->call->dtype];
  void (*narrow)(void *, const void *, int64_t) = w->table->narrow[w->call->result_dtype];
  int64_t batch = index / v->parts, begin = index % v->parts * v->rows_per_task;
  int64_t rows = v->rows - begin < v->rows_per_task ? v->rows - begin : v->rows_per_task;
  int64_t k = w->call->k, es = engine->element_size, storage = w->es;
  const char *left, *right;
  locate(w, batch, &left, &right);
  const char *matrix = (v->matrix_is_left ? left : right) + begin * v->row_stride * storage;
  const char *vector = v->matrix_is_left ? right : left;
  char *result = (char *)w->call->operand[0] + (batch * v->rows + begin) * w->rs;

  // Rows of the matrix are copied, 16 at a time, where they are neither contiguous along k nor next
  // to each other, or are stored in a narrower type.
  int in_place = !widen && (v->k_stride == 1 || v->row_stride == 1);
  size_t vector_bytes = duet_round_up(k * es, 64);
  size_t lanes_bytes = (size_t)16 * (rows + 64) * es;
  size_t copy_bytes = in_place ? 0 : (16 * k + 16) * es;
  char *x = duet_scratch(1, vector_bytes + lanes_bytes + duet_round_up(copy_bytes, 64) + 16 * es);
  char *lanes = x + vector_bytes, *copy = lanes + lanes_bytes;
  char *wide_result = copy + duet_round_up(copy_bytes, 64);
  if (widen)
    widen(x, vector, k, v->vector_stride);
  else if (v->vector_stride != 1)
    engine->pack(x, 1, vector, 1, k, 0, v->vector_stride);
  else
    x = (char *)vector;

  if (in_place) engine->matvec(result, matrix, x, rows, k, v->row_stride, v->k_stride, lanes);
  for (int64_t i = 0; i < rows && !in_place; i += 16) {
    int64_t count = rows - i < 16 ? rows - i : 16, row_stride = 1, k_stride = 16;
    const char *from = matrix + i * v->row_stride * storage;
    if (!widen) {
      engine->pack(copy, 16, from, count, k, v->row_stride, v->k_stride);
    } else if (v->k_stride == 1) {
      for (int64_t r = 0; r < count; r++) widen(copy + r * k * es,
                                                from + r * v->row_stride * storage, k, 1);
      row_stride = k;
      k_stride = 1;
    } else {
      for (int64_t p = 0; p < k; p++)
        widen(copy + p * 16 * es, from + p * v->k_stride * storage, count, v->row_stride);
    }
    char *to = narrow ? wide_result : result + i * es;
    engine->matvec(to, copy, x, count, k, row_stride, k_stride, lanes);
    if (narrow) narrow(result + i * w->rs, wide_result, count);
  }
  if (w->call->has_bias) {
    // The result is a part of one row, or of the only column.
    duet_product p = product_of(w);
    p.c = result;
    if (!v->matrix_is_left) p.bias += begin * p.bias_step * w->rs;
    duet_add_bias(&p, 0, v->matrix_is_left ? rows : 1, 0, v->matrix_is_left ? 1 : rows);
  }
}

static duet_status multiply_vector(matmul_work *w) {
  const duet_matmul_call *call = w->call;
  int matrix_is_left = call->n == 1;
  vector_work v = {.work = w, .matrix_is_left = matrix_is_left};
  v.rows = matrix_is_left ? call->m : call->n;
  v.row_stride = matrix_is_left ? call->left_stride[0] : call->right_stride[1];
  v.k_stride = matrix_is_left ? call->left_stride[1] : call->right_stride[0];
  v.vector_stride = matrix_is_left ? call->right_stride[0] : call->left_stride[1];
  w->batches = 1;
  for (int axis = 0; axis < w->batch_rank; axis++) w->batches *= call->batch_shape[axis];
  if (w->batches == 0 || v.rows == 0) return DUET_OK;

  duet_product first = product_of(w);
  first.a = call->operand[1], first.b = call->operand[2], first.c = call->operand[0];
  if (duet_multiply_batch(&first, call, w->batch_rank, w->batches, 1)) return DUET_OK;

  int64_t wanted = v.rows * call->k / VECTOR_WORK + 1;
  if (wanted > 64) wanted = 64;
  // Where rows lie next to each other a task takes whole pages of them.
  v.rows_per_task =
    (int64_t)duet_round_up((v.rows + wanted - 1) / wanted, v.row_stride == 1 ? LONG_ROW : 64);
  v.parts = (v.rows + v.rows_per_task - 1) / v.rows_per_task;
  int64_t tasks = w->batches * v.parts;
  if (tasks * v.rows_per_task * call->k < VECTOR_WORK)
    for (int64_t i = 0; i < tasks; i++) vector_task(&v, i);
  else if (tasks == 1)
    vector_task(&v, 0);
  else
    duet_parallel_for(tasks, vector_task, &v);
  return DUET_OK;
}

duet_status duet_matmul(const void *argument) {
  const duet_matmul_call *call = argument;
  const duet_contraction_table *table = duet_contractions();
  matmul_work w = {.call = call,
                   .table = table,
                   .engine = table->engine[duet_compute_type(call->dtype)],
                   .m = call->m,
                   .batch_rank = call->batch_rank,
                   .es = (int64_t)duet_dtype_size(call->dtype),
                   .rs = (int64_t)duet_dtype_size(call->result_dtype)};
  if (w.engine->matvec && call->vector) return multiply_vector(&w);
  return multiply_matrices(&w);
}
