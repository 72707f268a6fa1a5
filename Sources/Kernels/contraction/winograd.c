// What the convolutions by Winograd's algorithm share: which shapes they take, and tiles.
#include "winograd.h"

#include <string.h>

#if defined(__x86_64__)
extern const duet_winograd_table duet_winograd_avx512, duet_winograd_avx2;
#elif defined(__aarch64__)
extern const duet_winograd_table duet_winograd_neon;
#endif
extern const duet_winograd_table duet_winograd_scalar;

const duet_winograd_table *duet_winograd(void) {
  switch (duet_current_isa()) {
#if defined(__x86_64__)
    case DUET_AVX512: return &duet_winograd_avx512;
    case DUET_AVX2: return &duet_winograd_avx2;
#elif defined(__aarch64__)
    case DUET_NEON: return &duet_winograd_neon;
#endif
    default: return &duet_winograd_scalar;
  }
}

enum {
  LEAST_CHANNELS = 16,       // fewer leave lanes empty
  MOST_WEIGHTS = 4 << 20,    // pairs of channels: their points take 64 bytes each
};

int duet_winograd_applies(const duet_conv2d_call *c) {
  int64_t in = c->in_channels / c->groups, out = c->out_channels / c->groups;
  // Half of each tile would be outside of results of one row or column.
  return c->dtype == DUET_FLOAT32 && c->kernel_height == 3 && c->kernel_width == 3 &&
         c->stride_height == 1 && c->stride_width == 1 && c->dilation_height == 1 &&
         c->dilation_width == 1 && in >= LEAST_CHANNELS && out >= LEAST_CHANNELS &&
         c->in_channels <= MOST_WEIGHTS / out && c->out_height > 1 && c->out_width > 1;
}

duet_tile_grid duet_tiles(int64_t images, int64_t rows, int64_t columns, int64_t most_columns) {
  duet_tile_grid grid = {.rows = rows,
                         .columns = columns,
                         .tile_rows = (rows + 1) / 2,
                         .parts = duet_split((columns + 1) / 2, most_columns)};
  grid.units = images * grid.parts.count * grid.tile_rows;
  return grid;
}

duet_tile_run duet_run_of_tiles(const duet_tile_grid *grid, int64_t first, int64_t last) {
  int64_t part = first / grid->tile_rows % grid->parts.count;
  duet_tile_run run = {.image = first / grid->tile_rows / grid->parts.count,
                       .row = first % grid->tile_rows,
                       .column = duet_part_begin(grid->parts, part)};
  run.width = duet_part_begin(grid->parts, part + 1) - run.column;
  run.count = grid->tile_rows - run.row < last - first ? grid->tile_rows - run.row : last - first;
  return run;
}

void duet_lines_of_image(const duet_winograd_table *table, float *lines,
                         const duet_tile_image *image, int64_t row, int64_t column, int64_t rows,
                         int64_t columns) {
  int64_t plane = image->height * image->width;
  int64_t left = column < 0 ? -column : 0;
  if (left > columns) left = columns;
  int64_t end = image->width - column < columns ? image->width - column : columns;
  if (end < left) end = left;
  for (int64_t r = row; r < row + rows; r++, lines += 16 * columns) {
    if (r < 0 || r >= image->height) {
      memset(lines, 0, columns * 64);
      continue;
    }
    memset(lines, 0, left * 64);
    if (end > left)
      table->gather(lines + 16 * left, image->channel + r * image->width + column + left, plane,
                    image->lanes, end - left);
    memset(lines + 16 * end, 0, (columns - end) * 64);
  }
}
