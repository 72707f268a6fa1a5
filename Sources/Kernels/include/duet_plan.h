// A compiled plan's steps, and the tile programs that run fused groups.
#ifndef DUET_PLAN_H
#define DUET_PLAN_H

#include "duet_elementwise.h"
#include "duet_types.h"

typedef struct {
  duet_kernel kernel;
  void *call;
} duet_step;

// Runs the steps in order. Stops at the first that fails and leaves its index in *failed.
duet_status duet_run_steps(const duet_step *steps, int64_t count, int64_t *failed);

// A fused group of elementwise operations over one iteration space. The space is seen as [rows, columns];
// tiles hold about 1,024 elements. Registers are tile-sized scratch buffers in the first-level cache.
// A slot of an instruction names a register (index < register_count) or an external array.
typedef enum : int32_t {
  DUET_TILE_CONTIGUOUS,  // laid out as the iteration space
  DUET_TILE_SCALAR,      // one element for the whole space
  DUET_TILE_STRIDED,     // any strides: copied into a scratch tile first
} duet_tile_access;

typedef struct {
  duet_tile_access access;
  int32_t element_size;
  int64_t stride[DUET_MAX_RANK];  // bytes, over the iteration space's axes
} duet_tile_external;

typedef struct {
  duet_loop loop;
  int32_t operand_count;  // result first, 1 to 4
  int32_t slot[4];        // < 0: external ~slot; otherwise register
} duet_tile_instruction;

// Variable-sized: `operand`, `external` and `instruction` point behind the struct or elsewhere in the plan.
typedef struct {
  void **operand;  // one pointer per external; outputs and inputs alike
  const duet_tile_external *external;
  const duet_tile_instruction *instruction;
  int32_t external_count, instruction_count, register_count;
  int32_t rank;
  int64_t shape[DUET_MAX_RANK];
  int64_t element_count;
  int32_t widest;  // bytes of the widest register element
} duet_tile_call;
duet_status duet_tile_program(const void *call);

#endif
