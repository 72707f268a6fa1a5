// What the operations of chains do with two operands: they set the value v or the mask m. Included once per type with
// REAL, VECTOR, MASK, BYTES (as many bytes as lanes), LANES.

#define X(op, name)                                                           \
  DUET_INLINE void REAL(set_##name)(VECTOR *v, MASK *m, VECTOR a, VECTOR b) { \
    (void)m;                                                                  \
    *v = REAL(math_##name)(a, b);                                             \
  }
DUET_CHAIN_ARITHMETIC(X)
#undef X

#define X(op, name)                                                           \
  DUET_INLINE void REAL(set_##name)(VECTOR *v, MASK *m, VECTOR a, VECTOR b) { \
    (void)v;                                                                  \
    *m = REAL(test_##name)(a, b);                                             \
  }
DUET_CHAIN_COMPARISONS(X)
#undef X

DUET_INLINE void REAL(set_select)(VECTOR *v, MASK *m, VECTOR a, VECTOR b) { *v = *m ? a : b; }

// With one element in all lanes of b.
#define X(op, name)                                                               \
  DUET_INLINE void REAL(set_##name##_one)(VECTOR *v, MASK *m, VECTOR a, VECTOR b) { \
    REAL(set_##name)(v, m, a, b);                                                 \
  }
DUET_CHAIN_PLAIN(X)
DUET_CHAIN_COMPARISONS(X)
X(SELECT, select)
#undef X

#define X(op, name)                                                               \
  DUET_INLINE void REAL(set_##name##_one)(VECTOR *v, MASK *m, VECTOR a, VECTOR b) { \
    (void)m;                                                                      \
    *v = REAL(math_##name##_number)(a, b);                                        \
  }
DUET_CHAIN_EXTREMES(X)
#undef X

// A mask of bytes that are not 0.
DUET_INLINE MASK REAL(mask_at)(const char *p) {
  BYTES bytes;
  memcpy(&bytes, p, LANES);
  return __builtin_convertvector(bytes, MASK) != 0;
}

// The same the other way round.
DUET_INLINE void REAL(store_mask)(char *p, MASK m) {
  BYTES bytes = __builtin_convertvector(m, BYTES);
  memcpy(p, &bytes, LANES);
}
