#include "gather.h"

// The axes of a block: from `outer` on, and of that one only `step` elements.
typedef struct {
  int32_t outer;
  int64_t step, inner;  // inner: elements of the axes behind `outer`
} extent;

// As many of the result's innermost axes as fit a block. It is dense on them.
static extent extent_of(const duet_elementwise_call *call, const int64_t *shape) {
  extent e = {call->rank - 1, 1, 1};
  for (;;) {
    int64_t room = DUET_BLOCK / e.inner, length = shape[e.outer];
    if (length > room || e.outer == 0 ||
        call->stride[0][e.outer - 1] != e.inner * length * call->element_size) {
      // Blocks of about the same size.
      int64_t blocks = (length + room - 1) / room;
      e.step = (length + blocks - 1) / blocks;
      return e;
    }
    e.inner *= length;
    e.outer--;
  }
}

// Whether a loop over one row takes longer to start and to end than to run. Rows of whole vectors need no
// end, so that some of them are better left alone where gathering their operands takes time. A select has
// no vectors unless its condition is dense.
static int has_short_rows(const duet_elementwise_call *call, const int64_t *shape) {
  enum { SHORT = 64, VECTOR = 32, FEW_VECTORS = 4 * VECTOR };
  int32_t last = call->rank - 1;
  int64_t row = shape[last], bytes = row * call->element_size;
  if (row >= SHORT) return 0;
  if (call->element_size < 4 || bytes < FEW_VECTORS || bytes % VECTOR != 0) return 1;
  if (call->operand_count == 4 && call->stride[1][last] != 1) return 1;
  int gathers = 0;
  for (int32_t k = 1; k < call->operand_count; k++) {
    int64_t stride = call->stride[k][last], next = call->stride[k][last - 1];
    if (stride != 0 && stride != call->input_size[k - 1]) return 1;
    gathers |= next != 0 && next != row * stride;
  }
  return !gathers;
}

int duet_run_blocks(const duet_elementwise_call *call, const int64_t *shape,
                    char *const *operand) {
  enum { LEAST = 64, LEAST_ROWS = 8 };
  int32_t operands = call->operand_count, last = call->rank - 1;
  if (call->rank < 2 || call->element_size == 0 || !has_short_rows(call, shape) ||
      call->stride[0][last] != call->element_size)
    return 0;
  const extent e = extent_of(call, shape);
  if (e.step * e.inner < LEAST_ROWS * shape[last] || e.step * e.inner < LEAST) return 0;

  duet_gathering gathering[3];
  _Alignas(64) char buffer[3][DUET_BLOCK * 8];
  int64_t part[DUET_MAX_RANK], stride[4] = {call->element_size};
  memcpy(part, shape + e.outer, sizeof *part * (size_t)(call->rank - e.outer));
  part[0] = e.step;
  for (int32_t k = 1; k < operands; k++) {
    duet_gathering *g = gathering + k - 1;
    duet_gather_prepare(g, call->input_size[k - 1], call->rank - e.outer, part,
                        call->stride[k] + e.outer);
    stride[k] = g->kind == DUET_ONE ? 0 : g->size;
  }
  int is_copy = operands == 2 && call->loop == duet_copy_loop_of(call->element_size) &&
                gathering->kind != DUET_ONE && gathering->kind != DUET_DENSE;
  // A plane of rows is copied at once.
  if (is_copy && gathering->kind == DUET_ROWS) return 0;

  char *row[4];
  int64_t index[DUET_MAX_RANK] = {0}, length = shape[e.outer];
  // What a buffer holds; a block that repeats one is not gathered again.
  const char *held[3] = {0};
  int64_t held_count[3] = {0};
  memcpy(row, operand, sizeof *row * (size_t)operands);
  for (;;) {
    for (int64_t begin = 0; begin < length; begin += e.step) {
      int64_t count = length - begin < e.step ? length - begin : e.step;
      char *at[4];
      for (int32_t k = 0; k < operands; k++) at[k] = row[k] + begin * call->stride[k][e.outer];
      if (is_copy) {
        duet_gather_block(gathering, at[0], at[1], count);
        continue;
      }
      for (int32_t k = 1; k < operands; k++) {
        const duet_gathering *g = gathering + k - 1;
        if (g->kind == DUET_ONE || g->kind == DUET_DENSE) continue;
        if (at[k] != held[k - 1] || count > held_count[k - 1]) {
          duet_gather_block(g, buffer[k - 1], at[k], count);
          held[k - 1] = at[k];
          held_count[k - 1] = count;
        }
        at[k] = buffer[k - 1];
      }
      call->loop(at, stride, count * e.inner);
    }
    int32_t axis = e.outer - 1;
    for (; axis >= 0; axis--) {
      for (int32_t k = 0; k < operands; k++) row[k] += call->stride[k][axis];
      if (++index[axis] < shape[axis]) break;
      for (int32_t k = 0; k < operands; k++) row[k] -= call->stride[k][axis] * shape[axis];
      index[axis] = 0;
    }
    if (axis < 0) return 1;
  }
}
