// float32 as the type of a template; no_real.h ends it.
#define REAL(name) name##_f32
#define SCALAR float
#define VECTOR f32x16
#define MASK i32x16
#define BYTES i8x16
#define LANES 16
#define SIZE 4
#define WIDE f32x32
