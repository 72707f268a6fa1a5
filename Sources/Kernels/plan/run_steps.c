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

static inline void patch(char *blocks, const duet_patch *patches, int64_t count,
                         void *const *buffers) {
  for (int64_t i = 0; i < count; i++) {
    const duet_patch *p = patches + i;
    *(void **)(blocks + p->block_offset) = (char *)buffers[p->index] + p->byte_offset;
  }
}

duet_status duet_run_instance(duet_plan_instance *instance, void *const *inputs,
                              void *const *outputs, int64_t *failed) {
  patch(instance->blocks, instance->inputs, instance->input_count, inputs);
  patch(instance->blocks, instance->outputs, instance->output_count, outputs);
  return duet_run_steps(instance->steps, instance->step_count, failed);
}

duet_status duet_copy_unless_same(const void *call) {
  const duet_operands *operands = call;
  if (operands->operand[0] == operands->operand[1]) return DUET_OK;
  return duet_copy(call);
}
