// The policy of contractions: block sizes, micro-kernels and packing per instruction set and
// element type. The mechanism that uses it (matmul.c, convolution.c, ...) knows nothing of
// instruction sets.
#ifndef DUET_CONTRACTION_ENGINE_H
#define DUET_CONTRACTION_ENGINE_H

#include "duet_contraction.h"
#include "duet_elementwise.h"
#include "duet_isa.h"

// A micro-kernel computes a tile of up to DUET_TILE_ROWS rows and two vectors of columns:
//     c[i, j] (+)= sum over s, p of a[i, s, p] * b[s, p, j], s and p ascending,
// each element one chain of fused multiply-adds that starts at zero, or at c where it accumulates.
enum { DUET_TILE_ROWS = 14 };

typedef enum {
  DUET_TILE_PACKED,   // a: a panel [p][rows]; b: rows b_step apart; no segments
  DUET_TILE_ROWS_AT,  // a: one pointer per row, a_step and a_segment; b: b_step and b_segment
  DUET_TILE_TAPS,     // a: a panel [s][p][rows]; b: row p at offset[p] from b, b_segment
  DUET_TILE_STREAMED, // as PACKED; tiles of two whole vectors also fetch what `runs` names. Not of engines of few registers
  DUET_TILE_MOVING,   // as PACKED; tiles of two whole vectors also do a part of `moves`
  DUET_TILE_STRIDED,  // a: a_row and a_step; no segments. Only where it is an engine's in_place_mode
  DUET_TILE_MODES
} duet_tile_mode;

// The columns of a tile. Parts are masked; the half ones use registers of half the width, which are
// faster on processors that split the widest ones.
typedef enum {
  DUET_COLUMNS_TWO,            // two vectors
  DUET_COLUMNS_ONE_AND_PART,   // one vector and a part of another
  DUET_COLUMNS_ONE_AND_HALF,   // one vector and a part of a half one
  DUET_COLUMNS_PART,           // a part of one vector
  DUET_COLUMNS_HALF,           // a part of a half vector
  DUET_COLUMNS_COUNT
} duet_tile_columns;

// What a tile fetches while it computes: runs of memory one after the other, as many lines as it
// reads of b. A processor that has too much under way forgets a fetch: each is asked for twice.
typedef struct {
  const char *first, *again;  // the runs in which to begin, for the first time and again
  int64_t at, run, step;      // where in them; bytes of a run and from one to the next
  int32_t crosses_lines;      // runs end within a line of the cache
} duet_runs_ahead;

// A panel to be packed beside tiles, in groups of four elements that lie one behind the other: a
// tile moves one group for each four of its k. From group to group both places move by a step; after
// each `length` of them by a turn instead.
typedef struct {
  const char *from;
  char *to;
  int64_t spread;                // between the elements of a group in `to`
  int64_t from_step, to_step, from_turn, to_turn;
  int64_t length, left;          // left: until the next turn
  int64_t fetch;                 // from a group to what is fetched beside it
  int64_t count;                 // groups yet to be moved
} duet_moves;                    // all distances in bytes

// Pairs of lines, `step` bytes apart (0: they follow each other), and after each `run` of them `turn` more. left: pairs
// until the next turn; 0: there is none.
typedef struct {
  int64_t step, turn, run, left;
} duet_lines_apart;

typedef struct {
  const void *a;
  const void *const *row;     // of DUET_TILE_ROWS_AT; a_row is of DUET_TILE_STRIDED
  int64_t a_row, a_step, a_segment;  // elements, as everything below
  const void *b;
  const int64_t *offset;
  int64_t b_step, b_segment;
  int64_t k, segments;
  void *c;
  int64_t c_step;      // between rows of c
  const char *ahead;   // NULL or memory that is wanted soon (duet_lines_ahead)
  duet_lines_apart apart;  // how it lies, for DUET_TILE_PACKED and _STRIDED
  duet_runs_ahead runs;  // of DUET_TILE_STREAMED
  duet_moves *moves;     // of DUET_TILE_MOVING
  int64_t c_ahead;       // of the same: from c to a tile of it that is wanted soon
  int32_t columns;     // 1 to 2 * lanes
  int32_t accumulate;  // 0: c is written only
} duet_tile;

// Cache lines from `ahead` on that a tile of two whole vectors fetches while it computes.
static inline int64_t duet_lines_ahead(duet_tile_mode mode, int64_t k) {
  switch (mode) {
    case DUET_TILE_ROWS_AT: return k;
    case DUET_TILE_PACKED:
    case DUET_TILE_STRIDED: return k / 4 * 2;
    case DUET_TILE_MOVING: return k / 4;
    default: return 0;
  }
}

typedef void (*duet_tile_fn)(const duet_tile *);

