// Convolutions with many output channels and the gradients of their inputs: products of the weights
// with gathered patches.
#include "convolution_gathered.h"

#include "gathered.h"
#include "phases.h"

#include <string.h>

#pragma STDC FP_CONTRACT OFF

// Rows of a product over which gathering is paid off.
enum { LEAST_M = 32, LEAST_M_OF_PATCHES = 96 };
enum { MOST_GATHERED = 24 << 20 };  // bytes of patches that are packed before they are multiplied
enum { LOCAL_TAPS = 64 };  // of a kernel that is transposed on the stack

// A 1 x 1 convolution that keeps positions does not care where rows end.
static duet_conv2d_call merged(const duet_conv2d_call *call) {
  duet_conv2d_call c = *call;
  if (c.kernel_height == 1 && c.kernel_width == 1 && c.stride_height == 1 && c.stride_width == 1 &&
      c.pad_top == 0 && c.pad_left == 0 && c.out_height == c.in_height &&
      c.out_width == c.in_width) {
    c.in_width *= c.in_height;
    c.out_width = c.in_width;
    c.in_height = c.out_height = 1;
  }
  return c;
}

typedef struct {
  duet_conv2d_call call;
  const duet_engine *engine;
  int64_t es, in, out, taps;  // channels of a group
  const char *weight;
  size_t weight_bytes;        // of a group
  const int64_t *tap_row, *tap_column;
  duet_gathered_grid grid;
  char *gathered;             // the patches of each cell of the grid, or NULL
  size_t cell_bytes;
  int64_t blocks;
} forward_work;

static void pack_forward(const void *context, char *to, int64_t first, int64_t count,
                         int64_t channel, int64_t channels) {
  const forward_work *w = context;
  int64_t depth = w->in * w->taps;
  w->engine->pack(to, count, w->weight + (first * depth + channel * w->taps) * w->es, count,
                  channels * w->taps, depth, 1);
}

// Results of task `index`: of a cell of the grid, without its parts of m, and a group.
static duet_gathered forward_product(const forward_work *w, int64_t index) {
  const duet_conv2d_call *c = &w->call;
  int64_t es = w->es, group = index / w->grid.tasks;
  int64_t in_plane = c->in_height * c->in_width, out_plane = c->out_height * c->out_width;
  duet_gathered x = {.engine = w->engine,
                     .m = w->out,
                     .channels = w->in,
                     .taps = w->taps,
                     .weight = w->weight + group * w->weight_bytes,
                     .tap_row = w->tap_row,
                     .tap_column = w->tap_column,
                     .row_step = c->stride_height,
                     .column_step = c->stride_width,
                     .source_image = c->in_channels * in_plane,
                     .height = c->in_height,
                     .width = c->in_width,
                     .columns = c->out_width,
                     .result_image = c->out_channels * out_plane,
                     .result_m = out_plane};
  int64_t image = duet_take_gathered(&w->grid, index % w->grid.tasks, &x);
  int64_t m = duet_part_begin(duet_split(w->out, w->engine->rows), x.first_panel);
  const char *source = c->operand[1];
  x.source = source + (image * c->in_channels + group * w->in) * in_plane * es;
  x.source_end = source + c->batch * c->in_channels * in_plane * es;
  x.result = (char *)c->operand[0] +
             ((image * c->out_channels + group * w->out + m) * out_plane +
              x.first_row * c->out_width + x.first_column) * es;
  return x;
}

static void forward_gather(void *context, int64_t index) {
  const forward_work *w = context;
  int64_t cell = index / w->blocks;
  duet_gathered x = forward_product(w, cell * w->grid.panels.count);
  duet_gather(&x, index % w->blocks, w->gathered + cell * w->cell_bytes,
              duet_scratch(1, duet_gathered_scratch(&x)));
}

