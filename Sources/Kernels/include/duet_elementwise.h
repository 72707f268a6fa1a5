// Elementwise operations: one inner loop per operation and dtype, in NumPy's ufunc convention, used over
// whole arrays by duet_elementwise and over cache-resident tiles by duet_tile_program.
#ifndef DUET_ELEMENTWISE_H
#define DUET_ELEMENTWISE_H

#include "duet_types.h"

// operand[0] is the result. Strides are in bytes; 0 repeats one element. The result may be the very array
// of an operand (same pointer, same stride), never a shifted overlap.
typedef void (*duet_loop)(char *const *operand, const int64_t *stride, int64_t count);

typedef enum : int32_t {
  DUET_NEGATE, DUET_ABSOLUTE, DUET_SIGN, DUET_SQUARE, DUET_SQRT, DUET_RSQRT, DUET_RECIPROCAL,
  DUET_EXP, DUET_EXPM1, DUET_LOG, DUET_LOG1P, DUET_LOG2, DUET_LOG10,
  DUET_SIN, DUET_COS, DUET_TAN, DUET_ASIN, DUET_ACOS, DUET_ATAN,
  DUET_SINH, DUET_COSH, DUET_TANH, DUET_ERF,
  DUET_SIGMOID, DUET_RELU, DUET_GELU, DUET_GELU_TANH, DUET_SILU, DUET_SOFTPLUS,
  DUET_FLOOR, DUET_CEIL, DUET_ROUND, DUET_TRUNCATE,  // DUET_ROUND: half to even
  DUET_LOGICAL_NOT,                                  // bool -> bool; on integers: bitwise not
  DUET_IS_NAN, DUET_IS_INFINITE, DUET_IS_FINITE,     // -> bool
  DUET_UNARY_COUNT
} duet_unary;

typedef enum : int32_t {
  DUET_ADD, DUET_SUBTRACT, DUET_MULTIPLY,
  DUET_DIVIDE,           // integers: truncates toward zero as Swift does; x / 0 = 0; min / -1 wraps
  DUET_FLOOR_DIVIDE,     // toward negative infinity
  DUET_REMAINDER,        // of DUET_DIVIDE: sign of the dividend (C fmod); integers: x % 0 = 0
  DUET_FLOOR_REMAINDER,  // of DUET_FLOOR_DIVIDE: sign of the divisor (NumPy's mod)
  DUET_POWER,            // integers: by squaring; a negative exponent gives 0 unless the base is 1 or -1
  DUET_MAXIMUM, DUET_MINIMUM,  // NaN wins
  DUET_ATAN2, DUET_HYPOT,
  DUET_BITWISE_AND, DUET_BITWISE_OR, DUET_BITWISE_XOR,  // integers and bool
  DUET_SHIFT_LEFT, DUET_SHIFT_RIGHT,                    // integers; arithmetic on signed ones
  DUET_BINARY_COUNT
} duet_binary;

typedef enum : int32_t {
  DUET_EQUAL, DUET_NOT_EQUAL, DUET_LESS, DUET_LESS_EQUAL, DUET_GREATER, DUET_GREATER_EQUAL,
  DUET_COMPARISON_COUNT
} duet_comparison;

// NULL where the operation has no meaning for the dtype (exp of int32, bitwise and of float32).
// Arithmetic on bool is not offered; float16 and bfloat16 compute in float32 and round once.
duet_loop duet_unary_loop(duet_unary op, duet_dtype dtype);
duet_loop duet_binary_loop(duet_binary op, duet_dtype dtype);
duet_loop duet_comparison_loop(duet_comparison op, duet_dtype dtype);  // result: bool
duet_loop duet_select_loop(duet_dtype dtype);  // result, condition (bool), if true, if false
duet_loop duet_cast_loop(duet_dtype from, duet_dtype to);
duet_loop duet_copy_loop(duet_dtype dtype);    // result, source: any strides

typedef struct {
  void *operand[DUET_MAX_OPERANDS];  // result, then inputs
  duet_loop loop;
  int32_t operand_count;  // result included, 1 to 4
  int32_t rank;           // 0 to 8
  int64_t shape[DUET_MAX_RANK];
  int64_t stride[4][DUET_MAX_RANK];  // bytes, per operand
  int64_t element_size;              // of the result
  int64_t input_size[3];             // of an element, per input
} duet_elementwise_call;

// Merges axes that lie one behind the other in every operand and sorts nothing; leaves rank >= 1.
void duet_elementwise_coalesce(duet_elementwise_call *call);

// Runs the loop over a coalesced call; splits large arrays over threads.
duet_status duet_elementwise(const void *call);

// Copies any strided array to any strided array of the same shape and dtype (transposes blocked for
// cache). operand[0] destination, operand[1] source; `loop` is unused: element_size decides.
typedef struct {
  void *operand[DUET_MAX_OPERANDS];
  int64_t element_size;
  int32_t rank;
  int64_t shape[DUET_MAX_RANK];
  int64_t destination_stride[DUET_MAX_RANK];  // bytes
  int64_t source_stride[DUET_MAX_RANK];       // bytes
} duet_copy_call;
duet_status duet_copy(const void *call);

// Contiguous arrays [rows, bytes[i]] side by side: row r of the result begins with row r of the first
// part, behind which lie those of the others. operand[0] result, then the parts; results' rows are
// result_row bytes apart.
enum { DUET_MAX_PARTS = DUET_MAX_OPERANDS - 1 };
typedef struct {
  void *operand[DUET_MAX_OPERANDS];
  int32_t parts;
  int64_t rows, result_row;
  int64_t bytes[DUET_MAX_PARTS];
} duet_join_call;
duet_status duet_join(const void *call);

// Fills a contiguous array with one element's bits.
typedef struct {
  void *operand[DUET_MAX_OPERANDS];
  uint64_t bits;  // the low element_size bytes
  int64_t element_size;
  int64_t count;
} duet_fill_call;
duet_status duet_fill(const void *call);

// result[i] = start + i * step, computed in the dtype's own arithmetic (float16, bfloat16: float32;
// integers: int64), contiguous.
typedef struct {
  void *operand[DUET_MAX_OPERANDS];
  duet_dtype dtype;
  int64_t count;
  double start, step;
  int64_t integer_start, integer_step;
} duet_iota_call;
duet_status duet_iota(const void *call);

#endif
