// Philox4x32-10 (Salmon et al., SC 2011), sixteen blocks at a time: vector w holds word w of each
// block.
#ifndef DUET_PHILOX_H
#define DUET_PHILOX_H

typedef struct {
  u32x16 word[4];
} philox_blocks;

typedef struct {
  u32x16 high, low;
} wide_product;

// Even lanes and odd lanes of the 32 x 32 -> 64 bit products are computed apart, in their own
// places.
DUET_INLINE wide_product multiply_wide(u32x16 x, uint32_t factor) {
  u64x8 pairs = (u64x8)x;
  u64x8 even = (pairs & 0xffffffff) * (uint64_t)factor, odd = (pairs >> 32) * (uint64_t)factor;
  return (wide_product){(u32x16)((even >> 32) | (odd & 0xffffffff00000000)),
                        (u32x16)((even & 0xffffffff) | (odd << 32))};
}

DUET_INLINE philox_blocks philox_rounds(philox_blocks b, uint32_t key_0, uint32_t key_1) {
#pragma clang loop unroll(full)
  for (int round = 0; round < 10; round++) {
    wide_product p = multiply_wide(b.word[0], 0xd2511f53), q = multiply_wide(b.word[2], 0xcd9e8d57);
    b = (philox_blocks){{q.high ^ b.word[1] ^ key_0, q.low, p.high ^ b.word[3] ^ key_1, p.low}};
    key_0 += 0x9e3779b9;
    key_1 += 0xbb67ae85;
  }
  return b;
}

// The blocks counter ..< counter + 16; the upper half of their 128-bit counters is 0.
DUET_INLINE philox_blocks philox(uint64_t seed, uint64_t counter) {
  const u32x16 lane = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  u32x16 low = (uint32_t)counter + lane;
  u32x16 carry = (u32x16)(low < (uint32_t)counter) & 1;
  philox_blocks b = {{low, (uint32_t)(counter >> 32) + carry, (u32x16)0, (u32x16)0}};
  return philox_rounds(b, (uint32_t)seed, (uint32_t)(seed >> 32));
}

// Vectors of the words in order: word w of block j is number 4 j + w.
DUET_INLINE philox_blocks in_order(philox_blocks b) {
  u32x16 a = __builtin_shufflevector(b.word[0], b.word[1], 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21,
                                     6, 22, 7, 23);
  u32x16 c = __builtin_shufflevector(b.word[0], b.word[1], 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13,
                                     29, 14, 30, 15, 31);
  u32x16 d = __builtin_shufflevector(b.word[2], b.word[3], 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21,
                                     6, 22, 7, 23);
  u32x16 e = __builtin_shufflevector(b.word[2], b.word[3], 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13,
                                     29, 14, 30, 15, 31);
#define FIRST_HALF 0, 1, 16, 17, 2, 3, 18, 19, 4, 5, 20, 21, 6, 7, 22, 23
#define SECOND_HALF 8, 9, 24, 25, 10, 11, 26, 27, 12, 13, 28, 29, 14, 15, 30, 31
  return (philox_blocks){{__builtin_shufflevector(a, d, FIRST_HALF),
                          __builtin_shufflevector(a, d, SECOND_HALF),
                          __builtin_shufflevector(c, e, FIRST_HALF),
                          __builtin_shufflevector(c, e, SECOND_HALF)}};
#undef FIRST_HALF
#undef SECOND_HALF
}

#endif
