// The gradient of a convolution with respect to its weights. Rows of a tile are taps of the image,
// read in place by broadcast; columns are output channels, of which dy is transposed a block of
// positions at a time. Kernels of one tap are products of two matrices: there the one with fewer
// channels is transposed.
#include "depthwise.h"
#include "image.h"
#include "winograd.h"

#include <string.h>

#pragma STDC FP_CONTRACT OFF

enum {
  POSITIONS = 448,       // of a block
  IMAGE_BYTES = 512 << 10,
  TASK_ROWS = 512,       // (channel, tap) rows of a task, over which transposing dy is paid off
  TASK_OUT = 256,        // output channels of a task, over which preparing images is
  LEAST_ROWS = 64,
  LEAST_OUT = 32,
  COPIED_PLANES = 16,    // of a task that copies
  COPY_WORK = 64 << 10,  // elements that are worth tasks
  TASK_WORK = 2 << 20,   // multiply-adds that are worth a task
  TASKS = 4
};

typedef struct {
  duet_conv2d_call call;
  const duet_engine *engine;
  int64_t es, in, out, taps;  // channels of a group
  int64_t width;              // columns of a panel
  duet_parts row_parts, out_parts;  // of rows of tiles; of panels of columns
  int64_t images, band;       // of a block: whole images, or output rows of one
  int64_t columns;            // or columns of one row
  int is_plain;               // one tap for each position: a product of matrices
  int is_swapped;             // and rows are output channels, columns input channels
  // What is transposed: its channels in a group and in an image.
  const char *transposed;
  int64_t transposed_channels, transposed_image;
} weight_work;

// Rows first ..< last of (channel, tap), output channels `channel` ..< channel + columns; the other
// way round where the roles are swapped.
typedef struct {
  int64_t group, first, last, first_channel, channels, channel, columns;
} weight_block;

// A block of positions: of `images` images, rows of each, columns of a row.
typedef struct {
  int64_t image, images, row, rows, column, columns;
} position_block;

static duet_image_copy band_copy(const weight_work *w, const weight_block *block, int64_t row,
                                 int64_t rows, int64_t column, int64_t columns) {
  const duet_conv2d_call *c = &w->call;
  return (duet_image_copy){
    .channels = block->channels,
    .height = c->in_height,
    .width = c->in_width,
    .first_row = row * c->stride_height - c->pad_top,
    .rows = (rows - 1) * c->stride_height + (c->kernel_height - 1) * c->dilation_height + 1,
    .first_column = column * c->stride_width - c->pad_left,
    .columns = (columns - 1) * c->stride_width + (c->kernel_width - 1) * c->dilation_width + 1,
    .row_step = c->stride_height,
    .column_step = c->stride_width};
}

// Panels [position][channel] for a block of positions, one behind the other.
static void transpose_block(const weight_work *w, const weight_block *block,
                               const position_block *p, char *panels) {
  const duet_conv2d_call *c = &w->call;
  int64_t es = w->es, plane = c->out_height * c->out_width, width = w->width;
  int64_t each = p->rows * p->columns;
  for (int64_t j = 0; j < block->columns; j += width) {
    int64_t columns = block->columns - j < width ? block->columns - j : width;
    int64_t channel = block->group * w->transposed_channels + block->channel + j;
    for (int64_t n = 0; n < p->images; n++, panels += each * width * es)
      w->engine->pack(panels, width,
                      w->transposed + (((p->image + n) * w->transposed_image + channel) * plane +
                                       p->row * c->out_width + p->column) * es,
                      columns, each, plane, 1);
  }
}

// Adds the products of a block's rows and panels; row r of `segments` segments of k positions lies
// at start(r) of the image.
static void accumulate(const weight_work *w, const weight_block *block, const char *image,
                       int64_t channel_stride, const int64_t *offset, int64_t k, int64_t segments,
                       int64_t segment, const char *panels, int64_t panel_step, char *sum,
                       int accumulates) {
  const duet_engine *engine = w->engine;
  int64_t es = w->es, width = w->width, rows = block->last - block->first;
  const void *row[DUET_TILE_ROWS];
  for (int64_t j = 0; j < block->columns; j += width) {
    int64_t columns = block->columns - j < width ? block->columns - j : width;
    // Narrow tiles issue twice as fast: keep all row pointers in registers.
    duet_parts parts = duet_split(rows, columns <= engine->half_lanes ? 9 : engine->rows);
    duet_tile t = {.row = row,
                   .a_step = 1,
                   .a_segment = segment,
                   .b = panels + j / width * panel_step * es,
                   .b_step = width,
                   .b_segment = k * width,
                   .k = k,
                   .segments = segments,
                   .c_step = width,
                   .columns = (int32_t)columns,
                   .accumulate = accumulates};
    for (int64_t p = 0; p < parts.count; p++) {
      int64_t begin = duet_part_begin(parts, p), count = duet_part_begin(parts, p + 1) - begin;
      for (int64_t r = 0; r < count; r++) {
        int64_t tap = block->first + begin + r;
        row[r] = image + ((tap / w->taps - block->first_channel) * channel_stride +
                          offset[tap % w->taps]) * es;
      }
      t.c = sum + (j * rows + begin * width) * es;
      duet_choose_tile(engine, DUET_TILE_ROWS_AT, count, columns)(&t);
    }
  }
}

