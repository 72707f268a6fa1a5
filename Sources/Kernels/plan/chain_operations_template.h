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

// A mask of bytes that are not 0.
DUET_INLINE MASK REAL(mask_at)(const char *p) {
  BYTES bytes;
  memcpy(&bytes, p, LANES);
  return __builtin_convertvector(bytes, MASK) != 0;
}
