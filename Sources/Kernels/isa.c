#include "duet_isa.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[DUET_ISA_COUNT] = {"scalar", "neon", "avx2", "avx512"};
static _Atomic int32_t current = -1;

const char *duet_isa_name(duet_isa isa) { return names[isa]; }

int duet_isa_available(duet_isa isa) {
  switch (isa) {
    case DUET_SCALAR: return 1;
#if defined(__x86_64__)
    case DUET_AVX2:
      // All that DUET_ISA_TARGET in simd.h allows the compiler to use.
      return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
             __builtin_cpu_supports("f16c") && __builtin_cpu_supports("bmi") &&
             __builtin_cpu_supports("bmi2");
    case DUET_AVX512:
      return duet_isa_available(DUET_AVX2) && __builtin_cpu_supports("avx512f") &&
             __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
             __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512cd");
#elif defined(__aarch64__)
    case DUET_NEON: return 1;
#endif
    default: return 0;
  }
}

int32_t duet_halved_registers = 0;

#if defined(__x86_64__)
// AMD's family 25 is Zen 3, which has no AVX-512, and Zen 4. Asked of the processor itself: older compilers' libraries
// do not know Zen 4 by name.
__attribute__((constructor)) static void look_at_processor(void) {
  unsigned version, vendor[3], rest[3];
  if (!__get_cpuid(0, &rest[0], &vendor[0], &vendor[2], &vendor[1])) return;
  if (memcmp(vendor, "AuthenticAMD", sizeof vendor) != 0) return;
  if (!__get_cpuid(1, &version, &rest[0], &rest[1], &rest[2])) return;
  __builtin_cpu_init();
  unsigned family = (version >> 8 & 15) + (version >> 20 & 255);
  duet_halved_registers = family == 25 && duet_isa_available(DUET_AVX512);
}
#endif

static duet_isa choose(void) {
  const char *wanted = getenv("DUET_ISA");
  if (wanted && *wanted) {
    for (int i = 0; i < DUET_ISA_COUNT; i++)
      if (!strcmp(wanted, names[i]) && duet_isa_available(i)) return i;
    fprintf(stderr,
            "duet: DUET_ISA=%s is not an instruction set of this processor; using the best one\n",
            wanted);
  }
  for (int i = DUET_ISA_COUNT - 1; i > 0; i--)
    if (duet_isa_available(i)) return i;
  return DUET_SCALAR;
}

duet_isa duet_current_isa(void) {
  int32_t isa = atomic_load_explicit(&current, memory_order_relaxed);
  if (__builtin_expect(isa < 0, 0)) {
    isa = choose();
    atomic_store_explicit(&current, isa, memory_order_relaxed);
  }
  return isa;
}

int duet_use_isa(duet_isa isa) {
  if (!duet_isa_available(isa)) return 0;
  atomic_store_explicit(&current, isa, memory_order_relaxed);
  return 1;
}