static void add_plain(const weight_work *w, const weight_block *block, const position_block *p,
                      const char *panels, char *sum, int accumulates) {
  const duet_conv2d_call *c = &w->call;
  int64_t plane = c->in_height * c->in_width, zero = 0;
  int64_t channels = w->is_swapped ? c->out_channels : c->in_channels;
  int64_t first = p->image * channels + block->group * (w->is_swapped ? w->out : w->in) +
                  block->first_channel;
  accumulate(w, block,
             (const char *)c->operand[w->is_swapped ? 2 : 1] +
               (first * plane + p->row * c->in_width + p->column) * w->es,
             plane, &zero, p->rows * p->columns, p->images, channels * plane, panels,
             p->images * p->rows * p->columns * w->width, sum, accumulates);
}

static void add_patches(const weight_work *w, const weight_block *block, const position_block *p,
                        const uint8_t *is_read, int64_t *offset, char *copies, const char *panels,
                        char *sum, int accumulates) {
  const duet_conv2d_call *c = &w->call;
  duet_image_copy copy = band_copy(w, block, p->row, p->rows, p->column, p->columns);
  copy.row_is_read = is_read;
  copy.column_is_read = is_read ? is_read + DUET_MARKED_STRIDE : NULL;
  int in_place = duet_image_is_ready(&copy);
  int64_t pitch = in_place ? c->in_width : duet_image_pitch(&copy), run = duet_image_run(&copy);
  for (int64_t t = 0; t < w->taps; t++) {
    int64_t row = t / c->kernel_width * c->dilation_height;
    int64_t column = t % c->kernel_width * c->dilation_width;
    offset[t] = row * pitch + column % c->stride_width * run + column / c->stride_width;
  }
  int64_t plane = c->in_height * c->in_width, positions = p->rows * p->columns;
  for (int64_t n = 0; n < p->images; n++) {
    int64_t first = (p->image + n) * c->in_channels + block->group * w->in + block->first_channel;
    const char *image = (const char *)c->operand[1] + first * plane * w->es;
    if (in_place)
      image += (copy.first_row * pitch + copy.first_column) * w->es;
    else
      duet_copy_image(&copy, copies, image, w->es);
    accumulate(w, block, in_place ? image : copies, in_place ? plane : copy.rows * pitch, offset,
               p->columns, p->rows, c->stride_height * pitch,
               panels + n * positions * w->width * w->es, p->images * positions * w->width, sum,
               accumulates || n > 0);
  }
}

// The sums of a panel [tap][output channel] into dw [output channel][tap].
static void store_panel(const weight_work *w, const weight_block *block, int64_t j,
                        const char *sum, char *transposed) {
  int64_t es = w->es, depth = w->in * w->taps, rows = block->last - block->first;
  int64_t columns = block->columns - j < w->width ? block->columns - j : w->width;
  char *to = (char *)w->call.operand[0] + block->group * w->out * depth * es;
  if (w->is_swapped) {
    to += (block->first * depth + block->channel + j) * es;
    for (int64_t r = 0; r < rows; r++)
      memcpy(to + r * depth * es, sum + r * w->width * es, columns * es);
    return;
  }
  to += ((block->channel + j) * depth + block->first) * es;
  w->engine->pack(transposed, rows, sum, rows, columns, w->width, 1);
  for (int64_t o = 0; o < columns; o++)
    memcpy(to + o * depth * es, transposed + o * rows * es, rows * es);
}

