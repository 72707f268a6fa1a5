#include <string.h>

#include "../include/duet_plan.h"

static inline void patch(duet_plan_instance *instance, void *const *inputs, void *const *outputs) {
  const duet_patch *p = instance->inputs;
  for (int64_t i = 0; i < instance->input_count; i++, p++)
    *(void **)(instance->blocks + p->block_offset) = (char *)inputs[p->index] + p->byte_offset;
  p = instance->outputs;
  for (int64_t i = 0; i < instance->output_count; i++, p++)
    *(void **)(instance->blocks + p->block_offset) = (char *)outputs[p->index] + p->byte_offset;
}

static inline duet_status run(duet_plan_instance *instance) {
  const duet_step *step = instance->steps, *end = step + instance->step_count;
  for (; step < end; step++) {
    duet_status status = step->kernel(step->call);
    if (__builtin_expect(status != DUET_OK, 0)) {
      instance->failed = step - instance->steps;
      return status;
    }
  }
  return DUET_OK;
}

duet_status duet_branch(const void *argument) {
  const duet_branch_call *call = argument;
  void *const *operands = (void *const *)((const char *)call + call->operands);
  void *const *results = (void *const *)((const char *)call + call->results);
  duet_plan_instance *taken = *(const uint8_t *)operands[0] ? call->then : call->otherwise;
  patch(taken, operands + 1, results);
  return run(taken);
}

// A call with the addresses of its tables.
typedef struct {
  const duet_iteration_call *call;
  void *const *carried, *const *sequences, *const *captured;  // operands
  void *const *results;
  void *const *places[2];
  const uint8_t *flag;
  const int64_t *carried_size, *slice_size, *stacked_size;
  void **inputs, **outputs;  // room
  int64_t limit;
} loop_state;

static loop_state open_loop(const duet_iteration_call *call) {
  const char *base = (const char *)call;
  void *const *operand = (void *const *)(base + call->operands);
  loop_state s = {.call = call, .limit = call->length < 0 ? INT64_MAX : call->length};
  if (call->is_counted) {
    int64_t count = *(const int64_t *)*operand++;
    if (count < s.limit) s.limit = count < 0 ? 0 : count;
  }
  s.carried = operand;
  s.sequences = s.carried + call->carried;
  s.captured = s.sequences + call->sequences;
  s.results = (void *const *)(base + call->results);
  s.places[0] = (void *const *)(base + call->places);
  s.places[1] = s.places[0] + call->carried;
  s.flag = s.places[1][call->carried];
  s.carried_size = (const int64_t *)(base + call->sizes);
  s.slice_size = s.carried_size + call->carried;
  s.stacked_size = s.slice_size + call->sequences;
  // The block belongs to this run of the plan.
  s.inputs = (void **)(base + call->bound);
  s.outputs = s.inputs + call->carried + call->sequences + call->captured;
  return s;
}

static void patch_condition(const loop_state *s, int32_t k, void *const *carried) {
  const duet_iteration_call *call = s->call;
  memcpy(s->inputs, carried, (size_t)call->carried * sizeof *carried);
  memcpy(s->inputs + call->carried, s->captured, (size_t)call->captured * sizeof *carried);
  s->outputs[0] = (void *)s->flag;
  patch(call->condition[k], s->inputs, s->outputs);
}

// Patches an instance of the body for iteration `t` from and to these places.
static void patch_body(const loop_state *s, int32_t k, int64_t t, void *const *from,
                       void *const *to) {
  const duet_iteration_call *call = s->call;
  void **input = s->inputs;
  memcpy(input, from, (size_t)call->carried * sizeof *from);
  input += call->carried;
  for (int32_t i = 0; i < call->sequences; i++)
    *input++ = (char *)s->sequences[i] + t * s->slice_size[i];
  memcpy(input, s->captured, (size_t)call->captured * sizeof *from);
  memcpy(s->outputs, to, (size_t)call->carried * sizeof *to);
  for (int32_t i = 0; i < call->stacked; i++)
    s->outputs[call->carried + i] =
        (char *)s->results[call->carried + i] + t * s->stacked_size[i];
  patch(call->body[k], s->inputs, s->outputs);
}

static void copy_carried(const loop_state *s, void *const *to, void *const *from) {
  for (int32_t i = 0; i < s->call->carried; i++)
    memcpy(to[i], from[i], (size_t)s->carried_size[i]);
}

// Nothing but carried values changes: the instances are patched once.
static duet_status run_to_and_fro(const loop_state *s, int64_t *count) {
  const duet_iteration_call *call = s->call;
  copy_carried(s, s->places[0], s->carried);
  for (int32_t k = 0; k < 2; k++) {
    if (call->condition[0]) patch_condition(s, k, s->places[k]);
    patch_body(s, k, 0, s->places[k], s->places[1 - k]);
  }
  int64_t t = 0;
  for (; t < s->limit; t++) {
    if (call->condition[0]) {
      duet_status status = run(call->condition[t & 1]);
      if (status != DUET_OK) return status;
      if (!*(const volatile uint8_t *)s->flag) break;
    }
    duet_status status = run(call->body[t & 1]);
    if (status != DUET_OK) return status;
  }
  copy_carried(s, s->results, s->places[t & 1]);
  *count = t;
  return DUET_OK;
}

// The first iteration reads the operands themselves. Where the last one is known, it writes the results.
static duet_status run_over_slices(const loop_state *s, int64_t *count) {
  const duet_iteration_call *call = s->call;
  void *const *from = s->carried;
  int64_t t = 0;
  for (; t < s->limit; t++) {
    int is_last = 0;
    if (call->condition[0]) {
      patch_condition(s, 0, from);
      duet_status status = run(call->condition[0]);
      if (status != DUET_OK) return status;
      if (!*(const volatile uint8_t *)s->flag) break;
    } else {
      is_last = t + 1 == s->limit;
    }
    void *const *to = is_last ? s->results : s->places[t & 1];
    patch_body(s, 0, call->is_reversed ? s->limit - 1 - t : t, from, to);
    duet_status status = run(call->body[0]);
    if (status != DUET_OK) return status;
    from = to;
  }
  if (from != s->results) copy_carried(s, s->results, from);
  *count = t;
  return DUET_OK;
}

duet_status duet_iterate(const void *argument) {
  const duet_iteration_call *call = argument;
  loop_state s = open_loop(call);
  int64_t count = 0;
  duet_status status = call->body[1] ? run_to_and_fro(&s, &count) : run_over_slices(&s, &count);
  if (call->gives_count)
    *(int64_t *)s.results[call->carried + call->stacked] = count;
  return status;
}
