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

static const duet_tile_external *external_of(const duet_tile_call *call, int32_t e) {
  return (const duet_tile_external *)((const char *)call + call->externals) + e;
}

static int64_t row_length(const duet_tile_call *call) { return call->shape[call->rank - 1]; }

// Bytes from one element of a row to the next.
static int64_t row_stride(const duet_tile_call *call, int32_t e) {
  return external_of(call, e)->stride[call->rank - 1];
}

static void add(duet_chain *chain, int32_t code) {
  chain->step[chain->count++] = (duet_chain_step){.code = code};
}

// Adds a step whose memory is operand k of an instruction; of the form for one element where that is all there is.
static void add_memory(duet_chain *chain, int32_t code, const duet_tile_call *call,
                       const duet_tile_instruction *from, int32_t k) {
  int32_t slot = from->slot[k];
  duet_chain_step *step = &chain->step[chain->count++];
  if (slot >= 0) {
    *step = (duet_chain_step){code, -1, (char *)(intptr_t)slot, 0};
  } else {
    int is_one = row_stride(call, ~slot) == 0;
    *step = (duet_chain_step){code + (is_one ? ONE : 0), ~slot, NULL, is_one ? 0 : -1};
  }
}

// The last instruction that reads the result of one and does not find it in v; NULL if all do, or there are none.
static const duet_tile_instruction *last_reader(const duet_tile_instruction *at,
                                                const duet_tile_instruction *end) {
  const duet_tile_instruction *last = NULL;
  int32_t slot = at->slot[0];
  for (const duet_tile_instruction *i = at + 1; i < end; i++) {
    int32_t reads = 0;
    for (int32_t k = 1; k < i->operand_count; k++) reads += i->slot[k] == slot;
    if (reads > (i == at + 1)) last = i;
    if (i->slot[0] == slot) break;
  }
  return last;
}

