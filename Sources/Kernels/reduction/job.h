// One reduction, taken apart: which elements, in what pieces, by which kernels.
#ifndef DUET_REDUCTION_JOB_H
#define DUET_REDUCTION_JOB_H

#include "reduction.h"

// The kept axes are `outer` positions times `columns` neighbouring results. Columns are kept side
// by side in vectors when the reduced axes do not run along memory; otherwise there is one.
typedef struct {
  const duet_reductions *table;
  const duet_reducer *reducer;  // of elements of the type reduced in
  const duet_reducer *source;   // of elements in memory, if `is_direct`
  duet_widen widen;
  duet_dtype dtype;
  duet_reduction reduction;
  duet_reduced_type type;
  char *result;
  const char *input;
  int64_t element, wide;  // sizes in bytes: of the input, of the type reduced in
  int32_t outer_rank, reduced_rank;
  int64_t outer_shape[DUET_MAX_RANK], outer_stride[DUET_MAX_RANK];
  int64_t reduced_shape[DUET_MAX_RANK], reduced_stride[DUET_MAX_RANK];
  int64_t outer, columns, column_stride, count, chunks;
  // The innermost reduced axis: its size, and whether its rows of columns follow one another in
  // memory.
  int64_t run, run_stride;
  int is_dense, is_direct;  // is_direct: columns lie side by side and need no buffer
  int has_long_runs;  // one column whose runs are read where they lie, though a chunk takes several
  // How the columns of one position are worked on: all of them, sixteen rows as sixteen slots as
  // they lie in memory; or vectors of columns in blocks, where the last one ends with the last
  // column. With one column, `together` positions: where the reduced axes do not lie in one piece,
  // their pieces may well be neighbours.
  int is_grouped;
  int64_t vectors, block_vectors, blocks, together, units;
  // The grid: `batch` blocks a task, or parts of `part_chunks` chunks of one block.
  int64_t batch, parts, part_chunks;
  char *partials;
} duet_reduction_job;

// Strides are in bytes.
static inline int64_t duet_offset(int32_t rank, const int64_t *shape, const int64_t *stride,
                                  int64_t index) {
  int64_t offset = 0;
  for (int32_t a = rank - 1; a > 0; a--) {
    offset += index % shape[a] * stride[a];
    index /= shape[a];
  }
  return rank > 0 ? offset + index * stride[0] : 0;
}

static inline const char *duet_outer_start(const duet_reduction_job *job, int64_t outer) {
  return job->input + duet_offset(job->outer_rank, job->outer_shape, job->outer_stride, outer);
}

static inline int64_t duet_reduced_offset(const duet_reduction_job *job, int64_t index) {
  return duet_offset(job->reduced_rank, job->reduced_shape, job->reduced_stride, index);
}

// How many of the positions first ..< last lie on the innermost kept axis behind the first, and
// how far apart.
static inline int64_t duet_neighbours(const duet_reduction_job *job, int64_t first, int64_t last,
                                      int64_t *stride) {
  int32_t axis = job->outer_rank - 1;
  int64_t size = axis < 0 ? 1 : job->outer_shape[axis];
  *stride = axis < 0 ? 0 : job->outer_stride[axis];
  return duet_least(last - first, size - first % size);
}

// Rows first ..< first + rows of the reduced axes as a dense [rows, columns] array: where they lie,
// if they are one already; else in the buffer, in the type reduced in.
const void *duet_fetch_rows(const duet_reduction_job *job, const char *start, int64_t first,
                            int64_t rows, void *buffer);

// Whether results are of contiguous elements each.
static inline int duet_is_contiguous(const duet_reduction_job *job) {
  return job->columns == 1 && job->is_direct && job->is_dense && job->reduced_rank <= 1;
}

// The addresses of those rows.
void duet_locate_rows(const duet_reduction_job *job, const char *start, int64_t first, int64_t rows,
                      const char **row);

void duet_plan_job(duet_reduction_job *job, const duet_reduce_call *call);

#endif
