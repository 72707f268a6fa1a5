// The interpreter of chains, on one vector or on four at a time: VECTORS. INTERPRET names it, REAL adds the suffix of
// the values in registers, of type VECTOR with LANES of SCALAR; with HALVES, arrays of 16-bit floats. There are no
// DUET_CHAIN_FUNCTIONS with WITHOUT_FUNCTIONS. Values of type SCALAR are fetched FETCHED bytes ahead where that is
// defined.
#if VECTORS == 4
#define EACH(part, with) part(0, with) part(1, with) part(2, with) part(3, with)
// Lane by lane in the order of the elements.
#define SUM_LABEL &&sum,
#define ADDED(k, to) v##k = v##k + to;
#define SUM                                                                                     \
  sum:                                                                                          \
  if (LANES == 16) {                                                                            \
    ADDED(0, REAL(load)(p)) ADDED(1, v0) ADDED(2, v1) ADDED(3, v2) STORED_AT(0, v3)             \
  } else {                                                                                      \
    ADDED(0, REAL(load)(p)) ADDED(1, REAL(load)(p + 64)) ADDED(2, v0) ADDED(3, v1)              \
    STORED_AT(0, v2) STORED_AT(1, v3)                                                           \
  }                                                                                             \
  NEXT;
#define STORED_AT(k, value) REAL(store)(p + 64 * k, value);
#else
#define EACH(part, with) part(0, with)
#define SUM_LABEL &&end,
#define SUM
#endif
// Wide functions leave no registers for w.
#if VECTORS == 4 && defined(DUET_ISA_AVX2)
#define APPLY(f) BOTH_APPLIED(0, 1, f) BOTH_APPLIED(2, 3, f)
#ifndef WITHOUT_FUNCTIONS
#define W_IN_MEMORY
#endif
#else
#define APPLY(f) EACH(APPLIED, f)
#endif
#ifdef W_IN_MEMORY
#define W(k) w[k]
#define BEGUN(k, value) VECTOR v##k = value;
#else
#define W(k) w##k
#define BEGUN(k, value) VECTOR v##k = value, w##k = value;
#endif

