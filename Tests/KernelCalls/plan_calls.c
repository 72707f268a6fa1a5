#include "trial.h"

#include <stdio.h>

// Values, each of which may come with a mask; registers for them, and the places behind those.
enum { EXTERNALS = 4, VALUES = 6, INSTRUCTIONS = 2 * VALUES + 1, REGISTERS = 4, CAPACITY = 1024 };
enum { EXPANDED = REGISTERS, MASK = REGISTERS + 1 };

typedef struct {
  duet_tile_call call;
  // Result, contiguous input, scalar, expanded input; results of a reduction.
  void *operand[EXTERNALS + 1];
  duet_tile_external external[EXTERNALS];
  duet_tile_instruction instruction[INSTRUCTIONS];
} program;

// Kinds from CHAINS on hold what chains run: long rows, arrays that may repeat rows or elements of rows.
enum { CHAINS = 2, KINDS = 6 };

static const duet_dtype kind_dtype[KINDS] = {DUET_FLOAT32, DUET_FLOAT64, DUET_FLOAT32,
                                             DUET_FLOAT64, DUET_FLOAT16, DUET_BFLOAT16};

static int tile_name(int32_t v, char *name, size_t size) {
  static const char *const kind[KINDS] = {"float32",       "float64",       "chain float32",
                                          "chain float64", "chain float16", "chain bfloat16"};
  snprintf(name, size, "tile_program %s", kind[v]);
  return 1;
}

static duet_loop draw_loop(trial *t, duet_dtype dtype, int32_t *inputs) {
  *inputs = (int32_t)trial_int(t, 1, 2);
  if (*inputs == 1)
    return duet_unary_loop((duet_unary)PICK(t, DUET_TANH, DUET_SQUARE, DUET_RELU, DUET_SIGMOID),
                           dtype);
  return duet_binary_loop((duet_binary)PICK(t, DUET_ADD, DUET_MULTIPLY, DUET_MAXIMUM), dtype);
}

static duet_loop draw_chain_loop(trial *t, duet_dtype dtype, int32_t *inputs) {
  *inputs = (int32_t)trial_int(t, 1, 2);
  if (*inputs == 1)
    return duet_unary_loop(
        (duet_unary)PICK(t, DUET_NEGATE, DUET_ABSOLUTE, DUET_SIGN, DUET_SQUARE, DUET_SQRT,
                         DUET_RSQRT, DUET_RECIPROCAL, DUET_EXP, DUET_EXPM1, DUET_LOG, DUET_LOG1P,
                         DUET_TANH, DUET_ERF, DUET_SIGMOID, DUET_RELU, DUET_GELU, DUET_GELU_TANH,
                         DUET_SILU, DUET_SOFTPLUS),
        dtype);
  return duet_binary_loop((duet_binary)PICK(t, DUET_ADD, DUET_SUBTRACT, DUET_MULTIPLY, DUET_DIVIDE,
                                            DUET_MAXIMUM, DUET_MINIMUM),
                          dtype);
}

// Draws the operands from `first` on: one of the registers written, or an array.
static void draw_operands(trial *t, duet_tile_instruction *instruction, int32_t first,
                          int32_t registers, int32_t size) {
  for (int32_t k = first; k < instruction->operand_count; k++) {
    int32_t from = (int32_t)trial_int(t, 1, EXTERNALS - 1);
    int is_register = registers > 0 && trial_chance(t, 60);
    instruction->slot[k] =
        is_register ? (int32_t)trial_int(t, 0, registers - 1) * CAPACITY * size : ~from;
    instruction->stride[k] = !is_register && from == 2 ? 0 : size;
  }
}

