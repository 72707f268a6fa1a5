// Putting threads to sleep until a word in memory changes.
#ifndef DUET_WAIT_H
#define DUET_WAIT_H

#include <stdint.h>

// Sleeps until `duet_wake_one` is called for the word, unless it does not hold the value any more. May return early.
// Orders nothing: the caller looks at the word again, atomically.
void duet_wait_while(const uint32_t *word, uint32_t value);

// Wakes one of the threads that sleep on the word. The memory behind it may be gone.
void duet_wake_one(const uint32_t *word);

#endif