static void forward_task(void *context, int64_t index) {
  const forward_work *w = context;
  duet_gathered x = forward_product(w, index);
  if (w->gathered) x.gathered = w->gathered + index / w->grid.panels.count * w->cell_bytes;
  duet_multiply_gathered(&x, duet_scratch(1, duet_gathered_scratch(&x)));
}

int duet_gathers_forward(const duet_conv2d_call *c) {
  int64_t taps = c->kernel_height * c->kernel_width;
  return c->out_channels / c->groups >= (taps == 1 ? LEAST_M : LEAST_M_OF_PATCHES);
}

void duet_conv2d_gathered(const duet_conv2d_call *call, const duet_engine *engine) {
  forward_work w = {.call = merged(call), .engine = engine, .es = engine->element_size};
  const duet_conv2d_call *c = &w.call;
  w.in = c->in_channels / c->groups;
  w.out = c->out_channels / c->groups;
  w.taps = c->kernel_height * c->kernel_width;
  w.weight_bytes = duet_gathered_weight_bytes(engine, w.out, w.in, w.taps);
  double work = (double)c->batch * c->out_channels * c->out_height * c->out_width * w.in * w.taps;
  w.grid = duet_cut_gathered(engine, c->batch, c->out_height, c->out_width,
                             c->stride_height * c->stride_width, w.out, work / c->groups);
  w.blocks = duet_gathered_blocks(w.in, w.taps);
  int64_t tasks = c->groups * w.grid.tasks, cells = tasks / w.grid.panels.count;
  duet_gathered first = forward_product(&w, 0);
  w.cell_bytes = w.grid.panels.count > 1 ? duet_gathered_bytes(&first) : 0;
  if (w.cell_bytes > MOST_GATHERED / (size_t)cells) w.cell_bytes = 0;

  size_t tap_bytes = duet_round_up(w.taps * sizeof(int64_t), 64);
  char *memory =
    duet_scratch(0, 2 * tap_bytes + c->groups * w.weight_bytes + cells * w.cell_bytes);
  int64_t *row = (int64_t *)memory, *column = (int64_t *)(memory + tap_bytes);
  for (int64_t t = 0; t < w.taps; t++) {
    row[t] = t / c->kernel_width * c->dilation_height - c->pad_top;
    column[t] = t % c->kernel_width * c->dilation_width - c->pad_left;
  }
  w.tap_row = row;
  w.tap_column = column;
  char *packed = memory + 2 * tap_bytes;
  for (int64_t g = 0; g < c->groups; g++) {
    w.weight = (const char *)c->operand[2] + g * w.out * w.in * w.taps * w.es;
    duet_pack_gathered_weights(engine, packed + g * w.weight_bytes, w.out, w.in, w.taps,
                               pack_forward, &w);
  }
  w.weight = packed;
  if (w.cell_bytes > 0) {
    w.gathered = packed + c->groups * w.weight_bytes;
    duet_parallel_for(cells * w.blocks, forward_gather, &w);
  }
  if (tasks == 1)
    forward_task(&w, 0);
  else
    duet_parallel_for(tasks, forward_task, &w);
}

typedef struct {
  const char *weight;         // packed, group by group
  size_t weight_bytes;
  const int64_t *tap;         // in the kernel
  const int64_t *tap_row, *tap_column;
  int64_t taps;
  size_t gathered;            // where the patches of a cell of the grid begin
} phase;

typedef struct {
  duet_conv2d_call call;
  const duet_engine *engine;
  int64_t es, in, out, taps;  // channels of a group
  const char *weight;         // of the group that is packed
  const phase *packed;        // the phase that is packed
  duet_phases axes;
  const phase *phases;        // [vertical][horizontal]
  duet_gathered_grid grid;
  char *gathered;             // the patches of each cell of the grid, by phase, or NULL
  size_t cell_bytes;
  int64_t blocks;             // of the phase that has most
} gradient_work;

