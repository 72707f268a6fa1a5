#include "trial.h"

#include <stdio.h>

enum { DISTRIBUTIONS = DUET_RANDOM_PERMUTATION + 1 };

static const char *const names[DISTRIBUTIONS] = {"uniform", "normal", "integer", "permutation"};

#define DTYPE(variant) ((duet_dtype)((variant) % DUET_DTYPE_COUNT))
#define DISTRIBUTION(variant) ((duet_distribution)((variant) / DUET_DTYPE_COUNT))

static int random_name(int32_t v, char *name, size_t size) {
  snprintf(name, size, "random %s %s", names[DISTRIBUTION(v)], duet_dtype_names[DTYPE(v)]);
  switch (DISTRIBUTION(v)) {
    case DUET_RANDOM_PERMUTATION: return DTYPE(v) == DUET_INT64;
    case DUET_RANDOM_INTEGER: return DTYPE(v) > DUET_BOOL && DTYPE(v) < DUET_FLOAT16;
    default: return DTYPE(v) >= DUET_FLOAT16;
  }
}

static void random_call(trial *t, int32_t v) {
  duet_random_call c = {.distribution = DISTRIBUTION(v), .dtype = DTYPE(v)};
  c.count = trial_is_large(t) ? 150001 : PICK(t, 0, 1, 2, 3, 7, 15, 16, 17, 33, 100, 1025);
  c.low = c.dtype == DUET_UINT8 ? 0 : trial_int(t, -100, 10);
  c.high = trial_int(t, 11, 100);
  int64_t *state = (int64_t *)trial_input(t, DUET_INT64, 2, ARBITRARY);
  state[1] = PICK(t, 0, 1, 5, ((int64_t)1 << 32) - 3, (int64_t)1 << 40);
  c.operand[1] = state;
  c.operand[0] = trial_result(t, c.dtype, c.count);
  duet_random(&c);
  duet_random_advance_call advance = {
      .blocks = duet_random_blocks(c.distribution, c.dtype, c.count)};
  advance.operand[1] = state;
  advance.operand[0] = trial_result(t, DUET_INT64, 2);
  duet_random_advance(&advance);
}

const trial_family duet_random_families[] = {
    {DISTRIBUTIONS * DUET_DTYPE_COUNT, random_name, random_call},
    {0},
};
