// The place of the maximum or minimum in one type. Included with FIND (adds a prefix), TYPE, SOURCE,
// LOAD_SOURCE, PART_SOURCE, SIGNED (the type compared in), VECTOR, SIGNED_VECTOR, PLACE (an integer
// of TYPE's size), BEYOND (> or <), EXTREME (the chunk's extreme value).

// Whether x replaces the best so far: only if it is beyond it, or the first NaN.
#define REPLACES(x, best) (((x) BEYOND (best)) | (IS_NAN(x) & IS_NUMBER(best)))

DUET_INLINE SIGNED_VECTOR FIND(load)(const SOURCE *x) { return (SIGNED_VECTOR)LOAD_SOURCE(x); }

// Where the value stands, or the first NaN if it is one. It is there.
DUET_INLINE int64_t FIND(first)(const SOURCE *x, int64_t count, SIGNED value) {
  for (int64_t i = 0;; i += 16) {
    SIGNED_VECTOR v = count - i >= 16
                          ? FIND(load)(x + i)
                          : (SIGNED_VECTOR)PART_SOURCE(x + i, count - i, (VECTOR)(TYPE)value);
    BITS(v) found = (v == value) | (IS_NAN(v) & IS_NAN((SIGNED_VECTOR)value));
    if (!__builtin_reduce_or(found)) continue;
    while (!found[0]) {
      found = __builtin_shufflevector(found, found, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14,
                                      15, 0);
      i++;
    }
    return i;
  }
}

// Chunk by chunk: the place is looked for only where the chunk's extreme is better.
static int64_t FIND(contiguous)(void *value, const void *from, int64_t count) {
  const SOURCE *x = from;
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

#ifdef OWN_TYPE
static void FIND(rows)(void *values, void *places, const char *const *row, int64_t rows,
                       int64_t vectors, int64_t first) {
  for (int64_t v = 0; v < vectors; v++) {
    TYPE *value = (TYPE *)values + v * 16;
    SIGNED_VECTOR best = first == 0 ? (SIGNED_VECTOR)JOIN(load_, VECTOR)((const TYPE *)row[0] + v * 16)
                                    : (SIGNED_VECTOR)JOIN(load_, VECTOR)(value);
    BITS(best) place = 0;
    if (first != 0) memcpy(&place, (const TYPE *)places + v * 16, sizeof place);
    for (int64_t r = 0; r < rows; r++) {
      SIGNED_VECTOR x = (SIGNED_VECTOR)JOIN(load_, VECTOR)((const TYPE *)row[r] + v * 16);
      BITS(best) better = REPLACES(x, best);
      best = better ? x : best;
      place = better ? (BITS(best))(PLACE)(first + r) : place;
    }
    JOIN(store_, VECTOR)(value, (VECTOR)best);
    memcpy((TYPE *)places + v * 16, &place, sizeof place);
  }
}


// Short rows are taken sixteen to a vector.
static void FIND(each)(int64_t *place, const char *x, int64_t stride, int64_t rows, int64_t count) {
  for (int64_t r = 0; r < rows; r += 16) {
    int64_t n = rows - r < 16 ? rows - r : 16;
    const char *own = x + r * stride;
    SIGNED_VECTOR best = 0;
    BITS(best) found = 0;
    for (int64_t i = 0; i < count; i++) {
      SIGNED_VECTOR v = 0;
      if (n == 16) {
#pragma clang loop unroll(full)
        for (int k = 0; k < 16; k++) v[k] = ((const SIGNED *)(own + k * stride))[i];
      } else {
        for (int k = 0; k < n; k++) v[k] = ((const SIGNED *)(own + k * stride))[i];
      }
      if (i == 0) best = v;
      BITS(best) better = REPLACES(v, best);
      best = better ? v : best;
      found = better ? (BITS(best))(PLACE)i : found;
    }
    for (int k = 0; k < n; k++) place[r + k] = found[k];
  }
}
#endif

#undef REPLACES
#undef FIND
#undef BEYOND
#undef EXTREME
