// Integers wrap: they are unsigned but where they are compared.
#define IS_INTEGER 1
#define IS_NAN(x) 0
#define IS_NUMBER(x) 1
#define OPERATION(name) JOIN(IN(sum), _##name)
#define COMBINE ADD
#define IDENTITY 0
#include "operation_template.h"

#define OPERATION(name) JOIN(IN(product), _##name)
#define COMBINE MULTIPLY
#define IDENTITY 1
#include "operation_template.h"

#define OPERATION(name) JOIN(IN(max), _##name)
#define COMBINE INTEGER_MAXIMUM
#define IDENTITY INT64_MIN
#include "operation_template.h"

#define OPERATION(name) JOIN(IN(min), _##name)
#define COMBINE INTEGER_MINIMUM
#define IDENTITY INT64_MAX
#include "operation_template.h"

#define FIND(name) JOIN(IN(find_max), _##name)
#define BEYOND >
#define EXTREME JOIN(IN(max), _chunk)
#include "find_template.h"

#define FIND(name) JOIN(IN(find_min), _##name)
#define BEYOND <
#define EXTREME JOIN(IN(min), _chunk)
#include "find_template.h"

#undef TYPE
#undef SIGNED
#undef VECTOR
#undef SIGNED_VECTOR
#undef IN
#undef SOURCE
#undef PLACE
#undef LOAD_SOURCE
#undef PART_SOURCE
#undef OWN_TYPE
#undef IS_INTEGER
#undef IS_NAN
#undef IS_NUMBER
