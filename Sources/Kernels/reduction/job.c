#include "job.h"

#pragma STDC FP_CONTRACT OFF

int32_t duet_coalesce_axes(int32_t rank, int64_t *shape, int64_t *stride) {
  int32_t n = 0;
  for (int32_t a = 0; a < rank; a++) {
    if (shape[a] == 1) continue;
    if (n > 0 && stride[n - 1] == shape[a] * stride[a]) {
      shape[n - 1] *= shape[a];
      stride[n - 1] = stride[a];
    } else {
      shape[n] = shape[a];
      stride[n++] = stride[a];
    }
  }
  return n;
}

void duet_locate_rows(const duet_reduction_job *job, const char *start, int64_t first, int64_t rows,
                      const char **row) {
  int64_t done = 0;
  while (done < rows) {
    int64_t at = first + done, left = job->run - at % job->run;
    int64_t n = duet_least(left, rows - done);
    const char *p = start + duet_reduced_offset(job, at);
    for (int64_t i = 0; i < n; i++) row[done + i] = p + i * job->run_stride;
    done += n;
  }
}

const void *duet_fetch_rows(const duet_reduction_job *job, const char *start, int64_t first,
                            int64_t rows, void *buffer) {
  char *to = buffer;
  int64_t columns = job->columns, done = 0;
  while (done < rows) {
    int64_t at = first + done, left = job->run - at % job->run;
    int64_t n = duet_least(left, rows - done);
    const char *p = start + duet_reduced_offset(job, at);
    if (job->is_dense && job->is_direct && n == rows) return p;  // before anything is copied
    if (job->is_dense)
      job->widen(to, p, job->element, n * columns);
    else if (columns == 1)
      job->widen(to, p, job->run_stride, n);
    else
      for (int64_t i = 0; i < n; i++)
        job->widen(to + i * columns * job->wide, p + i * job->run_stride, job->column_stride,
                   columns);
    to += n * columns * job->wide;
    done += n;
  }
  return buffer;
}

// Bytes of one slot of a block of columns, and with buffers; work that is worth a task, and the size
// from which on chunks of one result are shared out.
enum { TASK = 32768, PART = 65536, ENOUGH_TASKS = 64 };

// Putting together what reaches over the end of a run costs as much as some vectors; less of it is
// better copied. In whole vectors there is no such thing but at a chunk's end.
static int64_t least_long_run(const duet_reduction_job *job) {
  if (job->run % 16 == 0) return 64;
  int is_quick = job->reduction == DUET_MAX || job->reduction == DUET_MIN;
  return is_quick && job->type != DUET_IN_INT64 ? 512 : 192;
}

static void plan_grid(duet_reduction_job *job) {
  int64_t slot = job->is_direct ? DUET_SLOT_BYTES : DUET_BUFFERED_SLOT_BYTES;
  job->is_grouped = job->columns < DUET_LANE_COUNT ||
                    (job->is_direct && job->is_dense && job->columns * job->wide <= slot);
  job->vectors = job->is_grouped ? 1 : (job->columns + 15) / 16;
  job->block_vectors = duet_least(job->vectors, slot / (16 * job->wide));
  job->blocks = (job->vectors + job->block_vectors - 1) / job->block_vectors;
  job->together = job->columns == 1 && job->reduced_rank > 1
                      ? duet_least(job->outer, DUET_TOGETHER)
                      : 1;
  job->units = (job->outer + job->together - 1) / job->together;
  int64_t width = job->is_grouped ? job->columns * job->together
                                  : duet_least(job->columns, job->block_vectors * 16);
  int64_t work = job->count * width;
  job->parts = 1;
  job->part_chunks = job->chunks;
  job->batch = duet_most(1, TASK / duet_most(work, 1));
  if (work >= 2 * PART && job->units * job->blocks < ENOUGH_TASKS) {
    job->part_chunks = 1;
    while (job->part_chunks * DUET_CHUNK * width < PART) job->part_chunks *= 2;
    job->parts = (job->chunks + job->part_chunks - 1) / job->part_chunks;
  }
}

void duet_plan_job(duet_reduction_job *job, const duet_reduce_call *call) {
  job->table = duet_current_reductions();
  job->dtype = call->dtype;
  job->reduction = call->reduction;
  job->result = call->operand[0];
  job->input = call->operand[1];
  job->type = duet_reduced_type_of(call->dtype);
  job->widen = job->table->widen[call->dtype];
  job->element = (int64_t)duet_dtype_size(call->dtype);
  job->wide = job->type == DUET_IN_FLOAT32 ? 4 : 8;
  job->partials = 0;

  int64_t kept_shape[DUET_MAX_RANK], kept_stride[DUET_MAX_RANK];
  job->count = 1;
  for (int32_t a = 0; a < call->reduced_rank; a++) {
    job->reduced_shape[a] = call->reduced_shape[a];
    job->reduced_stride[a] = call->reduced_stride[a];
    job->count *= call->reduced_shape[a];
  }
  int64_t kept = 1;
  for (int32_t a = 0; a < call->kept_rank; a++) {
    kept_shape[a] = call->kept_shape[a];
    kept_stride[a] = call->kept_stride[a];
    kept *= call->kept_shape[a];
  }
  job->chunks = (job->count + DUET_CHUNK - 1) / DUET_CHUNK;
  job->outer = kept;
  job->columns = 1;
  if (kept == 0 || job->count == 0) return;

  int32_t kept_rank = duet_coalesce_axes(call->kept_rank, kept_shape, kept_stride);
  job->reduced_rank =
      duet_coalesce_axes(call->reduced_rank, job->reduced_shape, job->reduced_stride);
  int32_t last = job->reduced_rank - 1;
  job->run = last < 0 ? 1 : job->reduced_shape[last];
  job->run_stride = last < 0 ? job->element : job->reduced_stride[last];
  job->column_stride = job->element;
  int runs_along_memory = last >= 0 && job->run_stride == job->element;
  if (kept_rank > 0 && !runs_along_memory) {
    kept_rank--;
    job->columns = kept_shape[kept_rank];
    job->column_stride = kept_stride[kept_rank];
    job->outer /= job->columns;
  }
  job->outer_rank = kept_rank;
  for (int32_t a = 0; a < kept_rank; a++) {
    job->outer_shape[a] = kept_shape[a];
    job->outer_stride[a] = kept_stride[a];
  }
  int columns_adjoin = job->column_stride == job->element;
  job->is_direct =
      columns_adjoin && (job->dtype == DUET_INT64 || duet_reduced_type_of(job->dtype) != DUET_IN_INT64);
  job->is_dense = columns_adjoin && job->run_stride == job->columns * job->element;
  job->has_long_runs = job->columns == 1 && job->is_direct && job->is_dense &&
                       job->run >= least_long_run(job);
  plan_grid(job);
}
