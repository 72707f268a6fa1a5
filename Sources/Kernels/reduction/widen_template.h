// From the dtypes of arrays to the types reduced in, and back for the 16-bit floats.

#define COPY(name, type, wide)                                                             \
  static void name(void *to, const char *from, int64_t stride, int64_t count) {            \
    wide *restrict w = to;                                                                 \
    if (stride == sizeof(type))                                                            \
      for (int64_t i = 0; i < count; i++) w[i] = (wide)((const type *)from)[i];            \
    else                                                                                   \
      for (int64_t i = 0; i < count; i++) w[i] = (wide) * (const type *)(from + i * stride); \
  }
COPY(widen_float32, float, float)
COPY(widen_float64, double, double)
COPY(widen_uint8, uint8_t, int64_t)
COPY(widen_int8, int8_t, int64_t)
COPY(widen_int16, int16_t, int64_t)
COPY(widen_int32, int32_t, int64_t)
COPY(widen_int64, int64_t, int64_t)
#undef COPY

#define HALF(type)                                                                         \
  static void widen_strided_##type(void *to, const char *from, int64_t stride, int64_t count) { \
    float *w = to;                                                                         \
    uint16_t block[64];                                                                    \
    _Alignas(64) float wide[64];                                                           \
    for (int64_t i = 0; i < count; i += 64) {                                              \
      int64_t n = count - i < 64 ? count - i : 64;                                         \
      const char *h = from + i * stride;                                                   \
      if (stride != 2) {                                                                   \
        for (int64_t k = 0; k < n; k++) block[k] = *(const uint16_t *)(h + k * stride);    \
        h = (const char *)block;                                                           \
      }                                                                                    \
      if (n == 64) {                                                                       \
        widen_##type(w + i, h, 64);                                                        \
      } else {                                                                             \
        widen_##type(wide, h, n);                                                          \
        memcpy(w + i, wide, (size_t)n * 4);                                                \
      }                                                                                    \
    }                                                                                      \
  }                                                                                        \
  static void narrow_array_##type(void *to, const void *from, int64_t count) {             \
    _Alignas(64) float last[16] = {0};                                                     \
    int64_t whole = count & ~(int64_t)15;                                                  \
    narrow_##type(to, from, whole);                                                        \
    if (whole == count) return;                                                            \
    memcpy(last, (const float *)from + whole, (size_t)(count - whole) * 4);                \
    narrow_##type((char *)to + whole * 2, last, count - whole);                            \
  }
HALF(float16)
HALF(bfloat16)
#undef HALF
