#include "stream.h"

#include "duet_isa.h"

typedef float f32x16 __attribute__((ext_vector_type(16)));
typedef f32x16 f32x16_any __attribute__((aligned(1)));

// `to` is aligned to a line and `bytes` is whole lines.
#define STREAM_LINES                                                              \
  for (int64_t i = 0; i < bytes; i += 64)                                         \
    __builtin_nontemporal_store((f32x16) * (const f32x16_any *)(from + i), (f32x16 *)(to + i));

static void stream_lines(char *to, const char *from, int64_t bytes) { STREAM_LINES }

#if defined(__x86_64__)
__attribute__((target("avx2"))) static void stream_lines_avx2(char *to, const char *from,
                                                              int64_t bytes) {
  STREAM_LINES
}

__attribute__((target("avx512f"))) static void stream_lines_avx512(char *to, const char *from,
                                                                   int64_t bytes) {
  STREAM_LINES
}
#endif

void duet_stream(char *to, const char *from, int64_t bytes) {
  int64_t head = -(intptr_t)to & 63;
  if (head > bytes) head = bytes;
  memcpy(to, from, (size_t)head);
  to += head, from += head, bytes -= head;
  int64_t lines = bytes & ~(int64_t)63;
#if defined(__x86_64__)
  switch (duet_current_isa()) {
    case DUET_AVX512: stream_lines_avx512(to, from, lines); break;
    case DUET_AVX2: stream_lines_avx2(to, from, lines); break;
    default: stream_lines(to, from, lines); break;
  }
#else
  stream_lines(to, from, lines);
#endif
  memcpy(to + lines, from + lines, (size_t)(bytes - lines));
}

void duet_stream_end(void) {
#if defined(__x86_64__)
  __builtin_ia32_sfence();
#endif
}

void duet_stream_loop(duet_loop loop, char *const *operand, const int64_t *stride, int64_t count,
                      int32_t operands) {
  enum { BLOCK_BYTES = 512 };
  _Alignas(64) char block[BLOCK_BYTES];
  int64_t size = stride[0], most = BLOCK_BYTES / size;
  // The first block ends where a line does.
  int64_t n = most - ((intptr_t)operand[0] & 63) / size;
  char *at[4];
  for (int32_t k = 1; k < operands; k++) at[k] = operand[k];
  for (char *to = operand[0]; count > 0; count -= n, n = most) {
    if (n > count) n = count;
    at[0] = block;
    loop(at, stride, n);
    duet_stream(to, block, n * size);
    to += n * size;
    for (int32_t k = 1; k < operands; k++) at[k] += n * stride[k];
  }
}
