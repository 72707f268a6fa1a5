#include "limits.h"

#include "../include/duet_isa.h"

#if defined(__x86_64__)
extern const duet_limit_loops duet_limit_loops_avx512, duet_limit_loops_avx2;
#elif defined(__aarch64__)
extern const duet_limit_loops duet_limit_loops_neon;
#endif
extern const duet_limit_loops duet_limit_loops_scalar;

static const duet_limit_loops *loops(void) {
  switch (duet_current_isa()) {
#if defined(__x86_64__)
    case DUET_AVX512: return &duet_limit_loops_avx512;
    case DUET_AVX2: return &duet_limit_loops_avx2;
#elif defined(__aarch64__)
    case DUET_NEON: return &duet_limit_loops_neon;
#endif
    default: return &duet_limit_loops_scalar;
  }
}

enum { PART = 256 };  // parts of an array are multiples of this

typedef struct {
  const duet_limit_call *call;
  const duet_limit_loops *loops;
  int64_t step;
} limit_job;

// Where results go that nobody wants.
static _Thread_local volatile float sink;

static void run_task(void *context, int64_t index) {
  const limit_job *job = context;
  const duet_limit_call *call = job->call;
  const duet_limit_loops *table = job->loops;
  int64_t begin = index * job->step, count = call->count - begin;
  if (count > job->step) count = job->step;
  if (call->limit <= DUET_LIMIT_FMA_FLOAT64) {
    sink = table->fma[call->limit](call->count);
    return;
  }
  if (count <= 0) return;
  float *to = (float *)call->operand[0] + begin;
  const float *from[4];
  for (int k = 0; k < 4; k++) from[k] = (const float *)call->operand[k + 1] + begin;
  switch (call->limit) {
    case DUET_LIMIT_READ: sink = table->read(from[0], count); break;
    case DUET_LIMIT_COPY: table->copy[0](to, from[0], count); break;
    case DUET_LIMIT_COPY_STREAMED: table->copy[1](to, from[0], count); break;
    case DUET_LIMIT_TRIAD: table->triad[0](to, from[0], from[1], count); break;
    case DUET_LIMIT_TRIAD_STREAMED: table->triad[1](to, from[0], from[1], count); break;
    case DUET_LIMIT_SUM_OF_4: table->sum_of_4[0](to, from, count); break;
    default: table->sum_of_4[1](to, from, count);
  }
  // Streamed stores are complete when the task is.
#if defined(__x86_64__)
  __builtin_ia32_sfence();
#endif
}

duet_status duet_limit_run(const void *argument) {
  const duet_limit_call *call = argument;
  limit_job job = {call, loops(), 0};
  int64_t tasks = call->tasks < 1 ? 1 : call->tasks;
  job.step = ((call->count + tasks - 1) / tasks + PART - 1) / PART * PART;
  if (tasks == 1)
    run_task(&job, 0);
  else
    duet_parallel_for(tasks, run_task, &job);
  return DUET_OK;
}

int64_t duet_limit_round(duet_limit limit) {
  return limit <= DUET_LIMIT_FMA_FLOAT64 ? loops()->flops[limit] : 0;
}
