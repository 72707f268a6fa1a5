// The interpreters of one type.
#include "../elementwise/arithmetic_template.h"
#include "chain_operations_template.h"

#define SUFFIXED(name) DUET_SUFFIX(name)
#define INTERPRET SUFFIXED(REAL(duet_interpret_chain))
#define VECTORS 4
#include "chain_template.h"

// With AVX2 functions take all registers, and compilers then keep values in memory in other steps, too.
#if defined(DUET_ISA_AVX2)
#define WITHOUT_FUNCTIONS
#define INTERPRET SUFFIXED(REAL(duet_interpret_plain_chain))
#define VECTORS 4
#include "chain_template.h"
#endif

#define INTERPRET SUFFIXED(REAL(duet_interpret_narrow_chain))
#define VECTORS 1
#include "chain_template.h"

#if defined(DUET_ISA_AVX512)
#define INTERPRET SUFFIXED(REAL(duet_interpret_fetching_chain))
#define VECTORS 1
#define FETCHED 2304
#include "chain_template.h"
#undef FETCHED
#endif
#undef WITHOUT_FUNCTIONS
#undef SUFFIXED
