// One reduction in one type, of elements in memory of that type or a narrower one. Included with
// OPERATION (adds a prefix), TYPE, VECTOR, SOURCE (the elements in memory), LOAD_SOURCE,
// PART_SOURCE, COMBINE, IDENTITY, and for some QUICK: a cheaper COMBINE that answers the same
// unless there is NaN or the result is a zero, whose sign it does not know.

DUET_INLINE VECTOR OPERATION(load)(const SOURCE *p) { return LOAD_SOURCE(p); }
DUET_INLINE VECTOR OPERATION(part)(const SOURCE *p, int64_t n) {
  return PART_SOURCE(p, n, (VECTOR)(TYPE)IDENTITY);
}

DUET_INLINE TYPE OPERATION(exact_chunk)(const SOURCE *x, int64_t count) {
  VECTOR a = (TYPE)IDENTITY;
  int64_t i = 0;
  for (; i + 16 <= count; i += 16) a = COMBINE(a, OPERATION(load)(x + i));
  if (i < count) a = COMBINE(a, OPERATION(part)(x + i, count - i));
  return TREE(a, COMBINE);
}

// Processors that take the widest registers in two halves fetch rows from memory a fifth to a third faster for loads
// of half a line, others for those of whole lines.
#if defined(DUET_ISA_AVX512) && defined(OWN_TYPE) && !defined(QUICK) && !defined(IS_INTEGER)
#define IN_PIECES 1
#endif

// One chunk. The loop is unrolled so far that the chains of neighbouring chunks overlap in the
// processor; taking several chunks at a time would lose more in memory than it hides.
DUET_INLINE TYPE OPERATION(chunk_ahead)(const SOURCE *x, int64_t count, const int64_t ahead) {
  VECTOR a = (TYPE)IDENTITY;
  int64_t i = 0;
#ifdef QUICK
  BITS(a) nan = 0;
  for (; i + 64 <= count; i += 64) {
    VECTOR v0 = OPERATION(load)(x + i), v1 = OPERATION(load)(x + i + 16);
    VECTOR v2 = OPERATION(load)(x + i + 32), v3 = OPERATION(load)(x + i + 48);
    a = QUICK(QUICK(v3, v2), QUICK(QUICK(v1, v0), a));
    nan |= ((v0 != v0) | (v1 != v1)) | ((v2 != v2) | (v3 != v3));
  }
  for (; i + 16 <= count; i += 16) {
    VECTOR v = OPERATION(load)(x + i);
    a = QUICK(v, a);
    nan |= v != v;
  }
  if (i < count) {
    VECTOR v = OPERATION(part)(x + i, count - i);
    a = QUICK(v, a);
    nan |= v != v;
  }
  TYPE value = TREE(a, QUICK);
  if (value != 0 && !__builtin_reduce_or(nan)) return value;
  return OPERATION(exact_chunk)(x, count);
#else
#if defined(IN_PIECES)
  enum { PIECE = 32 / sizeof(TYPE), PIECES = 16 / PIECE };
  typedef DUET_LANES(TYPE, PIECE) piece;
  typedef piece piece_any __attribute__((aligned(sizeof(TYPE))));
  if (count >= 128 && duet_halves_registers()) {
    piece part[PIECES];
    for (int k = 0; k < PIECES; k++) part[k] = (piece)(TYPE)IDENTITY;
    for (; i + 128 <= count; i += 128) {
#pragma clang loop unroll(full)
      for (int k = 0; k < 128 / PIECE; k++)
        part[k % PIECES] = COMBINE(part[k % PIECES], *(const piece_any *)(x + i + k * PIECE));
    }
    memcpy(&a, part, sizeof a);
  }
#endif
#if !defined(IS_INTEGER)
  for (; i + 128 <= count; i += 128) {
#pragma clang loop unroll(full)
    for (int64_t k = 0; k < 128; k += 16) {
      if (ahead) __builtin_prefetch((const char *)(x + i + k) + ahead);
      a = COMBINE(a, OPERATION(load)(x + i + k));
    }
  }
#endif
#pragma clang loop unroll(disable)
  for (; i + 16 <= count; i += 16) a = COMBINE(a, OPERATION(load)(x + i));
  if (i < count) a = COMBINE(a, OPERATION(part)(x + i, count - i));
  return TREE(a, COMBINE);
#endif
}

DUET_INLINE TYPE OPERATION(chunk)(const SOURCE *x, int64_t count) { return OPERATION(chunk_ahead)(x, count, 0); }

