// The tables behind duet_reduce and duet_softmax.
//
// Reductions run in one of three types: float32 (also for the 16-bit floats), float64, int64 (all
// integers and bool). The layouts share two kernels. `rows` reduces contiguous runs. `lanes` adds
// whole vectors of neighbouring results: with C columns, sixteen consecutive reduced elements of
// all columns form sixteen lane slots, and a chunk is a chain of at most 64 additions in each slot.
// Integers may come in any order, so that those narrower than int64 have kernels of their own.
#ifndef DUET_REDUCTION_TABLES_H
#define DUET_REDUCTION_TABLES_H

#include "../include/duet_isa.h"
#include "../include/duet_reduction.h"

enum { DUET_CHUNK = 1024, DUET_LANE_COUNT = 16, DUET_STREAMS = 4 };
// Two runs of 2^DUET_FAR_LEVEL chunks are read side by side.
enum { DUET_FAR_LEVEL = 5 };
// Sizes of blocks of columns, of which there are sixteen slots, and positions taken together.
enum { DUET_SLOT_BYTES = 32 << 10, DUET_BUFFERED_SLOT_BYTES = 4 << 10, DUET_TOGETHER = 64 };

typedef enum {
  DUET_IN_FLOAT32,
  DUET_IN_FLOAT64,
  DUET_IN_INT64,
  DUET_REDUCED_TYPES
} duet_reduced_type;

typedef struct {
  // out[r] = the reduction of `count` contiguous elements at x + r * stride bytes. These, and the
  // rows of `lanes` and `columns`, are of the reducer's source type, all else of the type reduced in.
  void (*rows)(void *out, const char *x, int64_t stride, int64_t rows, int64_t count);
  // The same for elements that the caches do not hold.
  void (*rows_from_memory)(void *out, const char *x, int64_t stride, int64_t rows, int64_t count);
  // slot[v] = slot[v] op row[0][v] op row[1][v] ... for n <= 8 rows and vectors of 16 elements,
  // where the last vector begins at element `last` of its row; the slots start at the identity if
  // `fresh`.
  void (*lanes)(void *slots, const char *const *row, int64_t n, int64_t vectors, int64_t last,
                int fresh);
  // Vectors one behind the other at x + s * stride bytes for streams s < DUET_STREAMS, each into its
  // own sixteen lanes, which start at the identity if `fresh`.
  void (*streams)(void *lanes, const char *x, int64_t stride, int64_t vectors, int fresh);
  // out[s] = the tree over the lanes of stream s.
  void (*trees)(void *out, const void *lanes);
  // out[o][c] = the reduction of at most sixteen rows of column c at position o; may be missing.
  void (*columns)(void *out, const char *x, int64_t outer, int64_t outer_stride, int64_t rows,
                  int64_t row_stride, int64_t columns);
  // a[i] = a[i] op b[i]
  void (*join)(void *a, const void *b, int64_t count);
  // Fills with the identity.
  void (*clear)(void *a, int64_t count);
} duet_reducer;

enum { DUET_REDUCERS = 4 };  // sum, product, max, min

// Converts elements `stride` bytes apart to the type reduced in; and back, float32 to a 16-bit
// float.
typedef void (*duet_widen)(void *to, const char *from, int64_t stride, int64_t count);
typedef void (*duet_narrow)(void *to, const void *from, int64_t count);

// The place of the extreme element among `count` contiguous ones, and its value: the first NaN,
// else the first of equals.
typedef int64_t (*duet_find)(void *value, const void *x, int64_t count);
// place[r] of `count` contiguous elements at x + r * stride bytes each.
typedef void (*duet_find_each)(int64_t *place, const char *x, int64_t stride, int64_t rows,
                               int64_t count);
// best[c] and place[c] for `vectors` of sixteen columns against more rows, of which the first is
// number `first`; with first = 0 the search begins. Places are integers of the elements' size.
typedef void (*duet_find_rows)(void *best, void *place, const char *const *row, int64_t rows,
                               int64_t vectors, int64_t first);

