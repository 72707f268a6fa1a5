#include "chain.h"

#include <string.h>

#include "../elementwise/loops.h"
#include "../include/duet_isa.h"

static duet_chain_interpreter *interpreter(duet_isa isa, const duet_chain *chain) {
  int is_double = chain->is_double, is_narrow = chain->is_narrow;
#define WIDTH(type, isa) \
  is_narrow ? duet_interpret_narrow_chain_##type##_##isa : duet_interpret_chain_##type##_##isa
#define INTERPRETER(isa) is_double ? WIDTH(f64, isa) : WIDTH(f32, isa)
  switch (isa) {
#if defined(__x86_64__)
    case DUET_AVX512:
      if (chain->is_fetching)
        return is_double ? duet_interpret_fetching_chain_f64_avx512
                         : duet_interpret_fetching_chain_f32_avx512;
      return INTERPRETER(avx512);
    case DUET_AVX2:
      if (!is_narrow && !chain->has_functions)
        return is_double ? duet_interpret_plain_chain_f64_avx2 : duet_interpret_plain_chain_f32_avx2;
      return INTERPRETER(avx2);
#elif defined(__aarch64__)
    case DUET_NEON: return INTERPRETER(neon);
#endif
    default: return NULL;
  }
#undef INTERPRETER
#undef WIDTH
}

// Elements that an interpreter takes at a time, and the most bytes of them.
static int64_t block_of(int is_double) { return is_double ? 32 : 64; }
enum { BLOCK_BYTES = 256 };

static int is_half(duet_dtype dtype) { return dtype == DUET_FLOAT16 || dtype == DUET_BFLOAT16; }

// What an instruction does: to operands of one dtype, for a result of the same, a mask, or, by a cast, another one.
typedef struct {
  int32_t code;  // NONE, or of the first form; KEEP for a cast, which needs no step but that of its result
  duet_dtype from, to;
} operation;

enum { NONE = DUET_CHAIN_END };

