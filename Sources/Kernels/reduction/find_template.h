// The place of the maximum or minimum in one type. Included with FIND (adds a prefix), TYPE, SIGNED
// (the type compared in), VECTOR, SIGNED_VECTOR, BEYOND (> or <), EXTREME (the chunk's extreme
// value).

// Whether x replaces the best so far: only if it is beyond it, or the first NaN.
#define REPLACES(x, best) (((x) BEYOND (best)) | (IS_NAN(x) & IS_NUMBER(best)))

DUET_INLINE SIGNED_VECTOR FIND(load)(const TYPE *x) {
  return (SIGNED_VECTOR)JOIN(load_, VECTOR)(x);
}

static int64_t FIND(first)(const TYPE *x, int64_t count, SIGNED value) {
  const SIGNED *at = (const SIGNED *)x;
  int64_t i = 0;
  if (IS_NAN(value)) {
    for (; i < count; i++)
      if (IS_NAN(at[i])) return i;
  }
  for (; i + 16 <= count; i += 16)
    if (__builtin_reduce_or(FIND(load)(x + i) == value)) break;
  while (at[i] != value) i++;
  return i;
}

// Chunk by chunk: the place is looked for only where the chunk's extreme is better.
static int64_t FIND(contiguous)(void *value, const void *from, int64_t count) {
  const TYPE *x = from;
  SIGNED best = 0;
  int64_t place = 0;
  for (int64_t i = 0; i < count; i += DUET_CHUNK) {
    int64_t n = count - i < DUET_CHUNK ? count - i : DUET_CHUNK;
    SIGNED extreme = (SIGNED)EXTREME(x + i, n);
    if (i > 0 && !REPLACES(extreme, best)) continue;
    place = i + FIND(first)(x + i, n, extreme);
    best = extreme;
    if (IS_NAN(best)) break;
  }
  *(SIGNED *)value = best;
  return place;
}

static void FIND(rows)(void *values, int64_t *index, const char *const *row, int64_t rows,
                       int64_t first) {
  SIGNED_VECTOR best = FIND(load)((const TYPE *)(first == 0 ? row[0] : values));
  BITS(best) place = -1;
  for (int64_t r = 0; r < rows; r++) {
    SIGNED_VECTOR x = FIND(load)((const TYPE *)row[r]);
    BITS(best) better = REPLACES(x, best);
    best = better ? x : best;
    place = better ? (BITS(best))(int32_t)r : place;
  }
  JOIN(store_, VECTOR)(values, (VECTOR)best);
  for (int64_t c = 0; c < 16; c++) {
    if (place[c] >= 0) index[c] = first + place[c];
    else if (first == 0) index[c] = 0;
  }
}

#undef REPLACES
#undef FIND
#undef BEYOND
#undef EXTREME
