// Arrays side by side, row by row.
#include "loops.h"
#include "stream.h"

// Bytes of the result that are written part by part: it is written in the order of its addresses, as
// processors fetch ahead, but short rows come several to a call. Bytes of rows that are streamed, and
// of a task.
enum { TURN = 8192, STREAMED_ROW = 512, TASK = 1 << 17, MOST_TASKS = 64 };

typedef struct {
  const duet_join_call *call;
  int64_t step, turn;  // rows of a task, and of a turn
  int streams;
} join;

static void join_task(void *context, int64_t index) {
  const join *j = context;
  const duet_join_call *call = j->call;
  int64_t row = index * j->step, left = call->rows - row;
  int64_t end = row + (left < j->step ? left : j->step);
  for (; row < end; row += j->turn) {
    int64_t rows = end - row < j->turn ? end - row : j->turn;
    char *to = (char *)call->operand[0] + row * call->result_row;
    for (int32_t i = 0; i < call->parts; i++) {
      int64_t bytes = call->bytes[i];
      const char *from = (const char *)call->operand[i + 1] + row * bytes;
      if (j->streams && bytes >= STREAMED_ROW)
        duet_stream(to, from, bytes);
      else
        duet_copy_rows(to, call->result_row, from, bytes, rows, bytes);
      to += bytes;
    }
  }
  if (j->streams) duet_stream_end();
}

duet_status duet_join(const void *block) {
  const duet_join_call *call = block;
  int64_t width = 0, widest = 0;
  for (int32_t i = 0; i < call->parts; i++) {
    width += call->bytes[i];
    if (call->bytes[i] > widest) widest = call->bytes[i];
  }
  if (width == 0 || call->rows == 0) return DUET_OK;
  join j = {.call = call};
  j.streams = widest >= STREAMED_ROW && 2 * call->rows * width >= DUET_STREAM_BYTES;
  j.turn = j.streams || width > TURN ? 1 : TURN / width;
  int64_t tasks = call->rows * width / TASK;
  if (tasks > MOST_TASKS) tasks = MOST_TASKS;
  if (tasks > call->rows) tasks = call->rows;
  if (tasks < 2) {
    j.step = call->rows;
    join_task(&j, 0);
    return DUET_OK;
  }
  j.step = (call->rows + tasks - 1) / tasks;
  duet_parallel_for((call->rows + j.step - 1) / j.step, join_task, &j);
  return DUET_OK;
}
