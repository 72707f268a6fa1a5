#if defined(__linux__)
#define _GNU_SOURCE
#include <sys/mman.h>
#endif

#include "engine.h"

#include <pthread.h>
#include <stdlib.h>

enum {
  SLOTS = 2,
  KEPT = 32 << 20,        // larger requests are given back by the next smaller one
  SMALL = 64 << 10,       // beyond this memory comes in huge pages
  HUGE_PAGE = 2 << 20
};

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

// Blocks that are meant to stay in the second-level cache do so only where their addresses are
// contiguous in physical memory, since that is what its sets go by.
static void *allocate(size_t capacity) {
  int huge = capacity > SMALL;
  void *memory = aligned_alloc(huge ? HUGE_PAGE : 4096, capacity);
  if (!memory) abort();
#if defined(__linux__)
  if (huge) madvise(memory, capacity, MADV_HUGEPAGE);
#endif
  return memory;
}

void *duet_scratch(int slot, size_t bytes) {
  size_t capacity = scratch.capacity[slot];
  if (bytes <= capacity && (capacity <= KEPT || bytes > KEPT)) return scratch.memory[slot];
  if (!registered) {
    pthread_once(&once, make_key);
    pthread_setspecific(key, &scratch);
    registered = 1;
  }
  free(scratch.memory[slot]);
  capacity = duet_round_up(bytes + 64, bytes + 64 > SMALL ? HUGE_PAGE : SMALL);
  scratch.memory[slot] = allocate(capacity);
  scratch.capacity[slot] = capacity - 64;
  return scratch.memory[slot];
}