// Rows are input channels, [output channel][tap of the phase][row].
static void pack_gradient(const void *context, char *to, int64_t first, int64_t count,
                          int64_t channel, int64_t channels) {
  const gradient_work *w = context;
  const phase *p = w->packed;
  int64_t es = w->es, row = count * es;
  const char *source = w->weight + (channel * w->in + first) * w->taps * es;
  if (w->taps == 1) {
    w->engine->pack(to, count, source, count, channels, 1, w->in);
    return;
  }
  char all[(LOCAL_TAPS * DUET_TILE_ROWS + 16) * 8];
  int64_t step = w->in * w->taps * es, ahead = 6;
  for (int64_t o = 0; o < channels; o++, source += step) {
    // Short reads far apart are beyond what processors prefetch by themselves.
    if (o + ahead < channels)
      for (int64_t at = 0; at < count * w->taps * es; at += 64)
        __builtin_prefetch(source + ahead * step + at);
    if (p->taps == w->taps) {
      w->engine->pack(to, count, source, count, w->taps, w->taps, 1);
      to += w->taps * row;
    } else if (w->taps <= LOCAL_TAPS) {
      w->engine->pack(all, count, source, count, w->taps, w->taps, 1);
      for (int64_t t = 0; t < p->taps; t++, to += row) memcpy(to, all + p->tap[t] * row, row);
    } else {
      for (int64_t t = 0; t < p->taps; t++, to += row)
        w->engine->pack(to, count, source + p->tap[t] * es, count, 1, w->taps, w->taps);
    }
  }
}

// What the products of all phases of task `index` have in common.
static duet_gathered gradient_product(const gradient_work *w, int64_t index, char **dx) {
  const duet_conv2d_call *c = &w->call;
  int64_t es = w->es, group = index / w->grid.tasks;
  int64_t in_plane = c->in_height * c->in_width, out_plane = c->out_height * c->out_width;
  duet_gathered x = {.engine = w->engine,
                     .m = w->in,
                     .channels = w->out,
                     .row_step = 1,
                     .column_step = 1,
                     .source_image = c->out_channels * out_plane,
                     .height = c->out_height,
                     .width = c->out_width,
                     .columns = w->axes.horizontal[0].count};
  int64_t image = duet_take_gathered(&w->grid, index % w->grid.tasks, &x);
  int64_t m = duet_part_begin(duet_split(w->in, w->engine->rows), x.first_panel);
  const char *dy = c->operand[1];
  x.source = dy + (image * c->out_channels + group * w->out) * out_plane * es;
  x.source_end = dy + c->batch * c->out_channels * out_plane * es;
  *dx = (char *)c->operand[0] + (image * c->in_channels + group * w->in + m) * in_plane * es;
  return x;
}

// Makes it that of phase (r, q); whether there is one.
static int set_phase(const gradient_work *w, int64_t r, int64_t q, duet_gathered *x) {
  const phase *p = &w->phases[r * w->call.stride_width + q];
  int64_t rows = w->axes.vertical[r].count - x->first_row;
  if (rows < x->rows) x->rows = rows;
  if (rows <= 0 || p->taps == 0 || w->axes.horizontal[q].count == 0) return 0;
  x->taps = p->taps;
  x->tap_row = p->tap_row;
  x->tap_column = p->tap_column;
  return 1;
}

static void gradient_gather(void *context, int64_t index) {
  const gradient_work *w = context;
  int64_t steps = w->call.stride_height * w->call.stride_width, block = index % w->blocks;
  int64_t p = index / w->blocks % steps, cell = index / w->blocks / steps;
  char *dx;
  duet_gathered x = gradient_product(w, cell * w->grid.panels.count, &dx);
  if (!set_phase(w, p / w->call.stride_width, p % w->call.stride_width, &x) ||
      block >= duet_gathered_blocks(x.channels, x.taps))
    return;
  duet_gather(&x, block, w->gathered + cell * w->cell_bytes + w->phases[p].gathered,
              duet_scratch(1, duet_gathered_scratch(&x)));
}

