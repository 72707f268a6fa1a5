#include "loops.h"

enum { BLOCK = 256 };

// Rows turned round get a loop of their own, which becomes one of vectors.
#define COPY_REVERSED(type)                                                                   \
  for (int64_t i = 0; i < count; i++) ((type *)to)[i] = ((const type *)from)[-i];             \
  break;
#define COPY_STRIDED(type)                                                                    \
  for (int64_t i = 0; i < count; i++)                                                         \
    *(type *)(to + i * to_stride) = *(const type *)(from + i * from_stride);                  \
  break;

void duet_copy_strided(char *to, int64_t to_stride, const char *from, int64_t from_stride,
                       int64_t count, int64_t size) {
  if (to_stride == size && from_stride == size) {
    memmove(to, from, (size_t)(count * size));
    return;
  }
  if (to_stride == size && from_stride == -size) {
    switch (size) {
      case 1: COPY_REVERSED(uint8_t)
      case 2: COPY_REVERSED(uint16_t)
      case 4: COPY_REVERSED(uint32_t)
      default: COPY_REVERSED(uint64_t)
    }
    return;
  }
  if (to_stride == size && from_stride == 0) {
    uint64_t bits = 0;
    if (count > 0) memcpy(&bits, from, (size_t)size);
    duet_fill_run(to, bits, count, size);
    return;
  }
  switch (size) {
    case 1: COPY_STRIDED(uint8_t)
    case 2: COPY_STRIDED(uint16_t)
    case 4: COPY_STRIDED(uint32_t)
    default: COPY_STRIDED(uint64_t)
  }
}

void duet_strided_loop(char *const *operand, const int64_t *stride, int64_t count, duet_loop loop,
                       const uint8_t *size, int operands) {
  _Alignas(64) char buffer[4][BLOCK * 8];
  char *at[4];
  int64_t step[4];
  for (int k = 0; k < operands; k++) step[k] = size[k];
  for (int64_t done = 0; done < count; done += BLOCK) {
    int64_t n = count - done < BLOCK ? count - done : BLOCK;
    for (int k = 0; k < operands; k++) {
      at[k] = operand[k] + done * stride[k];
      if (stride[k] == size[k]) continue;
      if (k > 0 && (stride[k] != 0 || done == 0))
        duet_copy_strided(buffer[k], size[k], at[k], stride[k], n, size[k]);
      at[k] = buffer[k];
    }
    loop(at, step, n);
    if (stride[0] != size[0])
      duet_copy_strided(operand[0] + done * stride[0], stride[0], at[0], size[0], n, size[0]);
  }
}