#if defined(IN_PIECES)
// Two chunks of the same length side by side, so that one adds while the other waits.
DUET_INLINE void OPERATION(two_chunks)(TYPE *first, TYPE *second, const SOURCE *x, const SOURCE *y, int64_t count) {
  VECTOR a = (TYPE)IDENTITY, b = a;
  int64_t i = 0;
  for (; i + 64 <= count; i += 64) {
#pragma clang loop unroll(full)
    for (int64_t k = i; k < i + 64; k += 16) {
      a = COMBINE(a, OPERATION(load)(x + k));
      b = COMBINE(b, OPERATION(load)(y + k));
    }
  }
#pragma clang loop unroll(disable)
  for (; i + 16 <= count; i += 16) {
    a = COMBINE(a, OPERATION(load)(x + i));
    b = COMBINE(b, OPERATION(load)(y + i));
  }
  if (i < count) {
    a = COMBINE(a, OPERATION(part)(x + i, count - i));
    b = COMBINE(b, OPERATION(part)(y + i, count - i));
  }
  *first = TREE(a, COMBINE);
  *second = TREE(b, COMBINE);
}
#endif

DUET_INLINE TYPE OPERATION(pair)(TYPE x, TYPE y) {
  typedef DUET_LANES(TYPE, 2) two;
  two a = x, b = y;
  return COMBINE(a, b)[0];
}

// The results of any number of chunks: level[k] holds that of 2^k neighbouring ones where bit k of `done` is set.
typedef struct {
  TYPE level[64];
  uint64_t done;
} OPERATION(levels);

// `value` is that of 2^level chunks; as many are done, or a multiple of it.
DUET_INLINE void OPERATION(add_chunks)(OPERATION(levels) *l, TYPE value, int level) {
  int k = level;
  for (; l->done >> k & 1; k++) value = OPERATION(pair)(l->level[k], value);
  l->level[k] = value;
  l->done += (uint64_t)1 << level;
}

DUET_INLINE void OPERATION(add_chunk)(OPERATION(levels) *l, TYPE value) { OPERATION(add_chunks)(l, value, 0); }

DUET_INLINE TYPE OPERATION(result)(const OPERATION(levels) *l) {
  int k = __builtin_ctzll(l->done);
  TYPE value = l->level[k];
  for (k++; l->done >> k; k++)
    if (l->done >> k & 1) value = OPERATION(pair)(l->level[k], value);
  return value;
}

static TYPE OPERATION(run)(const SOURCE *x, int64_t count) {
  OPERATION(levels) l = {.done = 0};
  int64_t at = 0;
#if defined(IN_PIECES)
  if (!duet_halves_registers())
    for (; at + 2 * DUET_CHUNK <= count; at += 2 * DUET_CHUNK) {
      TYPE first, second;
      OPERATION(two_chunks)(&first, &second, x + at, x + at + DUET_CHUNK, DUET_CHUNK);
      OPERATION(add_chunks)(&l, OPERATION(pair)(first, second), 1);
    }
#endif
  for (; at < count; at += DUET_CHUNK)
    OPERATION(add_chunk)(&l, count - at >= DUET_CHUNK ? OPERATION(chunk)(x + at, DUET_CHUNK)
                                                      : OPERATION(chunk)(x + at, count - at));
  return OPERATION(result)(&l);
}

// At most sixteen elements `stride` apart: the same tree, without the lanes that stay empty.
DUET_INLINE VECTOR OPERATION(few)(VECTOR *lane, int64_t count) {
#pragma clang loop unroll(full)
  for (int half = 8; half > 0; half /= 2) {
#pragma clang loop unroll(full)
    for (int l = 0; l < half; l++)
      if (l + half < count) lane[l] = COMBINE(lane[l], lane[l + half]);
  }
  return lane[0];
}

// Rows of a few elements one after the other: sixteen rows to a vector.
DUET_INLINE void OPERATION(short_rows)(TYPE *to, const char *x, int64_t stride, int64_t rows,
                                       int64_t count) {
  int64_t r = 0;
  for (; r + 16 <= rows; r += 16) {
    VECTOR lane[16];
    for (int l = 0; l < count; l++) {
      SOURCE own[16];
#pragma clang loop unroll(full)
      for (int k = 0; k < 16; k++) own[k] = ((const SOURCE *)(x + (r + k) * stride))[l];
      lane[l] = OPERATION(load)(own);
    }
    JOIN(store_, VECTOR)(to + r, OPERATION(few)(lane, count));
  }
  for (; r < rows; r++) to[r] = OPERATION(chunk)((const SOURCE *)(x + r * stride), count);
}

