// Reductions whose elements are handed over chunk by chunk, as they are computed, in any order and from any
// thread. Results have the bits of duet_reduce.
#ifndef DUET_REDUCTION_CHUNKS_H
#define DUET_REDUCTION_CHUNKS_H

#include "job.h"

// Begins the reduction of `rows` times `count` > 0 elements of a floating dtype.
void duet_open_chunks(duet_reduction_job *job, duet_reduction reduction, duet_dtype dtype,
                      int64_t rows, int64_t count, void *result);

// Bytes for the results of all chunks.
static inline int64_t duet_chunks_size(const duet_reduction_job *job) {
  return job->outer * job->chunks * job->wide;
}

// The first n elements of chunk number `chunk` of all rows' chunks are its elements.
static inline void duet_reduce_chunk(const duet_reduction_job *job, char *partials, int64_t chunk,
                                     const char *x, int64_t n) {
  job->source->rows(partials + chunk * job->wide, x, 0, 1, n);
}

// The same from what the elements have come to in each of the sixteen lanes, which are used up.
void duet_reduce_lanes(const duet_reduction_job *job, char *partials, int64_t chunk, char *lanes);

// The sums of squares of `rows` times `count` > 1 float32 or float64, or their means.
void duet_reduce_squares(duet_reduction reduction, duet_dtype dtype, int64_t rows, int64_t count,
                         const void *x, void *result);

// Combines the results of all chunks and writes the rows' results.
void duet_close_chunks(const duet_reduction_job *job, char *partials);

#endif
