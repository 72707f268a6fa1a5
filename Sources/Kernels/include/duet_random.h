// Counter-based random numbers: Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3",
// SC 2011). A draw depends on the generator's (seed, counter) and the element's index alone.
#ifndef DUET_RANDOM_H
#define DUET_RANDOM_H

#include "duet_types.h"

typedef enum : int32_t {
  DUET_RANDOM_UNIFORM,      // [0, 1), floating: float32 from 24 bits, float64 from 53, halves from 11 and 8
  DUET_RANDOM_NORMAL,       // mean 0, deviation 1 (Box-Muller with the project's own log, sin and cos)
  DUET_RANDOM_INTEGER,      // low ..< high, any integer dtype: high word of (64 random bits * range)
  DUET_RANDOM_PERMUTATION,  // 0 ..< count in random order, int64 (Fisher-Yates, serial)
} duet_distribution;

typedef struct {
  void *operand[DUET_MAX_OPERANDS];  // result (contiguous), state: int64[2] = (seed, counter)
  duet_distribution distribution;
  duet_dtype dtype;
  int64_t count;
  int64_t low, high;
} duet_random_call;
// Philox key: the seed's two 32-bit halves. Block j of the draw has the counter (counter + j) in its low 64
// bits. A block yields four 32-bit words: float32 and narrower take one word per element, float64 and
// integers two words per element.
duet_status duet_random(const void *call);

// How far a draw moves the counter: the number of blocks it used.
int64_t duet_random_blocks(duet_distribution distribution, duet_dtype dtype, int64_t count);

// result = (seed, counter + blocks); operands: result, state
typedef struct {
  void *operand[DUET_MAX_OPERANDS];
  int64_t blocks;
} duet_random_advance_call;
duet_status duet_random_advance(const void *call);

#endif
