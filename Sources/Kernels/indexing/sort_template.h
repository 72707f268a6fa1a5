// Sorting by keys of one width. Included with KEY, PLACE (unsigned integers of that width), RANK
// (the signed one), SHORT (elements of rows that are ordered together), IN (adds the suffix).

typedef struct {
  KEY key;
  PLACE index;
} IN(item);

// Rows without gaps in a loop of their own, which becomes one of vectors.
#define KEYS(type, key)                                    \
  if (stride == sizeof(type)) {                            \
    const type *x = (const type *)from;                    \
    for (int64_t i = 0; i < count; i++) {                  \
      type bits = x[i];                                    \
      to[i] = key;                                         \
    }                                                      \
    break;                                                 \
  }                                                        \
  for (int64_t i = 0; i < count; i++) {                    \
    type bits;                                             \
    memcpy(&bits, from + i * stride, sizeof bits);         \
    to[i] = key;                                           \
  }                                                        \
  break;
#define REAL_KEYS(type, sign, infinity) \
  KEYS(type, REAL_KEY(type, bits, sign, infinity, (type)inversion))
// Flipping the sign bit makes signed integers sort as unsigned ones.
#define INTEGER_KEYS(type, sign) KEYS(type, (type)(bits ^ (type)(sign) ^ (type)inversion))

static void IN(make_keys)(KEY *to, const char *from, int64_t stride, int64_t count,
                          duet_dtype dtype, int descending) {
  uint64_t inversion = descending ? UINT64_MAX : 0;
  switch (dtype) {
    case DUET_BOOL:
    case DUET_UINT8: INTEGER_KEYS(uint8_t, 0)
    case DUET_INT8: INTEGER_KEYS(uint8_t, 0x80)
    case DUET_INT16: INTEGER_KEYS(uint16_t, 0x8000)
    case DUET_INT32: INTEGER_KEYS(uint32_t, 0x80000000)
    case DUET_FLOAT16: REAL_KEYS(uint16_t, 0x8000, 0x7c00)
    case DUET_BFLOAT16: REAL_KEYS(uint16_t, 0x8000, 0x7f80)
    case DUET_FLOAT32: REAL_KEYS(uint32_t, 0x80000000, 0x7f800000)
    case DUET_INT64: INTEGER_KEYS(uint64_t, 0x8000000000000000)
    default: REAL_KEYS(uint64_t, 0x8000000000000000, 0x7ff0000000000000)
  }
}
#undef KEYS
#undef REAL_KEYS
#undef INTEGER_KEYS

static void IN(make_items)(IN(item) *to, const duet_sort_call *c, const char *from) {
  int64_t stride = c->inner * (int64_t)duet_dtype_size(c->dtype);
  KEY keys[BLOCK];
  for (int64_t at = 0; at < c->axis; at += BLOCK) {
    int64_t n = duet_min(BLOCK, c->axis - at);
    IN(make_keys)(keys, from + at * stride, stride, n, c->dtype, c->descending);
    for (int64_t i = 0; i < n; i++) to[at + i] = (IN(item)){keys[i], (PLACE)(at + i)};
  }
}

static void IN(insertion_sort)(IN(item) *a, int64_t count) {
  for (int64_t i = 1; i < count; i++) {
    IN(item) moving = a[i];
    int64_t k = i;
    for (; k > 0 && a[k - 1].key > moving.key; k--) a[k] = a[k - 1];
    a[k] = moving;
  }
}

// Answers which of the two buffers holds the result.
static IN(item) *IN(merge_sort)(IN(item) *a, IN(item) *b, int64_t count) {
  for (int64_t i = 0; i < count; i += INSERTION)
    IN(insertion_sort)(a + i, duet_min(INSERTION, count - i));
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
      memcpy(b + k, a + left, (size_t)(middle - left) * sizeof *a);
      memcpy(b + k + (middle - left), a + right, (size_t)(end - right) * sizeof *a);
    }
    IN(item) *other = a;
    a = b;
    b = other;
  }
  return a;
}