static void OPERATION(rows)(void *out, const char *x, int64_t stride, int64_t rows, int64_t count) {
  TYPE *to = out;
  if (count > DUET_CHUNK) {
    for (int64_t r = 0; r < rows; r++)
      to[r] = OPERATION(run)((const SOURCE *)(x + r * stride), count);
    return;
  }
  switch (count) {
    case 2: OPERATION(short_rows)(to, x, stride, rows, 2); return;
    case 3: OPERATION(short_rows)(to, x, stride, rows, 3); return;
    case 4: OPERATION(short_rows)(to, x, stride, rows, 4); return;
    default: break;
  }
  int64_t r = 0;
#if defined(IN_PIECES)
  enum { FEW = 128 };  // elements, for which a chain is mostly waiting
  if (count <= FEW && !duet_halves_registers())
    for (; r + 2 <= rows; r += 2)
      OPERATION(two_chunks)(to + r, to + r + 1, (const SOURCE *)(x + r * stride),
                            (const SOURCE *)(x + (r + 1) * stride), count);
#endif
  for (; r < rows; r++) to[r] = OPERATION(chunk)((const SOURCE *)(x + r * stride), count);
}

#if defined(DUET_ISA_AVX2) && defined(OWN_TYPE) && !defined(QUICK) && !defined(IS_INTEGER)
// Four chunks of the same length side by side: processors with AVX2 fetch four runs of whole pages faster than one.
enum { OPERATION(PAGE) = 4096 };
DUET_INLINE void OPERATION(four_chunks)(TYPE *to, const char *x, int64_t stride, int64_t count) {
  VECTOR a[4];
#pragma clang loop unroll(full)
  for (int w = 0; w < 4; w++) a[w] = (TYPE)IDENTITY;
  int64_t i = 0;
  for (; i + 16 <= count; i += 16) {
#pragma clang loop unroll(full)
    for (int w = 0; w < 4; w++) a[w] = COMBINE(a[w], OPERATION(load)((const SOURCE *)(x + w * stride) + i));
  }
#pragma clang loop unroll(full)
  for (int w = 0; w < 4; w++) {
    if (i < count) a[w] = COMBINE(a[w], OPERATION(part)((const SOURCE *)(x + w * stride) + i, count - i));
    to[w] = TREE(a[w], COMBINE);
  }
}

static void OPERATION(rows_from_memory)(void *out, const char *x, int64_t stride, int64_t rows, int64_t count) {
  TYPE *to = out;
  int64_t r = 0;
  if (count <= DUET_CHUNK) {
    if (count * sizeof(SOURCE) % OPERATION(PAGE) == 0)
      for (; r + 4 <= rows; r += 4) OPERATION(four_chunks)(to + r, x + r * stride, stride, count);
    OPERATION(rows)(to + r, x + r * stride, stride, rows - r, count);
    return;
  }
  for (; r < rows; r++) {
    const SOURCE *row = (const SOURCE *)(x + r * stride);
    OPERATION(levels) l = {.done = 0};
    int64_t at = 0;
    for (; at + 4 * DUET_CHUNK <= count; at += 4 * DUET_CHUNK) {
      TYPE value[4];
      OPERATION(four_chunks)(value, (const char *)(row + at), DUET_CHUNK * sizeof(SOURCE), DUET_CHUNK);
      for (int w = 0; w < 4; w++) OPERATION(add_chunk)(&l, value[w]);
    }
    for (; at < count; at += DUET_CHUNK)
      OPERATION(add_chunk)(&l, OPERATION(chunk)(row + at, count - at < DUET_CHUNK ? count - at : DUET_CHUNK));
    to[r] = OPERATION(result)(&l);
  }
}
#elif defined(IN_PIECES)
// The chunks of two runs of 2^DUET_FAR_LEVEL of them, side by side: two streams far apart are read faster than one,
// but where every load crosses lines.
static void OPERATION(two_runs)(OPERATION(levels) *all, const SOURCE *x) {
  const SOURCE *y = x + (DUET_CHUNK << DUET_FAR_LEVEL);
  OPERATION(levels) first = {.done = 0}, second = {.done = 0};
  for (int64_t at = 0; at < DUET_CHUNK << DUET_FAR_LEVEL; at += DUET_CHUNK) {
    TYPE a, b;
    OPERATION(two_chunks)(&a, &b, x + at, y + at, DUET_CHUNK);
    OPERATION(add_chunk)(&first, a);
    OPERATION(add_chunk)(&second, b);
  }
  OPERATION(add_chunks)(all, OPERATION(result)(&first), DUET_FAR_LEVEL);
  OPERATION(add_chunks)(all, OPERATION(result)(&second), DUET_FAR_LEVEL);
}

