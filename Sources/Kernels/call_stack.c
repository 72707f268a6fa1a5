#include "duet_call_stack.h"

#include <unwind.h>

typedef struct {
  uintptr_t *addresses;
  int32_t count, most, skipped;
} walk;

static _Unwind_Reason_Code visit(struct _Unwind_Context *frame, void *state) {
  walk *w = state;
  if (w->skipped > 0) {
    w->skipped--;
    return _URC_NO_REASON;
  }
  uintptr_t address = _Unwind_GetIP(frame);
  if (address == 0 || w->count == w->most) return _URC_END_OF_STACK;
  w->addresses[w->count++] = address;
  return _URC_NO_REASON;
}

__attribute__((noinline)) int32_t duet_call_stack(uintptr_t *addresses, int32_t most) {
  // This function and its caller are left out.
  walk w = {addresses, 0, most, 2};
  _Unwind_Backtrace(visit, &w);
  return w.count;
}

// What lies at a frame pointer, and below it what an asynchronous function keeps there: no context.
typedef struct {
  void *context, *padding;
  void *next;
  uintptr_t return_address;
} frame_record;

enum { most_records = 64 };

#if defined(__linux__) && defined(__x86_64__)
#define END_OF_STACK __asm__ volatile(".cfi_undefined rip")
#elif defined(__linux__) && defined(__aarch64__)
#define END_OF_STACK __asm__ volatile(".cfi_undefined x30")
#else
#define END_OF_STACK
#endif

__attribute__((noinline)) static void call_below(
    void *volatile *outer, void (*body)(void *context), void *context) {
  // This function's own frame: what its caller had in the register is put aside for the while of the call.
  void *volatile *frame = __builtin_frame_address(0);
  void *saved = *frame;
  // Readers of unwind tables, who would take it for the caller's, are told that there is no caller.
  END_OF_STACK;
  *frame = (void *)outer;
  body(context);
  *frame = saved;
}

// Not for the address sanitizer, which would have the records elsewhere than on the stack.
__attribute__((noinline, no_sanitize("address"))) void duet_with_call_stack(
    const uintptr_t *addresses, int32_t count, void (*body)(void *context), void *context) {
  // Records lie above the frames of what is called here, in rising order, as those of a real stack do.
  _Alignas(16) volatile frame_record records[most_records + 1];
  if (count > most_records) count = most_records;
  for (int32_t i = 0; i <= count; i++) {
    records[i].context = 0;
    records[i].padding = 0;
    records[i].next = i < count ? (void *)&records[i + 1].next : 0;
    records[i].return_address = i < count ? addresses[i] : 0;
  }
  call_below((void *volatile *)&records[0].next, body, context);
}
