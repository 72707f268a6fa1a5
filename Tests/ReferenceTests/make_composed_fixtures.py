"""Makes Fixtures/composed.json: what PyTorch and NumPy make of functions that Duet composes of its operations, with
gradients as PyTorch computes them, in float64.

Run in this folder with an interpreter that has torch. The functions are written a second time in
ComposedOperationTests.swift.
"""

import json
import math

import numpy as np
import torch

rng = np.random.default_rng(12)
cases = {}
nan, inf = math.nan, math.inf


def number(x):
    if isinstance(x, float) and not math.isfinite(x):
        return "nan" if math.isnan(x) else "inf" if x > 0 else "-inf"
    return x


def stored(value):
    value = value.detach().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)
    values = [number(float(x)) for x in value.reshape(-1).tolist()]
    return {"dtype": str(value.dtype), "shape": list(value.shape), "values": values}


def case(name, function, *inputs, differentiable=True):
    """Inputs are torch tensors; the function may give one of them, a NumPy array, or several."""
    leaves = [x.clone().requires_grad_(differentiable) if x.is_floating_point() else x for x in inputs]
    outputs = function(*leaves)
    outputs = list(outputs) if isinstance(outputs, (tuple, list)) else [outputs]
    entry = {"inputs": [stored(x) for x in inputs], "outputs": [stored(y) for y in outputs],
             "cotangents": [], "gradients": []}
    if differentiable:
        cotangents = [torch.from_numpy(np.asarray(rng.uniform(-1, 1, tuple(y.shape)))) for y in outputs]
        torch.autograd.backward(outputs, cotangents)
        entry["cotangents"] = [stored(c) for c in cotangents]
        entry["gradients"] = [stored(x.grad if x.grad is not None else torch.zeros_like(x))
                              for x in leaves if x.is_floating_point()]
    cases[name] = entry


def values(name, function, *inputs):
    case(name, function, *inputs, differentiable=False)


def uniform(*shape, low=-2.0, high=2.0):
    return torch.from_numpy(np.asarray(rng.uniform(low, high, shape)))


def integers(*shape, low=0, high=5):
    return torch.from_numpy(rng.integers(low, high, shape))


def with_zeros(*shape):
    x = uniform(*shape)
    return torch.where(torch.from_numpy(rng.uniform(size=shape)) < 0.3, 0.0, x)


def with_nans(*shape):
    x = uniform(*shape)
    return torch.where(torch.from_numpy(rng.uniform(size=shape)) < 0.3, nan, x)


# Sizes that depend on data.
values("nonzero", torch.nonzero, with_zeros(4, 3, 2))
values("nonzero of a vector", torch.nonzero, integers(9, high=2))
values("nonzero of a scalar", torch.nonzero, torch.tensor(3.0, dtype=torch.float64))
case("maskedSelect", lambda x, m: torch.masked_select(x, m), uniform(4, 3), integers(4, 3, high=2).bool())
case("maskedSelect, broadcast", lambda x, m: torch.masked_select(x, m), uniform(4, 3), integers(3, high=2).bool())


def unique_all(x, axis=None):
    result = np.unique(x.numpy(), return_index=True, return_inverse=True, return_counts=True, axis=axis)
    return [result[0], result[1], result[2].reshape(-1) if axis is not None else result[2], result[3]]


values("uniqueAll", unique_all, integers(4, 5, high=7))
values("uniqueAll with not-a-number", unique_all, torch.tensor([1, nan, -inf, 0.5, nan, 1, inf], dtype=torch.float64))
values("uniqueAll, axis 0", lambda x: unique_all(x, 0), integers(12, 3, high=2))
values("uniqueAll, axis 1", lambda x: unique_all(x, 1), integers(2, 30, 2, high=3))

# Counting and searching.
values("bincount", torch.bincount, integers(20, high=6))
values("bincount, minLength", lambda x: torch.bincount(x, minlength=9), integers(20, high=6))
case("bincount, weights", lambda x, w: np.bincount(x.numpy(), w.detach().numpy()), integers(20, high=6), uniform(20),
     differentiable=False)
