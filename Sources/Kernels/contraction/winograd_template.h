// Transforms of Winograd's algorithm, 16 channels at a time. Each is written out as additions in one
// order; multiplications are by 1/2 only.

// 16 rows of 16 become 16 columns.
DUET_INLINE void DUET_SUFFIX(winograd_transpose)(f32x16 v[16]) {
  f32x16 a[16];
#pragma clang loop unroll(full)
  for (int i = 0; i < 16; i += 2) {
    a[i] = __builtin_shufflevector(v[i], v[i + 1], 0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28,
                                   13, 29);
    a[i + 1] = __builtin_shufflevector(v[i], v[i + 1], 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27,
                                       14, 30, 15, 31);
  }
#pragma clang loop unroll(full)
  for (int i = 0; i < 16; i += 4) {
#pragma clang loop unroll(full)
    for (int j = 0; j < 2; j++) {
      v[i + 2 * j] = __builtin_shufflevector(a[i + j], a[i + j + 2], 0, 1, 16, 17, 4, 5, 20, 21, 8,
                                             9, 24, 25, 12, 13, 28, 29);
      v[i + 2 * j + 1] = __builtin_shufflevector(a[i + j], a[i + j + 2], 2, 3, 18, 19, 6, 7, 22, 23,
                                                 10, 11, 26, 27, 14, 15, 30, 31);
    }
  }
  // v[4 g + r]: in its quarter q, column 4 q + r of rows 4 g ..< 4 g + 4.
#pragma clang loop unroll(full)
  for (int r = 0; r < 4; r++) {
    a[r] = __builtin_shufflevector(v[r], v[r + 4], 0, 1, 2, 3, 16, 17, 18, 19, 8, 9, 10, 11, 24, 25,
                                   26, 27);
    a[r + 4] = __builtin_shufflevector(v[r], v[r + 4], 4, 5, 6, 7, 20, 21, 22, 23, 12, 13, 14, 15,
                                       28, 29, 30, 31);
    a[r + 8] = __builtin_shufflevector(v[r + 8], v[r + 12], 0, 1, 2, 3, 16, 17, 18, 19, 8, 9, 10,
                                       11, 24, 25, 26, 27);
    a[r + 12] = __builtin_shufflevector(v[r + 8], v[r + 12], 4, 5, 6, 7, 20, 21, 22, 23, 12, 13, 14,
                                        15, 28, 29, 30, 31);
  }
#pragma clang loop unroll(full)
  for (int r = 0; r < 8; r++) {
    v[r] = __builtin_shufflevector(a[r], a[r + 8], 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21,
                                   22, 23);
    v[r + 8] = __builtin_shufflevector(a[r], a[r + 8], 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27,
                                       28, 29, 30, 31);
  }
}

static void DUET_SUFFIX(winograd_gather)(float *to, const float *from, int64_t stride,
                                         int64_t lanes, int64_t count) {
  f32x16 v[16];
  for (int64_t p = 0; p < count; p += 16, from += 16, to += 256) {
    int64_t n = count - p < 16 ? count - p : 16;
    if (n == 16 && lanes == 16) {
#pragma clang loop unroll(full)
      for (int i = 0; i < 16; i++) v[i] = load_f32(from + i * stride);
    } else {
#pragma clang loop unroll(full)
      for (int i = 0; i < 16; i++)
        v[i] = i >= lanes ? (f32x16)0
               : n == 16  ? load_f32(from + i * stride)
                          : load_part_f32(from + i * stride, n);
    }
    DUET_SUFFIX(winograd_transpose)(v);
    if (n == 16) {
#pragma clang loop unroll(full)
      for (int i = 0; i < 16; i++) store_f32(to + 16 * i, v[i]);
    } else {
#pragma clang loop unroll(full)
      for (int i = 0; i < 16; i++)
        if (i < n) store_f32(to + 16 * i, v[i]);
    }
  }
}

