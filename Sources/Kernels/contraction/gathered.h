// Products of packed weights with patches that are gathered from images while they are packed: what
// convolutions with many output channels run on.
#ifndef DUET_CONTRACTION_GATHERED_H
#define DUET_CONTRACTION_GATHERED_H

#include "engine.h"

//     result[n, m, i, j] = sum over channel c, tap t of weight[m, c, t] *
//         source[n, c, (first_row + i) * row_step + tap_row[t],
//                (first_column + j) * column_step + tap_column[t]],
// source being 0 outside the image, for i < rows and j < columns; one chain over (c, t). Strides in
// elements.
typedef struct {
  const duet_engine *engine;
  int64_t m, channels, taps;
  const char *weight;  // duet_pack_gathered_weights
  int64_t first_panel, panels;  // of m, in tiles: duet_split(m, engine->rows)
  const int64_t *tap_row, *tap_column;
  int64_t row_step, column_step;
  const char *source, *source_end;  // the end of the memory that may be read
  int64_t source_image, height, width;
  int64_t images, first_row, rows, first_column, columns;
  const char *gathered;  // what duet_gather packed for all channels; NULL: it is packed on the way
  char *result;
  int64_t result_image, result_m;  // rows and columns of an image are contiguous
} duet_gathered;

// Bytes of packed weights, and of the scratch memory of a call.
size_t duet_gathered_weight_bytes(const duet_engine *engine, int64_t m, int64_t channels,
                                  int64_t taps);
size_t duet_gathered_scratch(const duet_gathered *product);

// Packs the rows m of one panel: `pack` writes `count` rows from `first` on, for the channels
// channel ..< channel + channels, as [channel][tap][row], and may write 8 elements too many.
typedef void (*duet_pack_rows)(const void *context, char *to, int64_t first, int64_t count,
                               int64_t channel, int64_t channels);
// With all threads where that pays: outside of tasks.
void duet_pack_gathered_weights(const duet_engine *engine, char *weight, int64_t m,
                                int64_t channels, int64_t taps, duet_pack_rows pack,
                                const void *context);

// Packs the patches of a block of channels: where several tasks multiply the same patches, all
// blocks are packed before, by tasks of their own.
size_t duet_gathered_bytes(const duet_gathered *product);  // needs no taps' positions
int64_t duet_gathered_blocks(int64_t channels, int64_t taps);
void duet_gather(const duet_gathered *product, int64_t block, char *gathered, char *scratch);

void duet_multiply_gathered(const duet_gathered *product, char *scratch);

// How results are cut into tasks: ranges of images, or of rows of one, or of columns of one row;
// and of panels of m. `area` is the part of a source image that a position takes with it, in elements.
typedef struct {
  duet_parts images, rows, columns, panels;
  int64_t tasks;
} duet_gathered_grid;
duet_gathered_grid duet_cut_gathered(const duet_engine *engine, int64_t batch, int64_t rows,
                                     int64_t columns, int64_t area, int64_t m, double work);
// Sets the part of the results that task `index` computes, and leaves source and result alone;
// returns its first image.
int64_t duet_take_gathered(const duet_gathered_grid *grid, int64_t index, duet_gathered *product);

#endif