hist = torch.tensor([0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0, 1.0, 0.25, nan, -1.0, 2.0], dtype=torch.float64)
values("histogram of a range", lambda x: np.histogram(x.numpy(), 10, (0, 1)), hist)
values("histogram", lambda x: np.histogram(x.numpy(), 7), uniform(200))
values("histogram of one value", lambda x: np.histogram(x.numpy(), 4), torch.full((5,), 3.0, dtype=torch.float64))
values("histogram, density", lambda x: np.histogram(x.numpy(), 5, density=True), uniform(50))
values("histogram, weights", lambda x, w: np.histogram(x.numpy(), 5, weights=w.numpy()), uniform(50), uniform(50))
values("histogram, edges", lambda x, e: np.histogram(x.numpy(), e.numpy()), hist,
       torch.tensor([0.0, 0.1, 0.5, 0.5, 1.0], dtype=torch.float64))
values("histogram of integers", lambda x: np.histogram(x.numpy(), 6), integers(40, low=-7, high=9))
for side in ("left", "right"):
    s, _ = torch.sort(integers(13, high=9).double())
    v = torch.cat([integers(3, 8, high=9).double(), uniform(3, 4, low=-1, high=10)], 1)
    values(f"searchSorted {side}", lambda s, v: torch.searchsorted(s, v, side=side), s, v)
    s, _ = torch.sort(integers(2, 3, 6, high=5))
    values(f"searchSorted rows {side}", lambda s, v: torch.searchsorted(s, v, side=side), s, integers(2, 3, 7, high=6))
    odd = torch.tensor([-inf, 0, 1, inf, nan, nan], dtype=torch.float64)
    values(f"searchSorted {side} with not-a-number",
           lambda s, v: np.searchsorted(s.numpy(), v.numpy(), side=side), odd, odd)

# Splitting and repeating.
case("split, sizes", lambda x: torch.split(x, [1, 0, 4, 2], 1), uniform(2, 7))
case("split, size", lambda x: torch.split(x, 3, 1), uniform(2, 7))
case("chunked", lambda x: torch.chunk(x, 5, 0), uniform(7, 2))
values("arraySplit", lambda x: np.array_split(x.numpy(), 5, 0), uniform(7, 2))
case("repeated", lambda x: torch.repeat_interleave(x, torch.tensor([2, 0, 1, 3]), 1), uniform(2, 4))
case("repeated, no axis", lambda x: torch.repeat_interleave(x, torch.tensor([2, 0, 1, 3, 1, 0])), uniform(2, 3))
case("rot90", lambda x: [torch.rot90(x, k, (0, 2)) for k in range(-1, 4)], uniform(2, 3, 4))

# Norms.
for p in (0, 0.5, 1, 1.5, 2, 3, 4.5, inf, -inf, -1, -2.5):
    vector_norm = torch.linalg.vector_norm
    case(f"norm of order {p}", lambda x: vector_norm(x, p, 1), uniform(3, 4))
    case(f"norm of order {p} of all", lambda x: vector_norm(x, p, (0, 2), keepdim=True), uniform(2, 3, 4))
    zeros = torch.tensor([[0, 0, 0], [1, 0, -2], [0.5, -0.5, 3]], dtype=torch.float64)
    if p != -inf:
        case(f"norm of order {p} with zeros", lambda x: vector_norm(x, p, 1), zeros)
for p in ("fro", 1, -1, inf, -inf):
    case(f"matrix norm {p}", lambda x: torch.linalg.matrix_norm(x, p), uniform(2, 3, 4))
    case(f"matrix norm {p} of other axes", lambda x: torch.linalg.matrix_norm(x, p, (2, 0), keepdim=True),
         uniform(2, 3, 4))
for p in (0.5, 1, 2, 3, inf):
    case(f"cdist {p}", lambda a, b: torch.cdist(a, b, p), uniform(2, 4, 3), uniform(1, 5, 3))
case("cdist of many", torch.cdist, uniform(30, 4), uniform(27, 4))
same = uniform(3, 2)
case("cdist of equals", lambda a: torch.cdist(a, a.detach(), 2), same)

# Quantiles.
for n in (1, 4, 5):
    case(f"median of {n}", lambda x: torch.quantile(x, 0.5, 1), uniform(3, n))
for method in ("linear", "lower", "higher", "nearest", "midpoint"):
    q = torch.tensor([0, 0.1, 0.5, 0.77, 1], dtype=torch.float64)
    case(f"quantile {method}", lambda x: torch.quantile(x, q, 1, interpolation=method), uniform(3, 8))
    case(f"quantile {method} of all", lambda x: torch.quantile(x, 0.35, interpolation=method), uniform(3, 3))
values("quantile with not-a-number", lambda x: torch.quantile(x, 0.3, 0, keepdim=True), with_nans(3, 5))

