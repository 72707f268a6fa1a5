// What kernels need from the system: the state of a thread, a way to run tasks, the number of processors.
#if defined(__linux__)
#define _GNU_SOURCE
#include <sched.h>
#endif

#include "duet_types.h"

__attribute__((tls_model("initial-exec"))) _Thread_local duet_thread_state duet_this_thread;

static void serial_for(int64_t tasks, duet_task body, void *context) {
  for (int64_t i = 0; i < tasks; i++) body(context, i);
}

duet_parallel_for_fn duet_installed_parallel_for = serial_for;

void duet_set_parallel_for(duet_parallel_for_fn function) {
  __atomic_store_n(&duet_installed_parallel_for, function, __ATOMIC_RELAXED);
}

int32_t duet_affinity_count(void) {
#if defined(__linux__)
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
#endif
  return 0;
}