static void tile_call(trial *t, int32_t v) {
  duet_dtype dtype = kind_dtype[v];
  int32_t masks = 0;  // in two slots in turn
  int32_t size = (int32_t)duet_dtype_size(dtype);
  program p = {0};
  duet_tile_call *c = &p.call;
  c->operands = offsetof(program, operand);
  c->externals = offsetof(program, external);
  c->instructions = offsetof(program, instruction);
  c->external_count = EXTERNALS;
  c->rank = trial_shape(t, 1, 4, 3000, c->shape);
  for (int32_t i = 0; i < c->rank; i++)
    if (c->shape[i] == 0) c->shape[i] = 1;
  if (v >= CHAINS && !trial_is_large(t)) {
    c->rank = (int32_t)trial_int(t, 1, 3);
    c->shape[c->rank - 1] = PICK(t, 100, 128, 192, 256, 257, 300, 500, 512, 1030);
    if (c->rank == 3) c->shape[1] = trial_int(t, 1, 5);
    c->shape[0] = trial_int(t, 1, 5);
    c->shape[0] += trial_int(t, 4096, 9000) / trial_size(c->rank, c->shape) * c->shape[0];
  }
  c->element_count = trial_size(c->rank, c->shape);
  // The tile axis: the first with few enough elements behind it.
  c->inner_count = c->element_count;
  for (int32_t i = 0; i < c->rank; i++) {
    c->inner_count /= c->shape[i];
    c->tile_axis = i;
    if (c->inner_count <= CAPACITY / 2) break;
  }
  int64_t extent = c->shape[c->tile_axis];
  c->tile_step = trial_int(t, 1, CAPACITY / c->inner_count);
  // A block of a chain fits into a tile.
  if (trial_is_large(t) || v >= CHAINS) c->tile_step = CAPACITY / c->inner_count;
  c->tiles_per_run = (extent + c->tile_step - 1) / c->tile_step;
  c->tile_count = trial_size(c->tile_axis, c->shape) * c->tiles_per_run;

  const duet_tile_access access[EXTERNALS] = {
      DUET_TILE_CONTIGUOUS, DUET_TILE_CONTIGUOUS, DUET_TILE_SCALAR, DUET_TILE_EXPANDED};
  int64_t part[DUET_MAX_RANK], unit = size;
  for (int32_t e = 0; e < EXTERNALS; e++) {
    p.external[e].access = access[e];
    p.external[e].element_size = size;
  }
  p.external[3].scratch = (int64_t)EXPANDED * CAPACITY * size;
  for (int32_t i = c->rank - 1; i >= 0; i--) {
    p.external[0].stride[i] = p.external[1].stride[i] = unit;
    unit *= c->shape[i];
    part[i] = trial_chance(t, 50) ? 1 : c->shape[i];
  }
  trial_values values = trial_some_values(t);
  p.operand[1] = trial_input(t, dtype, c->element_count, values);
  p.operand[2] = trial_input(t, dtype, 1, values);
  p.operand[3] =
      trial_view(t, dtype, c->rank, part, values, v >= CHAINS || trial_chance(t, 50),
                 p.external[3].stride);
  for (int32_t i = 0; i < c->rank; i++)
    if (part[i] == 1) p.external[3].stride[i] = 0;
  c->output_count = 1;
  int by_rows = c->rank > 1 && c->tile_axis == c->rank - 2 && trial_chance(t, 50);
  if (by_rows) {
    // Rows with a gap behind each.
    int64_t columns = c->shape[c->rank - 1], wide = columns + trial_int(t, 1, 70);
    p.external[0].access = DUET_TILE_BY_ROWS;
    for (int32_t i = 0; i < c->rank - 1; i++)
      p.external[0].stride[i] = p.external[0].stride[i] / columns * wide;
    p.operand[0] = trial_result(t, dtype, c->element_count / columns * wide);
  } else {
    p.operand[0] = trial_result(t, dtype, c->element_count);
  }

  int32_t values_wanted = (int32_t)trial_int(t, 1, VALUES);
  for (int32_t i = 0; i < values_wanted; i++) {
    int is_last = i == values_wanted - 1;
    int32_t registers = i < REGISTERS ? i : REGISTERS;
    int is_masked = v >= CHAINS && size >= 4;
    duet_tile_instruction *instruction = &p.instruction[c->instruction_count++];
    if (is_masked && trial_chance(t, 25)) {
      // A mask, read by selects behind or by none.
      instruction->loop = duet_comparison_loop((duet_comparison)trial_int(t, 0, 5), dtype);
      instruction->operand_count = 3;
      instruction->slot[0] = (MASK + masks++ % 2) * CAPACITY * size;
      instruction->stride[0] = 1;
      draw_operands(t, instruction, 1, registers, size);
      instruction = &p.instruction[c->instruction_count++];
    }
    int is_select = masks > 0 && trial_chance(t, 30);
    int32_t inputs = 2;
    instruction->loop = is_select     ? duet_select_loop(dtype)
                        : v >= CHAINS ? draw_chain_loop(t, dtype, &inputs)
                                      : draw_loop(t, dtype, &inputs);
    instruction->operand_count = inputs + 1 + is_select;
    instruction->by_rows = is_last && by_rows;
    instruction->slot[0] = is_last ? ~0 : (i % REGISTERS) * CAPACITY * size;
    instruction->stride[0] = size;
    if (is_select) {
      int32_t which = masks - 1 - (masks > 1 && trial_chance(t, 20));
      instruction->slot[1] = (MASK + which % 2) * CAPACITY * size;
      instruction->stride[1] = 1;
    }
    draw_operands(t, instruction, 1 + is_select, registers, size);
  }
  if (trial_chance(t, 40)) {
    c->is_reduced = 1;
    c->reduction = (duet_reduction)PICK(t, DUET_SUM, DUET_MEAN, DUET_PRODUCT, DUET_MAX, DUET_MIN);
    c->reduced_dtype = dtype;
    int32_t written = values_wanted - 1 < REGISTERS ? values_wanted - 1 : REGISTERS;
    c->reduced_slot = written > 0 && trial_chance(t, 50)
                          ? (int32_t)trial_int(t, 0, written - 1) * CAPACITY * size
                          : ~0;
    if (c->reduced_slot == ~0 && by_rows) c->is_reduced = 0;
    int32_t kept = (int32_t)trial_int(t, 0, c->rank - 1);
    c->reduced_rows = trial_size(kept, c->shape);
    c->reduced_count = c->element_count / c->reduced_rows;
    p.operand[EXTERNALS] = trial_result(t, dtype, c->reduced_rows);
    if (trial_chance(t, 40)) {
      // A value that is only reduced, or the squares of an array and nothing else.
      int is_alone = trial_chance(t, 40);
      if (is_alone) c->instruction_count = c->output_count = written = 0;
      duet_tile_instruction *instruction = &p.instruction[c->instruction_count++];
      *instruction = (duet_tile_instruction){.operand_count = 2, .stride = {size}};
      int is_product = trial_chance(t, 30);
      instruction->loop = is_product ? duet_binary_loop(DUET_MULTIPLY, dtype)
                                     : duet_unary_loop(DUET_SQUARE, dtype);
      instruction->operand_count += is_product;
      draw_operands(t, instruction, 1, written, size);
      if (is_alone) instruction->slot[1] = instruction->slot[2] = ~1;
      if (is_alone) instruction->stride[1] = instruction->stride[2] = size;
      c->reduced_slot = instruction->slot[0];
      c->is_reduced = 1;
    }
  }
  int64_t failed = -1;
  duet_step step = {duet_tile_program, c};
  trial_add(t, (uint64_t)duet_run_steps(&step, 1, &failed));
}

const trial_family duet_plan_families[] = {
    {KINDS, tile_name, tile_call},
    {0},
};
