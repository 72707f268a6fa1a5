// The interpreter of chains.
#include "../elementwise/loops.h"
#include "../math/math_f32.h"
#include "chain.h"

#define REAL(name) name##_f32
#define VECTOR f32x16
#define MASK i32x16
#include "../elementwise/arithmetic_template.h"

#define NEXT                          \
  do {                                \
    step++;                           \
    p = step->base + (at & step->mask); \
    goto *labels[step->code];         \
  } while (0)
void DUET_SUFFIX(duet_interpret_chain)(const duet_chain_step *steps, int64_t begin, int64_t end) {
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
  f32x16 v0 = 0, v1 = 0, v2 = 0, v3 = 0;
  char *p;
  NEXT;
end:
  at += DUET_CHAIN_BLOCK * 4;
  if (at >= end) return;
  step = steps - 1;
  NEXT;
load:
  v0 = load_f32(p), v1 = load_f32(p + 64), v2 = load_f32(p + 128), v3 = load_f32(p + 192);
  NEXT;
load_one:
  v0 = v1 = v2 = v3 = (f32x16)(*(const float *)p);
  NEXT;
store:
  store_f32(p, v0), store_f32(p + 64, v1), store_f32(p + 128, v2), store_f32(p + 192, v3);
  NEXT;
stream:
  __builtin_nontemporal_store(v0, (f32x16 *)p);
  __builtin_nontemporal_store(v1, (f32x16 *)p + 1);
  __builtin_nontemporal_store(v2, (f32x16 *)p + 2);
  __builtin_nontemporal_store(v3, (f32x16 *)p + 3);
  NEXT;
#define X(op, name)             \
  name:                         \
  v0 = math_##name##_f32(v0);   \
  v1 = math_##name##_f32(v1);   \
  v2 = math_##name##_f32(v2);   \
  v3 = math_##name##_f32(v3);   \
  NEXT;
  DUET_CHAIN_UNARY(X)
#undef X
#define X(op, name)                                                                      \
  name:                                                                                  \
  v0 = math_##name##_f32(v0, load_f32(p)), v1 = math_##name##_f32(v1, load_f32(p + 64)); \
  v2 = math_##name##_f32(v2, load_f32(p + 128));                                         \
  v3 = math_##name##_f32(v3, load_f32(p + 192));                                         \
  NEXT;                                                                                  \
  name##_one : {                                                                         \
    f32x16 y = (f32x16)(*(const float *)p);                                              \
    v0 = math_##name##_f32(v0, y), v1 = math_##name##_f32(v1, y);                        \
    v2 = math_##name##_f32(v2, y), v3 = math_##name##_f32(v3, y);                        \
  }                                                                                      \
  NEXT;                                                                                  \
  name##_to:                                                                             \
  v0 = math_##name##_f32(load_f32(p), v0), v1 = math_##name##_f32(load_f32(p + 64), v1); \
  v2 = math_##name##_f32(load_f32(p + 128), v2);                                         \
  v3 = math_##name##_f32(load_f32(p + 192), v3);                                         \
  NEXT;                                                                                  \
  name##_to_one : {                                                                      \
    f32x16 x = (f32x16)(*(const float *)p);                                              \
    v0 = math_##name##_f32(x, v0), v1 = math_##name##_f32(x, v1);                        \
    v2 = math_##name##_f32(x, v2), v3 = math_##name##_f32(x, v3);                        \
  }                                                                                      \
  NEXT;
  DUET_CHAIN_BINARY(X)
#undef X
}