// All digits are counted in one pass, which the order of the elements does not change.
static IN(item) *IN(radix_sort)(IN(item) *a, IN(item) *b, int64_t count) {
  int64_t starts[DIGITS][BUCKETS];
  int width = count < LONG ? 8 : 11, bits = 8 * (int)sizeof(KEY);
  KEY mask = (KEY)(((KEY)1 << width) - 1), varying = 0;
  for (int64_t i = 0; i < count; i++) varying |= a[i].key ^ a[0].key;
  int shift[DIGITS], digits = 0;
  for (int at = 0; at < bits; at += width)
    if (varying >> at & mask) shift[digits++] = at;
  for (int d = 0; d < digits; d++) memset(starts[d], 0, (size_t)(mask + 1) * sizeof(int64_t));
  for (int64_t i = 0; i < count; i++)
    for (int d = 0; d < digits; d++) starts[d][a[i].key >> shift[d] & mask]++;
  for (int d = 0; d < digits; d++) {
    int64_t sum = 0;
    for (KEY k = 0; k <= mask; k++) {
      int64_t n = starts[d][k];
      starts[d][k] = sum;
      sum += n;
    }
    for (int64_t i = 0; i < count; i++) b[starts[d][a[i].key >> shift[d] & mask]++] = a[i];
    IN(item) *other = a;
    a = b;
    b = other;
  }
  return a;
}

// Sorts by the highest digit, which makes parts that fit a cache, and those by the others. Answers which of
// the two buffers holds the result.
static IN(item) *IN(sort)(IN(item) *a, IN(item) *b, int64_t count) {
  enum { PARTS = 256 };
  if (count < RADIX_FROM) return IN(merge_sort)(a, b, count);
  KEY varying = 0;
  for (int64_t i = 0; i < count; i++) varying |= a[i].key ^ a[0].key;
  int top = 0;
  while (top < 8 * (int)sizeof(KEY) && varying >> top) top++;
  // As many digits as that are sorted by in the same number of passes without parts.
  if (count * (int64_t)sizeof *a < SPLIT_BYTES || top <= 22) return IN(radix_sort)(a, b, count);
  int shift = top - 8;
  int64_t ends[PARTS] = {0}, begin = 0;
  for (int64_t i = 0; i < count; i++) ends[a[i].key >> shift & (PARTS - 1)]++;
  for (int k = 0; k < PARTS; k++) {
    begin += ends[k];
    ends[k] = begin - ends[k];
  }
  for (int64_t i = 0; i < count; i++) b[ends[a[i].key >> shift & (PARTS - 1)]++] = a[i];
  begin = 0;
  for (int k = 0; k < PARTS; k++) {
    int64_t n = ends[k] - begin;
    IN(item) *part = n > 1 ? IN(sort)(b + begin, a + begin, n) : b + begin;
    if (part != b + begin) memcpy(b + begin, part, (size_t)n * sizeof *a);
    begin = ends[k];
  }
  return b;
}

// Brings the elements that can be among the first `wanted` to the front, in their order, and answers
// how many there are: all in the buckets up to that which holds the last one wanted.
static int64_t IN(select_first)(IN(item) *a, int64_t count, int64_t wanted) {
  int64_t counts[BUCKETS] = {0};
  KEY least = a[0].key, most = a[0].key;
  for (int64_t i = 1; i < count; i++) {
    least = a[i].key < least ? a[i].key : least;
    most = a[i].key > most ? a[i].key : most;
  }
  int bits = count < LONG ? 8 : 11, used = 0;
  while (used < 8 * (int)sizeof(KEY) && (KEY)(most - least) >> used) used++;
  int shift = used > bits ? used - bits : 0;
  for (int64_t i = 0; i < count; i++) counts[(KEY)(a[i].key - least) >> shift]++;
  int64_t sum = 0, bucket = 0;
  while ((sum += counts[bucket]) < wanted) bucket++;
  int64_t kept = 0;
  for (int64_t i = 0; i < count; i++) {
    a[kept] = a[i];
    kept += (int64_t)((KEY)(a[i].key - least) >> shift) <= bucket;
  }
  return kept;
}

// Brings the first of the items to the front in their order, by inserting into those found so far, and
// answers how many there are.
static int64_t IN(insert_first)(IN(item) *a, int64_t count, int64_t wanted) {
  int64_t held = 0;
  for (int64_t i = 0; i < count; i++) {
    IN(item) moving = a[i];
    if (held == wanted && moving.key >= a[held - 1].key) continue;
    int64_t k = held < wanted ? held++ : held - 1;
    for (; k > 0 && a[k - 1].key > moving.key; k--) a[k] = a[k - 1];
    a[k] = moving;
  }
  return held;
}

static int64_t IN(sort_first)(IN(item) *a, IN(item) *b, int64_t count, int64_t wanted) {
  if (wanted <= INSERTION) return IN(insert_first)(a, count, wanted);
  IN(item) *sorted = IN(sort)(a, b, count);
  int64_t held = duet_min(count, wanted);
  if (sorted != a) memcpy(a, sorted, (size_t)held * sizeof *a);
  return held;
}

