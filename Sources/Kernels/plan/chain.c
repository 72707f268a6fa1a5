#include "chain.h"

#include <string.h>

#include "../elementwise/loops.h"
#include "duet_isa.h"

static duet_chain_interpreter *interpreter(int is_narrow) {
#define EITHER(isa) is_narrow ? duet_interpret_chain_narrow_##isa : duet_interpret_chain_##isa
  switch (duet_current_isa()) {
#if defined(__x86_64__)
    case DUET_AVX512: return EITHER(avx512);
    case DUET_AVX2: return EITHER(avx2);
#elif defined(__aarch64__)
    case DUET_NEON: return EITHER(neon);
#endif
    default: return NULL;
  }
#undef EITHER
}

enum { NONE = DUET_CHAIN_END };

static duet_chain_code code_of(const duet_tile_instruction *i) {
  if (i->operand_count == 2) {
#define X(op, name) \
  if (i->loop == duet_unary_loop(DUET_##op, DUET_FLOAT32)) return DUET_CHAIN_##op;
    DUET_CHAIN_SIMPLE(X)
    DUET_CHAIN_FUNCTIONS(X)
#undef X
  } else if (i->operand_count == 3) {
#define X(op, name) \
  if (i->loop == duet_binary_loop(DUET_##op, DUET_FLOAT32)) return DUET_CHAIN_##op;
    DUET_CHAIN_BINARY(X)
#undef X
  }
  return NONE;
}

// The forms of a binary operation follow one another.
enum { ONE = 1, TO = 2, KEPT = 4, TO_KEPT = 5 };

static void add(duet_chain *chain, int32_t code) {
  chain->step[chain->count++] = (duet_chain_step){.code = code};
}

// Adds a step whose memory is operand k of an instruction.
static void add_memory(duet_chain *chain, int32_t code, const duet_tile_call *call,
                       const duet_tile_instruction *from, int32_t k) {
  duet_chain_step *step = &chain->step[chain->count++];
  step->code = code;
  step->is_register = from->slot[k] >= 0;
  if (step->is_register) {
    step->base = (char *)(intptr_t)from->slot[k];
    step->mask = 0;
  } else {
    step->base = ((char *const *)((const char *)call + call->operands))[~from->slot[k]];
    step->mask = from->stride[k] == 0 ? 0 : -1;
  }
}

// The last instruction that reads the result of one and does not find it in v; NULL if all do, or there are none.
// `is_vector` tells whether all of them read it element by element.
static const duet_tile_instruction *last_reader(const duet_tile_instruction *at,
                                                const duet_tile_instruction *end,
                                                int *is_vector) {
  const duet_tile_instruction *last = NULL;
  int32_t slot = at->slot[0];
  *is_vector = 1;
  for (const duet_tile_instruction *i = at + 1; i < end; i++) {
    int32_t reads = 0;
    for (int32_t k = 1; k < i->operand_count; k++) {
      if (i->slot[k] != slot) continue;
      reads++;
      *is_vector &= i->stride[k] != 0;
    }
    if (reads > (i == at + 1)) last = i;
    if (i->slot[0] == slot) break;
  }
  return last;
}

static int is_function(int32_t code) {
#define X(op, name) || code == DUET_CHAIN_##op
  return 0 DUET_CHAIN_FUNCTIONS(X);
#undef X
}

// Takes the same step from another copy each time.
static void spread(duet_chain *chain) {
  int32_t uses[DUET_CHAIN_CODES] = {0};
  for (int32_t k = 0; k < chain->count; k++) {
    int32_t *code = &chain->step[k].code;
    *code += uses[*code]++ % DUET_CHAIN_COPIES * DUET_CHAIN_CODES;
  }
}

static int fits(const duet_tile_call *call) {
  const duet_tile_external *external =
      (const duet_tile_external *)((const char *)call + call->externals);
  for (int32_t e = 0; e < call->external_count; e++) {
    duet_tile_access access = external[e].access;
    if (external[e].element_size != 4) return 0;
    if (access != DUET_TILE_CONTIGUOUS && access != DUET_TILE_SCALAR) return 0;
  }
  return 4 * call->instruction_count + 1 <= DUET_CHAIN_STEPS;
}

int duet_make_chain(duet_chain *chain, const duet_tile_call *call, uint32_t streamed) {
  if (!fits(call) || !interpreter(0)) return 0;
  const duet_tile_instruction *i =
      (const duet_tile_instruction *)((const char *)call + call->instructions);
  const duet_tile_instruction *end = i + call->instruction_count;
  chain->count = 0;
  enum { NO_SLOT = INT32_MAX };
  int32_t held = NO_SLOT, kept = NO_SLOT;  // the slots whose values are in v and in w
  const duet_tile_instruction *kept_until = NULL;
  for (; i < end; i++) {
    int32_t code = code_of(i), x = i->slot[1], y = i->slot[2];
    if (code == NONE) return 0;
    int one_x = i->stride[1] == 0 ? ONE : 0, one_y = i->stride[2] == 0 ? ONE : 0;
    if (i->operand_count == 3 && held == y && x != y) {
      if (kept == x)
        add(chain, code + TO_KEPT);
      else
        add_memory(chain, code + TO + one_x, call, i, 1);
    } else {
      if (held != x && kept == x)
        add(chain, DUET_CHAIN_TAKE);
      else if (held != x)
        add_memory(chain, DUET_CHAIN_LOAD + one_x, call, i, 1);
      if (i->operand_count == 2)
        add(chain, code);
      else if (kept == y)
        add(chain, code + KEPT);
      else
        add_memory(chain, code + one_y, call, i, 2);
    }
    held = i->slot[0];
    if (kept_until == i) kept = NO_SLOT;
    int is_vector;
    const duet_tile_instruction *reader = last_reader(i, end, &is_vector);
    int keeps = reader && is_vector && kept == NO_SLOT;
    if (keeps) {
      add(chain, DUET_CHAIN_KEEP);
      kept = held;
      kept_until = reader;
    }
    int is_read = reader && !keeps;
    int passes = held < 0 && ~held < 32 && (streamed >> ~held & 1) != 0 && !is_read;
    if (held < 0 || is_read)
      add_memory(chain, passes ? DUET_CHAIN_STREAM : DUET_CHAIN_STORE, call, i, 0);
  }
  add(chain, DUET_CHAIN_END);
  chain->is_narrow = streamed != 0;
  for (int32_t k = 0; k < chain->count; k++) chain->is_narrow &= !is_function(chain->step[k].code);
  spread(chain);
  return 1;
}

void duet_run_chain(const duet_chain *chain, char *scratch, int64_t first, int64_t count) {
  if (count == 0) return;
  duet_chain_step step[DUET_CHAIN_STEPS];
  memcpy(step, chain->step, (size_t)chain->count * sizeof *step);
  for (int32_t i = 0; i < chain->count; i++)
    if (step[i].is_register) step[i].base = scratch + (intptr_t)step[i].base;
  interpreter(chain->is_narrow)(step, first * 4, (first + count) * 4);
}
