// Parts of strided arrays, written densely: what an operand needs so that one loop runs over a block of
// many short rows.
#ifndef DUET_GATHER_H
#define DUET_GATHER_H

#include "loops.h"

enum { DUET_BLOCK = 1024 };  // elements, at most

typedef enum : int32_t {
  DUET_DENSE,      // as it lies
  DUET_ONE,        // one element, stride 0
  DUET_LINE,       // elements of the last axis at one distance
  DUET_ROWS,       // dense rows
  DUET_REPEATS,    // every element several times
  DUET_COLUMNS,    // dense down the axis `leaf`, across the columns that begin at `offset`
  DUET_SCATTERED,  // each element of the axes from `leaf` on at its own `offset`
} duet_gather_kind;

// How the blocks of one operand are gathered. Made for the largest one; the others have fewer elements on
// the outermost axis.
typedef struct {
  duet_gather_kind kind;
  int32_t rank, leaf;  // the axes from `leaf` on are written by one loop
  int64_t size, per;   // of an element; elements of axis 0 for one of the block's outermost axis
  int64_t shape[DUET_MAX_RANK], stride[DUET_MAX_RANK];  // axes that lie one behind the other are one
  int64_t inner[DUET_MAX_RANK];                         // bytes written for one element of the axis
  int64_t offset[DUET_BLOCK];
} duet_gathering;

// shape: of the largest block; size: of an element; strides in bytes.
void duet_gather_prepare(duet_gathering *g, int64_t size, int32_t rank, const int64_t *shape,
                         const int64_t *stride);

// Writes a block with `count` elements on its outermost axis, neither DUET_DENSE nor DUET_ONE.
void duet_gather_block(const duet_gathering *g, char *to, const char *from, int64_t count);

#endif
