// Included with TYPE, VECTOR, IN (adds the suffix), INFINITE, and what is in memory: SOURCE,
// LOAD_SOURCE, PART_SOURCE; OWN_TYPE where that is TYPE itself.
#define IS_NAN(x) ((x) != (x))
#define IS_NUMBER(x) ((x) == (x))
#define OPERATION(name) JOIN(IN(sum), _##name)
#define COMBINE ADD
#define IDENTITY -0.0
#include "operation_template.h"

#define OPERATION(name) JOIN(IN(product), _##name)
#define COMBINE MULTIPLY
#define IDENTITY 1
#include "operation_template.h"

#define OPERATION(name) JOIN(IN(max), _##name)
#define COMBINE MAXIMUM
#define IDENTITY -INFINITE
#define QUICK(x, m) ((x) > (m) ? (x) : (m))
#include "operation_template.h"

#define OPERATION(name) JOIN(IN(min), _##name)
#define COMBINE MINIMUM
#define IDENTITY INFINITE
#define QUICK(x, m) ((x) < (m) ? (x) : (m))
#include "operation_template.h"

#define FIND(name) JOIN(IN(find_max), _##name)
#define BEYOND >
#define EXTREME JOIN(IN(max), _chunk)
#include "find_template.h"

#define FIND(name) JOIN(IN(find_min), _##name)
#define BEYOND <
#define EXTREME JOIN(IN(min), _chunk)
#include "find_template.h"

// Of squares, which elements become on the way from memory.
#ifdef OWN_TYPE
#undef OWN_TYPE
#undef LOAD_SOURCE
#undef PART_SOURCE
#define LOAD_SOURCE JOIN(load_square_, VECTOR)
#define PART_SOURCE JOIN(part_square_, VECTOR)
#define OPERATION(name) JOIN(IN(sum_squares), _##name)
#define COMBINE ADD
#define IDENTITY -0.0
#include "operation_template.h"
#endif

#undef TYPE
#undef SIGNED
#undef VECTOR
#undef SIGNED_VECTOR
#undef IN
#undef INFINITE
#undef SOURCE
#undef PLACE
#undef LOAD_SOURCE
#undef PART_SOURCE
#undef OWN_TYPE
#undef IS_NAN
#undef IS_NUMBER
