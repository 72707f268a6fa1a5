#pragma STDC FP_CONTRACT OFF
#include "loops.h"

enum { CHUNK = 1 << 16 };  // elements of one task

static int64_t chunk_count(int64_t count) { return (count + CHUNK - 1) / CHUNK; }

static int64_t chunk_size(int64_t index, int64_t count) {
  int64_t left = count - index * CHUNK;
  return left < CHUNK ? left : CHUNK;
}

void duet_fill_run(char *to, uint64_t bits, int64_t count, int64_t size) {
  uint8_t first = (uint8_t)bits;
  int64_t unused = 64 - 8 * size;
  if (bits << unused == (UINT64_MAX / 0xff * first) << unused) {  // every byte the same: mostly zeros
    memset(to, first, (size_t)(count * size));
    return;
  }
  switch (size) {
    case 2: for (int64_t i = 0; i < count; i++) ((uint16_t *)to)[i] = (uint16_t)bits; break;
    case 4: for (int64_t i = 0; i < count; i++) ((uint32_t *)to)[i] = (uint32_t)bits; break;
    default: for (int64_t i = 0; i < count; i++) ((uint64_t *)to)[i] = bits; break;
  }
}

static void fill_chunk(void *context, int64_t index) {
  const duet_fill_call *call = context;
  int64_t begin = index * CHUNK, n = chunk_size(index, call->count);
  duet_fill_run((char *)call->operand[0] + begin * call->element_size, call->bits, n, call->element_size);
}

duet_status duet_fill(const void *argument) {
  const duet_fill_call *call = argument;
  if (call->count <= CHUNK) {
    if (call->count > 0) fill_chunk((void *)call, 0);
  } else {
    duet_parallel_for(chunk_count(call->count), fill_chunk, (void *)call);
  }
  return DUET_OK;
}

// The index as a float32 is exact up to 2^24, as a float64 up to 2^53; then it rounds.
static void iota_f32(float *to, int64_t begin, int64_t n, const duet_iota_call *call) {
  float start = (float)call->start, step = (float)call->step;
  for (int64_t i = 0; i < n; i++) to[i] = start + (float)(begin + i) * step;
}

#define IOTA_INTEGER(type)                                                                       \
  for (int64_t i = 0; i < n; i++)                                                                \
    ((type *)to)[i] = (type)((uint64_t)call->integer_start +                                     \
                             (uint64_t)(begin + i) * (uint64_t)call->integer_step);              \
  break;

static void iota_chunk(void *context, int64_t index) {
  const duet_iota_call *call = context;
  int64_t begin = index * CHUNK, n = chunk_size(index, call->count);
  char *to = (char *)call->operand[0] + begin * (int64_t)duet_dtype_size(call->dtype);
  switch (call->dtype) {
    case DUET_UINT8: IOTA_INTEGER(uint8_t)
    case DUET_INT8: IOTA_INTEGER(int8_t)
    case DUET_INT16: IOTA_INTEGER(int16_t)
    case DUET_INT32: IOTA_INTEGER(int32_t)
    case DUET_INT64: IOTA_INTEGER(int64_t)
    case DUET_FLOAT32: iota_f32((float *)to, begin, n, call); break;
    case DUET_FLOAT64:
      for (int64_t i = 0; i < n; i++)
        ((double *)to)[i] = call->start + (double)(begin + i) * call->step;
      break;
    case DUET_FLOAT16:
    case DUET_BFLOAT16: {
      duet_loop cast = duet_cast_loop(DUET_FLOAT32, call->dtype);
      float wide[256];
      for (int64_t i = 0; i < n; i += 256) {
        int64_t m = n - i < 256 ? n - i : 256;
        iota_f32(wide, begin + i, m, call);
        cast((char *[]){to + i * 2, (char *)wide}, (int64_t[]){2, 4}, m);
      }
      break;
    }
    default:  // bool
      for (int64_t i = 0; i < n; i++)
        to[i] = (uint64_t)call->integer_start +
                    (uint64_t)(begin + i) * (uint64_t)call->integer_step != 0;
  }
}

duet_status duet_iota(const void *argument) {
  const duet_iota_call *call = argument;
  if (call->count <= CHUNK) {
    if (call->count > 0) iota_chunk((void *)call, 0);
  } else {
    duet_parallel_for(chunk_count(call->count), iota_chunk, (void *)call);
  }
  return DUET_OK;
}
