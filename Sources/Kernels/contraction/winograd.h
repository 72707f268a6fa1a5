// Convolutions by the algorithm of Winograd, F(2 x 2, 3 x 3): a tile of 2 x 2 results costs 16
// multiplications per pair of channels instead of 36. (Lavin and Gray, "Fast Algorithms for
// Convolutional Neural Networks", 2015; the matrices are those of section 4.1.)
//
// Within the algorithm the 16 lanes of a vector are 16 channels: transforms have no edges, and
// shapes differ only in how many tiles they have.
#ifndef DUET_CONTRACTION_WINOGRAD_H
#define DUET_CONTRACTION_WINOGRAD_H

#include "engine.h"

enum {
  DUET_WINOGRAD_LANES = 16,  // channels of a vector
  DUET_WINOGRAD_POINTS = 16  // elements of a transformed tile
};

// Whether a convolution and both its gradients are computed this way: a function of shape and dtype
// alone.
int duet_winograd_applies(const duet_conv2d_call *call);

duet_status duet_winograd_conv2d(const duet_conv2d_call *call);
duet_status duet_winograd_input_gradient(const duet_conv2d_call *call);
duet_status duet_winograd_weight_gradient(const duet_conv2d_call *call);

// Transforms of one instruction set. A "line" is 16 floats, one per channel; pitches and strides
// are in floats.
typedef struct {
  // to[p][lane] = from[lane * stride + p] for p < count, lane < lanes; 0 for the other lanes.
  void (*gather)(float *to, const float *from, int64_t stride, int64_t lanes, int64_t count);
  // to[lane * stride + p] = from[p][lane] for p < count, lane < lanes.
  void (*scatter)(float *to, int64_t stride, const float *from, int64_t lanes, int64_t count);
  // A row of tiles of an image of lines: 4 x 4 pixels per tile, 2 apart. Point p of tile t goes to
  // points[p * point + t * tile].
  void (*image)(float *points, int64_t point, int64_t tile, const float *image, int64_t pitch,
                int64_t tiles);
  // The same for the gradient of the results, 2 x 2 pixels per tile.
  void (*gradient)(float *points, int64_t point, int64_t tile, const float *image, int64_t pitch,
                   int64_t tiles);
  // 2 x 2 results of each tile.
  void (*result)(float *image, int64_t pitch, const float *points, int64_t point, int64_t tile,
                 int64_t tiles);
  // points[p * point + i * item] from the weights at weight[i * step + tap[0 ... 8]].
  void (*weight)(float *points, int64_t point, int64_t item, const float *weight, int64_t step,
                 const int64_t *tap, int64_t items);
  // 9 lines of weight gradient from the points of a sum.
  void (*weight_gradient)(float *weight, const float *points, int64_t point);
} duet_winograd_table;

const duet_winograd_table *duet_winograd(void);

// The tiles of a batch of images: image by image, in parts of so many columns of tiles, row by row.
// A unit is a row of tiles in one part.
typedef struct {
  int64_t rows, columns;  // of results
  int64_t tile_rows;
  duet_parts parts;       // of the columns of tiles
  int64_t units;          // of all images
} duet_tile_grid;

// Units that follow each other downwards in one image.
typedef struct {
  int64_t image;
  int64_t row, count;     // of tiles
  int64_t column, width;  // of tiles
} duet_tile_run;

duet_tile_grid duet_tiles(int64_t images, int64_t rows, int64_t columns, int64_t most_columns);
// The run that begins with unit `first` and ends before unit `last` at the latest.
duet_tile_run duet_run_of_tiles(const duet_tile_grid *grid, int64_t first, int64_t last);

// Pixels (row ..< row + rows, column ..< column + columns) of up to 16 channels as lines, 0 outside
// the image of height x width.
typedef struct {
  const float *channel;   // the first one
  int64_t lanes, height, width;
} duet_tile_image;

void duet_lines_of_image(const duet_winograd_table *table, float *lines,
                         const duet_tile_image *image, int64_t row, int64_t column, int64_t rows,
                         int64_t columns);

// Lines of an image with that many tiles, in floats.
static inline int64_t duet_tile_lines(int64_t tiles) {
  // (2 r + 2) (2 w + 2) <= 4 (2 r w + 2) for whole r and w.
  return 16 * (8 * tiles + 8);
}

// The distance of points, in floats: the 16 points of a tile fall into neighbouring sets of a cache.
static inline int64_t duet_point_stride(int64_t floats) {
  return (int64_t)duet_round_up(floats, 1024) + 16;
}

// The distance of tiles with so many channels: powers of two would meet in few sets of a cache.
static inline int64_t duet_tile_stride(int64_t channels) {
  int64_t n = (int64_t)duet_round_up(channels, 16);
  return n % 256 == 0 ? n + 16 : n;
}

#endif
