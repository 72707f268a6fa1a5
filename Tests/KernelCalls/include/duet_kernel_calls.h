// Seeded random calls of every kernel, hashed: what two instruction sets, numbers of threads or
// places in memory must agree on. Plain C, so that it also runs where no Swift does, under an
// emulator for example.
#ifndef DUET_KERNEL_CALLS_H
#define DUET_KERNEL_CALLS_H

#include <stdint.h>

// A group is one kernel, or one loop, on one dtype.
int32_t duet_calls_group_count(void);
const char *duet_calls_group_name(int32_t group);

typedef struct {
  uint64_t hash;      // of all results, one NaN being as good as another
  int32_t overruns;   // calls that wrote outside of their result
} duet_calls_outcome;

// Does calls first ..< first + count of the group. What is computed depends on the group and the
// call's number alone; `placement` chooses where the arrays lie, which must not change the hash.
duet_calls_outcome duet_calls_run(int32_t group, int32_t first, int32_t count, uint64_t placement);

// Calls the body from a function that uses the frame pointer's register for a number.
void duet_call_without_frame_pointer(void (*body)(void *context), void *context);

#endif
