#include "duet_isa.h"
#include "loops.h"
#include "stream.h"

#if defined(__x86_64__)
#define TABLES(name) \
  {[DUET_SCALAR] = name##_scalar, [DUET_AVX2] = name##_avx2, [DUET_AVX512] = name##_avx512}
#elif defined(__aarch64__)
#define TABLES(name) {[DUET_SCALAR] = name##_scalar, [DUET_NEON] = name##_neon}
#else
#define TABLES(name) {[DUET_SCALAR] = name##_scalar}
#endif

static const duet_loops *const integer_loops[DUET_ISA_COUNT] = TABLES(duet_integer_loops);
static const duet_loops *const real_loops[DUET_ISA_COUNT] = TABLES(duet_real_loops);
static const duet_conversions *const conversions[DUET_ISA_COUNT] = TABLES(&duet_conversions);

static inline const duet_loops *loops_of(duet_dtype dtype) {
  duet_isa isa = duet_current_isa();
  return dtype >= DUET_FLOAT16 ? real_loops[isa] + (dtype - DUET_FLOAT16)
                               : integer_loops[isa] + dtype;
}

duet_loop duet_unary_loop(duet_unary op, duet_dtype dtype) { return loops_of(dtype)->unary[op]; }

duet_loop duet_binary_loop(duet_binary op, duet_dtype dtype) {
  return loops_of(dtype)->binary[op];
}

duet_loop duet_comparison_loop(duet_comparison op, duet_dtype dtype) {
  return loops_of(dtype)->comparison[op];
}

duet_loop duet_cast_loop(duet_dtype from, duet_dtype to) {
  return conversions[duet_current_isa()]->cast[from][to];
}

duet_loop duet_select_loop(duet_dtype dtype) {
  return conversions[duet_current_isa()]->select[__builtin_ctz((unsigned)duet_dtype_size(dtype))];
}

void duet_elementwise_coalesce(duet_elementwise_call *call) {
  int32_t kept = 0;  // axes written back so far
  for (int32_t axis = 0; axis < call->rank; axis++) {
    int64_t size = call->shape[axis];
    if (size == 1) continue;
    int merges = kept > 0;
    for (int32_t k = 0; k < call->operand_count && merges; k++)
      merges = call->stride[k][kept - 1] == call->stride[k][axis] * size;
    int32_t to = merges ? kept - 1 : kept++;
    call->shape[to] = merges ? call->shape[to] * size : size;
    for (int32_t k = 0; k < call->operand_count; k++) call->stride[k][to] = call->stride[k][axis];
  }
  if (kept == 0) {
    call->shape[0] = 1;
    for (int32_t k = 0; k < call->operand_count; k++) call->stride[k][0] = 0;
    kept = 1;
  }
  call->rank = kept;
}

// The two innermost axes of a call: `rows` runs of `count` elements.
typedef struct {
  duet_loop loop;
  int32_t operands, streams, copies;  // copies: contiguous rows become such rows as they are
  int64_t rows, count;
  int64_t row_stride[4], stride[4];
} plane;

static int is_element_size(int64_t size) {
  return size == 1 || size == 2 || size == 4 || size == 8;
}

static void run_rows(const plane *p, char *const *operand) {
  if (p->copies && !p->streams) {
    duet_copy_rows(operand[0], p->row_stride[0], operand[1], p->row_stride[1], p->rows,
                   p->count * p->stride[0]);
    return;
  }
  char *at[4];
  for (int32_t k = 0; k < p->operands; k++) at[k] = operand[k];
  for (int64_t row = 0; row < p->rows; row++) {
    if (p->streams)
      duet_stream_loop(p->loop, at, p->stride, p->count, p->operands);
    else
      p->loop(at, p->stride, p->count);
    for (int32_t k = 0; k < p->operands; k++) at[k] += p->row_stride[k];
  }
}

// The size of an element is not known here. A stride of 1, 2, 4 or 8 bytes is as good where the
// address is aligned to it: reading that many bytes stays inside one aligned word, and storage is
// made of whole words.
static int is_unit(const void *operand, int64_t stride) {
  return is_element_size(stride) && (uintptr_t)operand % (uintptr_t)stride == 0;
}

enum { TILE_ROWS = 16, TILE_COLUMNS = 128 };

// Inputs that run down their columns (transposed ones) are transposed tile by tile into a buffer,
// so that every cache line of theirs is read once.
static int runs_down(const plane *p, const char *operand, int32_t k) {
  int64_t inner = p->stride[k] < 0 ? -p->stride[k] : p->stride[k];
  // The pitch is a multiple of the unit, or only some columns would begin aligned to it.
  return k > 0 && inner >= 64 && is_unit(operand, p->row_stride[k]) &&
         inner % p->row_stride[k] == 0;
}

static void run_columns(const plane *p, char *const *operand) {
  _Alignas(64) char tile[3][TILE_ROWS * TILE_COLUMNS * 8];
  int down[4];
  plane piece = *p;
  for (int32_t k = 0; k < p->operands; k++) {
    down[k] = runs_down(p, operand[k], k);
    if (!down[k]) continue;
    piece.stride[k] = p->row_stride[k];
    piece.row_stride[k] = p->row_stride[k] * TILE_COLUMNS;
  }
  for (int64_t row = 0; row < p->rows; row += TILE_ROWS)
    for (int64_t column = 0; column < p->count; column += TILE_COLUMNS) {
      char *at[4];
      piece.rows = p->rows - row < TILE_ROWS ? p->rows - row : TILE_ROWS;
      piece.count = p->count - column < TILE_COLUMNS ? p->count - column : TILE_COLUMNS;
      for (int32_t k = 0; k < p->operands; k++) {
        at[k] = operand[k] + row * p->row_stride[k] + column * p->stride[k];
        if (!down[k]) continue;
        duet_transpose(tile[k - 1], piece.row_stride[k], at[k], p->stride[k], piece.rows,
                       piece.count, p->row_stride[k], 0);
        at[k] = tile[k - 1];
      }
      run_rows(&piece, at);
    }
}

static void run_plane(const plane *p, char *const *operand) {
  if (p->count >= 16 && p->rows >= 4)
    for (int32_t k = 1; k < p->operands; k++)
      if (runs_down(p, operand[k], k)) return run_columns(p, operand);
  run_rows(p, operand);
}

// The axis on which an input is dense that crosses the innermost one in long steps, if it lies further out
// than a plane or a block reaches; -1 if there is none.
static int32_t far_dense_axis(const duet_elementwise_call *call, const int64_t *shape) {
  enum { LEAST_ROWS = 4, LEAST_COLUMNS = 16, NEAR = 256 };
  int32_t last = call->rank - 1;
  if (call->rank < 3 || shape[last] < LEAST_COLUMNS || call->element_size == 0) return -1;
  for (int32_t k = 1; k < call->operand_count; k++) {
    int64_t size = call->input_size[k - 1], within = shape[last] * shape[last - 1];
    if (call->stride[k][last] < 64 || call->stride[k][last - 1] == size) continue;
    for (int32_t axis = last - 2; axis >= 0; within *= shape[axis--])
      if (call->stride[k][axis] == size)
        return within > NEAR && shape[axis] >= LEAST_ROWS ? axis : -1;
  }
  return -1;
}

// Steps an odometer over the axes outside the innermost two.
static void run(const duet_elementwise_call *call, const int64_t *shape, char *const *operand,
                int32_t streams) {
  int32_t operands = call->operand_count, outer = call->rank - 2;
  int64_t stride[4];
  if (call->rank == 1) {
    for (int32_t k = 0; k < operands; k++) stride[k] = call->stride[k][0];
    if (streams) return duet_stream_loop(call->loop, operand, stride, shape[0], operands);
    return call->loop(operand, stride, shape[0]);
  }
  int32_t far = far_dense_axis(call, shape);
  duet_elementwise_call turned;
  int64_t turned_shape[DUET_MAX_RANK];
  if (far >= 0) {
    turned = *call;
    memcpy(turned_shape, shape, sizeof turned_shape);
    turned_shape[far] = shape[outer];
    turned_shape[outer] = shape[far];
    for (int32_t k = 0; k < operands; k++) {
      turned.stride[k][far] = call->stride[k][outer];
      turned.stride[k][outer] = call->stride[k][far];
    }
    call = &turned;
    shape = turned_shape;
  } else if (!streams && duet_run_blocks(call, shape, operand)) {
    return;
  }
  plane p = {call->loop, operands, streams, 0, shape[outer], shape[outer + 1], {0}, {0}};
  char *at[4];
  for (int32_t k = 0; k < operands; k++) {
    p.row_stride[k] = call->stride[k][outer];
    p.stride[k] = call->stride[k][outer + 1];
    at[k] = operand[k];
  }
  p.copies = operands == 2 && p.stride[0] == p.stride[1] && is_element_size(p.stride[0]) &&
             call->loop == duet_copy_loop_of(p.stride[0]);
  int64_t index[DUET_MAX_RANK] = {0};
  for (;;) {
    run_plane(&p, at);
    int32_t axis = outer - 1;
    for (; axis >= 0; axis--) {
      for (int32_t k = 0; k < operands; k++) at[k] += call->stride[k][axis];
      if (++index[axis] < shape[axis]) break;
      for (int32_t k = 0; k < operands; k++) at[k] -= call->stride[k][axis] * shape[axis];
      index[axis] = 0;
    }
    if (axis < 0) return;
  }
}

// A task takes a range of one axis.
typedef struct {
  const duet_elementwise_call *call;
  int32_t axis, streams;
  int64_t step;
} split;

static void run_task(void *context, int64_t index) {
  const split *s = context;
  const duet_elementwise_call *call = s->call;
  int64_t shape[DUET_MAX_RANK], begin = index * s->step;
  memcpy(shape, call->shape, sizeof shape);
  int64_t left = shape[s->axis] - begin;
  shape[s->axis] = left < s->step ? left : s->step;
  char *at[4];
  for (int32_t k = 0; k < call->operand_count; k++)
    at[k] = (char *)call->operand[k] + begin * call->stride[k][s->axis];
  run(call, shape, at, s->streams);
  if (s->streams) duet_stream_end();
}

// Whether the result is to be written past the caches: everything is large, and the result lies in
// whole rows of memory that no input shares.
static int is_streamed(const duet_elementwise_call *call) {
  int32_t last = call->rank - 1;
  int64_t size = call->element_size, bytes = 0;
  if (size == 0 || call->stride[0][last] != size || call->shape[last] < 512) return 0;
  for (int32_t k = 0; k < call->operand_count; k++) {
    int64_t distinct = size;
    for (int32_t axis = 0; axis < call->rank; axis++)
      if (call->stride[k][axis] != 0) distinct *= call->shape[axis];
    bytes += distinct;
    if (k > 0 && call->operand[k] == call->operand[0]) return 0;
  }
  return bytes >= DUET_STREAM_BYTES && (uintptr_t)call->operand[0] % size == 0;
}

duet_status duet_elementwise(const void *argument) {
  const duet_elementwise_call *call = argument;
  enum { ENOUGH = 32 };
  int64_t total = 1;
  int32_t shared = 0;
  for (int32_t axis = 0; axis < call->rank; axis++) {
    total *= call->shape[axis];
    // The outermost axis that is long enough: the parts of a task lie together.
    if (call->shape[shared] < ENOUGH && call->shape[axis] > call->shape[shared]) shared = axis;
  }
  if (total == 0) return DUET_OK;
  if (call->rank == 0) {
    static const int64_t none[4];
    call->loop((char *const *)call->operand, none, 1);
    return DUET_OK;
  }
  if (total < 65536) {
    run(call, call->shape, (char *const *)call->operand, 0);
    return DUET_OK;
  }
  int64_t size = call->shape[shared], tasks = total >> 15;
  if (tasks > 64) tasks = 64;
  // A multiple of 64 elements keeps the tasks off each other's cache lines where the axis is
  // contiguous.
  int64_t step = (size + tasks - 1) / tasks;
  if (size >= 4096) step = (step + 63) & ~(int64_t)63;
  split s = {call, shared, is_streamed(call), step};
  duet_parallel_for((size + step - 1) / step, run_task, &s);
  return DUET_OK;
}
