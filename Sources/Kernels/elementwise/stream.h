// Results too large for any cache are written past it: the lines need not be read before they are
// written, a quarter to a third of the traffic. They are computed in a block that stays in the
// first-level cache and copied from there.
#ifndef DUET_ELEMENTWISE_STREAM_H
#define DUET_ELEMENTWISE_STREAM_H

#include <string.h>

#include "../include/duet_elementwise.h"

// From so many bytes of operands together. Below, a part may still be in the last cache, and what
// reads the result next finds it there.
enum { DUET_STREAM_BYTES = 48 << 20 };

// Copies without leaving the destination in the caches.
void duet_stream(char *to, const char *from, int64_t bytes);

// Runs a loop whose result is contiguous and shares no memory with an input.
void duet_stream_loop(duet_loop loop, char *const *operand, const int64_t *stride, int64_t count,
                      int32_t operands);

// Streamed bytes are seen by other threads after this, as ordinary ones are.
void duet_stream_end(void);

#endif
