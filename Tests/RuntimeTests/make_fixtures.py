"""Makes conversions.json: float16 and bfloat16 conversions as NumPy and PyTorch do them."""

import json
import struct

import numpy as np
import torch

rng = np.random.default_rng(7)
special = [0.0, -0.0, 1.0, -1.0, 65504.0, 65519.999, 65520.0, -65520.0, 1e5, 2.0**-14, 2.0**-15, 2.0**-24,
           2.0**-25, 2.0**-25 * 1.0000001, 1.5 * 2.0**-25, 2.0**-149, 1 + 2.0**-11, 1 + 3 * 2.0**-11,
           1 + 2.0**-11 + 2.0**-40, 1 + 2.0**-8, 1 + 3 * 2.0**-8, 1 + 2.0**-8 + 2.0**-30, 3.3895e38, 3.4e38,
           1e39, -1e39, 1e-40, 9.2e-41, 4.6e-41, 1e-320, float("inf"), float("-inf")]
values = special + list(rng.standard_normal(150) * 10.0 ** rng.uniform(-9, 6, 150))
# Halfway cases of both formats.
values += [float(np.float64(v)) for v in (1 + (2 * rng.integers(0, 1024, 40) + 1) * 2.0**-11) * 2.0 ** rng.integers(-10, 10, 40)]
values += [float(np.float64(v)) for v in (1 + (2 * rng.integers(0, 128, 40) + 1) * 2.0**-8) * 2.0 ** rng.integers(-60, 60, 40)]


def bfloat16_of(value):
    """The nearest bfloat16, ties to even, in one rounding from float64 (by exact comparison)."""
    near = torch.tensor(value, dtype=torch.float64).to(torch.float32).to(torch.bfloat16)
    bits = near.view(torch.int16).item() & 0xFFFF
    best = None
    for candidate in (bits - 1, bits, bits + 1):
        if candidate & 0x7FFF > 0x7F80 or candidate < 0 or (candidate ^ bits) & 0x8000:
            continue
        if candidate & 0x7FFF == 0x7F80:
            number = 2.0**128 * (-1 if candidate & 0x8000 else 1)
        else:
            number = struct.unpack("<f", struct.pack("<I", candidate << 16))[0]
        distance = abs(number - value) if np.isfinite(value) else (0 if candidate == bits else 1)
        key = (distance, candidate & 1)
        if best is None or key < best[0]:
            best = (key, candidate)
    return best[1]


entries = []
for value in values:
    with np.errstate(over="ignore"):
        half = int(np.float64(value).astype(np.float16).view(np.uint16))
    entries.append([struct.unpack("<Q", struct.pack("<d", value))[0], half, bfloat16_of(value)])
halves = [struct.unpack("<Q", struct.pack("<d", float(np.uint16(b).view(np.float16))))[0]
          for b in range(0, 0x7C01, 61)]
dtypes = ["bool", "uint8", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float32", "float64"]
promotions = [[a, b, str(torch.promote_types(getattr(torch, a), getattr(torch, b)))[6:]] for a in dtypes for b in dtypes]
with open("Fixtures/conversions.json", "w") as file:
    json.dump({"fromDouble": [[str(x) for x in e] for e in entries],
               "halfStep": 61, "halfValues": [str(h) for h in halves], "promotions": promotions}, file)
