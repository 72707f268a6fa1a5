#include "loops.h"
#include "stream.h"

static void copy_8(char *const *p, const int64_t *s, int64_t n) {
  duet_copy_strided(p[0], s[0], p[1], s[1], n, 1);
}
static void copy_16(char *const *p, const int64_t *s, int64_t n) {
  duet_copy_strided(p[0], s[0], p[1], s[1], n, 2);
}
static void copy_32(char *const *p, const int64_t *s, int64_t n) {
  duet_copy_strided(p[0], s[0], p[1], s[1], n, 4);
}
static void copy_64(char *const *p, const int64_t *s, int64_t n) {
  duet_copy_strided(p[0], s[0], p[1], s[1], n, 8);
}

duet_loop duet_copy_loop_of(int64_t size) {
  return size == 1 ? copy_8 : size == 2 ? copy_16 : size == 4 ? copy_32 : copy_64;
}

duet_loop duet_copy_loop(duet_dtype dtype) {
  return duet_copy_loop_of((int64_t)duet_dtype_size(dtype));
}

// Axes ordered so that the destination is written in the order of its addresses.
static void sort_axes(duet_elementwise_call *call) {
  for (int32_t i = 1; i < call->rank; i++)
    for (int32_t j = i; j > 0; j--) {
      int64_t a = call->stride[0][j - 1], b = call->stride[0][j];
      if ((a < 0 ? -a : a) >= (b < 0 ? -b : b)) break;
      int64_t shape = call->shape[j], source = call->stride[1][j];
      call->shape[j] = call->shape[j - 1];
      call->stride[0][j] = a;
      call->stride[1][j] = call->stride[1][j - 1];
      call->shape[j - 1] = shape;
      call->stride[0][j - 1] = b;
      call->stride[1][j - 1] = source;
    }
}

// One copy that is to be transposed: `along` is the axis on which the source is dense.
typedef struct {
  duet_elementwise_call call;
  int64_t size, step;
  int32_t along, streams;
} transposition;

// Planes over the axis `along` and the last one; an odometer over the others. A task takes a range
// of the axis `along`.
static void transpose_task(void *context, int64_t index) {
  const transposition *t = context;
  const duet_elementwise_call *call = &t->call;
  int32_t last = call->rank - 1;
  int64_t begin = index * t->step, left = call->shape[t->along] - begin;
  int64_t rows = left < t->step ? left : t->step, position[DUET_MAX_RANK] = {0};
  char *to = (char *)call->operand[0] + begin * call->stride[0][t->along];
  char *from = (char *)call->operand[1] + begin * call->stride[1][t->along];
  for (;;) {
    duet_transpose(to, call->stride[0][t->along], from, call->stride[1][last], rows,
                   call->shape[last], t->size, t->streams);
    int32_t axis = last - 1;
    for (; axis >= 0; axis--) {
      if (axis == t->along) continue;
      to += call->stride[0][axis];
      from += call->stride[1][axis];
      if (++position[axis] < call->shape[axis]) break;
      to -= call->stride[0][axis] * call->shape[axis];
      from -= call->stride[1][axis] * call->shape[axis];
      position[axis] = 0;
    }
    if (axis < 0) break;
  }
  if (t->streams) duet_stream_end();
}

// Whether the result is to be written past the caches, a line at a time.
static int is_streamed(const duet_elementwise_call *call, int64_t size, int64_t total) {
  if (size < 4 || 2 * total * size < DUET_STREAM_BYTES) return 0;
  uintptr_t all = (uintptr_t)call->operand[0];
  for (int32_t i = 0; i < call->rank - 1; i++) all |= (uintptr_t)call->stride[0][i];
  return all % 64 == 0;
}

duet_status duet_copy(const void *argument) {
  enum { FEW = 16 };  // Rows of fewer are gathered by blocks of several.
  const duet_copy_call *copy = argument;
  int64_t size = copy->element_size, total = 1;
  transposition t = {.size = size};
  duet_elementwise_call *call = &t.call;
  call->operand[0] = copy->operand[0];
  call->operand[1] = copy->operand[1];
  call->loop = duet_copy_loop_of(size);
  call->operand_count = 2;
  call->element_size = call->input_size[0] = size;
  call->rank = copy->rank;
  for (int32_t i = 0; i < copy->rank; i++) {
    call->shape[i] = copy->shape[i];
    call->stride[0][i] = copy->destination_stride[i];
    call->stride[1][i] = copy->source_stride[i];
    total *= copy->shape[i];
  }
  if (total == 0) return DUET_OK;
  sort_axes(call);
  duet_elementwise_coalesce(call);
  int32_t last = call->rank - 1;
  t.along = -1;
  if (call->stride[0][last] == size && call->stride[1][last] != size)
    for (int32_t i = 0; i < last; i++)
      if (call->stride[1][i] == size && call->shape[i] > 3) t.along = i;
  if (t.along < 0 || call->shape[last] < FEW) return duet_elementwise(call);
  int64_t rows = call->shape[t.along], tasks = total < 65536 ? 1 : total >> 15;
  if (tasks > 64) tasks = 64;
  t.step = ((rows + tasks - 1) / tasks + 15) & ~(int64_t)15;
  tasks = (rows + t.step - 1) / t.step;
  t.streams = is_streamed(call, size, total);
  if (tasks == 1) {
    transpose_task(&t, 0);
  } else {
    duet_parallel_for(tasks, transpose_task, &t);
  }
  return DUET_OK;
}