static void DUET_SUFFIX(winograd_scatter)(float *to, int64_t stride, const float *from,
                                          int64_t lanes, int64_t count) {
  f32x16 v[16];
  for (int64_t p = 0; p < count; p += 16, from += 256, to += 16) {
    int64_t n = count - p < 16 ? count - p : 16;
    if (n == 16) {
#pragma clang loop unroll(full)
      for (int i = 0; i < 16; i++) v[i] = load_f32(from + 16 * i);
    } else {
#pragma clang loop unroll(full)
      for (int i = 0; i < 16; i++) v[i] = i < n ? load_f32(from + 16 * i) : (f32x16)0;
    }
    DUET_SUFFIX(winograd_transpose)(v);
    if (n == 16 && lanes == 16) {
#pragma clang loop unroll(full)
      for (int i = 0; i < 16; i++) store_f32(to + i * stride, v[i]);
    } else {
#pragma clang loop unroll(full)
      for (int i = 0; i < 16; i++) {
        if (i >= lanes) continue;
        if (n == 16)
          store_f32(to + i * stride, v[i]);
        else
          store_part_f32(to + i * stride, v[i], n);
      }
    }
  }
}

// A line is taken in parts of a register, so that the 4 x 4 elements of a tile stay in registers.
#if defined(DUET_ISA_AVX512)
#define PART 16
#elif defined(DUET_ISA_AVX2)
#define PART 8
#else
#define PART 4
#endif
typedef DUET_LANES(float, PART) DUET_SUFFIX(winograd_part);
typedef DUET_SUFFIX(winograd_part) DUET_SUFFIX(winograd_part_any) __attribute__((aligned(4)));

#define VECTOR DUET_SUFFIX(winograd_part)
#define LOAD(p) (*(const DUET_SUFFIX(winograd_part_any) *)(p))
#define STORE(p, v) (*(DUET_SUFFIX(winograd_part_any) *)(p) = (v))
#define EACH_PART for (int part = 0; part < 16; part += PART)
#define EACH_POINT _Pragma("clang loop unroll(full)") for (int i = 0; i < 4; i++)

// One column of  B' d:  B' = [1 0 -1 0;  0 1 1 0;  0 -1 1 0;  0 1 0 -1].
DUET_INLINE void DUET_SUFFIX(winograd_image_column)(VECTOR v[4], const float *from, int64_t pitch) {
  VECTOR a = LOAD(from), b = LOAD(from + pitch), c = LOAD(from + 2 * pitch);
  VECTOR d = LOAD(from + 3 * pitch);
  v[0] = a - c;
  v[1] = b + c;
  v[2] = c - b;
  v[3] = b - d;
}

// B' d B: neighbours share two columns.
static void DUET_SUFFIX(winograd_image)(float *points, int64_t point, int64_t tile,
                                        const float *image, int64_t pitch, int64_t tiles) {
  EACH_PART {
    VECTOR a[4], b[4], c[4], d[4];
    const float *from = image + part;
    float *to = points + part;
    DUET_SUFFIX(winograd_image_column)(a, from, pitch);
    DUET_SUFFIX(winograd_image_column)(b, from + 16, pitch);
    for (int64_t t = 0; t < tiles; t++, to += tile) {
      from += 32;
      DUET_SUFFIX(winograd_image_column)(c, from, pitch);
      DUET_SUFFIX(winograd_image_column)(d, from + 16, pitch);
      EACH_POINT {
        float *row = to + 4 * i * point;
        STORE(row, a[i] - c[i]);
        STORE(row + point, b[i] + c[i]);
        STORE(row + 2 * point, c[i] - b[i]);
        STORE(row + 3 * point, b[i] - d[i]);
        a[i] = c[i];
        b[i] = d[i];
      }
    }
  }
}

// A y A':  A = [1 0;  1 1;  1 -1;  0 -1].
static void DUET_SUFFIX(winograd_gradient)(float *points, int64_t point, int64_t tile,
                                           const float *image, int64_t pitch, int64_t tiles) {
  EACH_PART {
    const float *from = image + part;
    float *to = points + part;
    for (int64_t t = 0; t < tiles; t++, to += tile, from += 32) {
      VECTOR a[4], b[4];
      a[0] = LOAD(from);
      a[3] = -LOAD(from + pitch);
      a[1] = a[0] - a[3];
      a[2] = a[0] + a[3];
      b[0] = LOAD(from + 16);
      b[3] = -LOAD(from + pitch + 16);
      b[1] = b[0] - b[3];
      b[2] = b[0] + b[3];
      EACH_POINT {
        float *row = to + 4 * i * point;
        STORE(row, a[i]);
        STORE(row + point, a[i] + b[i]);
        STORE(row + 2 * point, a[i] - b[i]);
        STORE(row + 3 * point, -b[i]);
      }
    }
  }
}

