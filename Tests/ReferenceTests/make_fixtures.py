"""Makes Fixtures/reference.json and Fixtures/reference.bin: results and gradients as PyTorch computes them.

Run in this folder with an interpreter that has torch. Every case names an operation of Duet's public surface with
its attributes, inputs, the expected output and, where it is differentiable, a cotangent and the gradients of the
inputs. Arrays lie in reference.bin, little-endian and row-major.
"""

import json

import numpy as np
import torch
import torch.nn.functional as F

rng = np.random.default_rng(20)
blob = bytearray()
cases = []
NAMES = {torch.float32: "float32", torch.float64: "float64", torch.int64: "int64", torch.int32: "int32",
         torch.bool: "bool", torch.uint8: "uint8", torch.int8: "int8", torch.int16: "int16",
         torch.float16: "float16", torch.bfloat16: "bfloat16"}


def store(tensor):
    tensor = tensor.detach().contiguous()
    if tensor.dtype == torch.bfloat16:
        raw = tensor.view(torch.int16).numpy().tobytes()
    else:
        raw = tensor.numpy().tobytes()
    while len(blob) % 8:
        blob.append(0)
    offset = len(blob)
    blob.extend(raw)
    return {"dtype": NAMES[tensor.dtype], "shape": list(tensor.shape), "offset": offset}


def case(name, function, *inputs, differentiable=True, **attributes):
    leaves = [x.clone().requires_grad_(differentiable) if x.is_floating_point() else x for x in inputs]
    output = function(*leaves)
    entry = {"operation": name, "integers": {}, "numbers": {}, "flags": {}, "text": "",
             "inputs": [store(x) for x in inputs], "output": store(output)}
    for key, value in attributes.items():
        if isinstance(value, bool):
            entry["flags"][key] = value
        elif isinstance(value, str):
            entry["text"] = value
        elif isinstance(value, float):
            entry["numbers"][key] = value
        else:
            entry["integers"][key] = list(value) if isinstance(value, (list, tuple)) else [value]
    if differentiable and output.requires_grad:
        cotangent = torch.from_numpy(rng.uniform(-1, 1, tuple(output.shape))).to(output.dtype)
        output.backward(cotangent)
        entry["cotangent"] = store(cotangent)
        entry["gradients"] = [store(x.grad if x.grad is not None else torch.zeros_like(x))
                              for x in leaves if x.is_floating_point()]
    cases.append(entry)


def tensor(shape, low=-2.0, high=2.0, dtype=torch.float32):
    return torch.from_numpy(rng.uniform(low, high, shape)).to(dtype)


def integers(shape, low, high, dtype=torch.int64):
    return torch.from_numpy(rng.integers(low, high, shape)).to(dtype)


inf, nan = float("inf"), float("nan")
EDGES = [0.0, -0.0, 1.0, -1.0, inf, -inf, nan, 1e-40, -1e-40, 1e-7, 88.0, -88.0, 100.0, -104.0, 3e38, -3e38, 0.5, -0.5,
         1.5, 2.5, -2.5, 1e4]