static void gradient_task(void *context, int64_t index) {
  const gradient_work *w = context;
  const duet_conv2d_call *c = &w->call;
  int64_t es = w->es, group = index / w->grid.tasks, in_plane = c->in_height * c->in_width;
  const char *gathered =
    w->gathered ? w->gathered + index / w->grid.panels.count * w->cell_bytes : NULL;
  char *dx;
  duet_gathered block = gradient_product(w, index, &dx);
  duet_parts parts = duet_split(w->in, w->engine->rows);
  int64_t channels = duet_part_begin(parts, block.first_panel + block.panels) -
                     duet_part_begin(parts, block.first_panel);

  int is_whole = c->stride_height * c->stride_width == 1;
  int64_t part_bytes =
    is_whole ? 0 : duet_round_up(channels * block.images * block.rows * block.columns * es, 64);
  size_t pointer_bytes = duet_round_up(2 * c->stride_width * sizeof(char *), 64);
  size_t bytes = 0;
  for (int64_t p = 0; p < c->stride_height * c->stride_width; p++) {
    if (w->phases[p].taps == 0) continue;
    duet_gathered x = block;
    x.taps = w->phases[p].taps;
    x.tap_row = w->phases[p].tap_row;
    x.tap_column = w->phases[p].tap_column;
    x.gathered = gathered;
    size_t needed = duet_gathered_scratch(&x);
    if (needed > bytes) bytes = needed;
  }
  char *memory = duet_scratch(1, pointer_bytes + c->stride_width * part_bytes + bytes);
  const char **part = (const char **)memory, **row = part + c->stride_width;
  char *results = memory + pointer_bytes, *scratch = results + c->stride_width * part_bytes;

  for (int64_t r = 0; r < c->stride_height && r < c->in_height; r++) {
    int64_t rows = w->axes.vertical[r].count - block.first_row;
    if (rows > block.rows) rows = block.rows;
    if (rows <= 0) continue;
    int64_t plane = rows * block.columns;
    for (int64_t q = 0; q < c->stride_width; q++) {
      const phase *p = &w->phases[r * c->stride_width + q];
      duet_gathered x = block;
      part[q] = NULL;
      if (!set_phase(w, r, q, &x)) continue;
      x.weight = p->weight + group * p->weight_bytes;
      if (gathered) x.gathered = gathered + p->gathered;
      x.result = results + q * part_bytes;
      x.result_image = plane;
      x.result_m = block.images * plane;
      part[q] = x.result;
      if (is_whole) {
        x.result = dx + (block.first_row * c->in_width + block.first_column) * es;
        x.result_image = c->in_channels * in_plane;
        x.result_m = in_plane;
      }
      duet_multiply_gathered(&x, scratch);
    }
    if (is_whole) return;
    int64_t first_column = block.first_column * c->stride_width;
    int64_t columns = block.columns * c->stride_width;
    if (columns > c->in_width - first_column) columns = c->in_width - first_column;
    for (int64_t n = 0; n < block.images; n++)
      for (int64_t i = 0; i < channels; i++)
        for (int64_t k = 0; k < rows; k++) {
          for (int64_t q = 0; q < c->stride_width; q++)
            row[q] = part[q] ? part[q] + ((i * block.images + n) * plane + k * block.columns) * es
                             : NULL;
          int64_t at = ((block.first_row + k) * c->stride_height + r) * c->in_width + first_column;
          duet_merge_row(dx + ((n * c->in_channels + i) * in_plane + at) * es, row, c->stride_width,
                         columns, es);
        }
  }
}

int duet_gathers_input_gradient(const duet_conv2d_call *c) {
  int64_t taps = c->kernel_height * c->kernel_width;
  return c->in_channels / c->groups >= (taps == 1 ? LEAST_M : LEAST_M_OF_PATCHES);
}