static void OPERATION(rows_from_memory)(void *out, const char *x, int64_t stride, int64_t rows, int64_t count) {
  enum { AHEAD = 4096, LINE = 64, TWO_RUNS = 2 * DUET_CHUNK << DUET_FAR_LEVEL };
  if (count < DUET_CHUNK || duet_halves_registers()) {
    OPERATION(rows)(out, x, stride, rows, count);
    return;
  }
  TYPE *to = out;
  for (int64_t r = 0; r < rows; r++) {
    const SOURCE *row = (const SOURCE *)(x + r * stride);
    OPERATION(levels) l = {.done = 0};
    int64_t at = 0;
    if ((uintptr_t)row % LINE == 0)
      for (; at + TWO_RUNS <= count; at += TWO_RUNS) OPERATION(two_runs)(&l, row + at);
    for (; at < count; at += DUET_CHUNK)
      OPERATION(add_chunk)(&l, count - at >= DUET_CHUNK ? OPERATION(chunk_ahead)(row + at, DUET_CHUNK, AHEAD)
                                                        : OPERATION(chunk_ahead)(row + at, count - at, AHEAD));
    to[r] = OPERATION(result)(&l);
  }
}
#else
static void OPERATION(rows_from_memory)(void *out, const char *x, int64_t stride, int64_t rows, int64_t count) {
  OPERATION(rows)(out, x, stride, rows, count);
}
#endif

// Vectors of columns through n rows, the chains kept in registers.
DUET_INLINE void OPERATION(deep_lanes)(TYPE *slot, const char *const *row, int n, int64_t vectors,
                                       int64_t last, int fresh) {
  const VECTOR identity = (TYPE)IDENTITY;
  const SOURCE *from[8];
  for (int k = 0; k < n; k++) from[k] = (const SOURCE *)row[k];
  int64_t v = 0;
#if defined(DUET_ISA_AVX512) && !defined(QUICK)
  // Two lines of a row one after the other are fetched faster from memory.
  for (; n == 8 && v + 2 < vectors; v += 2) {
    VECTOR a = identity, b = identity;
    if (!fresh) {
      a = JOIN(load_, VECTOR)(slot + v * 16);
      b = JOIN(load_, VECTOR)(slot + v * 16 + 16);
    }
#pragma clang loop unroll(full)
    for (int k = 0; k < n; k++) {
      a = COMBINE(a, OPERATION(load)(from[k] + v * 16));
      b = COMBINE(b, OPERATION(load)(from[k] + v * 16 + 16));
    }
    JOIN(store_, VECTOR)(slot + v * 16, a);
    JOIN(store_, VECTOR)(slot + v * 16 + 16, b);
  }
#endif
  for (; v < vectors; v++) {
    int64_t at = v < vectors - 1 ? v * 16 : last;
    VECTOR start = fresh ? identity : JOIN(load_, VECTOR)(slot + v * 16), x[8];
#pragma clang loop unroll(full)
    for (int k = 0; k < n; k++) x[k] = OPERATION(load)(from[k] + at);
#ifdef QUICK
    VECTOR m = start;
    BITS(m) doubtful = 0;
#pragma clang loop unroll(full)
    for (int k = 0; k < n; k++) {
      m = QUICK(x[k], m);
      doubtful |= x[k] != x[k];
    }
    doubtful |= m == 0;
    if (__builtin_expect(__builtin_reduce_or(doubtful) == 0, 1)) {
      JOIN(store_, VECTOR)(slot + v * 16, m);
      continue;
    }
#endif
    VECTOR a = start;
#pragma clang loop unroll(full)
    for (int k = 0; k < n; k++) a = COMBINE(a, x[k]);
    JOIN(store_, VECTOR)(slot + v * 16, a);
  }
}

static void OPERATION(lanes)(void *slots, const char *const *row, int64_t n, int64_t vectors,
                             int64_t last, int fresh) {
  switch (n) {
    case 8: OPERATION(deep_lanes)(slots, row, 8, vectors, last, fresh); return;
    case 4: OPERATION(deep_lanes)(slots, row, 4, vectors, last, fresh); return;
    default:
      for (int64_t k = 0; k < n; k++)
        OPERATION(deep_lanes)(slots, row + k, 1, vectors, last, fresh && k == 0);
  }
}