# Elementwise functions of one input: name, PyTorch's function, the interval where it is smooth.
UNARY = {
    "abs": (torch.abs, (0.1, 3)), "sign": (torch.sign, (0.1, 3)), "square": (torch.square, (-3, 3)),
    "negative": (torch.neg, (-3, 3)), "sqrt": (torch.sqrt, (0.01, 9)), "rsqrt": (torch.rsqrt, (0.01, 9)),
    "reciprocal": (torch.reciprocal, (0.1, 5)), "exp": (torch.exp, (-5, 5)), "expm1": (torch.expm1, (-5, 5)),
    "log": (torch.log, (0.01, 9)), "log1p": (torch.log1p, (-0.9, 9)), "log2": (torch.log2, (0.01, 9)),
    "log10": (torch.log10, (0.01, 9)), "sin": (torch.sin, (-9, 9)), "cos": (torch.cos, (-9, 9)),
    "tan": (torch.tan, (-1.4, 1.4)), "asin": (torch.asin, (-0.95, 0.95)), "acos": (torch.acos, (-0.95, 0.95)),
    "atan": (torch.atan, (-5, 5)), "sinh": (torch.sinh, (-4, 4)), "cosh": (torch.cosh, (-4, 4)),
    "tanh": (torch.tanh, (-4, 4)), "erf": (torch.erf, (-3, 3)), "sigmoid": (torch.sigmoid, (-6, 6)),
    "relu": (torch.relu, (-3, 3)), "gelu": (F.gelu, (-4, 4)),
    "geluTanh": (lambda x: F.gelu(x, approximate="tanh"), (-4, 4)), "silu": (F.silu, (-5, 5)),
    "softplus": (lambda x: F.softplus(x, threshold=1e9), (-8, 8)), "floor": (torch.floor, (-3, 3)),
    "ceil": (torch.ceil, (-3, 3)), "round": (torch.round, (-3, 3)), "trunc": (torch.trunc, (-3, 3)),
    "elu": (F.elu, (-3, 3)), "relu6": (F.relu6, (-2, 8)), "mish": (F.mish, (-4, 4)),
    "hardswish": (F.hardswish, (-5, 5)), "hardsigmoid": (lambda x: torch.clamp(x + 3, 0, 6) / 6, (-5, 5)), "softsign": (F.softsign, (-4, 4)),
    "logSigmoid": (F.logsigmoid, (-6, 6)), "selu": (F.selu, (-3, 3)), "hardtanh": (F.hardtanh, (-2, 2)),
    "leakyRelu": (F.leaky_relu, (-3, 3)),
}
# The sign of NaN is NaN here, as in NumPy.
SIMPLE_EDGES = set(UNARY) - {"sign", "elu", "relu6", "mish", "hardswish", "hardsigmoid", "softsign", "logSigmoid", "selu",
                             "hardtanh", "leakyRelu", "gelu", "geluTanh", "silu", "softplus", "relu"}
for name, (function, (low, high)) in UNARY.items():
    case(name, function, tensor((3, 7), low, high))
    case(name, function, tensor((19,), low, high, torch.float64))
    case(name, function, torch.from_numpy(rng.uniform(low, high, (40,))).to(torch.bfloat16), differentiable=False)
    case(name, function, torch.from_numpy(rng.uniform(low, high, (40,))).to(torch.float16), differentiable=False)
    if name in SIMPLE_EDGES:
        case(name, function, torch.tensor(EDGES), differentiable=False)
        case(name, function, torch.tensor(EDGES, dtype=torch.float64), differentiable=False)
for name, function in {"isNaN": torch.isnan, "isInf": torch.isinf, "isFinite": torch.isfinite}.items():
    case(name, function, torch.tensor(EDGES), differentiable=False)
for name in ["abs", "sign", "square", "negative"]:
    case(name, UNARY[name][0], integers((20,), -50, 50, torch.int32), differentiable=False)

# Elementwise functions of two inputs.
BINARY = {
    "add": torch.add, "subtract": torch.sub, "multiply": torch.mul, "divide": torch.div, "maximum": torch.maximum,
    "minimum": torch.minimum, "atan2": torch.atan2, "hypot": torch.hypot,
}
edge_pairs = [(a, b) for a in [0.0, -0.0, 1.0, -2.0, inf, -inf, nan, 3e38] for b in [0.0, -0.0, 1.5, -3.0, inf, -inf, nan]]
left = torch.tensor([a for a, _ in edge_pairs])
right = torch.tensor([b for _, b in edge_pairs])
for name, function in BINARY.items():
    case(name, function, tensor((4, 5)), tensor((4, 5)))
    case(name, function, tensor((2, 1, 5)), tensor((4, 1)))
    case(name, function, tensor((3,), dtype=torch.float64), tensor((2, 3), dtype=torch.float64))
    case(name, function, left, right, differentiable=False)
