// What every kernel shares: element types, limits, the call convention and the state of a thread.
#ifndef DUET_TYPES_H
#define DUET_TYPES_H

#include <stddef.h>
#include <stdint.h>

enum { DUET_MAX_RANK = 8, DUET_MAX_OPERANDS = 6 };

typedef enum : int32_t {
  DUET_BOOL,  // one byte, 0 or 1
  DUET_UINT8,
  DUET_INT8,
  DUET_INT16,
  DUET_INT32,
  DUET_INT64,
  DUET_FLOAT16,
  DUET_BFLOAT16,
  DUET_FLOAT32,
  DUET_FLOAT64,
  DUET_DTYPE_COUNT
} duet_dtype;

// What a kernel answers: 0, or why its input could not be taken. Kernels check only what shapes and
// dtypes cannot tell, that is values: an index out of range.
typedef enum : int32_t {
  DUET_OK = 0,
  DUET_INDEX_OUT_OF_RANGE,  // detail: the index, the size of the axis
} duet_status;

// The values behind the last status other than DUET_OK on this thread.
typedef struct {
  duet_status status;
  int64_t value;
  int64_t limit;
} duet_failure;

// A kernel takes one argument block. Every block begins with the operand pointers, the result first,
// so that a plan can patch operand i of any step without knowing the kernel.
typedef duet_status (*duet_kernel)(const void *call);

typedef struct {
  void *operand[DUET_MAX_OPERANDS];
} duet_operands;

static inline size_t duet_dtype_size(duet_dtype t) {
  static const uint8_t size[DUET_DTYPE_COUNT] = {1, 1, 1, 2, 4, 8, 2, 2, 4, 8};
  return size[t];
}

// State that dispatch reads on every operation. The pointers belong to the Swift side.
typedef struct {
  int32_t flags;    // DUET_THREAD_* bits; 0 is the fast path
  int32_t in_parallel;  // > 0 inside a parallel region: nested regions run serially
  void *recorder;
  void *checked;
  duet_failure failure;
} duet_thread_state;

enum {
  DUET_THREAD_NO_GRAD = 1,
  DUET_THREAD_RECORDING = 2,
  DUET_THREAD_CHECKED = 4,
  DUET_THREAD_ANOMALY = 8,
  DUET_THREAD_DEFERRED = 16,
  DUET_THREAD_NO_TRACING = 32,
};

// The initial-exec model makes reading it one instruction instead of a call.
__attribute__((tls_model("initial-exec"))) extern _Thread_local duet_thread_state duet_this_thread;

static inline duet_thread_state *duet_thread(void) { return &duet_this_thread; }

static inline duet_status duet_fail(duet_status status, int64_t value, int64_t limit) {
  duet_this_thread.failure = (duet_failure){status, value, limit};
  return status;
}

// Runs body(context, i) for every i in 0 ..< tasks, in any order, on any threads, and returns when all
// are done. The task grid must be a function of shapes alone. Installed by the runtime; serial until then.
typedef void (*duet_task)(void *context, int64_t index);
typedef void (*duet_parallel_for_fn)(int64_t tasks, duet_task body, void *context);
extern duet_parallel_for_fn duet_installed_parallel_for;  // read and written atomically
void duet_set_parallel_for(duet_parallel_for_fn function);

static inline void duet_parallel_for(int64_t tasks, duet_task body, void *context) {
  __atomic_load_n(&duet_installed_parallel_for, __ATOMIC_RELAXED)(tasks, body, context);
}

// The processors that this process is allowed to run on; 0 where the system does not tell.
int32_t duet_affinity_count(void);

// Tells the processor that this thread is spinning.
static inline void duet_pause(void) {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

#endif
