#include "loops.h"

typedef uint32_t u32x4 __attribute__((ext_vector_type(4)));
typedef uint64_t u64x2 __attribute__((ext_vector_type(2)));

// A full tile goes through a buffer: each line of the source is read whole and each line of the
// destination is written whole, so rows whose addresses collide in the cache do no harm.
enum { TILE = 16 };

static inline void flip_4(char *to, const char *from) {
  u32x4 v[4];
  memcpy(v, from, 16);
  memcpy(v + 1, from + TILE * 4, 16);
  memcpy(v + 2, from + TILE * 8, 16);
  memcpy(v + 3, from + TILE * 12, 16);
  u32x4 a = __builtin_shufflevector(v[0], v[1], 0, 4, 1, 5);
  u32x4 b = __builtin_shufflevector(v[0], v[1], 2, 6, 3, 7);
  u32x4 c = __builtin_shufflevector(v[2], v[3], 0, 4, 1, 5);
  u32x4 d = __builtin_shufflevector(v[2], v[3], 2, 6, 3, 7);
  v[0] = __builtin_shufflevector(a, c, 0, 1, 4, 5);
  v[1] = __builtin_shufflevector(a, c, 2, 3, 6, 7);
  v[2] = __builtin_shufflevector(b, d, 0, 1, 4, 5);
  v[3] = __builtin_shufflevector(b, d, 2, 3, 6, 7);
  for (int i = 0; i < 4; i++) memcpy(to + i * TILE * 4, v + i, 16);
}

static inline void flip_2(char *to, const char *from) {
  u64x2 a, b;
  memcpy(&a, from, 16);
  memcpy(&b, from + TILE * 8, 16);
  u64x2 c = {a[0], b[0]}, d = {a[1], b[1]};
  memcpy(to, &c, 16);
  memcpy(to + TILE * 8, &d, 16);
}

static inline void flip_tile_4(char *to, const char *from) {
  for (int i = 0; i < TILE; i += 4)
    for (int j = 0; j < TILE; j += 4)
      flip_4(to + (i * TILE + j) * 4, from + (j * TILE + i) * 4);
}

static inline void flip_tile_8(char *to, const char *from) {
  for (int i = 0; i < TILE; i += 2)
    for (int j = 0; j < TILE; j += 2)
      flip_2(to + (i * TILE + j) * 8, from + (j * TILE + i) * 8);
}

#define FLIP_TILE(name, type)                                 \
  static inline void name(char *to, const char *from) {       \
    for (int i = 0; i < TILE; i++)                            \
      for (int j = 0; j < TILE; j++)                          \
        ((type *)to)[i * TILE + j] = ((const type *)from)[j * TILE + i]; \
  }

FLIP_TILE(flip_tile_1, uint8_t)
FLIP_TILE(flip_tile_2, uint16_t)

// Rows of a tile that are whole lines, past the caches.
static inline void stream_row(char *to, const char *from, int64_t bytes) {
  for (int64_t i = 0; i < bytes; i += 16)
    __builtin_nontemporal_store(*(const u32x4 *)(from + i), (u32x4 *)(to + i));
}

#define TRANSPOSE(type, flip)                                                                    \
  for (int64_t i0 = 0; i0 < rows; i0 += TILE)                                                    \
    for (int64_t j0 = 0; j0 < columns; j0 += TILE) {                                             \
      const int64_t size = sizeof(type);                                                         \
      char *t = to + i0 * to_row + j0 * size;                                                    \
      const char *f = from + i0 * size + j0 * from_column;                                       \
      if (i0 + TILE <= rows && j0 + TILE <= columns) {                                           \
        _Alignas(64) char taken[TILE * TILE * sizeof(type)], flipped[sizeof taken];              \
        for (int j = 0; j < TILE; j++)                                                           \
          memcpy(taken + j * TILE * size, f + j * from_column, TILE * sizeof(type));             \
        flip(flipped, taken);                                                                    \
        for (int i = 0; i < TILE && streams; i++)                                                \
          stream_row(t + i * to_row, flipped + i * TILE * size, TILE * size);                    \
        for (int i = 0; i < TILE && !streams; i++)                                               \
          memcpy(t + i * to_row, flipped + i * TILE * size, TILE * sizeof(type));                \
        continue;                                                                                \
      }                                                                                          \
      int64_t m = rows - i0 < TILE ? rows - i0 : TILE;                                           \
      int64_t n = columns - j0 < TILE ? columns - j0 : TILE;                                     \
      for (int64_t i = 0; i < m; i++)                                                            \
        for (int64_t j = 0; j < n; j++)                                                          \
          *(type *)(t + i * to_row + j * size) = *(const type *)(f + i * size + j * from_column); \
    }                                                                                            \
  break;

void duet_transpose(char *to, int64_t to_row, const char *from, int64_t from_column, int64_t rows,
                    int64_t columns, int64_t size, int streams) {
  switch (size) {
    case 1: TRANSPOSE(uint8_t, flip_tile_1)
    case 2: TRANSPOSE(uint16_t, flip_tile_2)
    case 4: TRANSPOSE(uint32_t, flip_tile_4)
    default: TRANSPOSE(uint64_t, flip_tile_8)
  }
}
