// Groups of floating-point operations whose values stay in registers: a chain is interpreted on a few vectors
// at a time, so that nothing goes through memory between two operations, and the loads are spread evenly
// over the work. It goes along the rows of the space: arrays may repeat rows, or have one element for each.
// Element by element it is the arithmetic of the loops: which of the two ran does not show, but for which NaN
// it is where several meet. Registers hold float64, or float32, also for 16-bit floats, whose results are
// rounded one by one.
#ifndef DUET_PLAN_CHAIN_H
#define DUET_PLAN_CHAIN_H

#include "../include/duet_plan.h"

enum { DUET_CHAIN_STEPS = 260 };

#define DUET_CHAIN_SIMPLE(X)                                                            \
  X(NEGATE, negate) X(ABSOLUTE, absolute) X(SIGN, sign) X(SQUARE, square) X(SQRT, sqrt) \
  X(RSQRT, rsqrt) X(RECIPROCAL, reciprocal) X(RELU, relu)

// These take longer than their operands take to arrive.
#define DUET_CHAIN_FUNCTIONS(X)                                                     \
  X(EXP, exp) X(EXPM1, expm1) X(LOG, log) X(LOG1P, log1p) X(TANH, tanh) X(ERF, erf) \
  X(SIGMOID, sigmoid) X(GELU, gelu) X(GELU_TANH, gelu_tanh) X(SILU, silu)           \
  X(SOFTPLUS, softplus)

#define DUET_CHAIN_HALVES(X) X(FLOAT16, float16) X(BFLOAT16, bfloat16)

#define DUET_CHAIN_ARITHMETIC(X) DUET_CHAIN_PLAIN(X) DUET_CHAIN_EXTREMES(X)

#define DUET_CHAIN_PLAIN(X) \
  X(ADD, add) X(SUBTRACT, subtract) X(MULTIPLY, multiply) X(DIVIDE, divide)

// These take fewer instructions where the second operand is one element.
#define DUET_CHAIN_EXTREMES(X) X(MAXIMUM, maximum) X(MINIMUM, minimum)

#define DUET_CHAIN_COMPARISONS(X)                                                 \
  X(EQUAL, equal) X(NOT_EQUAL, not_equal) X(LESS, less) X(LESS_EQUAL, less_equal) \
  X(GREATER, greater) X(GREATER_EQUAL, greater_equal)

#define DUET_CHAIN_BINARY(X) \
  DUET_CHAIN_ARITHMETIC(X) DUET_CHAIN_COMPARISONS(X) X(SELECT, select)

// What a step does to the values v in registers. Beside them one other value w is kept until its last use, in
// registers where there are enough of them, and u is what 16-bit operands become before an operation. Comparisons
// leave what they find in a mask m, by which selects choose between two values. What has two operands has eight
// forms: v op memory, v op one element of memory, memory op v, one element of memory op v, v op w, w op v, v op u,
// u op v.
typedef enum : int32_t {
  DUET_CHAIN_END,
  DUET_CHAIN_LOAD,
  DUET_CHAIN_LOAD_ONE,
  DUET_CHAIN_STORE,
  DUET_CHAIN_STREAM,  // a store past the caches, to whole lines
  DUET_CHAIN_KEEP,    // w = v
  DUET_CHAIN_TAKE,    // v = w
  DUET_CHAIN_LOAD_MASK,
  DUET_CHAIN_LOAD_MASK_ONE,
  DUET_CHAIN_STORE_MASK,
  DUET_CHAIN_SUM,    // v added to the sixteen lanes of a sum in memory; v is used up
  DUET_CHAIN_QUIET,  // NaN made quiet in v
  DUET_CHAIN_QUIET_ASIDE,
#define X(type, name)                                                                   \
  DUET_CHAIN_LOAD_##type, DUET_CHAIN_LOAD_##type##_ONE, DUET_CHAIN_ASIDE_##type,        \
      DUET_CHAIN_ASIDE_##type##_ONE, DUET_CHAIN_STORE_##type, DUET_CHAIN_STREAM_##type, \
      DUET_CHAIN_ROUND_##type, DUET_CHAIN_ROUND_ARITHMETIC_##type,
  DUET_CHAIN_HALVES(X)
#undef X
#define X(op, name) DUET_CHAIN_##op,
  DUET_CHAIN_SIMPLE(X) DUET_CHAIN_FUNCTIONS(X)
#undef X
#define X(op, name)                                                                       \
  DUET_CHAIN_##op, DUET_CHAIN_##op##_ONE, DUET_CHAIN_##op##_TO, DUET_CHAIN_##op##_TO_ONE, \
  DUET_CHAIN_##op##_KEPT, DUET_CHAIN_##op##_TO_KEPT, DUET_CHAIN_##op##_ASIDE,             \
  DUET_CHAIN_##op##_TO_ASIDE,
  DUET_CHAIN_BINARY(X)
#undef X
  DUET_CHAIN_CODES
} duet_chain_code;