// The instruction whose result is reduced.
static const duet_tile_instruction *last_result(const duet_tile_call *call,
                                                const duet_tile_instruction *begin,
                                                const duet_tile_instruction *end) {
  const duet_tile_instruction *last = NULL;
  for (const duet_tile_instruction *i = begin; i < end; i++)
    if (i->slot[0] == call->reduced_slot) last = i;
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

static int fits(const duet_tile_call *call, uint32_t streamed) {
  // What is left of a row behind whole blocks costs as much as one more.
  enum { LONG_ROW = 256, SHORT_ROW = 128 };
  int64_t length = row_length(call), piece = length;
  if (call->is_reduced && call->reduced_count < piece) piece = call->reduced_count;
  int is_short = piece < (piece % DUET_CHAIN_BLOCK == 0 ? SHORT_ROW : LONG_ROW);
  if (is_short && (call->rank > 1 || call->is_reduced)) return 0;
  // Scratch memory is laid out by tiles.
  if (call->tile_step * call->inner_count < DUET_CHAIN_BLOCK) return 0;
  // Whole lines are streamed.
  int is_cut = call->rank > 1 && length % 16 != 0;
  is_cut |= call->is_reduced && call->reduced_count % 16 != 0;
  if (streamed != 0 && is_cut) return 0;
  for (int32_t e = 0; e < call->external_count; e++) {
    if (external_of(call, e)->element_size != 4) return 0;
    int64_t stride = row_stride(call, e);
    if (stride != 4 && (stride != 0 || e < call->output_count)) return 0;
  }
  // Making a chain looks at all pairs of instructions.
  int64_t n = call->instruction_count;
  return 4 * n + 2 <= DUET_CHAIN_STEPS && 4 * n * n <= call->element_count;
}

int duet_make_chain(duet_chain *chain, const duet_tile_call *call, uint32_t streamed) {
  if (!fits(call, streamed) || !interpreter(0)) return 0;
  const duet_tile_instruction *i =
      (const duet_tile_instruction *)((const char *)call + call->instructions);
  const duet_tile_instruction *end = i + call->instruction_count;
  const duet_tile_instruction *reduced = call->is_reduced ? last_result(call, i, end) : NULL;
  if (call->is_reduced && !reduced) return 0;
  chain->count = 0;
  enum { NO_SLOT = INT32_MAX };
  int32_t held = NO_SLOT, kept = NO_SLOT;  // the slots whose values are in v and in w
  const duet_tile_instruction *kept_until = NULL;
  for (; i < end; i++) {
    int32_t code = code_of(i), x = i->slot[1], y = i->slot[2];
    if (code == NONE) return 0;
    if (i->operand_count == 3 && held == y && x != y) {
      if (kept == x)
        add(chain, code + TO_KEPT);
      else
        add_memory(chain, code + TO, call, i, 1);
    } else {
      if (held != x && kept == x)
        add(chain, DUET_CHAIN_TAKE);
      else if (held != x)
        add_memory(chain, DUET_CHAIN_LOAD, call, i, 1);
      if (i->operand_count == 2)
        add(chain, code);
      else if (kept == y)
        add(chain, code + KEPT);
      else
        add_memory(chain, code, call, i, 2);
    }
    held = i->slot[0];
    if (kept_until == i) kept = NO_SLOT;
    const duet_tile_instruction *reader = last_reader(i, end);
    int keeps = reader && kept == NO_SLOT;
    if (keeps) {
      add(chain, DUET_CHAIN_KEEP);
      kept = held;
      kept_until = reader;
    }
    if (i == reduced)
      chain->step[chain->count++] =
          (duet_chain_step){DUET_CHAIN_STORE, call->external_count, NULL, -1};
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

// A chain on its way through the space: where each array's row begins.
typedef struct {
  const duet_chain *chain;
  const duet_tile_call *call;
  duet_chain_interpreter *interpret;
  char *row[DUET_TILE_EXTERNALS + 1];
  int64_t position[DUET_MAX_RANK];
  duet_chain_step step[DUET_CHAIN_STEPS];
} walk;

static void start(walk *w, int64_t row) {
  const duet_tile_call *call = w->call;
  char *const *operand = (char *const *)((const char *)call + call->operands);
  for (int32_t axis = call->rank - 2; axis >= 0; axis--) {
    w->position[axis] = row % call->shape[axis];
    row /= call->shape[axis];
  }
  for (int32_t e = 0; e < call->external_count; e++) {
    w->row[e] = operand[e];
    for (int32_t axis = 0; axis < call->rank - 1; axis++)
      w->row[e] += w->position[axis] * external_of(call, e)->stride[axis];
  }
}

static void go_on(walk *w) {
  const duet_tile_call *call = w->call;
  for (int32_t axis = call->rank - 2; axis >= 0; axis--) {
    int is_within = ++w->position[axis] < call->shape[axis];
    int64_t steps = is_within ? 1 : 1 - call->shape[axis];
    for (int32_t e = 0; e < call->external_count; e++)
      w->row[e] += steps * external_of(call, e)->stride[axis];
    if (is_within) return;
    w->position[axis] = 0;
  }
}

static void interpret(walk *w, char *const *base, int64_t begin, int64_t end) {
  for (int32_t k = 0; k < w->chain->count; k++)
    if (w->step[k].external >= 0) w->step[k].base = base[w->step[k].external];
  w->interpret(w->step, begin * 4, end * 4);
}

// The columns begin ..< end of a row.
static void run_row(walk *w, int64_t begin, int64_t end) {
  int64_t whole = begin + (end - begin) / DUET_CHAIN_BLOCK * DUET_CHAIN_BLOCK;
  if (whole > begin) interpret(w, w->row, begin, whole);
  if (whole == end) return;
  // A block of its own with what is left.
  _Alignas(64) float block[DUET_TILE_EXTERNALS + 1][DUET_CHAIN_BLOCK];
  const duet_tile_call *call = w->call;
  size_t rest = (size_t)(end - whole) * 4;
  char *base[DUET_TILE_EXTERNALS + 1];
  for (int32_t e = 0; e < call->external_count; e++) {
    int is_one = row_stride(call, e) == 0;
    base[e] = is_one ? w->row[e] : (char *)block[e];
    if (is_one) continue;
    memset(block[e], 0, sizeof block[e]);
    if (e >= call->output_count) memcpy(block[e], w->row[e] + whole * 4, rest);
  }
  int32_t reduced = call->external_count;
  base[reduced] = (char *)block[reduced];
  interpret(w, base, 0, DUET_CHAIN_BLOCK);
  for (int32_t e = 0; e < call->output_count; e++)
    memcpy(w->row[e] + whole * 4, block[e], rest);
  if (call->is_reduced) memcpy(w->row[reduced] + whole * 4, block[reduced], rest);
}

void duet_run_chain(const duet_chain *chain, const duet_tile_call *call, int64_t first,
                    int64_t last, const duet_chain_sink *sink) {
  if (first == last) return;
  _Alignas(64) char scratch[DUET_TILE_SCRATCH];
  _Alignas(64) char piece[DUET_CHAIN_PIECE * 4];
  walk w;
  w.chain = chain;
  w.call = call;
  w.interpret = interpreter(chain->is_narrow);
  for (int32_t k = 0; k < chain->count; k++) {
    w.step[k] = chain->step[k];
    if (w.step[k].external < 0) w.step[k].base = scratch + (intptr_t)w.step[k].base;
  }
  int64_t length = row_length(call), column = first % length;
  start(&w, first / length);
  for (;;) {
    int64_t to = first + length - column;
    if (to > last) to = last;
    if (sink) {
      int64_t end = sink->end(sink->context, first);
      if (to > end) to = end;
      w.row[call->external_count] = piece - column * 4;
    }
    run_row(&w, column, column + to - first);
    if (sink) sink->take(sink->context, piece, first, to - first);
    column += to - first;
    first = to;
    if (first == last) return;
    if (column < length) continue;
    column = 0;
    go_on(&w);
  }
}