static void weight_task(void *context, int64_t index) {
  const weight_work *w = context;
  const duet_conv2d_call *c = &w->call;
  int64_t es = w->es, width = w->width;
  int64_t part = index % w->row_parts.count;
  int64_t panel = index / w->row_parts.count % w->out_parts.count;
  weight_block block = {.group = index / w->row_parts.count / w->out_parts.count,
                        .first = duet_part_begin(w->row_parts, part),
                        .last = duet_part_begin(w->row_parts, part + 1),
                        .channel = duet_part_begin(w->out_parts, panel) * width};
  block.columns = duet_part_begin(w->out_parts, panel + 1) * width - block.channel;
  if (block.columns > w->transposed_channels - block.channel)
    block.columns = w->transposed_channels - block.channel;
  block.first_channel = block.first / w->taps;
  block.channels = (block.last - 1) / w->taps + 1 - block.first_channel;

  uint8_t is_read[2 * DUET_MARKED_STRIDE];
  int is_marked = c->stride_height <= DUET_MARKED_STRIDE && c->stride_width <= DUET_MARKED_STRIDE;
  if (is_marked) {
    duet_mark_read(is_read, c->stride_height, c->kernel_height, c->dilation_height);
    duet_mark_read(is_read + DUET_MARKED_STRIDE, c->stride_width, c->kernel_width,
                   c->dilation_width);
  }
  int64_t rows = block.last - block.first, panels = (block.columns + width - 1) / width;
  int64_t positions = w->images * w->band * w->columns;
  duet_image_copy copy = band_copy(w, &block, 0, w->band, 0, w->columns);
  size_t offset_bytes = duet_round_up(w->taps * sizeof(int64_t), 64);
  size_t sum_bytes = duet_round_up(panels * rows * width * es, 64);
  size_t stored = duet_round_up((rows * width + 16) * es, 64);
  size_t panel_bytes = duet_round_up((panels * positions * width + 16) * es, 64);
  size_t image_bytes = w->is_plain ? 0 : duet_image_bytes(&copy, es);
  char *memory = duet_scratch(1, offset_bytes + sum_bytes + stored + panel_bytes + image_bytes);
  int64_t *offset = (int64_t *)memory;
  char *sum = memory + offset_bytes, *transposed = sum + sum_bytes;
  char *gradient = transposed + stored, *image = gradient + panel_bytes;

  int accumulates = 0;
  position_block p = {0};
  for (p.image = 0; p.image < c->batch; p.image += w->images) {
    p.images = c->batch - p.image < w->images ? c->batch - p.image : w->images;
    for (p.row = 0; p.row < c->out_height; p.row += w->band) {
      p.rows = c->out_height - p.row < w->band ? c->out_height - p.row : w->band;
      for (p.column = 0; p.column < c->out_width; p.column += w->columns) {
        p.columns = c->out_width - p.column < w->columns ? c->out_width - p.column : w->columns;
        transpose_block(w, &block, &p, gradient);
        if (w->is_plain)
          add_plain(w, &block, &p, gradient, sum, accumulates);
        else
          add_patches(w, &block, &p, is_marked ? is_read : NULL, offset, image, gradient, sum,
                      accumulates);
        accumulates = 1;
      }
    }
  }
  for (int64_t j = 0; j < panels; j++)
    store_panel(w, &block, j * width, sum + j * rows * width * es, transposed);
}

// How many positions a block has: as many as there are in a row, in some rows, or in some images.
static void cut_positions(weight_work *w) {
  const duet_conv2d_call *c = &w->call;
  w->images = 1;
  w->band = 1;
  w->columns = c->out_width;
  if (c->out_width > POSITIONS) {
    duet_parts parts = duet_split(c->out_width, POSITIONS);
    w->columns = parts.base + (parts.longer > 0);
    return;
  }
  duet_parts bands = duet_split(c->out_height, POSITIONS / c->out_width);
  w->band = bands.base + (bands.longer > 0);
  // Prepared images stay in the second-level cache.
  int64_t row_bytes = TASK_ROWS / w->taps * c->stride_height * (c->in_width + c->kernel_width) *
                      w->es;
  if (!w->is_plain && row_bytes > 0 && w->band > IMAGE_BYTES / row_bytes) {
    w->band = IMAGE_BYTES / row_bytes;
    if (w->band < 1) w->band = 1;
  }
  if (w->band == c->out_height) w->images = POSITIONS / (c->out_height * c->out_width);
  if (w->images > c->batch) w->images = c->batch;
}

static void cut_tasks(weight_work *w, double work) {
  int64_t depth = (w->is_swapped ? w->out : w->in) * w->taps;
  int64_t panels = (w->transposed_channels + w->width - 1) / w->width;
  int64_t rows = (depth + TASK_ROWS - 1) / TASK_ROWS;
  int64_t outs = (w->transposed_channels + TASK_OUT - 1) / TASK_OUT;
  while (rows * outs * w->call.groups < TASKS && work >= TASKS * (double)TASK_WORK) {
    if (w->transposed_channels >= (outs + 1) * LEAST_OUT &&
        (w->is_plain || depth < (rows + 1) * LEAST_ROWS))
      outs++;
    else if (depth >= (rows + 1) * LEAST_ROWS)
      rows++;
    else
      break;
  }
  w->row_parts = duet_split(depth, (depth + rows - 1) / rows);
  w->out_parts = duet_split(panels, (panels + outs - 1) / outs);
}

