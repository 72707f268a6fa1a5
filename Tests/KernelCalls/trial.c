#include "trial.h"

#pragma STDC FP_CONTRACT OFF

enum { GUARD = 256, FILLING = 0xA5 };

const char *const duet_dtype_names[DUET_DTYPE_COUNT] = {
    "bool",  "uint8",   "int8",     "int16",   "int32",
    "int64", "float16", "bfloat16", "float32", "float64"};

// SplitMix64 (Steele, Lea and Flood 2014).
static uint64_t next(uint64_t *state) {
  uint64_t z = *state += 0x9E3779B97F4A7C15;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
  return z ^ (z >> 31);
}

int64_t trial_int(trial *t, int64_t low, int64_t high) {
  return low + (int64_t)(next(&t->shapes) % (uint64_t)(high - low + 1));
}

int trial_chance(trial *t, int32_t percent) { return trial_int(t, 0, 99) < percent; }

int64_t trial_pick(trial *t, const int64_t *from, int64_t count) {
  return from[trial_int(t, 0, count - 1)];
}

// By number, so that a few calls already hold a large one.
int trial_is_large(const trial *t) { return t->call % 10 == 3; }

int64_t trial_size(int32_t rank, const int64_t *shape) {
  int64_t size = 1;
  for (int32_t i = 0; i < rank; i++) size *= shape[i];
  return size;
}

int32_t trial_shape(trial *t, int32_t least, int32_t most, int64_t limit, int64_t *shape) {
  if (trial_is_large(t)) {
    static const int64_t large[][4] = {{150001},    {70000},     {257, 401},      {3, 33000},
                                       {40000, 3},  {1500, 65},  {17, 31, 190},   {2, 40000, 2},
                                       {260, 1, 300}, {5, 7, 61, 53}};
    for (;;) {
      const int64_t *choice = large[trial_int(t, 0, 9)];
      int32_t rank = 0;
      while (rank < 4 && choice[rank] > 0) rank++;
      if (rank < least || rank > most) continue;
      memcpy(shape, choice, sizeof(int64_t) * (size_t)rank);
      return rank;
    }
  }
  int32_t rank = (int32_t)trial_int(t, least, most);
  int64_t count = 1;
  for (int32_t i = 0; i < rank; i++) {
    int64_t size = PICK(t, 1, 1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 31, 33, 64, 100, 1023, 1024, 1025);
    if (trial_chance(t, 3)) size = 0;
    if (count * size > limit) size = trial_int(t, 1, 4);
    if (count * size > limit) size = 1;
    shape[i] = size;
    count *= size;
  }
  return rank;
}

trial_values trial_some_values(trial *t) { return (trial_values)trial_int(t, ORDINARY, ARBITRARY); }

// A floating-point dtype's exponent and fraction widths.
static void format(duet_dtype dtype, int *exponent, int *fraction) {
  *exponent = dtype == DUET_FLOAT16 ? 5 : dtype == DUET_FLOAT64 ? 11 : 8;
  *fraction = dtype == DUET_FLOAT16 ? 10 : dtype == DUET_BFLOAT16 ? 7 : dtype == DUET_FLOAT32 ? 23 : 52;
}

static uint64_t special(trial *t, duet_dtype dtype) {
  if (dtype < DUET_FLOAT16) {
    int bits = 8 * (int)duet_dtype_size(dtype);
    uint64_t all = ~(uint64_t)0 >> (64 - bits);
    switch (trial_int(t, 0, 4)) {
      case 0: return 0;
      case 1: return 1;
      case 2: return all;
      case 3: return all >> 1;
      default: return (uint64_t)1 << (bits - 1);
    }
  }
  int e, f;
  format(dtype, &e, &f);
  uint64_t sign = (next(&t->shapes) & 1) << (e + f);
  uint64_t infinity = (((uint64_t)1 << e) - 1) << f;
  uint64_t one = (((uint64_t)1 << (e - 1)) - 1) << f;
  uint64_t fraction = next(&t->shapes) & (((uint64_t)1 << f) - 1);
  switch (trial_int(t, 0, 7)) {
    case 0: return sign;
    case 1: return sign | infinity;
    case 2: return sign | infinity | (uint64_t)1 << (f - 1);
    case 3: return sign | 1;
    case 4: return sign | fraction;
    case 5: return sign | (infinity - 1);
    case 6: return sign | (uint64_t)1 << f;
    default: return sign | one;
  }
}

static uint64_t ordinary(trial *t, duet_dtype dtype) {
  uint64_t bits = next(&t->shapes);
  if (dtype == DUET_UINT8) return bits % 41;
  if (dtype < DUET_FLOAT16) return (uint64_t)((int64_t)(bits % 41) - 20);
  double value = (double)(bits >> 11) * 0x1p-53 * 6 - 3;
  if (dtype == DUET_FLOAT64) {
    memcpy(&bits, &value, 8);
    return bits;
  }
  float narrow = (float)value;
  uint32_t word;
  memcpy(&word, &narrow, 4);
  if (dtype == DUET_FLOAT32) return word;
  if (dtype == DUET_BFLOAT16) return word >> 16;
  // Magnitudes from 2^-6 to 4 in float16.
  return (bits & 0x83FF) | (9 + (bits >> 32) % 8) << 10;
}

