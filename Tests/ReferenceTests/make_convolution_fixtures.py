"""Makes Fixtures/convolutions.json: convolutions of small integers and their gradients as PyTorch computes them.

Run in this folder with an interpreter that has torch. Every sum is exact in float32, whatever its order, so that
results can be compared for equality. Arrays are base64 of little-endian int8 (inputs) and int16 (results).
"""

import base64
import json

import numpy as np
import torch

rng = np.random.default_rng(21)
cases = []


def packed(array, dtype):
    array = np.asarray(array)
    assert np.array_equal(array, array.astype(dtype))
    return base64.b64encode(np.ascontiguousarray(array.astype(dtype)).tobytes()).decode()


def case(x, w, stride=(1, 1), padding=(0, 0), dilation=(1, 1), groups=1):
    x, w = (torch.from_numpy(rng.integers(-3, 4, s).astype(np.float64)) for s in (x, w))
    y = torch.nn.functional.conv2d(x, w, None, stride, padding, dilation, groups)
    dy = torch.from_numpy(rng.integers(-3, 4, tuple(y.shape)).astype(np.float64))
    dx, dw, _ = torch.ops.aten.convolution_backward(
        dy, x, w, None, stride, padding, dilation, False, [0, 0], groups, [True, True, False])
    cases.append({
        "stride": stride, "padding": padding, "dilation": dilation, "groups": groups,
        "inputShape": list(x.shape), "weightShape": list(w.shape), "outputShape": list(y.shape),
        "input": packed(x, "<i1"), "weight": packed(w, "<i1"), "cotangent": packed(dy, "<i1"),
        "output": packed(y, "<i2"), "inputGradient": packed(dx, "<i2"), "weightGradient": packed(dw, "<i2")})


case((2, 33, 6, 7), (34, 33, 1, 1))
case((3, 34, 7, 9), (40, 34, 1, 1), stride=(2, 2))
case((2, 5, 8, 5), (37, 5, 1, 1), stride=(3, 2), padding=(1, 1))
case((1, 3, 23, 21), (33, 3, 7, 7), stride=(2, 2), padding=(3, 3))
case((2, 9, 7, 7), (98, 9, 3, 3), stride=(2, 2), padding=(1, 1))
case((1, 97, 5, 8), (7, 97, 3, 2), stride=(2, 3), padding=(1, 0), dilation=(1, 2))
case((1, 100, 4, 6), (5, 100, 3, 3), padding=(1, 1))
case((2, 4, 9, 10), (6, 2, 3, 3), stride=(2, 1), padding=(2, 1), dilation=(2, 2), groups=2)
case((1, 12, 1, 40), (97, 12, 1, 5), padding=(0, 4), dilation=(1, 2))
case((2, 17, 9, 19), (17, 1, 3, 3), padding=(1, 1), groups=17)
case((2, 6, 11, 20), (6, 1, 3, 3), stride=(2, 2), padding=(1, 1), groups=6)
case((2, 5, 12, 13), (10, 1, 5, 3), padding=(3, 2), dilation=(2, 3), groups=5)
case((1, 7, 9, 8), (7, 1, 4, 2), stride=(3, 3), groups=7)
case((3, 1, 12, 12), (6, 1, 5, 5))
case((2, 6, 12, 12), (16, 6, 5, 5))
case((2, 2, 9, 11), (20, 2, 3, 4), padding=(2, 1), dilation=(2, 1))
case((1, 8, 7, 6), (34, 4, 3, 3), padding=(1, 1), groups=2)
with open("Fixtures/convolutions.json", "w") as file:
    json.dump({"torch": torch.__version__, "cases": cases}, file, indent=0)