// Copies of every step but functions and sums. Up to so many uses of a step in a chain come from different copies, so that
// the jump to what follows has one target: a processor that predicts two from what came before may always be
// wrong, at half the speed.
enum { DUET_CHAIN_COPIES = 4 };

// A step's memory lies at base + index * size: 0 for one element, and in scratch memory.
typedef struct {
  int32_t code;      // duet_chain_code + copy * DUET_CHAIN_CODES
  int32_t external;  // the array outside that it belongs to, or what the reduced value is handed over in, behind those;
                     // -1: scratch memory, and the base is an offset into it
  char *base;
  int64_t size;
} duet_chain_step;

// Runs the steps for the elements begin ..< end, four vectors at a time or one.
typedef void duet_chain_interpreter(const duet_chain_step *steps, int64_t begin, int64_t end);

typedef struct {
  int32_t count;
  // Waits for memory rather than for arithmetic: one vector at a time. Then an instruction that loads
  // goes from line to line, which is what processors look for when they fetch ahead.
  int32_t is_narrow;
  int32_t is_fetching;    // narrow, and float32 and float64 that it reads are fetched ahead
  int32_t has_functions;  // of DUET_CHAIN_FUNCTIONS; they keep a chain from being narrow
  int32_t is_double;      // float64 in registers
  duet_chain_interpreter *interpret;
  int32_t reduced;  // the step that stores what is reduced
  int32_t is_sum;   // that step may add it to lanes instead
  duet_chain_step step[DUET_CHAIN_STEPS];
} duet_chain;

// Makes a chain of a tile program; 0 if it holds what chains do not have, or its rows are too short for it. Results
// whose bit is set in `streamed` are written past the caches.
int duet_make_chain(duet_chain *chain, const duet_tile_call *call, uint32_t streamed);

// What takes the reduced value, piece by piece in the order of the space.
enum { DUET_CHAIN_PIECE = 1024 };
typedef struct {
  const void *context;
  // Where a piece that begins there should end.
  int64_t (*end)(const void *context, int64_t first);
  void (*take)(const void *context, const char *x, int64_t first, int64_t count);
  // Whether the sum of a piece may be handed over instead, by its lanes.
  int (*takes_sum)(const void *context, int64_t first, int64_t count);
  void (*take_sum)(const void *context, char *lanes, int64_t first);
} duet_chain_sink;

// Runs it on the elements first ..< last of the space, with a sink where a value is reduced.
void duet_run_chain(const duet_chain *chain, const duet_tile_call *call, int64_t first,
                    int64_t last, const duet_chain_sink *sink);

#define DUET_CHAIN_INTERPRETERS(isa)                                                            \
  duet_chain_interpreter duet_interpret_chain_f32_##isa, duet_interpret_narrow_chain_f32_##isa, \
      duet_interpret_chain_f64_##isa, duet_interpret_narrow_chain_f64_##isa;
DUET_CHAIN_INTERPRETERS(avx512)
DUET_CHAIN_INTERPRETERS(avx2)
DUET_CHAIN_INTERPRETERS(neon)
duet_chain_interpreter duet_interpret_plain_chain_f32_avx2, duet_interpret_plain_chain_f64_avx2;
duet_chain_interpreter duet_interpret_fetching_chain_f32_avx512, duet_interpret_fetching_chain_f64_avx512;

#endif
