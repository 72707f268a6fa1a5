// Runs every group with each instruction set of the processor, several numbers of threads and
// several placements, and prints one hash per group; exits with 1 where two of them differ.
// emulated.sh builds it for two processor families and compares their lists.
//
// usage: check [--calls N] [--threads A,B...] [--isa NAME] [--only TEXT] [--each]
//   --calls N         calls per group (10)
//   --threads A,B...  numbers of threads, at most 8 of them (1,2,3,7)
//   --isa NAME        only this instruction set (all that the processor has)
//   --only TEXT       only groups whose name holds the text
//   --each            a hash per call, to find the one that differs

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "DuetKernels.h"
#include "include/duet_kernel_calls.h"

static int thread_count = 1;

typedef struct {
  _Atomic int64_t next;
  int64_t tasks;
  duet_task body;
  void *context;
} job;

static void *serve(void *argument) {
  job *j = argument;
  duet_thread()->in_parallel++;
  for (int64_t i; (i = j->next++) < j->tasks;) j->body(j->context, i);
  duet_thread()->in_parallel--;
  return NULL;
}

// New threads for every job: slow, and as much interleaving as there can be.
static void parallel_for(int64_t tasks, duet_task body, void *context) {
  job j = {0, tasks, body, context};
  int helpers = thread_count - 1;
  if (helpers >= tasks) helpers = (int)tasks - 1;
  if (duet_thread()->in_parallel || helpers < 0) helpers = 0;
  pthread_t threads[64];
  for (int i = 0; i < helpers; i++)
    if (pthread_create(&threads[i], NULL, serve, &j)) abort();
  serve(&j);
  for (int i = 0; i < helpers; i++) pthread_join(threads[i], NULL);
}

typedef struct {
  duet_isa isa;
  int threads;
  uint64_t placement;
} setting;

static int check(int32_t group, int32_t first, int32_t calls, const setting *settings, int count) {
  const char *name = duet_calls_group_name(group);
  uint64_t expected = 0;
  int bad = 0;
  for (int i = 0; i < count; i++) {
    const setting *s = &settings[i];
    duet_use_isa(s->isa);
    thread_count = s->threads;
    duet_calls_outcome outcome = duet_calls_run(group, first, calls, s->placement);
    if (i == 0) expected = outcome.hash;
    if (outcome.overruns || outcome.hash != expected) {
      bad = 1;
      fprintf(stderr, "%s, calls %d ..< %d: %s, %d threads, placement %d: %s (%d overruns)\n",
              name, first, first + calls, duet_isa_name(s->isa), s->threads, (int)s->placement,
              outcome.hash != expected ? "DIFFERS" : "equal", outcome.overruns);
    }
  }
  printf("%-40s %4d %016llx\n", name, first, (unsigned long long)expected);
  return bad;
}

int main(int argc, char **argv) {
  int calls = 10, each = 0, bad = 0, count = 0;
  const char *only = "", *threads = "1,2,3,7", *only_isa = "";
  for (int i = 1; i < argc; i++) {
    if (!strcmp(argv[i], "--each")) {
      each = 1;
    } else if (i + 1 < argc && !strcmp(argv[i], "--calls")) {
      calls = atoi(argv[++i]);
    } else if (i + 1 < argc && !strcmp(argv[i], "--threads")) {
      threads = argv[++i];
    } else if (i + 1 < argc && !strcmp(argv[i], "--isa")) {
      only_isa = argv[++i];
    } else if (i + 1 < argc && !strcmp(argv[i], "--only")) {
      only = argv[++i];
    } else {
      fprintf(stderr,
              "usage: check [--calls N] [--threads A,B...] [--isa NAME] [--only TEXT] [--each]\n");
      return 2;
    }
  }
  duet_set_parallel_for(parallel_for);

  setting settings[64];
  fprintf(stderr, "instruction sets:");
  for (int isa = 0; isa < DUET_ISA_COUNT; isa++) {
    if (!duet_isa_available((duet_isa)isa)) continue;
    if (*only_isa && strcmp(only_isa, duet_isa_name((duet_isa)isa))) continue;
    fprintf(stderr, " %s", duet_isa_name((duet_isa)isa));
    const char *rest = threads;
    for (int t = 0; t < 8 && *rest; t++) {
      char *end;
      long number = strtol(rest, &end, 10);
      if (end == rest || number < 1 || number > 64) return fprintf(stderr, "bad --threads\n"), 2;
      settings[count++] = (setting){(duet_isa)isa, (int)number, (uint64_t)(isa * 8 + t)};
      rest = *end == ',' ? end + 1 : end;
    }
  }
  if (!count) return fprintf(stderr, " none of --isa %s\n", only_isa), 2;
  int32_t groups = duet_calls_group_count();
  fprintf(stderr, "; %d groups of %d calls\n", groups, calls);
  for (int32_t g = 0; g < groups; g++) {
    if (!strstr(duet_calls_group_name(g), only)) continue;
    int step = each ? 1 : calls;
    for (int call = 0; call < calls; call += step)
      bad |= check(g, call, step, settings, count);
  }
  return bad;
}
