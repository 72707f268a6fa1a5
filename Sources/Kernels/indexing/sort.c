// Stable order of rows. Elements become unsigned keys that sort like them: equal values get equal
// keys (zeros of both signs too), descending order inverts them, NaN gets the largest. Short rows
// are sorted by insertion and merging, long ones by their digits from the lowest up, skipping
// digits that all share.
#include <stdlib.h>

#include "indexing.h"

#pragma STDC FP_CONTRACT OFF

typedef struct {
  uint64_t key;
  int64_t index;
} item;

// Digits of 8 bits, of 11 where rows are so long that clearing the counts does not show.
enum { INSERTION = 16, RADIX_FROM = 128, LONG = 8192, BUCKETS = 1 << 11 };

static uint64_t real_key(uint64_t bits, uint64_t sign, uint64_t infinity, uint64_t inversion) {
  uint64_t magnitude = bits & (sign - 1);
  if (magnitude > infinity) return UINT64_MAX;
  uint64_t key = bits & sign ? sign - magnitude : sign + magnitude;  // -0 and 0: `sign`
  return key ^ inversion;
}

#define REAL_KEYS(type, sign, infinity)                                                        \
  for (int64_t i = 0; i < count; i++) {                                                        \
    type bits;                                                                                 \
    memcpy(&bits, from + i * stride, sizeof bits);                                             \
    to[i] = (item){real_key(bits, sign, infinity, inversion & (2 * (uint64_t)(sign) - 1)), i}; \
  }                                                                                            \
  break;
// Flipping the sign bit makes signed integers sort as unsigned ones.
#define INTEGER_KEYS(type, sign)                                                               \
  for (int64_t i = 0; i < count; i++) {                                                        \
    type bits;                                                                                 \
    memcpy(&bits, from + i * stride, sizeof bits);                                             \
    to[i] = (item){(uint64_t)(type)(bits ^ (type)(sign)) ^ (inversion & (type)-1), i};         \
  }                                                                                            \
  break;

static void make_keys(item *to, const char *from, int64_t stride, int64_t count, duet_dtype dtype,
                      int descending) {
  uint64_t inversion = descending ? UINT64_MAX : 0;
  switch (dtype) {
    case DUET_BOOL:
    case DUET_UINT8: INTEGER_KEYS(uint8_t, 0)
    case DUET_INT8: INTEGER_KEYS(uint8_t, 0x80)
    case DUET_INT16: INTEGER_KEYS(uint16_t, 0x8000)
    case DUET_INT32: INTEGER_KEYS(uint32_t, 0x80000000)
    case DUET_INT64: INTEGER_KEYS(uint64_t, 0x8000000000000000)
    case DUET_FLOAT16: REAL_KEYS(uint16_t, 0x8000, 0x7c00)
    case DUET_BFLOAT16: REAL_KEYS(uint16_t, 0x8000, 0x7f80)
    case DUET_FLOAT32: REAL_KEYS(uint32_t, 0x80000000, 0x7f800000)
    default: REAL_KEYS(uint64_t, 0x8000000000000000, 0x7ff0000000000000)
  }
}

static void insertion_sort(item *a, int64_t count) {
  for (int64_t i = 1; i < count; i++) {
    item moving = a[i];
    int64_t k = i;
    for (; k > 0 && a[k - 1].key > moving.key; k--) a[k] = a[k - 1];
    a[k] = moving;
  }
}

// Answers which of the two buffers holds the result.
static item *merge_sort(item *a, item *b, int64_t count) {
  for (int64_t i = 0; i < count; i += INSERTION)
    insertion_sort(a + i, duet_min(INSERTION, count - i));
  for (int64_t width = INSERTION; width < count; width *= 2) {
    for (int64_t i = 0; i < count; i += 2 * width) {
      int64_t middle = duet_min(i + width, count), end = duet_min(i + 2 * width, count);
      int64_t left = i, right = middle, k = i;
      while (left < middle && right < end) {
        int takes_right = a[right].key < a[left].key;
        b[k++] = a[takes_right ? right : left];
        right += takes_right;
        left += !takes_right;
      }
      memcpy(b + k, a + left, (size_t)(middle - left) * sizeof(item));
      memcpy(b + k + (middle - left), a + right, (size_t)(end - right) * sizeof(item));
    }
    item *other = a;
    a = b;
    b = other;
  }
  return a;
}

static item *radix_sort(item *a, item *b, int64_t count) {
  int64_t starts[BUCKETS];
  int bits = count < LONG ? 8 : 11;
  uint64_t mask = ((uint64_t)1 << bits) - 1, varying = 0;
  for (int64_t i = 0; i < count; i++) varying |= a[i].key ^ a[0].key;
  for (int shift = 0; shift < 64; shift += bits) {
    if (!(varying >> shift & mask)) continue;
    memset(starts, 0, (size_t)(mask + 1) * sizeof *starts);
    for (int64_t i = 0; i < count; i++) starts[a[i].key >> shift & mask]++;
    int64_t sum = 0;
    for (uint64_t k = 0; k <= mask; k++) {
      int64_t n = starts[k];
      starts[k] = sum;
      sum += n;
    }
    for (int64_t i = 0; i < count; i++) b[starts[a[i].key >> shift & mask]++] = a[i];
    item *other = a;
    a = b;
    b = other;
  }
  return a;
}

typedef struct {
  const duet_sort_call *call;
  int64_t batch, rows;
} sorting;

static void run(void *context, int64_t task) {
  const sorting *s = context;
  const duet_sort_call *c = s->call;
  int64_t size = (int64_t)duet_dtype_size(c->dtype), count = c->axis;
  enum { ON_STACK = 256 };
  item memory[2 * ON_STACK], *items = memory;
  if (count > ON_STACK) items = malloc((size_t)count * 2 * sizeof(item));
  if (!items) abort();
  int64_t last = duet_min((task + 1) * s->batch, s->rows);
  for (int64_t row = task * s->batch; row < last; row++) {
    int64_t at = row / c->inner * count * c->inner + row % c->inner;
    make_keys(items, (const char *)c->operand[1] + at * size, c->inner * size, count, c->dtype,
              c->descending);
    item *sorted = count >= RADIX_FROM ? radix_sort(items, items + count, count)
                                       : merge_sort(items, items + count, count);
    int64_t *to = (int64_t *)c->operand[0] + at;
    for (int64_t i = 0; i < count; i++) to[i * c->inner] = sorted[i].index;
  }
  if (items != memory) free(items);
}

duet_status duet_arg_sort(const void *block) {
  const duet_sort_call *call = block;
  sorting s = {.call = call, .rows = call->outer * call->inner};
  if (s.rows == 0 || call->axis == 0) return DUET_OK;
  s.batch = duet_max(1, DUET_INDEX_TASK / 8 / call->axis);
  int64_t tasks = (s.rows + s.batch - 1) / s.batch;
  if (tasks == 1)
    run(&s, 0);
  else
    duet_parallel_for(tasks, run, &s);
  return DUET_OK;
}