// Few of many: a block of keys at a time is compared with the last of the first ones found so far. What
// comes before it joins them; from time to time that is cut back. Answers 0 where the elements come in
// such an order that cutting back would cost more than sorting.
static int IN(find_first)(const duet_sort_call *c, IN(item) *a, const char *from) {
  const int64_t stride = c->inner * (int64_t)duet_dtype_size(c->dtype), wanted = c->count;
  const int64_t room = 2 * wanted + 2 * BLOCK;
  int64_t held = 0, cuts = 4 + c->axis / room / 4;
  KEY keys[BLOCK], limit = 0;
  int is_full = 0;  // then `limit` is the key of the last one found
  for (int64_t at = 0; at < c->axis; at += BLOCK) {
    int64_t n = duet_min(BLOCK, c->axis - at);
    IN(make_keys)(keys, from + at * stride, stride, n, c->dtype, c->descending);
    if (is_full) {
      KEY some = 0;
      if (n == BLOCK)
        for (int64_t i = 0; i < BLOCK; i++) some |= keys[i] < limit;
      if (n == BLOCK && !some) continue;
      for (int64_t i = 0; i < n; i++) {
        a[held] = (IN(item)){keys[i], (PLACE)(at + i)};
        held += keys[i] < limit;
      }
      if (held + BLOCK < room) continue;
    } else {
      for (int64_t i = 0; i < n; i++) a[held++] = (IN(item)){keys[i], (PLACE)(at + i)};
      if (held < wanted) continue;
    }
    if (cuts-- == 0) return 0;
    held = IN(sort_first)(a, a + room, held, wanted);
    limit = a[wanted - 1].key;
    is_full = 1;
  }
  IN(sort_first)(a, a + room, held, wanted);
  return 1;
}

// The first places of one row, `items` being memory for twice its length.
static void IN(order)(const duet_sort_call *c, int64_t *to, const char *from, void *items) {
  IN(item) *a = items, *b = a + c->axis;
  if (c->count > c->axis / 8 || c->axis < 4 * BLOCK || !IN(find_first)(c, a, from)) {
    int64_t count = c->axis;
    IN(make_items)(a, c, from);
    if (c->count < count && count > BLOCK) count = IN(select_first)(a, count, c->count);
    a = IN(sort)(a, b, count);
  }
  for (int64_t i = 0; i < c->count; i++) to[i * c->inner] = (int64_t)a[i].index;
}

// Short rows, `rows` <= TOGETHER that lie one behind the other or are neighbouring positions of one
// array, side by side as lanes. The rank of an element is how many come before it: of every pair
// one does, the later one only if its key is less. So there is no branch to mispredict.
typedef RANK IN(ranks) __attribute__((ext_vector_type(TOGETHER)));

static void IN(order_rows)(const duet_sort_call *c, int64_t *to, const char *from, int64_t rows) {
  const KEY sign = (KEY)1 << (8 * sizeof(KEY) - 1);  // signed keys are quicker to compare
  const int64_t size = (int64_t)duet_dtype_size(c->dtype), axis = c->axis;
  KEY keys[SHORT * TOGETHER];
  IN(ranks) key[SHORT], rank[SHORT];
  if (c->inner == 1) {
    IN(make_keys)(keys, from, size, rows * axis, c->dtype, c->descending);
    for (int64_t i = 0; i < axis; i++)
      for (int64_t r = 0; r < TOGETHER; r++)
        ((RANK *)&key[i])[r] = (RANK)(keys[duet_min(r, rows - 1) * axis + i] ^ sign);
  } else {
    memset(keys, 0, TOGETHER * sizeof(KEY));  // lanes without a row
    for (int64_t i = 0; i < axis; i++) {
      IN(make_keys)(keys, from + i * c->inner * size, size, rows, c->dtype, c->descending);
      for (int64_t r = 0; r < TOGETHER; r++) ((RANK *)&key[i])[r] = (RANK)(keys[r] ^ sign);
    }
  }
  for (int64_t j = 0; j < axis; j++) {
    IN(ranks) mine = key[j], before = (RANK)j;
    for (int64_t i = 0; i < j; i++) {
      IN(ranks) is_less = mine < key[i];  // -1 where it is
      before += is_less;
      rank[i] -= is_less;
    }
    rank[j] = before;
  }
  int is_whole = c->count == axis;
  int64_t places[SHORT];
  for (int64_t r = 0; r < rows; r++) {
    int64_t *row = to + (c->inner == 1 ? r * c->count : r);
    int64_t *into = is_whole ? row : places, step = is_whole ? c->inner : 1;
    for (int64_t i = 0; i < axis; i++) into[((RANK *)&rank[i])[r] * step] = i;
    for (int64_t i = 0; !is_whole && i < c->count; i++) row[i * c->inner] = places[i];
  }
}

#undef KEY
#undef PLACE
#undef RANK
#undef SHORT
#undef IN
