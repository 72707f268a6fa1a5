#include "engine.h"

#include <pthread.h>
#include <stdlib.h>

enum { SLOTS = 2, KEPT = 32 << 20 };  // larger requests are given back by the next smaller one

typedef struct {
  void *memory[SLOTS];
  size_t capacity[SLOTS];
} scratch_memory;

static pthread_key_t key;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static _Thread_local scratch_memory scratch;
static _Thread_local int registered;

static void release(void *value) {
  scratch_memory *s = value;
  for (int i = 0; i < SLOTS; i++) {
    free(s->memory[i]);
    s->memory[i] = NULL;
    s->capacity[i] = 0;
  }
}

static void make_key(void) { pthread_key_create(&key, release); }

void *duet_scratch(int slot, size_t bytes) {
  size_t capacity = scratch.capacity[slot];
  if (bytes <= capacity && (capacity <= KEPT || bytes > KEPT)) return scratch.memory[slot];
  if (!registered) {
    pthread_once(&once, make_key);
    pthread_setspecific(key, &scratch);
    registered = 1;
  }
  free(scratch.memory[slot]);
  capacity = duet_round_up(bytes + 64, 64 << 10);
  scratch.memory[slot] = aligned_alloc(4096, capacity);
  if (!scratch.memory[slot]) abort();
  scratch.capacity[slot] = capacity - 64;
  return scratch.memory[slot];
}
