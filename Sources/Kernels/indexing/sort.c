// Stable order of rows. Elements become unsigned keys that sort like them: equal values get equal
// keys (zeros of both signs too), descending order inverts them, NaN gets the largest. Short rows
// are sorted by insertion and merging, long ones by their digits from the lowest up, skipping
// digits that all share. Where only the beginning of the order is wanted, a histogram of the keys
// tells which elements can be in it; where that is short, elements are held against the last of those
// found so far. Several short rows are ordered side by side.
#include <stdlib.h>

#include "indexing.h"

#pragma STDC FP_CONTRACT OFF

// Short rows are ordered together where there are enough of them for the comparisons of all pairs.
enum { TOGETHER = 16, FEWEST = 4, SHORT_32 = 64, SHORT_64 = 32, PAIRS_32 = 6, PAIRS_64 = 2 };
// Digits of 8 bits, of 11 where rows are so long that clearing the counts does not show.
enum { INSERTION = 16, BLOCK = 64, RADIX_FROM = 128, LONG = 8192, BUCKETS = 1 << 11, DIGITS = 8, SPLIT_BYTES = 512 << 10 };

// The key of a float from its bits, of an unsigned type K.
#define REAL_KEY(K, bits, sign, infinity, inversion)                          \
  ({                                                                          \
    K magnitude = (bits) & (K)((sign)-1);                                     \
    K value = (bits) & (K)(sign) ? (K)((sign)-magnitude) : (K)((sign) + magnitude); \
    magnitude > (K)(infinity) ? (K)(2 * (uint64_t)(sign)-1) : (K)(value ^ (inversion)); \
  })

#define KEY uint32_t
#define PLACE uint32_t
#define RANK int32_t
#define SHORT SHORT_32
#define IN(name) name##_32
#include "sort_template.h"

#define KEY uint64_t
#define PLACE uint64_t
#define RANK int64_t
#define SHORT SHORT_64
#define IN(name) name##_64
#include "sort_template.h"

typedef struct {
  const duet_sort_call *call;
  int64_t batch, rows;
} sorting;

static void run(void *context, int64_t task) {
  const sorting *s = context;
  const duet_sort_call *c = s->call;
  int64_t size = (int64_t)duet_dtype_size(c->dtype);
  enum { ON_STACK = 8 << 10 };
  int is_narrow = size <= 4 && c->axis <= UINT32_MAX;
  size_t bytes = (size_t)c->axis * 2 * (is_narrow ? sizeof(item_32) : sizeof(item_64));
  _Alignas(64) char memory[ON_STACK];
  void *items = bytes > ON_STACK ? malloc(bytes) : memory;
  if (!items) abort();
  int64_t last = duet_min((task + 1) * s->batch, s->rows), rows = 1;
  int are_short = c->axis <= (is_narrow ? SHORT_32 : SHORT_64);
  for (int64_t row = task * s->batch; row < last; row += rows) {
    int64_t outer = row / c->inner, inner = row % c->inner;
    const char *from = c->operand[1];
    from += (outer * c->axis * c->inner + inner) * size;
    int64_t *to = (int64_t *)c->operand[0] + outer * c->count * c->inner + inner;
    rows = duet_min(TOGETHER, last - row);
    if (c->inner > 1) rows = duet_min(rows, c->inner - inner);
    if (are_short && rows >= FEWEST && rows * (is_narrow ? PAIRS_32 : PAIRS_64) >= c->axis) {
      (is_narrow ? order_rows_32 : order_rows_64)(c, to, from, rows);
      continue;
    }
    rows = 1;
    if (is_narrow)
      order_32(c, to, from, items);
    else
      order_64(c, to, from, items);
  }
  if (items != memory) free(items);
}

duet_status duet_arg_sort(const void *block) {
  const duet_sort_call *call = block;
  sorting s = {.call = call, .rows = call->outer * call->inner};
  if (s.rows == 0 || call->count == 0) return DUET_OK;
  s.batch = duet_max(1, DUET_INDEX_TASK / 8 / call->axis);
  int64_t tasks = (s.rows + s.batch - 1) / s.batch;
  if (tasks == 1)
    run(&s, 0);
  else
    duet_parallel_for(tasks, run, &s);
  return DUET_OK;
}
