#include "convolve.h"

#include <string.h>

#pragma STDC FP_CONTRACT OFF

enum {
  WEIGHT_BYTES = 384 << 10,  // of a block of channels: stays in the second-level cache
  TAP_ROWS = 288             // (channel, tap) pairs of a block whose image rows stay in the first
};

int duet_convolve_packs(const duet_engine *engine, int64_t m, int64_t columns) {
  int64_t unit = engine->half_lanes ? engine->half_lanes : engine->lanes;
  int64_t filled = (int64_t)duet_round_up(columns, unit);
  return m >= 32 && (columns <= engine->lanes || columns * 100 < filled * 85);
}

static int64_t packed_channels(int64_t channels, int64_t taps) {
  int64_t n = TAP_ROWS / taps;
  return n < 1 ? 1 : n < channels ? n : channels;
}

size_t duet_convolve_scratch(const duet_engine *engine, int64_t channels, int64_t taps) {
  size_t panel = packed_channels(channels, taps < 1 ? 1 : taps) * (taps < 1 ? 1 : taps) + 1;
  return duet_round_up((DUET_TILE_ROWS + panel) * 2 * engine->lanes * engine->element_size + 64,
                       64);
}

typedef struct {
  int64_t first, count;
} span;

// One panel of columns for all m, over the channels of a block.
static void convolve_panel(const duet_convolution *x, duet_parts parts, duet_tile *t,
                           duet_tile_mode mode, span channel,
                           char *result, int64_t result_column) {
  const duet_engine *engine = x->engine;
  int64_t es = engine->element_size, depth = x->channels * x->taps, columns = t->columns;
  t->accumulate = channel.first > 0;
  for (int64_t p = 0; p < parts.count; p++) {
    int64_t begin = duet_part_begin(parts, p), rows = duet_part_begin(parts, p + 1) - begin;
    char *c = result + begin * x->result_m * es;
    t->a = x->weight + (begin * depth + channel.first * x->taps * rows) * es;
    t->c = result_column == 1 ? c : x->scratch;
    t->c_step = result_column == 1 ? x->result_m : columns;
    duet_tile_fn tile = duet_choose_tile(engine, mode, rows, columns);
    if (result_column == 1) {
      tile(t);
      continue;
    }
#define SPREAD(type)                                                                         \
  type *spread = (type *)c, *dense = (type *)x->scratch;                                     \
  if (t->accumulate)                                                                         \
    for (int64_t i = 0; i < rows; i++)                                                       \
      for (int64_t j = 0; j < columns; j++)                                                  \
        dense[i * columns + j] = spread[i * x->result_m + j * result_column];                \
  tile(t);                                                                                   \
  for (int64_t i = 0; i < rows; i++)                                                         \
    for (int64_t j = 0; j < columns; j++)                                                    \
      spread[i * x->result_m + j * result_column] = dense[i * columns + j];
    if (es == 4) {
      SPREAD(uint32_t)
    } else {
      SPREAD(uint64_t)
    }
#undef SPREAD
  }
}

// Each row by itself; the micro-kernel reads the image in place.
static void convolve_rows(const duet_convolution *x, span block) {
  duet_parts parts = duet_split(x->m, x->engine->rows);
  int64_t es = x->engine->element_size, full = 2 * x->engine->lanes;
  int64_t step = packed_channels(x->channels, x->taps ? x->taps : 1);
  for (int64_t i = 0; i < x->rows; i++) {
    for (int64_t j = 0; j < x->columns; j += full) {
      char *result = x->result + (i * x->result_row + j * x->result_column) * es;
      for (int64_t c = block.first; c < block.first + block.count; c += step) {
        span channel = {c,
            block.first + block.count - c < step ? block.first + block.count - c : step};
        duet_tile t = {.columns = (int32_t)(x->columns - j < full ? x->columns - j : full)};
        const char *image = x->image + (c * x->channel + i * x->row + j) * es;
        if (x->taps == 1) {
          t.b = image + x->offset[0] * es;
          t.b_step = x->channel;
          t.k = channel.count;
          convolve_panel(x, parts, &t, DUET_TILE_PACKED, channel, result, x->result_column);
        } else {
          t.b = image;
          t.b_segment = x->channel;
          t.offset = x->offset;
          t.k = x->taps;
          t.segments = channel.count;
          convolve_panel(x, parts, &t, DUET_TILE_TAPS, channel, result, x->result_column);
        }
      }
    }
  }
}

// Panels of positions that run across rows. Runs are copied in whole groups of 32 bytes: what is
// too much is overwritten by the next run, which lies behind.
static void convolve_positions(const duet_convolution *x, span block) {
  duet_parts parts = duet_split(x->m, x->engine->rows);
  int64_t es = x->engine->element_size, full = 2 * x->engine->lanes;
  int64_t step = packed_channels(x->channels, x->taps);
  char *panel = x->scratch + DUET_TILE_ROWS * full * es;
  int64_t positions = x->rows * x->columns;
  for (int64_t q = 0; q < positions; q += full) {
    int64_t columns = positions - q < full ? positions - q : full;
    struct {
      int64_t from, to, bytes;
    } run[32];
    int runs = 0;
    for (int64_t at = 0; at < columns; runs++) {
      int64_t i = (q + at) / x->columns, j = (q + at) % x->columns;
      int64_t count = x->columns - j < columns - at ? x->columns - j : columns - at;
      run[runs].from = (i * x->row + j) * es;
      run[runs].to = at * es;
      run[runs].bytes = count * es;
      at += count;
    }
    for (int64_t c = block.first; c < block.first + block.count; c += step) {
      span channel = {c,
                      block.first + block.count - c < step ? block.first + block.count - c : step};
      char *to = panel;
      for (int64_t s = 0; s < channel.count; s++)
        for (int64_t tap = 0; tap < x->taps; tap++, to += full * es) {
          const char *from = x->image + ((c + s) * x->channel + x->offset[tap]) * es;
          for (int r = 0; r < runs; r++)
            for (int64_t at = 0; at < run[r].bytes; at += 32)
              memcpy(to + run[r].to + at, from + run[r].from + at, 32);
        }
      duet_tile t = {.columns = (int32_t)columns,
                     .b = panel,
                     .b_step = full,
                     .k = channel.count * x->taps,
                     .segments = 1};
      convolve_panel(x, parts, &t, DUET_TILE_PACKED, channel, x->result + q * es, 1);
    }
  }
}

void duet_convolve(const duet_convolution *x) {
  int64_t es = x->engine->element_size, most = WEIGHT_BYTES / (x->m * (x->taps ? x->taps : 1) * es);
  int64_t step = packed_channels(x->channels, x->taps ? x->taps : 1);
  most = most / step * step;
  if (most < step) most = step;
  int packs = x->result_column == 1 && x->result_row == x->columns &&
              duet_convolve_packs(x->engine, x->m, x->columns);
  for (int64_t c = 0; c < x->channels; c += most) {
    span block = {c, x->channels - c < most ? x->channels - c : most};
    if (packs)
      convolve_positions(x, block);
    else
      convolve_rows(x, block);
  }
}