#ifdef FETCHED
#define FETCH __builtin_prefetch(p + FETCHED);
#else
#define FETCH
#endif
#define LOADED(k, at) FETCH v##k = REAL(load)(at + 64 * k);
#define FILLED(k, value) v##k = value;
#define STORED(k, at) REAL(store)(at + 64 * k, v##k);
#define STREAMED(k, at) __builtin_nontemporal_store(v##k, (VECTOR *)at + k);
#define MASK_LOADED(k, at) m[k] = REAL(mask_at)(at + LANES * k);
#define MASK_FILLED(k, value) m[k] = value;
#define MASK_STORED(k, at) REAL(store_mask)(at + LANES * k, m[k]);
#define HALF_LOADED(k, type) v##k = raw_##type(load_u16(p + 32 * k));
#define HALF_ASIDE(k, type) u[k] = raw_##type(load_u16(p + 32 * k));
#define FILLED_ASIDE(k, value) u[k] = value;
#define HALF_STORED(k, type) store_u16(p + 32 * k, exactly_##type(v##k));
#define HALF_STREAMED(k, type) __builtin_nontemporal_store(exactly_##type(v##k), (u16x16 *)p + k);
#define ROUNDED(k, type) v##k = round_##type(v##k);
#define QUIETED(k, _) v##k = quiet_f32(v##k);
#define QUIETED_ASIDE(k, _) u[k] = quiet_f32(u[k]);
#define KEPT(k, _) W(k) = v##k;
#define TAKEN(k, _) v##k = W(k);
#define APPLIED(k, f) v##k = f(v##k);
#define BOTH_APPLIED(k, l, f)              \
  {                                        \
    WIDE both = f(REAL(both)(v##k, v##l)); \
    v##k = REAL(first_half)(both);         \
    v##l = REAL(second_half)(both);        \
  }
#define WITH_MEMORY(k, set) FETCH set(&v##k, &m[k], v##k, REAL(load)(p + 64 * k));
#define WITH_ONE(k, set) set(&v##k, &m[k], v##k, one);
#define MEMORY_WITH(k, set) FETCH set(&v##k, &m[k], REAL(load)(p + 64 * k), v##k);
#define ONE_WITH(k, set) set(&v##k, &m[k], one, v##k);
#define WITH_KEPT(k, set) set(&v##k, &m[k], v##k, W(k));
#define KEPT_WITH(k, set) set(&v##k, &m[k], W(k), v##k);
#define WITH_ASIDE(k, set) set(&v##k, &m[k], v##k, u[k]);
#define ASIDE_WITH(k, set) set(&v##k, &m[k], u[k], v##k);
#define ONE ((VECTOR)(*(const SCALAR *)p))
#define HALF_ONE(type) raw_##type((u16x16)(*(const uint16_t *)p))

#define NEXT                          \
  do {                                \
    step++;                           \
    p = step->base + at * step->size; \
    goto *labels[step->code];         \
  } while (0)

// The steps, with the number COPY behind their names.
#define AT(name) AT_COPY(name, COPY)
#define AT_COPY(name, copy) AT_NUMBER(name, copy)
#define AT_NUMBER(name, copy) name##_##copy

#define SIMPLE_LABEL(op, name) &&AT(name),
#ifdef WITHOUT_FUNCTIONS
#define FUNCTION_LABEL(op, name) &&end,
#define FUNCTION(op, name)
#else
#define FUNCTION_LABEL(op, name) &&name,
#define FUNCTION(op, name) \
  name:                    \
  APPLY(REAL(math_##name)) \
  NEXT;
#endif
#define BINARY_LABELS(op, name)                                                          \
  &&AT(name), &&AT(name##_one), &&AT(name##_to), &&AT(name##_to_one), &&AT(name##_kept), \
      &&AT(name##_to_kept), &&AT(name##_aside), &&AT(name##_to_aside),
#ifdef HALVES
#define QUIET_LABELS &&AT(quiet), &&AT(quiet_aside),
#define HALF_LABELS(type, name)                                                             \
  &&AT(load_##name), &&AT(load_##name##_one), &&AT(aside_##name), &&AT(aside_##name##_one), \
      &&AT(store_##name), &&AT(stream_##name), &&AT(round_##name),                          \
      &&AT(round_arithmetic_##name),
#else
#define QUIET_LABELS &&end, &&end,
#define HALF_LABELS(type, name) &&end, &&end, &&end, &&end, &&end, &&end, &&end, &&end,
#endif
#define LABELS                                                                          \
  &&end, &&AT(load), &&AT(load_one), &&AT(store), &&AT(stream), &&AT(keep), &&AT(take), \
      &&AT(load_mask), &&AT(load_mask_one), &&AT(store_mask), SUM_LABEL                 \
      QUIET_LABELS DUET_CHAIN_HALVES(HALF_LABELS)                                       \
      DUET_CHAIN_SIMPLE(SIMPLE_LABEL) DUET_CHAIN_FUNCTIONS(FUNCTION_LABEL)              \
          DUET_CHAIN_BINARY(BINARY_LABELS)

#define SIMPLE(op, name)           \
  AT(name) :                       \
  EACH(APPLIED, REAL(math_##name)) \
  NEXT;
#define BINARY(op, name)              \
  AT(name) :                          \
  EACH(WITH_MEMORY, REAL(set_##name)) \
  NEXT;                               \
  AT(name##_one) : {                  \
    const VECTOR one = ONE;           \
    EACH(WITH_ONE, REAL(set_##name##_one)) \
  }                                   \
  NEXT;                               \
  AT(name##_to) :                     \
  EACH(MEMORY_WITH, REAL(set_##name)) \
  NEXT;                               \
  AT(name##_to_one) : {               \
    const VECTOR one = ONE;           \
    EACH(ONE_WITH, REAL(set_##name))  \
  }                                   \
  NEXT;                               \
  AT(name##_kept) :                   \
  EACH(WITH_KEPT, REAL(set_##name))   \
  NEXT;                               \
  AT(name##_to_kept) :                \
  EACH(KEPT_WITH, REAL(set_##name))   \
  NEXT;                               \
  AT(name##_aside) :                  \
  EACH(WITH_ASIDE, REAL(set_##name))  \
  NEXT;                               \
  AT(name##_to_aside) :               \
  EACH(ASIDE_WITH, REAL(set_##name))  \
  NEXT;
#define HALF(type, name)               \
  AT(load_##name) :                    \
  EACH(HALF_LOADED, name)              \
  NEXT;                                \
  AT(load_##name##_one) : {            \
    const VECTOR one = HALF_ONE(name); \
    EACH(FILLED, one)                  \
  }                                    \
  NEXT;                                \
  AT(aside_##name) :                   \
  EACH(HALF_ASIDE, name)               \
  NEXT;                                \
  AT(aside_##name##_one) : {           \
    const VECTOR one = HALF_ONE(name); \
    EACH(FILLED_ASIDE, one)            \
  }                                    \
  NEXT;                                \
  AT(store_##name) :                   \
  EACH(HALF_STORED, name)              \
  NEXT;                                \
  AT(stream_##name) :                  \
  EACH(HALF_STREAMED, name)            \
  NEXT;                                \
  AT(round_##name) :                   \
  EACH(ROUNDED, name)                  \
  NEXT;                                \
  AT(round_arithmetic_##name) :        \
  EACH(ROUNDED, arithmetic_##name)     \
  NEXT;
#ifdef HALVES
#define HALF_STEPS       \
  AT(quiet) :            \
  EACH(QUIETED, 0)       \
  NEXT;                  \
  AT(quiet_aside) :      \
  EACH(QUIETED_ASIDE, 0) \
  NEXT;                  \
  DUET_CHAIN_HALVES(HALF)
#else
#define HALF_STEPS
#endif
#define STEPS                                        \
  AT(load) :                                         \
  EACH(LOADED, p)                                    \
  NEXT;                                              \
  AT(load_one) : {                                   \
    const VECTOR one = ONE;                          \
    EACH(FILLED, one)                                \
  }                                                  \
  NEXT;                                              \
  AT(store) :                                        \
  EACH(STORED, p)                                    \
  NEXT;                                              \
  AT(stream) :                                       \
  EACH(STREAMED, p)                                  \
  NEXT;                                              \
  AT(keep) :                                         \
  EACH(KEPT, 0)                                      \
  NEXT;                                              \
  AT(take) :                                         \
  EACH(TAKEN, 0)                                     \
  NEXT;                                              \
  AT(load_mask) :                                    \
  EACH(MASK_LOADED, p)                               \
  NEXT;                                              \
  AT(load_mask_one) : {                              \
    const MASK one = (MASK){0} + (*p != 0 ? -1 : 0); \
    EACH(MASK_FILLED, one)                           \
  }                                                  \
  NEXT;                                              \
  AT(store_mask) :                                   \
  EACH(MASK_STORED, p)                               \
  NEXT;                                              \
  HALF_STEPS                                         \
  DUET_CHAIN_SIMPLE(SIMPLE)                          \
  DUET_CHAIN_BINARY(BINARY)

void INTERPRET(const duet_chain_step *steps, int64_t begin, int64_t end) {
  static const void *const labels[DUET_CHAIN_COPIES * DUET_CHAIN_CODES] = {
#define COPY 0
      LABELS
#undef COPY
#define COPY 1
      LABELS
#undef COPY
#define COPY 2
      LABELS
#undef COPY
#define COPY 3
      LABELS
#undef COPY
  };
  int64_t at = begin;
  const duet_chain_step *step = steps - 1;
  EACH(BEGUN, (VECTOR)0.0f)
  // In memory for sure: the registers are for v, w (but for W_IN_MEMORY) and what functions compute.
  VECTOR aside[VECTORS], *u = aside;
  MASK mask[VECTORS], *m = mask;
  __asm__("" : "+r"(u), "+r"(m) : : "memory");
#ifdef W_IN_MEMORY
  VECTOR kept[VECTORS], *w = kept;
  __asm__("" : "+r"(w) : : "memory");
#endif
  char *p;
  NEXT;
end:
  at += VECTORS * LANES;
  if (at >= end) return;
  step = steps - 1;
  NEXT;
#define COPY 0
  STEPS
#undef COPY
#define COPY 1
  STEPS
#undef COPY
#define COPY 2
  STEPS
#undef COPY
#define COPY 3
  STEPS
#undef COPY
  DUET_CHAIN_FUNCTIONS(FUNCTION)
  SUM
}

#undef INTERPRET
#undef EACH
#undef SUM_LABEL
#undef ADDED
#undef SUM
#undef STORED_AT
#undef BEGUN
#undef LOADED
#undef FETCH
#undef FILLED
#undef STORED
#undef STREAMED
#undef MASK_LOADED
#undef MASK_FILLED
#undef MASK_STORED
#undef HALF_LOADED
#undef HALF_ASIDE
#undef FILLED_ASIDE
#undef HALF_STORED
#undef HALF_STREAMED
#undef ROUNDED
#undef QUIETED
#undef QUIETED_ASIDE
#undef KEPT
#undef TAKEN
#undef APPLIED
#undef BOTH_APPLIED
#undef APPLY
#undef W
#undef W_IN_MEMORY
#undef WITH_MEMORY
#undef WITH_ONE
#undef MEMORY_WITH
#undef ONE_WITH
#undef WITH_KEPT
#undef KEPT_WITH
#undef WITH_ASIDE
#undef ASIDE_WITH
#undef ONE
#undef HALF_ONE
#undef NEXT
#undef AT
#undef AT_COPY
#undef AT_NUMBER
#undef SIMPLE_LABEL
#undef FUNCTION_LABEL
#undef BINARY_LABELS
#undef LABELS
#undef FUNCTION
#undef SIMPLE
#undef BINARY
#undef HALF
#undef HALF_LABELS
#undef QUIET_LABELS
#undef HALF_STEPS
#undef STEPS
#undef VECTORS
