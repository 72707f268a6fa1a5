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


def case(x, w, stride=(1, 1), padding=(0, 0), dilation=(1, 1), groups=1, output_padding=None):
    """A convolution of images, or of sequences if there are three axes; with output_padding a transposed one."""
    ones = len(x) == 3
    stride, padding, dilation = (a[:1] if ones else a for a in (stride, padding, dilation))
    x, w = (torch.from_numpy(rng.integers(-3, 4, s).astype(np.float64)) for s in (x, w))
    transposed = output_padding is not None
    arguments = [stride, padding, dilation, transposed, output_padding or [0] * (x.ndim - 2), groups]
    y = torch.ops.aten.convolution(x, w, None, *arguments)
    dy = torch.from_numpy(rng.integers(-3, 4, tuple(y.shape)).astype(np.float64))
    dx, dw, _ = torch.ops.aten.convolution_backward(dy, x, w, None, *arguments, [True, True, False])
    cases.append({
        "stride": stride, "padding": padding, "dilation": dilation, "groups": groups, "outputPadding": output_padding,
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
case((2, 5, 23), (7, 5, 4))
case((3, 6, 40), (9, 2, 5), stride=(3,), padding=(2,), dilation=(2,), groups=3)
case((2, 5, 1), (4, 5, 3), padding=(1,))
case((2, 5, 9), (5, 7, 4), output_padding=(0,))
case((2, 6, 11), (6, 4, 3), stride=(3,), padding=(1,), dilation=(2,), groups=2, output_padding=(2,))
case((1, 3, 5), (3, 2, 2), stride=(1,), dilation=(4,), output_padding=(3,))
case((2, 3, 5, 7), (3, 4, 3, 3), output_padding=(0, 0))
case((2, 16, 6, 5), (16, 18, 3, 3), padding=(1, 1), output_padding=(0, 0))
case((2, 4, 6, 5), (4, 6, 4, 4), stride=(2, 2), padding=(1, 1), output_padding=(0, 0))
case((1, 33, 4, 4), (33, 5, 3, 3), stride=(2, 2), padding=(1, 1), output_padding=(1, 1))
case((2, 6, 5, 4), (6, 2, 2, 5), stride=(2, 3), padding=(0, 2), groups=3, output_padding=(1, 0))
case((2, 8, 5, 6), (8, 1, 3, 3), stride=(2, 2), padding=(1, 1), groups=8, output_padding=(1, 1))
case((1, 2, 4, 3), (2, 3, 3, 2), stride=(1, 2), padding=(2, 0), dilation=(3, 4), output_padding=(2, 3))
case((1, 40, 3, 3), (40, 34, 1, 1), stride=(2, 2), output_padding=(1, 0))
case((3, 18, 7, 7), (18, 1, 5, 5), padding=(2, 2), groups=18)
case((1, 24, 14, 13), (24, 1, 3, 3), stride=(2, 2), padding=(1, 1), groups=24)
case((2, 9, 9, 6), (27, 1, 4, 2), stride=(1, 3), padding=(2, 3), dilation=(2, 1), groups=9)
case((1, 16, 5, 11), (32, 1, 2, 1), stride=(3, 4), padding=(1, 4), groups=16)
case((2, 8, 30, 2), (8, 1, 3, 1), stride=(1, 1), padding=(2, 0), groups=8)
with open("Fixtures/convolutions.json", "w") as file:
    json.dump({"torch": torch.__version__, "cases": cases}, file, indent=0)
