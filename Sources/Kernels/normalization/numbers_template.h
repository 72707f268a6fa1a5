// What the templates of this family share in one type. Included with TYPE, VECTOR, IN (adds the
// suffix); end_of_type.h takes the names back.

#define LOAD(p) JOIN(load_, VECTOR)(p)
#define STORE(p, v) JOIN(store_, VECTOR)(p, v)
#define PART(p, n, rest) JOIN(part_, VECTOR)(p, n, (VECTOR)(TYPE)(rest))
#define STORE_PART(p, v, n) JOIN(store_part_, VECTOR)(p, v, n)
#define FMA(a, b, c) __builtin_elementwise_fma((VECTOR)(a), (VECTOR)(b), (VECTOR)(c))
#define NOTHING ((VECTOR)(TYPE)-0.0)

// Sums of chunks, several side by side, combined as a tree: level[k] holds those of 2^k neighbouring
// chunks where bit k of `done` is set.
typedef struct {
  TYPE level[48][8];
  uint64_t done;
} IN(chunk_sums);

DUET_INLINE void IN(push)(IN(chunk_sums) *sums, const TYPE *values, int count) {
  TYPE value[8];
  for (int i = 0; i < count; i++) value[i] = values[i];
  int k = 0;
  for (; sums->done >> k & 1; k++)
    for (int i = 0; i < count; i++) value[i] = sums->level[k][i] + value[i];
  for (int i = 0; i < count; i++) sums->level[k][i] = value[i];
  sums->done++;
}

DUET_INLINE void IN(total)(const IN(chunk_sums) *sums, TYPE *values, int count) {
  int k = __builtin_ctzll(sums->done);
  for (int i = 0; i < count; i++) values[i] = sums->level[k][i];
  for (k++; sums->done >> k; k++)
    if (sums->done >> k & 1)
      for (int i = 0; i < count; i++) values[i] = sums->level[k][i] + values[i];
}
