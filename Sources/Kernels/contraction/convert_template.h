// Widening of storage types to the type computed in, and rounding or wrapping back.

// IEEE 754 binary16 by integer operations: exact, subnormals included, the same on every processor.
DUET_INLINE float DUET_SUFFIX(widen_half)(uint16_t h) {
  uint32_t magnitude = (uint32_t)(h & 0x7fff) << 13, sign = (uint32_t)(h & 0x8000) << 16;
  // Rebias the exponent by 112 with a multiplication, which also normalises subnormals.
  float scaled;
  memcpy(&scaled, &magnitude, 4);
  scaled *= 0x1p112f;
  uint32_t bits;
  memcpy(&bits, &scaled, 4);
  bits |= magnitude >= 0x7c00u << 13 ? 0x7f800000u : 0;
  bits |= sign;
  memcpy(&scaled, &bits, 4);
  return scaled;
}

DUET_INLINE uint16_t DUET_SUFFIX(narrow_half)(float value) {
  uint32_t bits;
  memcpy(&bits, &value, 4);
  uint32_t sign = bits >> 16 & 0x8000, magnitude = bits & 0x7fffffff;
  // Normal results: add half of the last place kept, less one when that place is even.
  uint32_t normal = (magnitude - (112u << 23) + 0xfff + (magnitude >> 13 & 1)) >> 13;
  // Subnormal results: adding 0.5 leaves the rounded value in the low bits of the significand.
  float small;
  memcpy(&small, &magnitude, 4);
  small += 0.5f;
  uint32_t subnormal;
  memcpy(&subnormal, &small, 4);
  subnormal -= 0x3f000000u;
  uint32_t result = magnitude < 113u << 23 ? subnormal : normal;
  result = magnitude >= 0x477ff000u ? 0x7c00 : result;  // 65520 and above round to infinity
  result = magnitude > 0x7f800000u ? 0x7e00 : result;
  return (uint16_t)(sign | result);
}

DUET_INLINE float DUET_SUFFIX(widen_bfloat)(uint16_t b) {
  uint32_t bits = (uint32_t)b << 16;
  float value;
  memcpy(&value, &bits, 4);
  return value;
}

DUET_INLINE uint16_t DUET_SUFFIX(narrow_bfloat)(float value) {
  uint32_t bits;
  memcpy(&bits, &value, 4);
  uint32_t rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
  return (uint16_t)((bits & 0x7fffffff) > 0x7f800000u ? bits >> 16 | 0x40 : rounded);
}

#define WIDEN(name, from_type, to_type, convert)                                                   \
  static void DUET_SUFFIX(name)(void *wide, const void *narrow, int64_t count, int64_t stride) {   \
    to_type *restrict to = wide;                                                                   \
    const from_type *restrict from = narrow;                                                       \
    if (stride == 1)                                                                               \
      for (int64_t i = 0; i < count; i++) to[i] = convert(from[i]);                                \
    else                                                                                           \
      for (int64_t i = 0; i < count; i++) to[i] = convert(from[i * stride]);                       \
  }
#define NARROW(name, from_type, to_type, convert)                                                  \
  static void DUET_SUFFIX(name)(void *narrow, const void *wide, int64_t count) {                   \
    to_type *restrict to = narrow;                                                                 \
    const from_type *restrict from = wide;                                                         \
    for (int64_t i = 0; i < count; i++) to[i] = convert(from[i]);                                  \
  }
#define IS_TRUE(x) ((x) != 0)

WIDEN(widen_f16, uint16_t, float, DUET_SUFFIX(widen_half))
WIDEN(widen_bf16, uint16_t, float, DUET_SUFFIX(widen_bfloat))
WIDEN(widen_bool, uint8_t, uint32_t, IS_TRUE)
WIDEN(widen_u8, uint8_t, uint32_t, (uint32_t))
WIDEN(widen_i8, int8_t, uint32_t, (uint32_t))
WIDEN(widen_i16, int16_t, uint32_t, (uint32_t))
NARROW(narrow_f16, float, uint16_t, DUET_SUFFIX(narrow_half))
NARROW(narrow_bf16, float, uint16_t, DUET_SUFFIX(narrow_bfloat))
NARROW(narrow_bool, uint32_t, uint8_t, IS_TRUE)
NARROW(narrow_u8, uint32_t, uint8_t, (uint8_t))
NARROW(narrow_i16, uint32_t, uint16_t, (uint16_t))

#undef WIDEN
#undef NARROW
#undef IS_TRUE
