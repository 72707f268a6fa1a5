// float64 as the type of a template; no_real.h ends it.
#define REAL(name) name##_f64
#define SCALAR double
#define VECTOR f64x8
#define MASK i64x8
#define BYTES i8x8
#define LANES 8
#define SIZE 8
#define WIDE f64x16