case("pow", torch.pow, tensor((4, 5), 0.1, 3), tensor((5,), -3, 3))
case("pow", torch.pow, tensor((9,), 0.1, 3, torch.float64), tensor((9,), -3, 3, torch.float64))
case("pow", torch.pow, left, right, differentiable=False)
case("remainder", torch.fmod, tensor((30,), -9, 9), tensor((30,), 0.5, 3), differentiable=False)
case("floorDivide", torch.floor_divide, integers((30,), -50, 50), integers((30,), 1, 9), differentiable=False)
for name, function in {"add": torch.add, "subtract": torch.sub, "multiply": torch.mul, "maximum": torch.maximum,
                       "minimum": torch.minimum}.items():
    for dtype in [torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8]:
        case(name, function, integers((17,), 0, 60, dtype), integers((17,), 0, 60, dtype), differentiable=False)
for name, function in {"less": torch.lt, "lessEqual": torch.le, "greater": torch.gt, "greaterEqual": torch.ge,
                       "equal": torch.eq, "notEqual": torch.ne}.items():
    case(name, function, left, right, differentiable=False)
    case(name, function, integers((4, 3), 0, 3), integers((3,), 0, 3), differentiable=False)
for name, function in {"logicalAnd": torch.logical_and, "logicalOr": torch.logical_or,
                       "logicalXor": torch.logical_xor}.items():
    case(name, function, integers((9,), 0, 2).bool(), integers((9,), 0, 2).bool(), differentiable=False)
case("logicalNot", torch.logical_not, integers((9,), 0, 2).bool(), differentiable=False)
case("which", torch.where, integers((4, 5), 0, 2).bool(), tensor((4, 5)), tensor((5,)))
case("clip", lambda x: torch.clip(x, -0.5, 1.0), tensor((4, 5)), min=-0.5, max=1.0)
for source in NAMES:
    x = integers((12,), 0, 100).to(source) if not source.is_floating_point else torch.tensor(
        [0.0, 1.0, 2.5, 3.5, 99.99, 0.1, 7.0, 1e-3, 64.0, 100.0, 55.5, 12.25]).to(source)
    for target in NAMES:
        case("cast", lambda x: x.to(target), x, differentiable=False, dtype=NAMES[target])

# Reductions.
REDUCTIONS = {
    "sum": torch.sum, "mean": torch.mean, "prod": torch.prod, "max": torch.amax, "min": torch.amin,
    "logSumExp": torch.logsumexp,
    "variance": lambda x, dim, keepdim: torch.var(x, dim=dim, keepdim=keepdim, correction=0),
    "std": lambda x, dim, keepdim: torch.std(x, dim=dim, keepdim=keepdim, correction=0),
    "norm": lambda x, dim, keepdim: torch.linalg.vector_norm(x, dim=dim, keepdim=keepdim),
}
for name, function in REDUCTIONS.items():
    for axis, keep in [(0, False), (1, True), (-1, False)]:
        case(name, lambda x: function(x, dim=axis, keepdim=keep), tensor((4, 5, 6)), axis=axis, keepDims=keep)
    if name != "prod":
        case(name, lambda x: function(x, dim=(0, 2), keepdim=False), tensor((4, 5, 6)), axes=[0, 2])
    case(name, lambda x: function(x, dim=0, keepdim=False), tensor((37, 3), dtype=torch.float64), axis=0)
case("sum", lambda x: torch.sum(x), tensor((3000,)))
case("mean", lambda x: torch.mean(x), tensor((50, 61)))
case("sum", lambda x: torch.sum(x), integers((50,), -9, 9, torch.int32), differentiable=False)
case("prod", lambda x: torch.prod(x), integers((8,), 1, 4, torch.int32), differentiable=False)
case("prod", lambda x: torch.prod(x, dim=1), torch.tensor([[1.0, 0.0, 3.0], [0.0, 2.0, 0.0], [1.5, 2.5, -1.0]]), axis=1)
case("variance", lambda x: torch.var(x, dim=1, correction=1), tensor((4, 9)), axis=1, ddof=1)
case("max", lambda x: torch.amax(x, dim=1), torch.tensor([[1.0, nan, 3.0], [inf, 2.0, -inf]]), axis=1, differentiable=False)
case("max", lambda x: torch.amax(x, dim=1), torch.tensor([[1.0, 3.0, 3.0, 3.0], [5.0, 2.0, 5.0, 1.0]]), axis=1)
for name, function in {"all": torch.all, "any": torch.any}.items():
    case(name, lambda x: function(x, dim=1), integers((6, 4), 0, 2).bool(), axis=1, differentiable=False)