// Streams that have registers for all of their lanes.
static void OPERATION(streams)(void *lanes, const char *x, int64_t stride, int64_t vectors, int fresh) {
  enum { BESIDE = 16 / sizeof(TYPE) };
  TYPE *to = lanes;
  for (int s = 0; s < DUET_STREAMS; s += BESIDE, to += 16 * BESIDE, x += BESIDE * stride) {
    VECTOR a[BESIDE];
#ifdef QUICK
    // NaN has larger bits than infinity, but for the sign. Masks of comparisons would be narrowed.
    BITS(*a) largest = 0;
    const BITS(*a) magnitude = ~(BITS(*a))(VECTOR)(TYPE)-0.0;
#pragma clang loop unroll(full)
    for (int w = 0; w < BESIDE; w++)
      a[w] = fresh ? (VECTOR)(TYPE)IDENTITY : JOIN(load_, VECTOR)(to + w * 16);
    for (int64_t v = 0; v < vectors; v++) {
#pragma clang loop unroll(full)
      for (int w = 0; w < BESIDE; w++) {
        VECTOR y = OPERATION(load)((const SOURCE *)(x + w * stride) + v * 16);
        a[w] = QUICK(y, a[w]);
        BITS(y) bits = (BITS(y))y & magnitude;
        largest = bits > largest ? bits : largest;
      }
    }
    BITS(*a) doubtful = largest > (BITS(*a))(VECTOR)(TYPE)INFINITE;
#pragma clang loop unroll(full)
    for (int w = 0; w < BESIDE; w++) doubtful |= a[w] == 0;
    if (__builtin_expect(__builtin_reduce_or(doubtful) == 0, 1)) {
#pragma clang loop unroll(full)
      for (int w = 0; w < BESIDE; w++) JOIN(store_, VECTOR)(to + w * 16, a[w]);
      continue;
    }
#endif
#pragma clang loop unroll(full)
    for (int w = 0; w < BESIDE; w++)
      a[w] = fresh ? (VECTOR)(TYPE)IDENTITY : JOIN(load_, VECTOR)(to + w * 16);
    for (int64_t v = 0; v < vectors; v++) {
#pragma clang loop unroll(full)
      for (int w = 0; w < BESIDE; w++)
        a[w] = COMBINE(a[w], OPERATION(load)((const SOURCE *)(x + w * stride) + v * 16));
    }
#pragma clang loop unroll(full)
    for (int w = 0; w < BESIDE; w++) JOIN(store_, VECTOR)(to + w * 16, a[w]);
  }
}

#ifdef OWN_TYPE
static void OPERATION(trees)(void *out, const void *lanes) {
  for (int s = 0; s < DUET_STREAMS; s++)
    ((TYPE *)out)[s] = TREE(JOIN(load_, VECTOR)((const TYPE *)lanes + s * 16), COMBINE);
}

// Columns of at most sixteen rows, for many neighbouring positions before them.
static void OPERATION(columns)(void *out, const char *x, int64_t outer, int64_t outer_stride,
                               int64_t rows, int64_t row_stride, int64_t columns) {
  TYPE *to = out;
  for (int64_t o = 0; o < outer; o++, x += outer_stride, to += columns) {
    for (int64_t c = 0; c < columns; c += 16) {
      VECTOR lane[16];
      int64_t n = columns - c;
      for (int64_t r = 0; r < rows; r++) {
        const SOURCE *from = (const SOURCE *)(x + r * row_stride) + c;
        lane[r] = n >= 16 ? OPERATION(load)(from) : OPERATION(part)(from, n);
      }
      for (int half = 8; half > 0; half /= 2)
        for (int l = 0; l < half && l + half < rows; l++)
          lane[l] = COMBINE(lane[l], lane[l + half]);
      if (n >= 16)
        JOIN(store_, VECTOR)(to + c, lane[0]);
      else
        JOIN(store_part_, VECTOR)(to + c, lane[0], n);
    }
  }
}

static void OPERATION(join)(void *a, const void *b, int64_t count) {
  TYPE *to = a;
  const TYPE *from = b;
  int64_t i = 0;
  for (; i + 16 <= count; i += 16)
    JOIN(store_, VECTOR)(to + i, COMBINE(OPERATION(load)(to + i), OPERATION(load)(from + i)));
  for (; i < count; i++) to[i] = OPERATION(pair)(to[i], from[i]);
}

static void OPERATION(clear)(void *a, int64_t count) {
  for (int64_t i = 0; i < count; i++) ((TYPE *)a)[i] = (TYPE)IDENTITY;
}
#endif

#undef QUICK
#undef OPERATION
#undef IN_PIECES
#undef COMBINE
#undef IDENTITY