// panel[p * width + i] = source[i * item_stride + p * k_stride] for i < count. Items in count ..<
// width are left undefined, and up to 8 elements behind the panel are overwritten.
typedef void (*duet_pack_fn)(void *panel, int64_t width, const void *source, int64_t count,
                             int64_t k,
                             int64_t item_stride, int64_t k_stride);

// Several whole panels at once from rows that are contiguous: reads rows from end to end, which is
// what memory likes, where they are long. The width is a multiple of 64 bytes.
typedef void (*duet_spread_fn)(void *panels, int64_t width, const void *source, int64_t count,
                               int64_t k,
                               int64_t k_stride);

// y[i] = dot(matrix[i, 0 ..< k], x) in the lane order of matrix-vector products
// (duet_contraction.h); x and y contiguous. `lanes` holds 16 * (rows + 64) elements of scratch.
typedef void (*duet_matvec_fn)(void *y, const void *matrix, const void *x, int64_t rows, int64_t k,
                               int64_t row_stride, int64_t k_stride, void *lanes);

// c[i, j] += sum over p < k of a[p * rows + i] * b[p, j], p ascending, for `tiles` times two vectors of
// columns; k is DUET_SWEEP_K, or less at the end. Rows of b are b_step elements apart. Rows of c are
// DUET_SWEEP_STEP bytes apart, which hold DUET_SWEEP_RUN and keep the rows apart in the caches; with sweeps that
// fetch, tiles [rows, two vectors] of c follow each other.
enum {
  DUET_SWEEP_K = 8,
  DUET_SWEEP_ROWS = 16,
  DUET_SWEEP_RUN = 16 << 10,
  DUET_SWEEP_STEP = DUET_SWEEP_RUN + 192
};
typedef struct {
  const void *a, *b;
  void *c;
  int64_t b_step, k, tiles;
  const void *next;  // where b of the sweep that follows begins, which is fetched at the end of this one
} duet_sweep;
typedef void (*duet_sweep_fn)(const duet_sweep *);

// Products of tiny matrices, one in each lane of lines of 64 bytes: c[i, j] = sum over p of a[i, p]
// b[p, j], strides in lines, c [m, n] contiguous.
typedef struct {
  int64_t m, n, k, a_row, a_k, b_k, b_column;
} duet_batch;
typedef void (*duet_batch_fn)(void *c, const void *a, const void *b, const duet_batch *shape);

typedef struct {
  int32_t rows;        // of a tile, at most DUET_TILE_ROWS
  int32_t narrow_rows; // of one that has up to one vector of columns and is in in_place_mode
  int32_t lanes;       // of a vector
  int32_t half_lanes;  // 0: no half vectors
  int32_t masked;      // parts of b are loaded with masks; otherwise whole vectors are read
  int32_t element_size;
  int32_t k_block;     // k of a block: a panel of b and one of a stay in the first-level cache
  int32_t row_block;   // rows of a block: k_block of them stay in the second-level cache
  duet_tile_mode in_place_mode;  // of tiles whose left operand is read where it lies
  int64_t in_place;    // bytes of a right operand that small products read where it lies
  duet_sweep_fn sweep[DUET_SWEEP_ROWS];  // [rows - 1], of streamed products; NULL: they are tiles
  int32_t sweep_rows;     // the most that one takes
  int32_t sweep_fetches;  // whether they fetch what lies ahead
  duet_tile_fn tile[DUET_TILE_MODES][DUET_COLUMNS_COUNT][DUET_TILE_ROWS];  // [rows - 1]
  duet_pack_fn pack;
  duet_spread_fn spread;
  duet_spread_fn spread_past_caches;  // to whole lines; for other threads after duet_stream_end
  duet_matvec_fn matvec;  // NULL for integers, whose order does not matter
  duet_batch_fn batch, batch_with_vector;  // the latter NULL for integers
} duet_engine;

// Storage types narrower than what is computed in are widened while packing and narrowed once at
// the end.
typedef enum {
  DUET_COMPUTE_F32,
  DUET_COMPUTE_F64,
  DUET_COMPUTE_U32,
  DUET_COMPUTE_U64,
  DUET_COMPUTE_COUNT
} duet_compute;

typedef struct {
  const duet_engine *engine[DUET_COMPUTE_COUNT];
  // wide[i] = narrow[i * stride], and back; NULL where the storage type is the computed one.
  void (*widen[DUET_DTYPE_COUNT])(void *wide, const void *narrow, int64_t count, int64_t stride);
  void (*narrow[DUET_DTYPE_COUNT])(void *narrow, const void *wide, int64_t count);
} duet_contraction_table;

const duet_contraction_table *duet_contractions(void);

