#include <time.h>

#include "../include/duet_plan.h"

duet_status duet_run_steps(const duet_step *steps, int64_t count, int64_t *failed) {
  for (int64_t i = 0; i < count; i++) {
    duet_status status = steps[i].kernel(steps[i].call);
    if (__builtin_expect(status != DUET_OK, 0)) {
      *failed = i;
      return status;
    }
  }
  return DUET_OK;
}

static int64_t nanoseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static duet_status run_timed(const duet_step *steps, int64_t count, int64_t *failed,
                             uint64_t *times) {
  int64_t before = nanoseconds();
  for (int64_t i = 0; i < count; i++) {
    duet_status status = steps[i].kernel(steps[i].call);
    int64_t after = nanoseconds();
    times[i] = (uint64_t)(after - before);
    before = after;
    if (status != DUET_OK) {
      *failed = i;
      return status;
    }
  }
  return DUET_OK;
}

static inline void patch(char *blocks, const duet_patch *patches, int64_t count,
                         void *const *buffers) {
  for (int64_t i = 0; i < count; i++) {
    const duet_patch *p = patches + i;
    *(void **)(blocks + p->block_offset) = (char *)buffers[p->index] + p->byte_offset;
  }
}

duet_status duet_run_instance(duet_plan_instance *instance, void *const *inputs,
                              void *const *outputs, int64_t *failed, uint64_t *times) {
  patch(instance->blocks, instance->inputs, instance->input_count, inputs);
  patch(instance->blocks, instance->outputs, instance->output_count, outputs);
  if (times) return run_timed(instance->steps, instance->step_count, failed, times);
  return duet_run_steps(instance->steps, instance->step_count, failed);
}

duet_status duet_copy_unless_same(const void *call) {
  const duet_operands *operands = call;
  if (operands->operand[0] == operands->operand[1]) return DUET_OK;
  return duet_copy(call);
}