# Statistics.
case("nanSum", lambda x: torch.nansum(x, 1), with_nans(3, 5))
case("nanMean", lambda x: torch.nanmean(x, 0, keepdim=True), with_nans(6, 3))
case("nanToNum", lambda x: torch.nan_to_num(x), torch.tensor([1, nan, inf, -inf, -2], dtype=torch.float64))
case("nanToNum, others", lambda x: torch.nan_to_num(x, 7, 8, -9), torch.tensor([1, nan, inf, -inf], dtype=torch.float64))
case("cov", torch.cov, uniform(3, 6))
case("cov of one", torch.cov, uniform(6))
case("cov, ddof 0", lambda x: torch.cov(x, correction=0), uniform(3, 6))
case("corrcoef", lambda x: torch.corrcoef(x), uniform(3, 6))
values("corrcoef of one", torch.corrcoef, uniform(6))
values("countNonzero", lambda x: torch.count_nonzero(x, 1), with_zeros(4, 5))

# Differences, products, special functions.
case("diff", lambda x: torch.diff(x, dim=0), uniform(5, 2))
case("diff, order 3", lambda x: torch.diff(x, 3), uniform(2, 6))
values("diff of bools", lambda x: torch.diff(x), integers(9, high=2).bool())
case("trapezoid", lambda y: torch.trapezoid(y, dx=0.3, dim=0), uniform(5, 2))
case("trapezoid, points", lambda y, x: torch.trapezoid(y, x, dim=0), uniform(5), uniform(5))
case("trapezoid, vector of points", lambda y: torch.trapezoid(y, torch.tensor([0, 1, 1.5, 4.0]).double(), dim=-1),
     uniform(3, 4))
case("cumulativeLogSumExp", lambda x: torch.logcumsumexp(x, 1), uniform(2, 7, low=-30, high=30))
# PyTorch's gradient is not a number behind several -inf.
values("cumulativeLogSumExp of little", lambda x: torch.logcumsumexp(x, 0),
       torch.tensor([-inf, -inf, -800, 1, 900], dtype=torch.float64))
case("cross", lambda a, b: torch.linalg.cross(a, b, dim=1), uniform(2, 3, 4), uniform(1, 3, 4))
case("kron", torch.kron, uniform(2, 3), uniform(4, 1, 2))
case("tensordot", lambda a, b: torch.tensordot(a, b, 2), uniform(2, 3, 4), uniform(3, 4, 5))
case("tensordot, axes", lambda a, b: torch.tensordot(a, b, ([2, 0], [0, 1])), uniform(2, 3, 4), uniform(4, 2, 5))
case("tensordot, none", lambda a, b: torch.tensordot(a, b, 0), uniform(2), uniform(3))
case("lerp", lambda a, b: torch.lerp(a, b, 0.7), uniform(2, 3), uniform(2, 3))
case("lerp, tensor", torch.lerp, uniform(2, 3), uniform(3), uniform(2, 1))
special = torch.tensor([-inf, -3, 0, 2, inf, nan], dtype=torch.float64)
values("logAddExp of all", lambda a, b: np.logaddexp(a.numpy()[:, None], b.numpy()), special, special)
case("logAddExp", torch.logaddexp, uniform(2, 3, low=-50, high=50), uniform(3))
case("logAddExp of equals", torch.logaddexp, torch.ones(2).double(), torch.ones(2).double())
grid = torch.tensor([-1, 0, 1, 2.5, inf, nan], dtype=torch.float64)
values("xlogy of all", lambda a, b: torch.xlogy(a[:, None], b), grid, grid)
case("xlogy", torch.xlogy, torch.tensor([[0, 1.5], [-2, 0]], dtype=torch.float64), uniform(2, low=0.5))
values("heaviside", lambda x, v: np.heaviside(x.numpy(), v.numpy()), torch.tensor([-1, 0, 2, nan, 0], dtype=torch.float64),
       torch.tensor([0.5, 0.5, 0.5, 0.5, -3], dtype=torch.float64))
case("sinc", torch.sinc, torch.tensor([-1.5, 0, 0.25, 0.01, 3.25], dtype=torch.float64))
values("isClose", lambda a, b: torch.isclose(a[:, None], b, rtol=0.1, atol=0.5), special, special + 0.1)
values("isClose with not-a-number", lambda a, b: torch.isclose(a, b, equal_nan=True), special, special)

with open("Fixtures/composed.json", "w") as file:
    json.dump({"torch": torch.__version__, "numpy": np.__version__, "cases": cases}, file, separators=(",", ":"))
    file.write("\n")
