#include "duet_isa.h"
#include "loops.h"

typedef uint16_t two __attribute__((aligned(1), may_alias));
typedef uint32_t four __attribute__((aligned(1), may_alias));
typedef uint64_t eight __attribute__((aligned(1), may_alias));
typedef uint64_t sixteen __attribute__((ext_vector_type(2), aligned(1), may_alias));
typedef uint64_t thirty_two __attribute__((ext_vector_type(4), aligned(1), may_alias));

// Rows of one unit or more, of which the last one reaches back over the one before it.
#define ROWS_OF(unit)                                          \
  {                                                            \
    const int64_t size = sizeof(unit), last = bytes - size;    \
    for (; rows > 0; rows--, to += to_row, from += from_row) { \
      const unit end = *(const unit *)(from + last);           \
      _Pragma("clang loop unroll_count(4)")                    \
      for (int64_t i = 0; i < last; i += size)                 \
        *(unit *)(to + i) = *(const unit *)(from + i);         \
      *(unit *)(to + last) = end;                              \
    }                                                          \
    return;                                                    \
  }

#define PARAMETERS \
  char *to, int64_t to_row, const char *from, int64_t from_row, int64_t rows, int64_t bytes
#define COPY_ROWS                      \
  if (bytes >= 32) ROWS_OF(thirty_two) \
  if (bytes >= 16) ROWS_OF(sixteen)    \
  if (bytes >= 8) ROWS_OF(eight)       \
  if (bytes >= 4) ROWS_OF(four)        \
  if (bytes >= 2) ROWS_OF(two)         \
  if (bytes == 1) ROWS_OF(char)

static void copy_rows(PARAMETERS) { COPY_ROWS }

#if defined(__x86_64__)
__attribute__((target("avx2"))) static void copy_rows_avx2(PARAMETERS) { COPY_ROWS }
#endif

void duet_copy_rows(PARAMETERS) {
#if defined(__x86_64__)
  if (duet_current_isa() != DUET_SCALAR)
    return copy_rows_avx2(to, to_row, from, from_row, rows, bytes);
#endif
  copy_rows(to, to_row, from, from_row, rows, bytes);
}
