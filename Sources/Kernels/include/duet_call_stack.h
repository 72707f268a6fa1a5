// The calls under way: who called whom, as return addresses, and a way to hand such a list to a reader of frame
// pointers.
#ifndef DUET_CALL_STACK_H
#define DUET_CALL_STACK_H

#include <stdint.h>

// The return addresses of the calls under way, innermost first, `most` at most; how many there are. The caller's own
// address is not among them.
//
// They come from the unwind tables, not from frame pointers: code that uses that register for something else (the top
// level of a program, the C library) would send a reader of frame pointers anywhere.
int32_t duet_call_stack(uintptr_t *addresses, int32_t most);

// Calls the body with a stack on which a reader of frame pointers finds, beyond the body and two frames of this
// function's, the given return addresses and then the end. `count` is 64 at most.
void duet_with_call_stack(
    const uintptr_t *addresses, int32_t count, void (*body)(void *context), void *context);

#endif