// Integers narrower than int64, at least one: the reduction of `count` contiguous ones; and of rows
// `stride` bytes apart, for at most DUET_INTEGER_COLUMNS columns.
enum { DUET_INTEGER_COLUMNS = 4096 };
typedef struct {
  int64_t (*contiguous)(const void *x, int64_t count);
  void (*columns)(int64_t *out, const char *x, int64_t rows, int64_t stride, int64_t columns);
} duet_integer_reducer;

typedef struct {
  duet_reducer reducer[DUET_REDUCED_TYPES][DUET_REDUCERS];
  duet_reducer half_reducer[2][DUET_REDUCERS];      // of float16, bfloat16
  duet_reducer squares[2];                          // sums of squares in float32, float64
  duet_find find[DUET_REDUCED_TYPES][2];            // max, min
  duet_find half_find[2][2];
  duet_find_each find_each[DUET_REDUCED_TYPES][2];
  duet_find_rows find_rows[DUET_REDUCED_TYPES][2];  // max, min
  duet_integer_reducer narrow_integers[DUET_INT64][3];  // sum, max, min
  duet_widen widen[DUET_DTYPE_COUNT];
  duet_narrow narrow_float16, narrow_bfloat16;
} duet_reductions;

// Softmax, its logarithm and the gradients of both, of [rows, columns] contiguous elements, float32 or
// float64; or of `width` neighbouring positions whose columns lie `stride` elements apart, by means
// of scratch memory for 18 + levels rows of `width` elements, rounded up to a multiple of 16, where
// the tree over the chunks of a position has that many levels. Operands: y, x; or dx, y, dy.
typedef enum {
  DUET_SOFTMAX,
  DUET_LOG_SOFTMAX,
  DUET_SOFTMAX_GRADIENT,
  DUET_LOG_SOFTMAX_GRADIENT,
  DUET_SOFTMAX_COUNT
} duet_softmax_operation;

typedef struct {
  // [is float64][operation]
  void (*rows[2][DUET_SOFTMAX_COUNT])(void *out, const void *a, const void *b, int64_t rows,
                                      int64_t columns);
  void (*across[2][DUET_SOFTMAX_COUNT])(void *out, const void *a, const void *b, void *scratch,
                                        int64_t columns, int64_t stride, int64_t width);
} duet_softmaxes;

const duet_reductions *duet_current_reductions(void);
const duet_softmaxes *duet_current_softmaxes(void);

// Without the axes of size 1, and with those joined that one stride covers. Answers the new rank.
int32_t duet_coalesce_axes(int32_t rank, int64_t *shape, int64_t *stride);

// Sums, extremes, all and any of integers narrower than int64 that lie side by side; answers whether
// it did the work.
int duet_reduce_narrow_integers(const duet_reduce_call *call);

// argMax, argMin.
void duet_arg_reduce(const duet_reduce_call *call);

#define DUET_DECLARE_REDUCTIONS(isa)                      \
  extern const duet_reductions duet_reductions_##isa;     \
  extern const duet_softmaxes duet_softmaxes_##isa;
#if defined(__x86_64__)
DUET_DECLARE_REDUCTIONS(avx512)
DUET_DECLARE_REDUCTIONS(avx2)
#elif defined(__aarch64__)
DUET_DECLARE_REDUCTIONS(neon)
#endif
DUET_DECLARE_REDUCTIONS(scalar)

static inline int64_t duet_least(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t duet_most(int64_t a, int64_t b) { return a > b ? a : b; }

static inline duet_reduced_type duet_reduced_type_of(duet_dtype dtype) {
  return dtype == DUET_FLOAT64 ? DUET_IN_FLOAT64
         : dtype >= DUET_FLOAT16 ? DUET_IN_FLOAT32
                                 : DUET_IN_INT64;
}

#endif