for name, function in {"argMax": torch.argmax, "argMin": torch.argmin}.items():
    case(name, lambda x: function(x, dim=1), tensor((6, 9)), axis=1, differentiable=False)
    case(name, lambda x: function(x), tensor((6, 9)), differentiable=False)
for axis in [0, 1, -1]:
    case("softmax", lambda x: torch.softmax(x, dim=axis), tensor((4, 5, 6)), axis=axis)
    case("logSoftmax", lambda x: torch.log_softmax(x, dim=axis), tensor((4, 5, 6)), axis=axis)
    case("cumsum", lambda x: torch.cumsum(x, dim=axis), tensor((4, 5, 6)), axis=axis)
    case("cumprod", lambda x: torch.cumprod(x, dim=axis), tensor((4, 5, 6), 0.5, 2), axis=axis)
case("softmax", lambda x: torch.softmax(x, dim=-1), torch.tensor([[1e4, 1e4 - 1, -1e4], [-inf, 0.0, 1.0]]), axis=-1, differentiable=False)
case("softmax", lambda x: torch.softmax(x, dim=-1), tensor((7, 100), dtype=torch.float64), axis=-1)
for descending in [False, True]:
    case("sort", lambda x: torch.sort(x, dim=1, descending=descending, stable=True)[0], tensor((5, 9)), axis=1, descending=descending)
    case("argSort", lambda x: torch.argsort(x, dim=0, descending=descending, stable=True), tensor((5, 9)), axis=0,
         descending=descending, differentiable=False)
case("topK", lambda x: torch.topk(x, 3, dim=1)[0], tensor((4, 9)), axis=1, k=3)

# Contractions.
for a, b in [((4, 5), (5, 6)), ((2, 4, 5), (5, 6)), ((2, 1, 4, 5), (3, 5, 2)), ((1, 70), (70, 33)), ((70, 33), (33, 1)),
             ((33, 50), (50, 40))]:
    case("matmul", torch.matmul, tensor(a), tensor(b))
case("matmul", torch.matmul, tensor((5,)), tensor((5,)))
case("matmul", torch.matmul, tensor((5,)), tensor((5, 4)))
case("matmul", torch.matmul, tensor((3, 5)), tensor((5,)))
case("matmul", torch.matmul, tensor((7, 8), dtype=torch.float64), tensor((8, 9), dtype=torch.float64))
case("matmul", torch.matmul, integers((7, 8), -9, 9), integers((8, 9), -9, 9), differentiable=False)
case("matmul", torch.matmul, tensor((7, 8), dtype=torch.bfloat16), tensor((8, 9), dtype=torch.bfloat16), differentiable=False)
case("matmul", torch.matmul, tensor((7, 8), dtype=torch.float16), tensor((8, 9), dtype=torch.float16), differentiable=False)
case("outer", torch.outer, tensor((4,)), tensor((6,)))
for formula, shapes in [("ij,jk->ik", [(3, 4), (4, 5)]), ("bij,bjk->bik", [(2, 3, 4), (2, 4, 5)]), ("ij->ji", [(3, 4)]),
                        ("ii->i", [(4, 4)]), ("ij->", [(3, 4)]), ("i,j->ij", [(3,), (4,)]), ("ijk,jil->kl", [(3, 4, 5), (4, 3, 2)]),
                        ("ij,jk,kl->il", [(2, 3), (3, 4), (4, 5)])]:
    case("einsum", lambda *x: torch.einsum(formula, *x), *[tensor(s) for s in shapes], formula=formula)
for x, w, attributes in [((2, 3, 8, 9), (4, 3, 3, 3), {}), ((1, 4, 7, 7), (6, 2, 3, 2), dict(groups=2)),
                         ((2, 2, 9, 8), (3, 2, 3, 3), dict(stride=[2, 1], padding=[1, 2])),
                         ((1, 3, 10, 10), (2, 3, 3, 3), dict(dilation=[2, 2], padding=[2, 2])),
                         ((2, 4, 6, 6), (4, 1, 3, 3), dict(groups=4, padding=[1, 1])), ((3, 5, 4, 4), (7, 5, 1, 1), {})]:
    torch_attributes = {k: (v if k == "groups" else tuple(v)) for k, v in attributes.items()}
    case("conv2d", lambda x, w: F.conv2d(x, w, **torch_attributes), tensor(x), tensor(w), **attributes)
    case("conv2d", lambda x, w, b: F.conv2d(x, w, b, **torch_attributes), tensor(x, dtype=torch.float64),
         tensor(w, dtype=torch.float64), tensor((w[0],), dtype=torch.float64), **attributes)
