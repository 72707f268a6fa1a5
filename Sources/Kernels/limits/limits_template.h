// Enough chains to hide a multiply-add's latency, few enough that they stay in registers.
#if defined(DUET_ISA_AVX512)
#define CHAINS 16
#elif defined(DUET_ISA_SCALAR)
#define CHAINS 1
#else
#define CHAINS 6
#endif

// The chains converge to 1, so that they neither overflow nor become subnormal. The empty assembly
// keeps a chain in registers and the compiler from computing with constants.
#define FMA_LOOP(name, vector, fma, lanes)                          \
  static float name(int64_t rounds) {                               \
    vector chain[CHAINS], factor = (vector)0.5f, term = factor;     \
    for (int c = 0; c < CHAINS; c++) chain[c] = factor * (float)c;  \
    __asm__ volatile("" : "+m"(factor), "+m"(term));                \
    for (int64_t i = 0; i < rounds; i++) {                          \
      _Pragma("clang loop unroll(full)")                            \
      for (int c = 0; c < CHAINS; c++) chain[c] = fma(chain[c], factor, term); \
    }                                                               \
    float total = 0;                                                \
    for (int c = 0; c < CHAINS; c++)                                \
      for (int l = 0; l < lanes; l++) total += (float)chain[c][l];  \
    return total;                                                   \
  }

FMA_LOOP(fma_chains_f32, f32x16, fma_f32, 16)
FMA_LOOP(fma_chains_f64, f64x8, fma_f64, 8)

// Processors that take the widest registers in two halves fetch ahead faster for half lines, others for whole ones and
// for two runs beside each other, where they come from memory.
#define READ_LOOP(name, type, lanes, reads_two)                                                                      \
  static float name(const float *from, int64_t count) {                                                              \
    typedef DUET_LANES(float, lanes) type;                                                                           \
    enum { CHUNK = 256 / lanes, RUN = 32 << 10, FROM_MEMORY = 4 << 20 };                                             \
    type sum[8] = {0};                                                                                               \
    int64_t paired = reads_two && count >= FROM_MEMORY ? count / (2 * RUN) : 0;                                      \
    count -= paired * 2 * RUN;                                                                                       \
    for (; paired > 0; paired--, from += 2 * RUN)                                                                    \
      for (int64_t i = 0; i < RUN; i += 4 * lanes)                                                                   \
        for (int k = 0; k < 8; k++) sum[k] += *(const type *)(from + i + k % 2 * RUN + k / 2 * lanes);               \
    for (int64_t i = 0; i < count; i += 256)                                                                         \
      for (int k = 0; k < CHUNK; k++) sum[k % 8] += *(const type *)(from + i + lanes * k);                           \
    type all = ((sum[0] + sum[1]) + (sum[2] + sum[3])) + ((sum[4] + sum[5]) + (sum[6] + sum[7]));                    \
    float total = 0;                                                                                                 \
    for (int l = 0; l < lanes; l++) total += all[l];                                                                 \
    return total;                                                                                                    \
  }
READ_LOOP(read_half_lines, half_line, 8, 0)
#if defined(DUET_ISA_AVX512)
READ_LOOP(read_lines, line, 16, 1)
static float read_all(const float *from, int64_t count) {
  return duet_halves_registers() ? read_half_lines(from, count) : read_lines(from, count);
}
#else
#define read_all read_half_lines
#endif

static void copy_stored(float *to, const float *from, int64_t count) {
  for (int64_t i = 0; i < count; i += 16) {
    *(f32x16 *)(to + i) = *(const f32x16 *)(from + i);
    __asm__ volatile("" ::: "memory");  // or it becomes a call to memcpy
  }
}

static void copy_streamed(float *to, const float *from, int64_t count) {
  for (int64_t i = 0; i < count; i += 16)
    __builtin_nontemporal_store(*(const f32x16 *)(from + i), (f32x16 *)(to + i));
}

static void triad_stored(float *to, const float *a, const float *b, int64_t count) {
  const f32x16 three = 3;
  for (int64_t i = 0; i < count; i += 16)
    *(f32x16 *)(to + i) = *(const f32x16 *)(a + i) + three * *(const f32x16 *)(b + i);
}

static void triad_streamed(float *to, const float *a, const float *b, int64_t count) {
  const f32x16 three = 3;
  for (int64_t i = 0; i < count; i += 16)
    __builtin_nontemporal_store(*(const f32x16 *)(a + i) + three * *(const f32x16 *)(b + i),
                                (f32x16 *)(to + i));
}

DUET_INLINE f32x16 sum_at(const float *const from[4], int64_t i) {
  return (*(const f32x16 *)(from[0] + i) + *(const f32x16 *)(from[1] + i)) +
         (*(const f32x16 *)(from[2] + i) + *(const f32x16 *)(from[3] + i));
}

static void sum_of_4_stored(float *to, const float *const from[4], int64_t count) {
  for (int64_t i = 0; i < count; i += 16) *(f32x16 *)(to + i) = sum_at(from, i);
}

static void sum_of_4_streamed(float *to, const float *const from[4], int64_t count) {
  for (int64_t i = 0; i < count; i += 16)
    __builtin_nontemporal_store(sum_at(from, i), (f32x16 *)(to + i));
}

const duet_limit_loops DUET_SUFFIX(duet_limit_loops) = {
    .flops = {2 * 16 * CHAINS, 2 * 8 * CHAINS},
    .fma = {fma_chains_f32, fma_chains_f64},
    .read = read_all,
    .copy = {copy_stored, copy_streamed},
    .triad = {triad_stored, triad_streamed},
    .sum_of_4 = {sum_of_4_stored, sum_of_4_streamed},
};

#undef CHAINS
#undef FMA_LOOP
#undef READ_LOOP
#undef read_all