// A' m A:  A' = [1 1 1 0;  0 1 -1 -1].
static void DUET_SUFFIX(winograd_result)(float *image, int64_t pitch, const float *points,
                                         int64_t point, int64_t tile, int64_t tiles) {
  EACH_PART {
    const float *from = points + part;
    float *to = image + part;
    for (int64_t t = 0; t < tiles; t++, from += tile, to += 32) {
      VECTOR a[4], b[4];
      EACH_POINT {
        VECTOR m0 = LOAD(from + i * point), m1 = LOAD(from + (4 + i) * point);
        VECTOR m2 = LOAD(from + (8 + i) * point), m3 = LOAD(from + (12 + i) * point);
        a[i] = (m0 + m1) + m2;
        b[i] = (m1 - m2) - m3;
      }
      STORE(to, (a[0] + a[1]) + a[2]);
      STORE(to + 16, (a[1] - a[2]) - a[3]);
      STORE(to + pitch, (b[0] + b[1]) + b[2]);
      STORE(to + pitch + 16, (b[1] - b[2]) - b[3]);
    }
  }
}

// G g G':  G = [1 0 0;  1/2 1/2 1/2;  1/2 -1/2 1/2;  0 0 1].
static void DUET_SUFFIX(winograd_weight)(float *points, int64_t point, int64_t item,
                                         const float *weight, int64_t step, const int64_t *tap,
                                         int64_t items) {
  EACH_PART {
    const float *from = weight + part;
    float *to = points + part;
    for (int64_t t = 0; t < items; t++, from += step, to += item) {
      VECTOR v[4][3];
#pragma clang loop unroll(full)
      for (int j = 0; j < 3; j++) {
        VECTOR a = LOAD(from + tap[j]), b = LOAD(from + tap[3 + j]), c = LOAD(from + tap[6 + j]);
        v[0][j] = a;
        v[1][j] = ((a + c) + b) * 0.5f;
        v[2][j] = ((a + c) - b) * 0.5f;
        v[3][j] = c;
      }
      EACH_POINT {
        float *row = to + 4 * i * point;
        STORE(row, v[i][0]);
        STORE(row + point, ((v[i][0] + v[i][2]) + v[i][1]) * 0.5f);
        STORE(row + 2 * point, ((v[i][0] + v[i][2]) - v[i][1]) * 0.5f);
        STORE(row + 3 * point, v[i][2]);
      }
    }
  }
}

// G' m G.
static void DUET_SUFFIX(winograd_weight_gradient)(float *weight, const float *points,
                                                  int64_t point) {
  EACH_PART {
    const float *from = points + part;
    float *to = weight + part;
    VECTOR v[3][4];
    EACH_POINT {
      VECTOR m0 = LOAD(from + i * point), m1 = LOAD(from + (4 + i) * point);
      VECTOR m2 = LOAD(from + (8 + i) * point), m3 = LOAD(from + (12 + i) * point);
      v[0][i] = m0 + (m1 + m2) * 0.5f;
      v[1][i] = (m1 - m2) * 0.5f;
      v[2][i] = (m1 + m2) * 0.5f + m3;
    }
#pragma clang loop unroll(full)
    for (int i = 0; i < 3; i++) {
      VECTOR *m = v[i];
      STORE(to + 48 * i, m[0] + (m[1] + m[2]) * 0.5f);
      STORE(to + 48 * i + 16, (m[1] - m[2]) * 0.5f);
      STORE(to + 48 * i + 32, (m[1] + m[2]) * 0.5f + m[3]);
    }
  }
}

#undef PART
#undef VECTOR
#undef LOAD
#undef STORE
#undef EACH_PART
#undef EACH_POINT

const duet_winograd_table DUET_SUFFIX(duet_winograd) = {
  .gather = DUET_SUFFIX(winograd_gather),
  .scatter = DUET_SUFFIX(winograd_scatter),
  .image = DUET_SUFFIX(winograd_image),
  .gradient = DUET_SUFFIX(winograd_gradient),
  .result = DUET_SUFFIX(winograd_result),
  .weight = DUET_SUFFIX(winograd_weight),
  .weight_gradient = DUET_SUFFIX(winograd_weight_gradient),
};
