// The interpreter of chains, on one vector or on four at a time: VECTORS.
#if VECTORS == 4
#define INTERPRET DUET_SUFFIX(duet_interpret_chain)
#define EACH(part, with) part(0, with) part(1, with) part(2, with) part(3, with)
#else
#define INTERPRET DUET_SUFFIX(duet_interpret_chain_narrow)
#define EACH(part, with) part(0, with)
#endif

#define BEGUN(k, value) f32x16 v##k = value, w##k = value;
#define LOADED(k, at) v##k = load_f32(at + 64 * k);
#define FILLED(k, value) v##k = value;
#define STORED(k, at) store_f32(at + 64 * k, v##k);
#define STREAMED(k, at) __builtin_nontemporal_store(v##k, (f32x16 *)at + k);
#define KEPT(k, _) w##k = v##k;
#define TAKEN(k, _) v##k = w##k;
#define APPLIED(k, f) v##k = f(v##k);
#define WITH_MEMORY(k, f) v##k = f(v##k, load_f32(p + 64 * k));
#define WITH_ONE(k, f) v##k = f(v##k, one);
#define MEMORY_WITH(k, f) v##k = f(load_f32(p + 64 * k), v##k);
#define ONE_WITH(k, f) v##k = f(one, v##k);
#define WITH_KEPT(k, f) v##k = f(v##k, w##k);
#define KEPT_WITH(k, f) v##k = f(w##k, v##k);

#define NEXT                          \
  do {                                \
    step++;                           \
    p = step->base + (at & step->mask); \
    goto *labels[step->code];         \
  } while (0)

// The steps, with the number COPY behind their names.
#define AT(name) AT_COPY(name, COPY)
#define AT_COPY(name, copy) AT_NUMBER(name, copy)
#define AT_NUMBER(name, copy) name##_##copy

#define SIMPLE_LABEL(op, name) &&AT(name),
#define FUNCTION_LABEL(op, name) &&name,
#define BINARY_LABELS(op, name)                                                               \
  &&AT(name), &&AT(name##_one), &&AT(name##_to), &&AT(name##_to_one), &&AT(name##_kept), \
      &&AT(name##_to_kept),
#define LABELS                                                                                 \
  &&end, &&AT(load), &&AT(load_one), &&AT(store), &&AT(stream), &&AT(keep), &&AT(take),        \
      DUET_CHAIN_SIMPLE(SIMPLE_LABEL) DUET_CHAIN_FUNCTIONS(FUNCTION_LABEL)                     \
          DUET_CHAIN_BINARY(BINARY_LABELS)

#define FUNCTION(op, name)          \
  name:                            \
  EACH(APPLIED, math_##name##_f32) \
  NEXT;
#define SIMPLE(op, name)            \
  AT(name) :                       \
  EACH(APPLIED, math_##name##_f32) \
  NEXT;
#define BINARY(op, name)                            \
  AT(name) :                                       \
  EACH(WITH_MEMORY, math_##name##_f32)             \
  NEXT;                                            \
  AT(name##_one) : {                               \
    const f32x16 one = (f32x16)(*(const float *)p); \
    EACH(WITH_ONE, math_##name##_f32)              \
  }                                                \
  NEXT;                                            \
  AT(name##_to) :                                  \
  EACH(MEMORY_WITH, math_##name##_f32)             \
  NEXT;                                            \
  AT(name##_to_one) : {                            \
    const f32x16 one = (f32x16)(*(const float *)p); \
    EACH(ONE_WITH, math_##name##_f32)              \
  }                                                \
  NEXT;                                            \
  AT(name##_kept) :                                \
  EACH(WITH_KEPT, math_##name##_f32)               \
  NEXT;                                            \
  AT(name##_to_kept) :                             \
  EACH(KEPT_WITH, math_##name##_f32)               \
  NEXT;
#define STEPS                                      \
  AT(load) :                                       \
  EACH(LOADED, p)                                  \
  NEXT;                                            \
  AT(load_one) : {                                 \
    const f32x16 one = (f32x16)(*(const float *)p); \
    EACH(FILLED, one)                              \
  }                                                \
  NEXT;                                            \
  AT(store) :                                      \
  EACH(STORED, p)                                  \
  NEXT;                                            \
  AT(stream) :                                     \
  EACH(STREAMED, p)                                \
  NEXT;                                            \
  AT(keep) :                                       \
  EACH(KEPT, 0)                                    \
  NEXT;                                            \
  AT(take) :                                       \
  EACH(TAKEN, 0)                                   \
  NEXT;                                            \
  DUET_CHAIN_SIMPLE(SIMPLE)                        \
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
  EACH(BEGUN, (f32x16)0.0f)
  char *p;
  NEXT;
end:
  at += VECTORS * 64;
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
}

#undef INTERPRET
#undef EACH
#undef BEGUN
#undef LOADED
#undef FILLED
#undef STORED
#undef STREAMED
#undef KEPT
#undef TAKEN
#undef APPLIED
#undef WITH_MEMORY
#undef WITH_ONE
#undef MEMORY_WITH
#undef ONE_WITH
#undef WITH_KEPT
#undef KEPT_WITH
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
#undef STEPS
#undef VECTORS
