#include "include/duet_kernel_calls.h"
#include "trial.h"

#include <stdio.h>

static const trial_family *const lists[] = {
    duet_elementwise_families, duet_reduction_families, duet_contraction_families,
    duet_window_families,      duet_indexing_families,  duet_random_families,
    duet_plan_families,        duet_normalization_families,
};
enum { LISTS = sizeof lists / sizeof *lists, MOST = 2048 };

typedef struct {
  const trial_family *family;
  int32_t variant;
  char name[56];
} group;

static group groups[MOST];
static int32_t count;

static void prepare(void) {
  for (int32_t l = 0; l < LISTS; l++)
    for (const trial_family *f = lists[l]; f->variants > 0; f++)
      for (int32_t v = 0; v < f->variants; v++) {
        if (count == MOST) abort();
        group *g = &groups[count];
        g->family = f;
        g->variant = v;
        if (f->name(v, g->name, sizeof g->name)) count++;
      }
}

// Called first, from one thread.
int32_t duet_calls_group_count(void) {
  if (count == 0) prepare();
  return count;
}

const char *duet_calls_group_name(int32_t group) { return groups[group].name; }

static uint64_t name_hash(const char *name) {
  uint64_t h = 0xCBF29CE484222325;
  for (; *name; name++) h = (h ^ (unsigned char)*name) * 0x100000001B3;
  return h;
}

duet_calls_outcome duet_calls_run(int32_t index, int32_t first, int32_t calls,
                                  uint64_t placement) {
  const group *g = &groups[index];
  duet_calls_outcome outcome = {0, 0};
  for (int32_t call = first; call < first + calls; call++) {
    uint64_t seed = name_hash(g->name) + (uint64_t)call * 0xD1342543DE82EF95;
    trial t = {.shapes = seed, .places = seed ^ placement, .hash = outcome.hash, .call = call};
    g->family->call(&t, g->variant);
    trial_end(&t);
    outcome.hash = t.hash;
    outcome.overruns += t.overruns;
  }
  return outcome;
}
