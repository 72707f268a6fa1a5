// Whoever finds that an object has one owner left comes after all that its former owners did with it: letting go of an
// object is a release, and finding it unshared, or being the last to let go, an acquire. `std::shared_ptr` shows the
// sanitizer as much by its instrumented atomics. Swift's counts lie in a library that is not instrumented, so that
// writing to memory in place, once nobody else can read it, would look like a race with all earlier readers.
//
// These functions take the place of the runtime's for all code outside of it. Objects that nobody is the only owner of
// order nothing, so that what threads share hides no race between them.
#include "include/duet_thread_sanitizer.h"

#if defined(__has_feature)
#if __has_feature(thread_sanitizer) && defined(__linux__)
#define DUET_WATCHES 1
#endif
#endif

#if defined(DUET_WATCHES)

#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

void __tsan_acquire(void *address);
void __tsan_release(void *address);
size_t swift_retainCount(void *object);

// The runtime's own function, looked up when it is first needed: libraries call before the program has begun.
static inline void *runtime(const char *name, _Atomic(void *) *known) {
  void *function = atomic_load_explicit(known, memory_order_relaxed);
  if (!function) {
    function = dlsym(RTLD_NEXT, name);
    atomic_store_explicit(known, function, memory_order_relaxed);
  }
  return function;
}

static inline void *object_of_bridge(void *bridge) {
  return (void *)((uintptr_t)bridge & 0x80FFFFFFFFFFFFF9u);  // without the bits of its own
}

static inline void let_go(void *object, uint32_t count) {
  if ((intptr_t)object <= 0) return;  // as the runtime does: no object
  __tsan_release(object);
  if (swift_retainCount(object) <= count) __tsan_acquire(object);
}

void swift_release(void *object) {
  static _Atomic(void *) known;
  let_go(object, 1);
  ((void (*)(void *))runtime(__func__, &known))(object);
}

void swift_release_n(void *object, uint32_t count) {
  static _Atomic(void *) known;
  let_go(object, count);
  ((void (*)(void *, uint32_t))runtime(__func__, &known))(object, count);
}

void swift_bridgeObjectRelease(void *bridge) { swift_release(object_of_bridge(bridge)); }

void swift_bridgeObjectRelease_n(void *bridge, int count) {
  swift_release_n(object_of_bridge(bridge), count);
}

_Bool swift_isUniquelyReferenced_nonNull_native(void *object) {
  static _Atomic(void *) known;
  _Bool is_unshared = ((_Bool(*)(void *))runtime(__func__, &known))(object);
  if (is_unshared) __tsan_acquire(object);
  return is_unshared;
}

_Bool swift_isUniquelyReferenced_native(void *object) {
  return object && swift_isUniquelyReferenced_nonNull_native(object);
}

int duet_sees_reference_counts(void) {
  void *mine = dlsym(RTLD_DEFAULT, "swift_release");
  return mine && mine != dlsym(RTLD_NEXT, "swift_release");
}

#else

int duet_sees_reference_counts(void) { return 0; }

#endif
