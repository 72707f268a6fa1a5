// Ends what real_f32.h or real_f64.h began.
#undef REAL
#undef SCALAR
#undef VECTOR
#undef MASK
#undef BYTES
#undef LANES
#undef SIZE
#undef WIDE