static inline duet_compute duet_compute_type(duet_dtype dtype) {
  switch (dtype) {
    case DUET_FLOAT16:
    case DUET_BFLOAT16:
    case DUET_FLOAT32: return DUET_COMPUTE_F32;
    case DUET_FLOAT64: return DUET_COMPUTE_F64;
    case DUET_INT64: return DUET_COMPUTE_U64;
    default: return DUET_COMPUTE_U32;
  }
}

// Sets the left operand of a tile in the engine's in_place_mode: t->a_row and t->a_step are set, `row`
// holds pointers where that mode wants them.
static inline void duet_read_in_place(const duet_engine *engine, duet_tile *t, const void *a,
                                      int64_t rows, const void *row[DUET_TILE_ROWS]) {
  t->a = a;
  t->row = row;
  for (int64_t r = 0; engine->in_place_mode == DUET_TILE_ROWS_AT && r < rows; r++)
    row[r] = (const char *)a + r * t->a_row * engine->element_size;
}

// The kernel for a tile of `rows` rows and `columns` columns.
static inline duet_tile_fn duet_choose_tile(const duet_engine *engine, duet_tile_mode mode,
                                            int64_t rows,
                                            int64_t columns) {
  int64_t lanes = engine->lanes, half = engine->half_lanes;
  duet_tile_columns kind = columns == 2 * lanes      ? DUET_COLUMNS_TWO
                           : columns > lanes + half  ? DUET_COLUMNS_ONE_AND_PART
                           : columns > lanes         ? DUET_COLUMNS_ONE_AND_HALF
                           : columns > half          ? DUET_COLUMNS_PART
                                                     : DUET_COLUMNS_HALF;
  return engine->tile[mode][kind][rows - 1];
}

// Rows are shared out evenly: 64 rows are tiles of 13, 13, 13, 13 and 12 rather than 4 of 14 and
// one of 8.
typedef struct {
  int64_t count, base, longer;  // the first `longer` parts hold base + 1
} duet_parts;

static inline duet_parts duet_split(int64_t total, int64_t most) {
  int64_t count = (total + most - 1) / most;
  if (count == 0) return (duet_parts){0, 0, 0};
  return (duet_parts){count, total / count, total % count};
}

static inline int64_t duet_part_begin(duet_parts p, int64_t i) {
  return i * p.base + (i < p.longer ? i : p.longer);
}

// Memory of this thread that stays allocated between calls. Slot 0 belongs to the body of a call,
// slot 1 to its tasks; asking again for a slot forgets what it held. Aligned to 64 bytes.
void *duet_scratch(int slot, size_t bytes);

static inline size_t duet_round_up(size_t n, size_t multiple) {
  return (n + multiple - 1) / multiple * multiple;
}

// One product of matrices with any element strides, in the element type of the engine or, where
// `widen` is set, from a narrower storage type. Used by tasks: works on this thread alone, in
// scratch slot 1.
typedef struct {
  const duet_contraction_table *table;
  const duet_engine *engine;
  duet_dtype dtype, result_dtype;
  const char *a, *b;
  char *c;
  int64_t m, n, k;
  int64_t a_row, a_k, b_k, b_column, c_row, c_column;  // strides in elements
  const char *bias;  // NULL: none; one element per column of c
  int64_t bias_step;
  const char *next[3];  // NULL, or the operands and the result of a product that follows
  const char *a_panels; // NULL, or a as duet_pack_streamed left it: the product is streamed
} duet_product;

void duet_multiply(const duet_product *product);

// The same where few rows meet a large right operand that lies row by row, or, in parts of its columns that share the
// packed left operand, a few more rows one that may be transposed, too.
int duet_streams(const duet_product *product);
int duet_streams_in_parts(const duet_product *product);
int duet_sweeps(const duet_product *product);  // whether they are swept then
void duet_multiply_streamed(const duet_product *product);
size_t duet_streamed_bytes(const duet_product *product);  // of the left operand, packed
void duet_pack_streamed(const duet_product *product, char *panels);

// The same for a large product, with all threads and scratch slot 0: outside of tasks, not for
// types that are widened, rows of c contiguous.
void duet_multiply_large(const duet_product *product);

// All products of a call whose matrices are tiny and many, with all threads: outside of tasks. `p`
// is the first of them, with a contiguous result; `with_vector` in the lane order of matvec.
// Answers whether it did the work.
int duet_multiply_batch(const duet_product *p, const duet_matmul_call *call, int32_t batch_rank,
                        int64_t batches, int with_vector);

// Adds the bias to rows m0 ..< m0 + m and columns n0 ..< n0 + n of a product whose rows are
// contiguous.
void duet_add_bias(const duet_product *product, int64_t m0, int64_t m, int64_t n0, int64_t n);

#endif
