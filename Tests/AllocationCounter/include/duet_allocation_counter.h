// Counts what a thread asks of malloc and its companions, in the program that this is linked into.
#ifndef DUET_ALLOCATION_COUNTER_H
#define DUET_ALLOCATION_COUNTER_H

#include <stdint.h>

// Whether it can: with glibc, and no sanitizer that brings a malloc of its own.
int duet_counts_allocations(void);
// Allocations of this thread so far.
int64_t duet_allocation_count(void);

#endif
