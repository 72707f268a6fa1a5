// The loops behind duet_limit_run, per instruction set.
#ifndef DUET_LIMITS_TABLE_H
#define DUET_LIMITS_TABLE_H

#include "../include/duet_isa.h"
#include "../include/duet_limits.h"

typedef struct {
  int64_t flops[2];  // per round
  float (*fma[2])(int64_t rounds);
  float (*read)(const float *from, int64_t count);
  void (*copy[2])(float *to, const float *from, int64_t count);  // [1]: streamed
  void (*triad[2])(float *to, const float *a, const float *b, int64_t count);
  void (*sum_of_4[2])(float *to, const float *const from[4], int64_t count);
} duet_limit_loops;

#endif
