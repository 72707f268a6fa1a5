// The tables behind duet_random. A round is what sixteen Philox blocks yield: 64 words.
#ifndef DUET_RANDOM_TABLES_H
#define DUET_RANDOM_TABLES_H

#include "../include/duet_random.h"

enum { DUET_ROUND_BLOCKS = 16, DUET_ROUND_WORDS = 64 };

// Writes the elements of `rounds` rounds that begin with block `counter`: 64 elements each of one
// word, or 32 of two words.
typedef void (*duet_fill_rounds)(void *result, uint64_t seed, uint64_t counter, int64_t rounds);

typedef struct {
  duet_fill_rounds words;  // uint32, as the blocks yield them
  duet_fill_rounds uniform[DUET_DTYPE_COUNT], normal[DUET_DTYPE_COUNT];
} duet_randoms;

#define DUET_DECLARE_RANDOMS(isa) extern const duet_randoms duet_randoms_##isa;
#if defined(__x86_64__)
DUET_DECLARE_RANDOMS(avx512)
DUET_DECLARE_RANDOMS(avx2)
#elif defined(__aarch64__)
DUET_DECLARE_RANDOMS(neon)
#endif
DUET_DECLARE_RANDOMS(scalar)

#endif
