// Draws: the grid, the ends of arrays, integers and permutations.
#include "random.h"

#include <string.h>

#include "../include/duet_isa.h"

#pragma STDC FP_CONTRACT OFF

static const duet_randoms *randoms(void) {
  switch (duet_current_isa()) {
#if defined(__x86_64__)
    case DUET_AVX512: return &duet_randoms_avx512;
    case DUET_AVX2: return &duet_randoms_avx2;
#elif defined(__aarch64__)
    case DUET_NEON: return &duet_randoms_neon;
#endif
    default: return &duet_randoms_scalar;
  }
}

typedef struct {
  const duet_random_call *call;
  duet_fill_rounds fill;
  uint64_t seed, counter;
  int64_t per_round, size;  // elements of a round, bytes of an element
} draw;

enum { TASK_ROUNDS = 256 };

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

static void fill_task(void *context, int64_t task) {
  const draw *d = context;
  int64_t first = task * TASK_ROUNDS, count = d->call->count;
  int64_t whole = least(TASK_ROUNDS, count / d->per_round - first);
  char *to = (char *)d->call->operand[0] + first * d->per_round * d->size;
  uint64_t counter = d->counter + (uint64_t)first * DUET_ROUND_BLOCKS;
  if (whole > 0) d->fill(to, d->seed, counter, whole);
  int64_t rest = count - (first + whole) * d->per_round;
  if (whole == TASK_ROUNDS || rest <= 0) return;
  _Alignas(64) char last[DUET_ROUND_WORDS * 4];
  d->fill(last, d->seed, counter + (uint64_t)whole * DUET_ROUND_BLOCKS, 1);
  memcpy(to + whole * d->per_round * d->size, last, (size_t)(rest * d->size));
}

static uint64_t high_product(uint64_t a, uint64_t b) {
  return (uint64_t)((unsigned __int128)a * b >> 64);
}

// The 64-bit words of a draw in order: two 32-bit words each, the lower half first.
typedef struct {
  duet_fill_rounds fill;
  uint64_t seed, counter;
  int64_t at;
  uint64_t word[DUET_ROUND_WORDS / 2];
} word_stream;

static uint64_t next_word(word_stream *s) {
  int64_t i = s->at++ % (DUET_ROUND_WORDS / 2);
  if (i == 0) {
    s->fill(s->word, s->seed, s->counter, 1);
    s->counter += DUET_ROUND_BLOCKS;
  }
  return s->word[i];
}

#define STORE_INTEGERS(type)                                                  \
  for (int64_t k = 0; k < n; k++)                                             \
    ((type *)c->operand[0])[i + k] = (type)(low + high_product(word[k], range)); \
  break;

static void integer_task(void *context, int64_t task) {
  const draw *d = context;
  const duet_random_call *c = d->call;
  int64_t first = task * TASK_ROUNDS * d->per_round;
  int64_t last = least(first + TASK_ROUNDS * d->per_round, c->count);
  uint64_t counter = d->counter + (uint64_t)task * TASK_ROUNDS * DUET_ROUND_BLOCKS;
  uint64_t low = (uint64_t)c->low, range = (uint64_t)c->high - low;
  enum { ROUNDS = 4 };
  _Alignas(64) uint64_t word[ROUNDS * DUET_ROUND_WORDS / 2];
  for (int64_t i = first; i < last; i += ROUNDS * d->per_round) {
    int64_t n = least(ROUNDS * d->per_round, last - i);
    d->fill(word, d->seed, counter, (n + d->per_round - 1) / d->per_round);
    counter += ROUNDS * DUET_ROUND_BLOCKS;
    switch (d->size) {
      case 1: STORE_INTEGERS(uint8_t)
      case 2: STORE_INTEGERS(uint16_t)
      case 4: STORE_INTEGERS(uint32_t)
      default: STORE_INTEGERS(uint64_t)
    }
  }
}

// Fisher and Yates from the end: word k chooses the element for place count - 1 - k.
static void permute(const draw *d) {
  int64_t *p = d->call->operand[0], count = d->call->count;
  for (int64_t i = 0; i < count; i++) p[i] = i;
  word_stream stream = {.fill = d->fill, .seed = d->seed, .counter = d->counter};
  for (int64_t i = count - 1; i > 0; i--) {
    int64_t j = (int64_t)high_product(next_word(&stream), (uint64_t)i + 1), other = p[j];
    p[j] = p[i];
    p[i] = other;
  }
}

duet_status duet_random(const void *block) {
  const duet_random_call *call = block;
  const int64_t *state = call->operand[1];
  const duet_randoms *table = randoms();
  draw d = {.call = call, .fill = table->words, .seed = (uint64_t)state[0],
            .counter = (uint64_t)state[1], .size = (int64_t)duet_dtype_size(call->dtype)};
  if (call->count == 0) return DUET_OK;
  duet_task body = fill_task;
  d.per_round = DUET_ROUND_WORDS;
  if (call->dtype == DUET_FLOAT64) d.per_round /= 2;
  switch (call->distribution) {
    case DUET_RANDOM_UNIFORM: d.fill = table->uniform[call->dtype]; break;
    case DUET_RANDOM_NORMAL: d.fill = table->normal[call->dtype]; break;
    case DUET_RANDOM_INTEGER:
      d.per_round = DUET_ROUND_WORDS / 2;
      body = integer_task;
      break;
    case DUET_RANDOM_PERMUTATION: permute(&d); return DUET_OK;
  }
  int64_t per_task = TASK_ROUNDS * d.per_round;
  if (call->count <= per_task)
    body(&d, 0);
  else
    duet_parallel_for((call->count + per_task - 1) / per_task, body, &d);
  return DUET_OK;
}

// A permutation uses a 64-bit word for every element but one.
int64_t duet_random_blocks(duet_distribution distribution, duet_dtype dtype, int64_t count) {
  if (count <= 0) return 0;
  if (distribution == DUET_RANDOM_PERMUTATION) return count / 2;
  int two_words = distribution == DUET_RANDOM_INTEGER || dtype == DUET_FLOAT64;
  return two_words ? (count + 1) / 2 : (count + 3) / 4;
}

duet_status duet_random_advance(const void *block) {
  const duet_random_advance_call *call = block;
  const int64_t *state = call->operand[1];
  int64_t *result = call->operand[0];
  int64_t counter = (int64_t)((uint64_t)state[1] + (uint64_t)call->blocks);
  result[0] = state[0];
  result[1] = counter;
  return DUET_OK;
}