static uint64_t element(trial *t, duet_dtype dtype, trial_values values) {
  if (dtype == DUET_BOOL) return next(&t->shapes) & 1;
  if (values == ARBITRARY) return next(&t->shapes);
  if (values == SPECIAL && trial_chance(t, 30)) return special(t, dtype);
  if (values == SPRINKLED && trial_chance(t, 1)) return special(t, dtype);
  return ordinary(t, dtype);
}

// Memory for so many elements with a guard on either side.
static trial_array *reserve(trial *t, duet_dtype dtype, int64_t count) {
  if (t->count == TRIAL_ARRAYS) abort();
  trial_array *a = &t->array[t->count++];
  int64_t size = (int64_t)duet_dtype_size(dtype);
  // A third of the arrays begin at a cache line, the others anywhere.
  uint64_t place = next(&t->places);
  int64_t shift = place % 3 == 0 ? 0 : (int64_t)(place / 3 % 64) * size;
  *a = (trial_array){.bytes = count * size, .count = count, .dtype = dtype};
  size_t room = (size_t)(a->bytes + 2 * GUARD + shift + 63) & ~(size_t)63;
  a->memory = aligned_alloc(64, room);
  if (!a->memory) abort();
  memset(a->memory, FILLING, room);
  a->base = a->memory + GUARD + shift;
  return a;
}

char *trial_input(trial *t, duet_dtype dtype, int64_t count, trial_values values) {
  trial_array *a = reserve(t, dtype, count);
  a->count = -1;
  size_t size = duet_dtype_size(dtype);
  for (int64_t i = 0; i < count; i++) {
    uint64_t bits = element(t, dtype, values);
    memcpy(a->base + i * (int64_t)size, &bits, size);  // little-endian, as all processors here are
  }
  return a->base;
}

char *trial_result(trial *t, duet_dtype dtype, int64_t count) {
  return reserve(t, dtype, count)->base;
}

char *trial_view(trial *t, duet_dtype dtype, int32_t rank, const int64_t *shape,
                 trial_values values, int is_contiguous, int64_t *stride) {
  int64_t size = (int64_t)duet_dtype_size(dtype), step[DUET_MAX_RANK];
  int32_t order[DUET_MAX_RANK];
  int is_empty = trial_size(rank, shape) == 0;
  for (int32_t i = 0; i < rank; i++) {
    order[i] = i;
    step[i] = is_contiguous ? 1 : PICK(t, 1, 1, 1, 2, 3, -1, -1, -2, 0);
  }
  if (!is_contiguous)
    for (int32_t i = rank - 1; i > 0; i--) {
      int32_t j = (int32_t)trial_int(t, 0, i), kept = order[i];
      order[i] = order[j];
      order[j] = kept;
    }
  int64_t room = 1, first = 0;
  for (int32_t i = rank - 1; i >= 0; i--) {
    int32_t axis = order[i];
    int64_t length = step[axis] < 0 ? -step[axis] : step[axis];
    stride[axis] = room * step[axis] * size;
    if (is_empty) continue;
    if (step[axis] < 0) first += (shape[axis] - 1) * room * length;
    room *= (shape[axis] - 1) * length + 1 + (is_contiguous ? 0 : trial_int(t, 0, 1));
  }
  return trial_input(t, dtype, is_empty ? 0 : room, values) + first * size;
}

char *trial_indices(trial *t, duet_dtype dtype, int64_t count, int64_t axis) {
  trial_array *a = reserve(t, dtype, count);
  a->count = -1;
  for (int64_t i = 0; i < count; i++) {
    int64_t index = trial_int(t, -axis, axis - 1);
    memcpy(a->base + i * (int64_t)duet_dtype_size(dtype), &index, duet_dtype_size(dtype));
  }
  return a->base;
}

void trial_add(trial *t, uint64_t bits) {
  uint64_t h = (t->hash ^ bits) * 0x9E3779B97F4A7C15 + 1;  // zeros count, too
  t->hash = h ^ (h >> 29);
}

static int is_nan(duet_dtype dtype, uint64_t bits) {
  if (dtype < DUET_FLOAT16) return 0;
  int e, f;
  format(dtype, &e, &f);
  return (bits & (((uint64_t)1 << (e + f)) - 1)) > (((uint64_t)1 << e) - 1) << f;
}

void trial_end(trial *t) {
  for (int32_t i = 0; i < t->count; i++) {
    const trial_array *a = &t->array[i];
    int64_t size = (int64_t)duet_dtype_size(a->dtype), overrun = 0;
    for (int64_t k = 1; k <= GUARD; k++) {
      overrun |= (unsigned char)a->base[-k] != FILLING;
      overrun |= (unsigned char)a->base[a->bytes + k - 1] != FILLING;
    }
    t->overruns += overrun != 0;
    for (int64_t k = 0; k < a->count; k++) {
      uint64_t bits = 0;
      memcpy(&bits, a->base + k * size, (size_t)size);
      trial_add(t, is_nan(a->dtype, bits) ? 0x7FF8DEAD : bits);
    }
    free(a->memory);
  }
  t->count = 0;
}