// Selects go by the size of elements: integers pass through registers as they are.
static operation operation_on(const duet_tile_instruction *i, duet_dtype dtype) {
  if (i->operand_count == 2) {
#define X(op, name) \
  if (i->loop == duet_unary_loop(DUET_##op, dtype)) return (operation){DUET_CHAIN_##op, dtype, dtype};
    DUET_CHAIN_SIMPLE(X)
    DUET_CHAIN_FUNCTIONS(X)
#undef X
    if (dtype == DUET_FLOAT64) return (operation){NONE};
    static const duet_dtype results[] = {DUET_FLOAT32, DUET_FLOAT16, DUET_BFLOAT16};
    for (int k = 0; k < 3; k++)
      if (results[k] != dtype && i->loop == duet_cast_loop(dtype, results[k]))
        return (operation){DUET_CHAIN_KEEP, dtype, results[k]};
  } else if (i->operand_count == 3) {
#define X(op, name) \
  if (i->loop == duet_binary_loop(DUET_##op, dtype)) return (operation){DUET_CHAIN_##op, dtype, dtype};
    DUET_CHAIN_ARITHMETIC(X)
#undef X
    if (is_half(dtype)) return (operation){NONE};
#define X(op, name)                                     \
  if (i->loop == duet_comparison_loop(DUET_##op, dtype)) \
    return (operation){DUET_CHAIN_##op, dtype, DUET_BOOL};
    DUET_CHAIN_COMPARISONS(X)
#undef X
  } else if (i->loop == duet_select_loop(dtype) && !is_half(dtype)) {
    return (operation){DUET_CHAIN_SELECT, dtype, dtype};
  }
  return (operation){NONE};
}

// What an instruction does behind one whose result has that dtype.
static operation operation_behind(duet_dtype last, const duet_tile_instruction *i) {
  operation o = operation_on(i, last);
  if (last == DUET_FLOAT64) return o;
  static const duet_dtype others[] = {DUET_FLOAT32, DUET_FLOAT16, DUET_BFLOAT16};
  for (int k = 0; k < 3 && o.code == NONE; k++)
    if (others[k] != last) o = operation_on(i, others[k]);
  return o;
}

// The forms of a step follow one another.
enum { ONE = 1, TO = 2, KEPT = 4, TO_KEPT = 5, ASIDE = 6, TO_ASIDE = 7 };

// A step's like for 16-bit floats.
#define HALF_STEP(dtype, kind) \
  ((dtype) == DUET_FLOAT16 ? DUET_CHAIN_##kind##_FLOAT16 : DUET_CHAIN_##kind##_BFLOAT16)
#define STEP_OF(dtype, kind) (is_half(dtype) ? HALF_STEP(dtype, kind) : DUET_CHAIN_##kind)

// Operations of IEEE arithmetic: they make NaN quiet themselves, and of bfloat16 operands, whose low bits are 0, NaN
// with low bits of 0. Nothing else needs a NaN made quiet before or rounded behind it: every bfloat16 in v and w is
// quiet.
static int is_arithmetic(int32_t code) {
  switch (code) {
    case DUET_CHAIN_SQUARE:
    case DUET_CHAIN_SQRT:
    case DUET_CHAIN_RSQRT:
    case DUET_CHAIN_RECIPROCAL:
    case DUET_CHAIN_ADD:
    case DUET_CHAIN_SUBTRACT:
    case DUET_CHAIN_MULTIPLY:
    case DUET_CHAIN_DIVIDE: return 1;
    default: return 0;
  }
}

// Whether a value of 16 bits gives one.
static int is_exact(int32_t code) {
  switch (code) {
    case DUET_CHAIN_NEGATE:
    case DUET_CHAIN_ABSOLUTE:
    case DUET_CHAIN_SIGN:
    case DUET_CHAIN_RELU:
    case DUET_CHAIN_MAXIMUM:
    case DUET_CHAIN_MINIMUM: return 1;
    default: return 0;
  }
}

static const duet_tile_external *external_of(const duet_tile_call *call, int32_t e) {
  return (const duet_tile_external *)((const char *)call + call->externals) + e;
}

static int64_t row_length(const duet_tile_call *call) { return call->shape[call->rank - 1]; }

// Bytes from one element of a row to the next.
static int64_t row_stride(const duet_tile_call *call, int32_t e) {
  return external_of(call, e)->stride[call->rank - 1];
}

static void add(duet_chain *chain, int32_t code) {
  chain->step[chain->count++] = (duet_chain_step){.code = code, .external = -1};
}

// Adds a step whose memory is operand k of an instruction; of the form for one element where that is all there is.
static void add_memory(duet_chain *chain, int32_t code, const duet_tile_call *call,
                       const duet_tile_instruction *from, int32_t k) {
  int32_t slot = from->slot[k];
  duet_chain_step *step = &chain->step[chain->count++];
  if (slot >= 0) {
    *step = (duet_chain_step){code, -1, (char *)(intptr_t)slot, 0};
  } else {
    int64_t size = row_stride(call, ~slot);
    *step = (duet_chain_step){code + (size == 0 ? ONE : 0), ~slot, NULL, size};
  }
}

// Adds what loads operand k into v.
static void add_load(duet_chain *chain, operation o, const duet_tile_call *call,
                     const duet_tile_instruction *from, int32_t k) {
  add_memory(chain, STEP_OF(o.from, LOAD), call, from, k);
  if (o.from == DUET_BFLOAT16 && !is_arithmetic(o.code)) add(chain, DUET_CHAIN_QUIET);
}

// Adds what rounds a result. Where v is only stored, storing a float16 rounds it.
static void add_rounding(duet_chain *chain, operation o, int is_only_stored) {
  if (!is_half(o.to) || is_exact(o.code) || (is_only_stored && o.to == DUET_FLOAT16)) return;
  add(chain, is_arithmetic(o.code) ? HALF_STEP(o.to, ROUND_ARITHMETIC) : HALF_STEP(o.to, ROUND));
}

// Adds a binary operation on v and operand k in memory; `form` is TO where that comes first.
static void add_binary(duet_chain *chain, operation o, int32_t form, const duet_tile_call *call,
                       const duet_tile_instruction *from, int32_t k) {
  if (is_half(o.from)) {
    add_memory(chain, HALF_STEP(o.from, ASIDE), call, from, k);
    if (o.from == DUET_BFLOAT16 && !is_arithmetic(o.code)) add(chain, DUET_CHAIN_QUIET_ASIDE);
    add(chain, o.code + (form == TO ? TO_ASIDE : ASIDE));
  } else {
    add_memory(chain, o.code + form, call, from, k);
  }
}

static int32_t reads(const duet_tile_instruction *i, int32_t slot) {
  int32_t count = 0;
  for (int32_t k = 1; k < i->operand_count; k++) count += i->slot[k] == slot;
  return count;
}

// The last instruction that reads the result of one and does not find it in v; NULL if all do, or there are none.
static const duet_tile_instruction *last_reader(const duet_tile_instruction *at,
                                                const duet_tile_instruction *end) {
  const duet_tile_instruction *last = NULL;
  int32_t slot = at->slot[0];
  for (const duet_tile_instruction *i = at + 1; i < end; i++) {
    if (reads(i, slot) > (i == at + 1)) last = i;
    if (i->slot[0] == slot) break;
  }
  return last;
}

// Whether a mask is read where another one is in m.
static int is_needed_again(const duet_tile_instruction *at, const duet_tile_instruction *end) {
  enum { SELECT_OPERANDS = 4, MASK_BYTES = 1 };
  int32_t slot = at->slot[0];
  for (const duet_tile_instruction *i = at + 1, *other = NULL; i < end && i->slot[0] != slot; i++) {
    if (i->operand_count == SELECT_OPERANDS && i->slot[1] == slot) {
      if (other) return 1;
    } else if (i->operand_count == SELECT_OPERANDS || i->stride[0] == MASK_BYTES) {
      other = i;
    }
  }
  return 0;
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

// Whether what is written past the caches is whole lines, however the space is cut.
static int is_in_lines(const duet_tile_call *call, uint32_t streamed) {
  for (int32_t e = 0; e < call->output_count && streamed >> e != 0; e++) {
    int64_t size = external_of(call, e)->element_size;
    int is_cut = call->rank > 1 && row_length(call) * size % 64 != 0;
    is_cut |= call->is_reduced && call->reduced_count * size % 64 != 0;
    if ((streamed >> e & 1) != 0 && is_cut) return 0;
  }
  return 1;
}

static int fits(const duet_tile_call *call, uint32_t streamed, int is_double) {
  // What is left of a row behind whole blocks costs as much as one more.
  enum { LONG_ROW = 4, SHORT_ROW = 2 };
  int64_t block = block_of(is_double), length = row_length(call), piece = length;
  if (call->is_reduced && call->reduced_count < piece) piece = call->reduced_count;
  int is_short = piece < block * (piece % block == 0 ? SHORT_ROW : LONG_ROW);
  if (is_short && (call->rank > 1 || call->is_reduced)) return 0;
  // Scratch memory is laid out by tiles.
  if (call->tile_step * call->inner_count < block) return 0;
  if (!is_in_lines(call, streamed)) return 0;
  for (int32_t e = 0; e < call->external_count; e++) {
    int64_t size = external_of(call, e)->element_size, stride = row_stride(call, e);
    int is_mask = size == 1 && e >= call->output_count;
    if (!is_mask && (size == 1 || (size == 8) != is_double)) return 0;
    if (stride != size && (stride != 0 || e < call->output_count)) return 0;
  }
  // Making a chain looks at all pairs of instructions.
  int64_t n = call->instruction_count;
  return 4 * n * n <= call->element_count;
}

static int has_doubles(const duet_tile_call *call) {
  for (int32_t e = 0; e < call->external_count; e++)
    if (external_of(call, e)->element_size == 8) return 1;
  return 0;
}

// The slots whose values are in v, in w and in m.
typedef struct {
  int32_t held, kept, mask;
} registers;
enum { NO_SLOT = INT32_MAX };

// Adds an instruction's operation, with what brings its operands into registers.
static void add_operation(duet_chain *chain, operation o, const duet_tile_call *call,
                         const duet_tile_instruction *i, registers *r) {
  int is_unary = i->operand_count == 2, first = o.code == DUET_CHAIN_SELECT ? 2 : 1;
  int32_t x = i->slot[first], y = is_unary ? x : i->slot[first + 1];
  if (o.code == DUET_CHAIN_SELECT && r->mask != i->slot[1]) {
    r->mask = i->slot[1];
    add_memory(chain, DUET_CHAIN_LOAD_MASK, call, i, 1);
  }
  if (r->held == y && x != y) {
    if (r->kept == x)
      add(chain, o.code + TO_KEPT);
    else
      add_binary(chain, o, TO, call, i, first);
    return;
  }
  if (r->held != x && r->kept == x)
    add(chain, DUET_CHAIN_TAKE);
  else if (r->held != x)
    add_load(chain, o, call, i, first);
  r->held = x;
  if (!is_unary && r->kept == y)
    add(chain, o.code + KEPT);
  else if (!is_unary)
    add_binary(chain, o, 0, call, i, first + 1);
  else if (o.code != DUET_CHAIN_KEEP)
    add(chain, o.code);
}

// Processors fetch ahead on their own for fewer arrays than three, and do it better for more than four.
static int fetches(const duet_tile_call *call) {
  int32_t arrays = 0;
  for (int32_t e = call->output_count; e < call->external_count; e++) arrays += row_stride(call, e) != 0;
  return !duet_halves_registers() && (arrays == 3 || arrays == 4);
}

int duet_make_chain(duet_chain *chain, const duet_tile_call *call, uint32_t streamed) {
  // Looked up once: it may be set anew while a chain runs.
  duet_isa isa = duet_current_isa();
  int is_double = has_doubles(call);
  if (isa == DUET_SCALAR || !fits(call, streamed, is_double)) return 0;
  const duet_tile_instruction *i =
      (const duet_tile_instruction *)((const char *)call + call->instructions);
  const duet_tile_instruction *end = i + call->instruction_count;
  const duet_tile_instruction *reduced = call->is_reduced ? last_result(call, i, end) : NULL;
  if (call->is_reduced && !reduced) return 0;
  // What is added to lanes is used up; only four vectors at a time are.
  chain->is_sum = reduced && reduced + 1 == end && call->reduced_slot >= 0 && streamed == 0 &&
                  (call->reduction == DUET_SUM || call->reduction == DUET_MEAN);
  chain->count = 0;
  // The most steps of an instruction: a load, an operand aside, both made quiet, the operation, rounding or keeping
  // of a result, storing it for a reduction and for others. One more ends the chain.
  enum { STEPS_EACH = 9 };
  registers r = {NO_SLOT, NO_SLOT, NO_SLOT};
  const duet_tile_instruction *kept_until = NULL;
  duet_dtype last = is_double ? DUET_FLOAT64 : DUET_FLOAT32;
  for (; i < end; i++) {
    operation o = operation_behind(last, i);
    if (o.code == NONE || chain->count + STEPS_EACH >= DUET_CHAIN_STEPS) return 0;
    add_operation(chain, o, call, i, &r);
    if (kept_until == i) r.kept = NO_SLOT;
    if (o.to == DUET_BOOL) {
      // Masks are for selects alone; v stays.
      r.mask = i->slot[0];
      if (r.mask < 0) return 0;
      if (r.held == r.mask) r.held = NO_SLOT;
      if (is_needed_again(i, end)) add_memory(chain, DUET_CHAIN_STORE_MASK, call, i, 0);
      continue;
    }
    last = o.to;
    r.held = i->slot[0];
    if (r.mask == r.held) r.mask = NO_SLOT;
    const duet_tile_instruction *reader = last_reader(i, end);
    int keeps = reader && r.kept == NO_SLOT;
    int is_only_stored = !keeps && (i + 1 == end ? !chain->is_sum : !reads(i + 1, r.held));
    add_rounding(chain, o, is_only_stored);
    if (keeps) {
      add(chain, DUET_CHAIN_KEEP);
      r.kept = r.held;
      kept_until = reader;
    }
    if (i == reduced) {
      chain->reduced = chain->count;
      chain->step[chain->count++] =
          (duet_chain_step){STEP_OF(o.to, STORE), call->external_count, NULL,
                            (int64_t)duet_dtype_size(o.to)};
    }
    int is_read = reader && !keeps;
    int passes = r.held < 0 && ~r.held < 32 && (streamed >> ~r.held & 1) != 0 && !is_read;
    if (r.held < 0 || is_read)
      add_memory(chain, passes ? STEP_OF(o.to, STREAM) : STEP_OF(o.to, STORE), call, i, 0);
  }
  add(chain, DUET_CHAIN_END);
  chain->is_double = is_double;
  chain->has_functions = 0;
  for (int32_t k = 0; k < chain->count; k++) chain->has_functions |= is_function(chain->step[k].code);
  chain->is_narrow = streamed != 0 && !chain->has_functions;
  chain->is_fetching = chain->is_narrow && fetches(call);
  chain->interpret = interpreter(isa, chain);
  spread(chain);
  return chain->interpret != NULL;
}

// A chain on its way through the space: where each array's row begins.
typedef struct {
  const duet_chain *chain;
  const duet_tile_call *call;
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

// Runs the steps, whose arrays begin at these addresses.
static void interpret(walk *w, char *const *base, int64_t begin, int64_t end) {
  for (int32_t k = 0; k < w->chain->count; k++)
    if (w->step[k].external >= 0) w->step[k].base = base[w->step[k].external];
  w->chain->interpret(w->step, begin, end);
}

// The columns begin ..< end of a row.
static void run_row(walk *w, int64_t begin, int64_t end) {
  int64_t block = block_of(w->chain->is_double);
  int64_t whole = begin + (end - begin) / block * block;
  if (whole > begin) interpret(w, w->row, begin, whole);
  if (whole == end) return;
  // A block of its own with what is left.
  _Alignas(64) char rest[DUET_TILE_EXTERNALS + 1][BLOCK_BYTES];
  const duet_tile_call *call = w->call;
  char *base[DUET_TILE_EXTERNALS + 1];
  for (int32_t e = 0; e < call->external_count; e++) {
    int64_t stride = row_stride(call, e);
    base[e] = stride == 0 ? w->row[e] : rest[e];
    if (stride == 0) continue;
    memset(rest[e], 0, sizeof rest[e]);
    if (e >= call->output_count)
      memcpy(rest[e], w->row[e] + whole * stride, (size_t)((end - whole) * stride));
  }
  int32_t reduced = call->external_count;
  base[reduced] = rest[reduced];
  interpret(w, base, 0, block);
  for (int32_t e = 0; e < call->output_count; e++) {
    int64_t size = row_stride(call, e);
    memcpy(w->row[e] + whole * size, rest[e], (size_t)((end - whole) * size));
  }
  if (!call->is_reduced) return;
  int64_t size = (int64_t)duet_dtype_size(call->reduced_dtype);
  memcpy(w->row[reduced] + whole * size, rest[reduced], (size_t)((end - whole) * size));
}

// The columns begin ..< end of a row, of which only the sum is wanted. They are whole blocks.
static void sum_row(walk *w, int64_t begin, int64_t end, int64_t first, const duet_chain_sink *sink) {
  enum { LANES = 16 };
  _Alignas(64) char lanes[LANES * 8];
  for (int k = 0; k < LANES; k++) {
    if (w->chain->is_double)
      ((double *)lanes)[k] = -0.0;
    else
      ((float *)lanes)[k] = -0.0f;
  }
  duet_chain_step *step = &w->step[w->chain->reduced], store = *step;
  *step = (duet_chain_step){DUET_CHAIN_SUM, store.external, NULL, 0};
  char *row = w->row[store.external];
  w->row[store.external] = lanes;
  interpret(w, w->row, begin, end);
  w->row[store.external] = row;
  *step = store;
  sink->take_sum(sink->context, lanes, first);
}

void duet_run_chain(const duet_chain *chain, const duet_tile_call *call, int64_t first,
                    int64_t last, const duet_chain_sink *sink) {
  if (first == last) return;
  _Alignas(64) char scratch[DUET_TILE_SCRATCH];
  _Alignas(64) char piece[DUET_CHAIN_PIECE * 8];
  walk w;
  w.chain = chain;
  w.call = call;
  for (int32_t k = 0; k < chain->count; k++) {
    w.step[k] = chain->step[k];
    if (w.step[k].external < 0) w.step[k].base = scratch + (intptr_t)w.step[k].base;
  }
  int64_t length = row_length(call), column = first % length;
  int64_t block = block_of(chain->is_double);
  int64_t size = call->is_reduced ? (int64_t)duet_dtype_size(call->reduced_dtype) : 0;
  start(&w, first / length);
  for (;;) {
    int64_t to = first + length - column;
    if (to > last) to = last;
    if (sink) {
      int64_t end = sink->end(sink->context, first);
      if (to > end) to = end;
      w.row[call->external_count] = piece - column * size;
    }
    if (chain->is_sum && (to - first) % block == 0 && sink->takes_sum(sink->context, first, to - first)) {
      sum_row(&w, column, column + to - first, first, sink);
    } else {
      run_row(&w, column, column + to - first);
      if (sink) sink->take(sink->context, piece, first, to - first);
    }
    column += to - first;
    first = to;
    if (first == last) return;
    if (column < length) continue;
    column = 0;
    go_on(&w);
  }
}
