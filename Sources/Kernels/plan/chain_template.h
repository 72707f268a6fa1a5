// The interpreter of chains, on one vector or on four at a time: VECTORS.
#if VECTORS == 4
#define INTERPRET DUET_SUFFIX(duet_interpret_chain)
#define EACH(part, with) part(0, with) part(1, with) part(2, with) part(3, with)
#else
#define INTERPRET DUET_SUFFIX(duet_interpret_chain_narrow)
#define EACH(part, with) part(0, with)
#endif

#define BEGUN(k, value) f32x16 v##k = value;
#define LOADED(k, at) v##k = load_f32(at + 64 * k);
#define FILLED(k, value) v##k = value;
#define STORED(k, at) store_f32(at + 64 * k, v##k);
#define STREAMED(k, at) __builtin_nontemporal_store(v##k, (f32x16 *)at + k);
#define APPLIED(k, f) v##k = f(v##k);
#define WITH_MEMORY(k, f) v##k = f(v##k, load_f32(p + 64 * k));
#define WITH_ONE(k, f) v##k = f(v##k, one);
#define MEMORY_WITH(k, f) v##k = f(load_f32(p + 64 * k), v##k);
#define ONE_WITH(k, f) v##k = f(one, v##k);

#define NEXT                          \
  do {                                \
    step++;                           \
    p = step->base + (at & step->mask); \
    goto *labels[step->code];         \
  } while (0)
void INTERPRET(const duet_chain_step *steps, int64_t begin, int64_t end) {
  static const void *const labels[] = {
      &&end, &&load, &&load_one, &&store, &&stream,
#define X(op, name) &&name,
      DUET_CHAIN_UNARY(X)
#undef X
#define X(op, name) &&name, &&name##_one, &&name##_to, &&name##_to_one,
      DUET_CHAIN_BINARY(X)
#undef X
  };
  int64_t at = begin;
  const duet_chain_step *step = steps - 1;
  EACH(BEGUN, 0)
  char *p;
  NEXT;
end:
  at += VECTORS * 64;
  if (at >= end) return;
  step = steps - 1;
  NEXT;
load:
  EACH(LOADED, p)
  NEXT;
load_one : {
  const f32x16 one = (f32x16)(*(const float *)p);
  EACH(FILLED, one)
}
  NEXT;
store:
  EACH(STORED, p)
  NEXT;
stream:
  EACH(STREAMED, p)
  NEXT;
#define X(op, name)               \
  name:                           \
  EACH(APPLIED, math_##name##_f32) \
  NEXT;
  DUET_CHAIN_UNARY(X)
#undef X
#define X(op, name)                                         \
  name:                                                     \
  EACH(WITH_MEMORY, math_##name##_f32)                      \
  NEXT;                                                     \
  name##_one : {                                            \
    const f32x16 one = (f32x16)(*(const float *)p);         \
    EACH(WITH_ONE, math_##name##_f32)                       \
  }                                                         \
  NEXT;                                                     \
  name##_to:                                                \
  EACH(MEMORY_WITH, math_##name##_f32)                      \
  NEXT;                                                     \
  name##_to_one : {                                         \
    const f32x16 one = (f32x16)(*(const float *)p);         \
    EACH(ONE_WITH, math_##name##_f32)                       \
  }                                                         \
  NEXT;
  DUET_CHAIN_BINARY(X)
#undef X
}

#undef INTERPRET
#undef EACH
#undef BEGUN
#undef LOADED
#undef FILLED
#undef STORED
#undef STREAMED
#undef APPLIED
#undef WITH_MEMORY
#undef WITH_ONE
#undef MEMORY_WITH
#undef ONE_WITH
#undef NEXT
#undef VECTORS
