// What the processor and its memory can do at most, for judging the kernels: multiply-adds in
// registers, and reading, copying and combining arrays.
#ifndef DUET_LIMITS_H
#define DUET_LIMITS_H

#include "duet_types.h"

typedef enum : int32_t {
  DUET_LIMIT_FMA_FLOAT32,  // independent chains of fused multiply-adds
  DUET_LIMIT_FMA_FLOAT64,
  DUET_LIMIT_READ,            // the sum of operand[1]
  DUET_LIMIT_COPY,            // operand[0] = operand[1]
  DUET_LIMIT_COPY_STREAMED,   // the same with stores that bypass the caches
  DUET_LIMIT_TRIAD,           // operand[0] = operand[1] + 3 * operand[2], as in STREAM (McCalpin 1995)
  DUET_LIMIT_TRIAD_STREAMED,
  DUET_LIMIT_SUM_OF_4,        // operand[0] = operand[1] + ... + operand[4]
  DUET_LIMIT_SUM_OF_4_STREAMED,
  DUET_LIMIT_COUNT
} duet_limit;

// Arrays are float32, contiguous and aligned to 64 bytes.
typedef struct {
  void *operand[DUET_MAX_OPERANDS];
  duet_limit limit;
  int64_t tasks;  // arrays are cut into so many parts; multiply-adds are done so many times
  int64_t count;  // elements of an array, a multiple of 256; or rounds of multiply-adds
} duet_limit_call;
duet_status duet_limit_run(const void *call);

// Floating-point operations of one round, with the instruction set in use; 0 for arrays.
int64_t duet_limit_round(duet_limit limit);

#endif