// The positions that a kernel of one tap reads, [image][channel][row][column].
static void copy_task(void *context, int64_t index) {
  const weight_work *w = context;
  const duet_conv2d_call *c = &w->call;
  int64_t es = w->es, step = c->stride_width, plane = c->out_height * c->out_width;
  int64_t first = -c->pad_left, begin = first < 0 ? (-first + step - 1) / step : 0;
  int64_t end = c->in_width > first ? (c->in_width - first + step - 1) / step : 0;
  if (begin > c->out_width) begin = c->out_width;
  if (end > c->out_width) end = c->out_width;
  if (end < begin) end = begin;
  int64_t planes = c->batch * c->in_channels, last = (index + 1) * COPIED_PLANES;
  for (int64_t p = index * COPIED_PLANES; p < planes && p < last; p++) {
    char *to = (char *)w->transposed + p * plane * es;
    for (int64_t i = 0; i < c->out_height; i++, to += c->out_width * es) {
      int64_t row = i * c->stride_height - c->pad_top;
      if (row < 0 || row >= c->in_height) {
        memset(to, 0, c->out_width * es);
        continue;
      }
      const char *from =
        (const char *)c->operand[1] + ((p * c->in_height + row) * c->in_width + first) * es;
      memset(to, 0, begin * es);
      duet_copy_columns(to, from, begin, end, step, es);
      memset(to + end * es, 0, (c->out_width - end) * es);
    }
  }
}

// A kernel of one tap: a convolution that keeps positions, of a copy where it does not.
static void make_plain(weight_work *w) {
  duet_conv2d_call *c = &w->call;
  if (c->stride_height != 1 || c->stride_width != 1 || c->pad_top != 0 || c->pad_left != 0 ||
      c->out_height != c->in_height || c->out_width != c->in_width) {
    int64_t planes = c->batch * c->in_channels, plane = c->out_height * c->out_width;
    w->transposed = duet_scratch(0, (planes * plane + 16) * w->es);
    int64_t tasks = (planes + COPIED_PLANES - 1) / COPIED_PLANES;
    if (planes * plane < COPY_WORK)
      for (int64_t i = 0; i < tasks; i++) copy_task(w, i);
    else
      duet_parallel_for(tasks, copy_task, w);
    c->operand[1] = (void *)w->transposed;
    c->stride_height = c->stride_width = 1;
    c->pad_top = c->pad_left = 0;
  }
  // Where rows end does not matter.
  c->out_width *= c->out_height;
  c->in_width = c->out_width;
  c->in_height = c->out_height = 1;
  w->is_plain = 1;
  w->is_swapped = w->out > w->in;
}

duet_status duet_conv2d_weight_gradient(const void *argument) {
  const duet_contraction_table *table = duet_contractions();
  weight_work w = {.call = *(const duet_conv2d_call *)argument};
  duet_conv2d_call *c = &w.call;
  w.engine = table->engine[duet_compute_type(c->dtype)];
  w.es = w.engine->element_size;
  w.in = c->in_channels / c->groups;
  w.out = c->out_channels / c->groups;
  w.taps = c->kernel_height * c->kernel_width;
  int64_t depth = w.in * w.taps;
  if (c->out_channels * depth == 0) return DUET_OK;
  if (c->batch * c->out_height * c->out_width == 0) {
    memset(c->operand[0], 0, c->out_channels * depth * w.es);
    return DUET_OK;
  }
  if (duet_winograd_applies(c)) return duet_winograd_weight_gradient(c);
  if (duet_is_depthwise(argument)) {
    duet_depthwise_weight_gradient(argument, w.engine);
    return DUET_OK;
  }

  double work = (double)c->batch * c->out_channels * c->out_height * c->out_width * depth;
  if (w.taps == 1) make_plain(&w);
  w.transposed = c->operand[w.is_swapped ? 1 : 2];
  w.transposed_channels = w.is_swapped ? w.in : w.out;
  w.transposed_image = w.is_swapped ? c->in_channels : c->out_channels;
  int64_t unit = w.engine->half_lanes ? w.engine->half_lanes : w.engine->lanes;
  int64_t full = 2 * w.engine->lanes, channels = w.transposed_channels;
  w.width = channels < full ? (int64_t)duet_round_up(channels, unit) : full;
  cut_positions(&w);
  cut_tasks(&w, work);
  int64_t tasks = w.row_parts.count * w.out_parts.count * c->groups;
  if (tasks == 1)
    weight_task(&w, 0);
  else if (work < TASK_WORK)
    for (int64_t i = 0; i < tasks; i++) weight_task(&w, i);
  else
    duet_parallel_for(tasks, weight_task, &w);
  return DUET_OK;
}
