// A compiled plan: its steps, the pointers that change between calls, and the tile programs that run fused
// groups.
#ifndef DUET_PLAN_H
#define DUET_PLAN_H

#include "duet_elementwise.h"
#include "duet_reduction.h"
#include "duet_types.h"

typedef struct {
  duet_kernel kernel;
  void *call;
} duet_step;

// Runs the steps in order. Stops at the first that fails and leaves its index in *failed.
duet_status duet_run_steps(const duet_step *steps, int64_t count, int64_t *failed);

// Where a pointer to an input or output of the plan stands: the pointer at `block_offset` of the argument
// blocks becomes buffer `index` plus `byte_offset`.
typedef struct {
  int64_t block_offset, index, byte_offset;
} duet_patch;

// What one running call of a plan needs for itself: argument blocks whose arena and constant addresses are
// in place, and the steps that point into them. Instances wait for their next call in a list.
typedef struct duet_plan_instance {
  struct duet_plan_instance *next;
  char *blocks;
  const duet_step *steps;
  const duet_patch *inputs, *outputs;
  int64_t step_count, input_count, output_count;  // counts of patches
  void *arena;                                    // the owner of the arena's memory; none in a region
  int64_t failed;                                 // in a region: the step that failed last
  int32_t isa;                                    // the loops in the blocks belong to it
} duet_plan_instance;

// Patches the pointers of inputs and outputs, then runs the steps. Where `times` is not null it gets the
// nanoseconds that each step took.
duet_status duet_run_instance(duet_plan_instance *instance, void *const *inputs,
                              void *const *outputs, int64_t *failed, uint64_t *times);

// duet_copy, but nothing to do where both operands are the same array.
duet_status duet_copy_unless_same(const void *call);

// Regions: steps that run plans of their own. These are instances that belong to the instance of the plan
// around them, and lie in a part of its arena. Pointers follow the call in memory, at these byte offsets from
// its start.

// One of two plans of the same inputs and outputs. The first operand is a bool, the others are the plan's
// inputs.
typedef struct {
  duet_plan_instance *then, *otherwise;
  int32_t operands, results;
} duet_branch_call;
duet_status duet_branch(const void *call);

// A loop. Each iteration makes new carried values of those before, of a slice of each sequence and of what was
// captured, and writes a slice of each stacked result.
//
// Operands: the number of iterations if `is_counted`, then carried values, sequences, captured values. Results:
// the last carried values, stacked ones, and the number of iterations if `gives_count`.
// Inputs of the body: carried values, slices, captured values; of the condition the same without the slices.
//
// Carried values go to and fro between two sets of places. Where slices or the places of results differ from
// one iteration to the next a single instance of the body is patched every time; else there are two instances
// for the two directions, and nothing is left to do between iterations.
typedef struct {
  duet_plan_instance *body[2], *condition[2];
  int32_t operands, results;
  int32_t places;  // two per carried value, then one for what the condition gives
  int32_t sizes;   // int64: bytes of each carried value, of each sequence's slice, of each stacked result's
  int32_t bound;   // room for the pointers that the body and the condition get
  int32_t carried, sequences, captured, stacked;
  int32_t is_counted, is_reversed, gives_count;
  int64_t length;  // the most iterations; negative: any number
} duet_iteration_call;
duet_status duet_iterate(const void *call);

// Elementwise operations on one element each, in order. The most common are done without a call.
typedef struct {
  char *operand[4];  // result first
  int64_t stride[4];
  duet_loop loop;
  int64_t code;
} duet_scalar_instruction;

typedef struct {
  int64_t count;
  duet_scalar_instruction instruction[];
} duet_scalar_call;
duet_status duet_scalar_program(const void *call);

// The code of an instruction that runs this loop.
int64_t duet_scalar_code(duet_loop loop);

// A fused group of elementwise operations over one iteration space, run tile by tile: all instructions on
// one tile, then all on the next, so that what lies between them stays in the first-level cache.
//
// The space is row-major over `shape`. A tile is a run of `tile_step` indices of axis `tile_axis` with all of
// the axes behind it; it lies within one index of the axes before it, so a tile is a contiguous range of
// the space. Registers are parts of a scratch memory.
enum { DUET_TILE_SCRATCH = 64 << 10, DUET_TILE_EXTERNALS = 64 };

typedef enum : int32_t {
  DUET_TILE_CONTIGUOUS,  // laid out as the space
  DUET_TILE_SCALAR,      // one element for the whole space
  DUET_TILE_DIRECT,      // the elements of a tile lie one behind the other, or are all the same one
  DUET_TILE_EXPANDED,    // copied into scratch memory, one element per index of the tile
  DUET_TILE_BY_ROWS,     // contiguous over the axes behind the tile axis, which has a stride of its own
} duet_tile_access;

// An array outside: an input or a result of the group.
typedef struct {
  duet_tile_access access;
  int32_t element_size;
  int64_t scratch;                // where the expanded tile lies in the scratch memory
  int64_t stride[DUET_MAX_RANK];  // bytes, over the space's axes; 0 where elements repeat
} duet_tile_external;

typedef struct {
  duet_loop loop;
  int32_t operand_count;  // result first, 1 to 4
  int32_t slot[4];        // >= 0: a register's byte offset in the scratch memory; < 0: external ~slot
  int32_t stride[4];      // bytes: the size of an element, or 0
  int32_t by_rows;        // an operand is reached by rows: one call of the loop per index of the tile axis
} duet_tile_instruction;

// One value of the group may be reduced without being written: the space is `reduced_rows` rows of
// `reduced_count` elements, and each row gives one result, with the bits of duet_reduce.
//
// Followed in memory by operand pointers (one per external, and that of the reduction's results),
// externals and instructions, at these byte offsets from the start of the call.
typedef struct {
  int32_t operands, externals, instructions;
  int32_t external_count, instruction_count;
  int32_t output_count;  // the first externals are results
  int32_t rank, tile_axis;
  int32_t is_reduced, reduced_slot;  // a slot as in instructions
  duet_reduction reduction;          // of floating dtypes: sum, mean, product, maximum, minimum
  duet_dtype reduced_dtype;
  int64_t reduced_rows, reduced_count;
  int64_t shape[DUET_MAX_RANK];
  int64_t tile_step;
  int64_t tiles_per_run;  // tiles that one run over the tile axis takes
  int64_t tile_count;
  int64_t inner_count;    // elements per index of the tile axis
  int64_t element_count;
} duet_tile_call;
duet_status duet_tile_program(const void *call);

#endif
