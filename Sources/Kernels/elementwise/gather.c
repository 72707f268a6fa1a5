#include "gather.h"

#define VECTOR_TYPES(bits)                                                               \
  typedef uint##bits##_t v##bits __attribute__((ext_vector_type(16 * 8 / bits)));        \
  typedef uint##bits##_t f##bits __attribute__((ext_vector_type(4)));                    \
  typedef v##bits v##bits##_any __attribute__((aligned(1), may_alias));                  \
  typedef f##bits f##bits##_any __attribute__((aligned(1), may_alias));                  \
  typedef uint##bits##_t u##bits __attribute__((aligned(1), may_alias));
VECTOR_TYPES(8)
VECTOR_TYPES(16)
VECTOR_TYPES(32)
VECTOR_TYPES(64)

// Copies of one element by whole vectors. Short rows are written further than they reach, where the next
// one overwrites it; the last rows are not.
#define REPEATS(bits)                                                                             \
  static void repeats_##bits(char *to, const char *from, int64_t stride, int64_t rows,            \
                             int64_t times) {                                                     \
    const int64_t size = sizeof(u##bits), bytes = times * size, last = bytes - 16;                \
    if (last > 0) {                                                                               \
      for (int64_t row = 0; row < rows; row++, to += bytes, from += stride) {                     \
        const v##bits x = *(const u##bits *)from;                                                 \
        for (int64_t i = 0; i < last; i += 16) *(v##bits##_any *)(to + i) = x;                    \
        *(v##bits##_any *)(to + last) = x;                                                        \
      }                                                                                           \
      return;                                                                                     \
    }                                                                                             \
    int64_t room = rows * bytes;                                                                  \
    for (; room >= 16; room -= bytes, to += bytes, from += stride)                                \
      *(v##bits##_any *)to = *(const u##bits *)from;                                              \
    for (; room > 0; room -= bytes, from += stride)                                               \
      for (int64_t i = 0; i < times; i++, to += size) *(u##bits *)to = *(const u##bits *)from;    \
  }
REPEATS(8)
REPEATS(16)
REPEATS(32)
REPEATS(64)

#define FLIP(bits)                                                                       \
  {                                                                                      \
    const f##bits x0 = *(const f##bits##_any *)(c0 + r * size);                          \
    const f##bits x1 = *(const f##bits##_any *)(c1 + r * size);                          \
    const f##bits x2 = *(const f##bits##_any *)(c2 + r * size);                          \
    const f##bits x3 = *(const f##bits##_any *)(c3 + r * size);                          \
    const f##bits a = __builtin_shufflevector(x0, x1, 0, 4, 1, 5);                       \
    const f##bits b = __builtin_shufflevector(x0, x1, 2, 6, 3, 7);                       \
    const f##bits c = __builtin_shufflevector(x2, x3, 0, 4, 1, 5);                       \
    const f##bits d = __builtin_shufflevector(x2, x3, 2, 6, 3, 7);                       \
    char *t = to + r * row + column * size;                                              \
    *(f##bits##_any *)t = __builtin_shufflevector(a, c, 0, 1, 4, 5);                     \
    *(f##bits##_any *)(t + row) = __builtin_shufflevector(a, c, 2, 3, 6, 7);             \
    *(f##bits##_any *)(t + 2 * row) = __builtin_shufflevector(b, d, 0, 1, 4, 5);         \
    *(f##bits##_any *)(t + 3 * row) = __builtin_shufflevector(b, d, 2, 3, 6, 7);         \
  }

// Columns by squares of four, of which the last ones reach back over those before them. A strip of
// sixteen rows is finished first: columns may lie a power of two apart, where few lines stay in the cache.
#define COLUMNS(bits)                                                                             \
  static void columns_##bits(char *to, const char *from, const int64_t *offset, int64_t rows,     \
                             int64_t columns) {                                                   \
    const int64_t size = sizeof(u##bits), row = columns * size;                                   \
    if (rows >= 4 && columns >= 4) {                                                              \
      for (int64_t begin = 0; begin < rows; begin += 16) {                                        \
        const int64_t end = rows - begin < 16 ? rows : begin + 16;                                \
        for (int64_t column = 0; column < columns; column += 4) {                                 \
          if (column + 4 > columns) column = columns - 4;                                         \
          const char *c0 = from + offset[column], *c1 = from + offset[column + 1];                \
          const char *c2 = from + offset[column + 2], *c3 = from + offset[column + 3];            \
          for (int64_t r = begin; r < end; r += 4) {                                              \
            if (r + 4 > end) r = end - 4;                                                         \
            FLIP(bits)                                                                            \
          }                                                                                       \
        }                                                                                         \
      }                                                                                           \
      return;                                                                                     \
    }                                                                                             \
    int64_t done = 0;                                                                             \
    if (columns == 3) {                                                                           \
      const char *a = from + offset[0], *b = from + offset[1], *c = from + offset[2];             \
      for (; done + 4 <= rows; done += 4) {                                                       \
        const f##bits x = *(const f##bits##_any *)(a + done * size);                              \
        const f##bits y = *(const f##bits##_any *)(b + done * size);                              \
        const f##bits z = *(const f##bits##_any *)(c + done * size);                              \
        const f##bits p = __builtin_shufflevector(x, y, 0, 4, 1, -1);                             \
        const f##bits q = __builtin_shufflevector(y, z, 1, 5, 2, -1);                             \
        const f##bits s = __builtin_shufflevector(z, x, 2, 7, 3, -1);                             \
        f##bits##_any *t = (f##bits##_any *)(to + done * row);                                    \
        t[0] = __builtin_shufflevector(p, z, 0, 1, 4, 2);                                         \
        t[1] = __builtin_shufflevector(q, x, 0, 1, 6, 2);                                         \
        t[2] = __builtin_shufflevector(s, y, 0, 1, 7, 2);                                         \
      }                                                                                           \
    } else if (columns == 2) {                                                                    \
      const char *a = from + offset[0], *b = from + offset[1];                                    \
      for (; done + 4 <= rows; done += 4) {                                                       \
        const f##bits x = *(const f##bits##_any *)(a + done * size);                              \
        const f##bits y = *(const f##bits##_any *)(b + done * size);                              \
        f##bits##_any *t = (f##bits##_any *)(to + done * row);                                    \
        t[0] = __builtin_shufflevector(x, y, 0, 4, 1, 5);                                         \
        t[1] = __builtin_shufflevector(x, y, 2, 6, 3, 7);                                         \
      }                                                                                           \
    }                                                                                             \
    for (int64_t column = 0; column < columns; column++)                                          \
      for (int64_t r = done; r < rows; r++)                                                       \
        *(u##bits *)(to + r * row + column * size) =                                              \
            *(const u##bits *)(from + offset[column] + r * size);                                 \
  }
COLUMNS(8)
COLUMNS(16)
COLUMNS(32)
COLUMNS(64)

#define SCATTERED(bits)                                                                           \
  static void scattered_##bits(char *to, const char *from, const int64_t *offset, int64_t count) { \
    _Pragma("clang loop unroll_count(4)")                                                         \
    for (int64_t i = 0; i < count; i++) ((u##bits *)to)[i] = *(const u##bits *)(from + offset[i]); \
  }
SCATTERED(8)
SCATTERED(16)
SCATTERED(32)
SCATTERED(64)

#define BY_SIZE(function, ...)                         \
  switch (g->size) {                                   \
    case 1: return function##_8(__VA_ARGS__);          \
    case 2: return function##_16(__VA_ARGS__);         \
    case 4: return function##_32(__VA_ARGS__);         \
    default: return function##_64(__VA_ARGS__);        \
  }

static void write_leaf(const duet_gathering *g, char *to, const char *from, int64_t count) {
  int32_t last = g->rank - 1;
  int64_t stride = g->stride[g->leaf], length = g->shape[last];
  switch (g->kind) {
    case DUET_LINE:
      return duet_copy_strided(to, g->size, from, stride, count, g->size);
    case DUET_ROWS:
      return duet_copy_rows(to, length * g->size, from, stride, count, length * g->size);
    case DUET_REPEATS: BY_SIZE(repeats, to, from, stride, count, length)
    case DUET_COLUMNS:
      BY_SIZE(columns, to, from, g->offset, count, g->inner[g->leaf] / g->size)
    default: BY_SIZE(scattered, to, from, g->offset, count * (g->inner[g->leaf] / g->size))
  }
}

static void write_axis(const duet_gathering *g, int32_t axis, char *to, const char *from,
                       int64_t count) {
  if (axis == g->leaf) return write_leaf(g, to, from, count);
  int64_t bytes = g->inner[axis], next = g->shape[axis + 1];
  if (g->stride[axis] != 0) {
    for (int64_t i = 0; i < count; i++)
      write_axis(g, axis + 1, to + i * bytes, from + i * g->stride[axis], next);
    return;
  }
  write_axis(g, axis + 1, to, from, next);
  for (int64_t done = 1; done < count; done *= 2) {
    int64_t n = count - done < done ? count - done : done;
    memcpy(to + done * bytes, to, (size_t)(n * bytes));
  }
}

void duet_gather_block(const duet_gathering *g, char *to, const char *from, int64_t count) {
  write_axis(g, 0, to, from, count * g->per);
}

// The offsets of the elements of the axes from `first` on.
static void list_offsets(duet_gathering *g, int32_t first) {
  int64_t count = 1;
  g->offset[0] = 0;
  for (int32_t axis = g->rank - 1; axis >= first; axis--) {
    int64_t shape = g->shape[axis], stride = g->stride[axis];
    for (int64_t i = 1; i < shape; i++)
      for (int64_t k = 0; k < count; k++) g->offset[i * count + k] = g->offset[k] + i * stride;
    count *= shape;
  }
}

void duet_gather_prepare(duet_gathering *g, int64_t size, int32_t rank, const int64_t *shape,
                         const int64_t *stride) {
  enum { FEW = 32 };
  int32_t kept = 0;
  g->size = size;
  g->per = 1;
  for (int32_t axis = 0; axis < rank; axis++) {
    if (shape[axis] == 1) continue;
    if (kept > 0 && g->stride[kept - 1] == stride[axis] * shape[axis]) {
      g->shape[kept - 1] *= shape[axis];
      g->stride[kept - 1] = stride[axis];
      if (kept == 1) g->per *= shape[axis];
      continue;
    }
    g->shape[kept] = shape[axis];
    g->stride[kept++] = stride[axis];
    if (kept == 1 && axis > 0) g->per = shape[axis];
  }
  g->rank = kept;
  int32_t last = kept - 1, before = last - 1;
  for (int64_t axis = last, bytes = size; axis >= 0; axis--) {
    g->inner[axis] = bytes;
    bytes *= g->shape[axis];
  }
  g->leaf = before;
  if (kept == 1) {
    g->leaf = 0;
    g->kind = g->stride[0] == size ? DUET_DENSE : g->stride[0] == 0 ? DUET_ONE : DUET_LINE;
    return;
  }
  // A loop over few elements takes longer to start than to run.
  int is_long = kept == 2 || g->shape[before] * g->shape[last] >= FEW;
  if (g->stride[last] == 0 && is_long) {
    g->kind = DUET_REPEATS;
    return;
  }
  if (g->stride[last] == size && g->stride[before] == 0) {
    g->kind = DUET_LINE;
    g->leaf = last;
    return;
  }
  if (g->stride[last] == size && is_long) {
    g->kind = DUET_ROWS;
    return;
  }
  g->kind = DUET_COLUMNS;
  for (g->leaf = before; g->leaf >= 0; g->leaf--)
    if (g->stride[g->leaf] == size && g->shape[g->leaf] >= 4) return list_offsets(g, g->leaf + 1);
  g->kind = DUET_SCATTERED;
  g->leaf = g->stride[0] == 0;
  list_offsets(g, g->leaf);
}