case("maxPool2d", lambda x: F.max_pool2d(x, 2), tensor((2, 3, 6, 8)), kernelSize=[2, 2])
case("maxPool2d", lambda x: F.max_pool2d(x, (3, 2), stride=(2, 1), padding=(1, 1)), tensor((2, 3, 7, 6)), kernelSize=[3, 2],
     stride=[2, 1], padding=[1, 1])
case("maxPool2d", lambda x: F.max_pool2d(x, 3, stride=1, dilation=2), tensor((1, 2, 8, 8)), kernelSize=[3, 3], stride=[1, 1],
     dilation=[2, 2])
case("avgPool2d", lambda x: F.avg_pool2d(x, 2), tensor((2, 3, 6, 8)), kernelSize=[2, 2])
for counts in [True, False]:
    case("avgPool2d", lambda x: F.avg_pool2d(x, 3, stride=2, padding=1, count_include_pad=counts), tensor((2, 3, 7, 7)),
         kernelSize=[3, 3], stride=[2, 2], padding=[1, 1], countIncludePad=counts)

# Movement.
case("reshaped", lambda x: x.reshape(6, 10), tensor((3, 4, 5)), shape=[6, 10])
case("transposed", lambda x: x.permute(2, 0, 1), tensor((3, 4, 5)), axes=[2, 0, 1])
case("swappedAxes", lambda x: x.swapaxes(0, 2), tensor((3, 4, 5)), axes=[0, 2])
case("movedAxis", lambda x: torch.movedim(x, 0, 2), tensor((3, 4, 5)), axes=[0, 2])
case("flattened", lambda x: torch.flatten(x, 1), tensor((3, 4, 5)), start=1)
case("squeezed", lambda x: x.squeeze(1), tensor((3, 1, 5)), axis=1)
case("expandedDimensions", lambda x: x.unsqueeze(1), tensor((3, 5)), axis=1)
case("broadcast", lambda x: x.broadcast_to(4, 3, 5), tensor((3, 1)), shape=[4, 3, 5])
case("flipped", lambda x: x.flip(1), tensor((3, 4)), axis=1)
case("rolled", lambda x: torch.roll(x, 2, 1), tensor((3, 5)), shift=2, axis=1)
case("tiled", lambda x: x.tile(2, 3), tensor((3, 4)), counts=[2, 3])
case("repeated", lambda x: x.repeat_interleave(3, dim=1), tensor((3, 4)), count=3, axis=1)
case("padded", lambda x: F.pad(x, (1, 2, 0, 3), value=1.5), tensor((3, 4)), widths=[0, 3, 1, 2], value=1.5)
case("concatenated", lambda *x: torch.cat(x, 1), tensor((3, 4)), tensor((3, 2)), tensor((3, 0)), axis=1)
case("stacked", lambda *x: torch.stack(x, 1), tensor((3, 4)), tensor((3, 4)), axis=1)
case("split", lambda x: torch.tensor_split(x, 3, dim=1)[1], tensor((2, 9)), parts=3, axis=1, part=1)
case("tril", lambda x: torch.tril(x, 1), tensor((2, 4, 5)), k=1)
case("triu", lambda x: torch.triu(x, -1), tensor((4, 5)), k=-1)
case("diagonal", lambda x: torch.diagonal(x, 1), tensor((4, 5)), offset=1)
case("diag", lambda x: torch.diag(x), tensor((4,)))