void duet_conv2d_input_gradient_gathered(const duet_conv2d_call *call, const duet_engine *engine) {
  gradient_work w = {.call = merged(call), .engine = engine, .es = engine->element_size};
  const duet_conv2d_call *c = &w.call;
  w.in = c->in_channels / c->groups;
  w.out = c->out_channels / c->groups;
  w.taps = c->kernel_height * c->kernel_width;
  int64_t phases = c->stride_height * c->stride_width;

  double work = (double)c->batch * c->out_channels * c->out_height * c->out_width * w.in * w.taps;
  duet_gathered first = {.engine = engine,
                         .channels = w.out,
                         .taps = w.taps,
                         .columns = (c->in_width + c->stride_width - 1) / c->stride_width};
  w.grid = duet_cut_gathered(engine, c->batch,
                             (c->in_height + c->stride_height - 1) / c->stride_height,
                             first.columns, 1, w.in, work / c->groups);
  w.blocks = duet_gathered_blocks(w.out, w.taps);
  int64_t tasks = c->groups * w.grid.tasks, cells = tasks / w.grid.panels.count;
  if (w.grid.panels.count > 1) {
    duet_take_gathered(&w.grid, 0, &first);
    duet_gathered none = first;
    none.images = 0;
    w.cell_bytes = duet_gathered_bytes(&first) + phases * duet_gathered_bytes(&none);
    if (w.cell_bytes > MOST_GATHERED / (size_t)cells) w.cell_bytes = 0;
  }

  size_t axis_bytes = duet_phase_bytes(c);
  size_t phase_bytes = duet_round_up(phases * sizeof(phase), 64);
  size_t tap_bytes = duet_round_up(3 * w.taps * sizeof(int64_t), 64);
  // Every tap belongs to one phase.
  size_t gaps = phases * duet_gathered_weight_bytes(engine, w.in, w.out, 1);
  size_t weight_bytes =
    c->groups * (duet_gathered_weight_bytes(engine, w.in, w.out, w.taps) + gaps);
  char *memory = duet_scratch(0, axis_bytes + phase_bytes + tap_bytes + weight_bytes +
                                   cells * w.cell_bytes);
  w.axes = duet_make_phases(c, memory);
  phase *all = (phase *)(memory + axis_bytes);
  int64_t *store = (int64_t *)(memory + axis_bytes + phase_bytes);
  char *packed = memory + axis_bytes + phase_bytes + tap_bytes;
  if (w.cell_bytes > 0) w.gathered = packed + weight_bytes;
  size_t gathered = 0;
  w.phases = all;
  for (int64_t r = 0; r < c->stride_height; r++)
    for (int64_t q = 0; q < c->stride_width; q++) {
      phase *p = all + r * c->stride_width + q;
      const duet_phase_axis *v = w.axes.vertical + r, *h = w.axes.horizontal + q;
      int64_t taps = v->taps * h->taps, *tap = store, *row = tap + taps, *column = row + taps;
      for (int64_t t = 0; t < taps; t++) {
        tap[t] = v->tap[t / h->taps] * c->kernel_width + h->tap[t % h->taps];
        row[t] = v->shift[t / h->taps];
        column[t] = h->shift[t % h->taps];
      }
      store = column + taps;
      *p = (phase){
        .weight = packed, .tap = tap, .tap_row = row, .tap_column = column, .taps = taps};
      if (taps == 0 || v->count == 0 || h->count == 0) continue;
      if (w.gathered) {
        p->gathered = gathered;
        first.taps = taps;
        gathered += duet_gathered_bytes(&first);
      }
      p->weight_bytes = duet_gathered_weight_bytes(engine, w.in, w.out, taps);
      w.packed = p;
      for (int64_t g = 0; g < c->groups; g++, packed += p->weight_bytes) {
        w.weight = (const char *)c->operand[2] + g * w.out * w.in * w.taps * w.es;
        duet_pack_gathered_weights(engine, packed, w.in, w.out, taps, pack_gradient, &w);
      }
    }
  if (w.gathered) duet_parallel_for(cells * phases * w.blocks, gradient_gather, &w);
  if (tasks == 1)
    gradient_task(&w, 0);
  else
    duet_parallel_for(tasks, gradient_task, &w);
}
