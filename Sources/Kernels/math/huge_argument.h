// Reduction of huge angles by pi / 2 (Payne and Hanek, 1983): with x = m 2^e, only the bits of 2 /
// pi whose products with x are not multiples of 4 matter, and 192 of them leave more than 64
// correct bits of the remainder of any float64. Integer arithmetic, one lane at a time.
#ifndef DUET_MATH_HUGE_ARGUMENT_H
#define DUET_MATH_HUGE_ARGUMENT_H

typedef struct {
  double high, low;  // the remainder in [-pi/4, pi/4]
  int64_t quadrant;  // modulo 4
} huge_reduction;

// |x| >= 1 and finite.
static huge_reduction __attribute__((noinline, unused)) reduce_huge(double x) {
  // One word of zeros, then the fraction of 2 / pi.
  static const uint64_t two_over_pi[] = {
      0,                     0xa2f9836e4e441529u, 0xfc2757d1f534ddc0u, 0xdb6295993c439041u,
      0xfe5163abdebbc561u, 0xb7246e3a424dd2e0u, 0x06492eea09d1921cu, 0xfe1deb1cb129a73eu,
      0xe88235f52ebb4484u, 0xe99c7026b45f7e41u, 0x3991d639835339f4u, 0x9c845f8bbdf9283bu,
      0x1ff897ffde05980fu, 0xef2f118b5a0a6d1fu, 0x6d367ecf27cb09b7u, 0x4f463f669e5fea2du,
      0x7527bac7ebe5f17bu, 0x3d0739f78a5292eau, 0x6bfb5fb11f8d5d08u, 0x56033046fc7b6babu,
      0xf0cfbc209af4361du};
  uint64_t u;
  memcpy(&u, &x, 8);
  uint64_t m = (u & 0xfffffffffffffu) | 0x10000000000000u;
  int e = (int)(u >> 52 & 2047) - 1075;
  // Bit k of 2 / pi weighs 2^-k; the window begins at k = e - 1, counted here with 64 zeros in
  // front.
  int first = e - 2 + 64, word = first >> 6, shift = first & 63;
  uint64_t w[3];
  for (int i = 0; i < 3; i++) {
    uint64_t a = two_over_pi[word + i], b = two_over_pi[word + i + 1];
    w[i] = shift ? a << shift | b >> (64 - shift) : a;
  }
  // m w modulo 2^192: two integer bits (the quadrant), then 190 of fraction.
  unsigned __int128 low = (unsigned __int128)m * w[2];
  unsigned __int128 middle = (unsigned __int128)m * w[1] + (uint64_t)(low >> 64);
  uint64_t p0 = (uint64_t)low, p1 = (uint64_t)middle, p2 = m * w[0] + (uint64_t)(middle >> 64);
  int64_t quadrant = (int64_t)((p2 + ((uint64_t)1 << 61)) >> 62) & 3;
  p2 = p2 << 2 | p1 >> 62;  // the fraction as a signed number in [-1/2, 1/2)
  p1 = p1 << 2 | p0 >> 62;
  p0 <<= 2;
  int negative = (int64_t)p2 < 0;
  if (negative) {
    p0 = ~p0 + 1;
    p1 = ~p1 + (p0 == 0);
    p2 = ~p2 + (p0 == 0 && p1 == 0);
  }
  // The fraction is (p2 p1) 2^exponent / 2^128 once p2 is normalised.
  int exponent = 0;
  if (p2 == 0) {
    p2 = p1, p1 = p0, p0 = 0;
    exponent = -64;
  }
  int zeros = p2 ? __builtin_clzll(p2) : 0;
  if (zeros) {
    p2 = p2 << zeros | p1 >> (64 - zeros);
    p1 = p1 << zeros | p0 >> (64 - zeros);
    exponent -= zeros;
  }
  uint64_t scale_bits = (uint64_t)(1023 - 64 + exponent) << 52;
  double scale;
  memcpy(&scale, &scale_bits, 8);
  double a = (double)(p2 >> 11) * 0x1p11 * scale;  // 53 bits exactly
  double b = ((double)(p2 & 2047) + (double)(p1 >> 11) * 0x1p-53) * scale;
  double high = a * 1.5707963267948966;
  double rest = __builtin_fma(a, 1.5707963267948966, -high);
  rest = __builtin_fma(a, 6.123233995736766e-17, __builtin_fma(b, 1.5707963267948966, rest));
  double sum = high + rest;
  double sum_low = high - sum + rest;
  if (negative) sum = -sum, sum_low = -sum_low;
  if (u >> 63) sum = -sum, sum_low = -sum_low, quadrant = -quadrant & 3;
  return (huge_reduction){sum, sum_low, quadrant};
}

#endif