# Indexing.
index = torch.tensor([2, 0, 2, 1, 3])
case("take", lambda x, i: torch.index_select(x, 1, i), tensor((3, 4, 2)), index, axis=1)
along = integers((3, 6), 0, 4)
case("takeAlong", lambda x, i: torch.take_along_dim(x, i, 1), tensor((3, 4)), along, axis=1)
case("scatterAdd", lambda x, i, u: torch.index_add(x, 1, i, u), tensor((3, 4)), index, tensor((3, 5)), axis=1)
case("scatterAddAlong", lambda x, i, u: torch.scatter_add(x, 1, i, u), tensor((3, 4)), along, tensor((3, 6)), axis=1)
case("scatterSet", lambda x, i, u: torch.index_copy(x, 0, i, u), tensor((4, 3)), torch.tensor([2, 0]), tensor((2, 3)), axis=0)
case("oneHot", lambda i: F.one_hot(i, 5).float(), integers((7,), 0, 5), classes=5, differentiable=False)
case("slice", lambda x: x[1:, ::2], tensor((4, 7)))
case("place", lambda x: x[:, 2], tensor((4, 7)))
case("mask", lambda x, i: x[i], tensor((4, 3)), torch.tensor([1, 3, 1]))

# Creation.
case("arange", lambda: torch.arange(2, 20, 3), start=2, stop=20, step=3, differentiable=False)
case("linspace", lambda: torch.linspace(-1, 2, 7, dtype=torch.float64), low=-1.0, high=2.0, count=7, differentiable=False)
case("eye", lambda: torch.eye(3, 5), rows=3, columns=5, differentiable=False)
case("tri", lambda: torch.tril(torch.ones(4, 5), 1), rows=4, columns=5, k=1, differentiable=False)

# Convolutions that are computed in tiles (duet_contraction.h).
for x, w, attributes in [((2, 16, 6, 7), (17, 16, 3, 3), dict(padding=[1, 1])), ((1, 19, 7, 4), (16, 19, 3, 3), {}),
                         ((1, 32, 5, 5), (32, 16, 3, 3), dict(groups=2, padding=[2, 0]))]:
    torch_attributes = {k: (v if k == "groups" else tuple(v)) for k, v in attributes.items()}
    case("conv2d", lambda x, w: F.conv2d(x, w, **torch_attributes), tensor(x), tensor(w), **attributes)

# Running extremes, and sums over several chunks of 1,024.
for axis in [0, 1, -1]:
    case("cummax", lambda x: torch.cummax(x, dim=axis)[0], tensor((4, 5, 6)), axis=axis)
    case("cummin", lambda x: torch.cummin(x, dim=axis)[0], tensor((4, 5, 6)), axis=axis)
running = torch.tensor([[1.0, -inf, 3.0, nan, inf, 2.0], [inf, 5.0, -2.0, -inf, nan, 0.0]])
case("cummax", lambda x: torch.cummax(x, dim=1)[0], running, axis=1, differentiable=False)
case("cummin", lambda x: torch.cummin(x, dim=1)[0], running, axis=1, differentiable=False)
case("cummax", lambda x: torch.cummax(x, dim=0)[0], integers((9, 4), -100, 100, torch.int8), axis=0, differentiable=False)
for shape, axis in [((2, 1100), 1), ((1100, 2), 0)]:
    case("softmax", lambda x: torch.softmax(x, dim=axis), tensor(shape), axis=axis)
    case("logSoftmax", lambda x: torch.log_softmax(x, dim=axis), tensor(shape), axis=axis)
for dtype in [torch.int8, torch.uint8, torch.int16]:
    for axis in [0, 1]:
        narrow = integers((150, 70), 0 if dtype == torch.uint8 else -128, 128, dtype)
        case("sum", lambda x: torch.sum(x, dim=axis), narrow, axis=axis, differentiable=False)
        case("max", lambda x: torch.amax(x, dim=axis), narrow, axis=axis, differentiable=False)
case("topK", lambda x: torch.topk(x, 7, dim=0)[0], tensor((300, 2)), axis=0, k=7)

with open("Fixtures/reference.json", "w") as file:
    json.dump({"torch": torch.__version__, "cases": cases}, file, separators=(",", ":"))
with open("Fixtures/reference.bin", "wb") as file:
    file.write(blob)
print(len(cases), "cases,", len(blob), "bytes")
