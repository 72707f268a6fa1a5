import Duet

extension Reference.Case {
  /// What Duet's public surface gives for these inputs; nil: no such operation.
  func result(_ x: [Tensor]) -> Tensor? {
    elementwise(x) ?? pair(x) ?? reduction(x) ?? contraction(x) ?? movement(x) ?? other(x)
  }

  private func elementwise(_ x: [Tensor]) -> Tensor? {
    switch operation {
    case "abs": abs(x[0])
    case "sign": sign(x[0])
    case "square": square(x[0])
    case "negative": negative(x[0])
    case "sqrt": sqrt(x[0])
    case "rsqrt": rsqrt(x[0])
    case "reciprocal": reciprocal(x[0])
    case "exp": exp(x[0])
    case "expm1": expm1(x[0])
    case "log": log(x[0])
    case "log1p": log1p(x[0])
    case "log2": log2(x[0])
    case "log10": log10(x[0])
    case "sin": sin(x[0])
    case "cos": cos(x[0])
    case "tan": tan(x[0])
    case "asin": asin(x[0])
    case "acos": acos(x[0])
    case "atan": atan(x[0])
    case "sinh": sinh(x[0])
    case "cosh": cosh(x[0])
    case "tanh": tanh(x[0])
    case "erf": erf(x[0])
    case "sigmoid": sigmoid(x[0])
    case "relu": relu(x[0])
    case "gelu": gelu(x[0])
    case "geluTanh": gelu(x[0], approximate: .tanh)
    case "silu": silu(x[0])
    case "softplus": softplus(x[0])
    case "floor": floor(x[0])
    case "ceil": ceil(x[0])
    case "round": round(x[0])
    case "trunc": trunc(x[0])
    case "elu": elu(x[0])
    case "relu6": relu6(x[0])
    case "mish": mish(x[0])
    case "hardswish": hardswish(x[0])
    case "hardsigmoid": hardsigmoid(x[0])
    case "softsign": softsign(x[0])
    case "logSigmoid": logSigmoid(x[0])
    case "selu": selu(x[0])
    case "hardtanh": hardtanh(x[0])
    case "leakyRelu": leakyRelu(x[0])
    case "isNaN": isNaN(x[0])
    case "isInf": isInf(x[0])
    case "isFinite": isFinite(x[0])
    case "logicalNot": logicalNot(x[0])
    case "clip": clip(x[0], min: numbers["min"]!, max: numbers["max"]!)
    case "cast": x[0].asType(DType(name: text)!)
    default: nil
    }
  }

  private func pair(_ x: [Tensor]) -> Tensor? {
    switch operation {
    case "add": x[0] + x[1]
    case "subtract": x[0] - x[1]
    case "multiply": x[0] * x[1]
    case "divide": x[0] / x[1]
    case "maximum": maximum(x[0], x[1])
    case "minimum": minimum(x[0], x[1])
    case "atan2": atan2(x[0], x[1])
    case "hypot": hypot(x[0], x[1])
    case "pow": pow(x[0], x[1])
    case "remainder": x[0] % x[1]
    case "floorDivide": floorDivide(x[0], x[1])
    case "less": x[0] .< x[1]
    case "lessEqual": x[0] .<= x[1]
    case "greater": x[0] .> x[1]
    case "greaterEqual": x[0] .>= x[1]
    case "equal": x[0] .== x[1]
    case "notEqual": x[0] .!= x[1]
    case "logicalAnd": logicalAnd(x[0], x[1])
    case "logicalOr": logicalOr(x[0], x[1])
    case "logicalXor": logicalXor(x[0], x[1])
    case "which": which(x[0], x[1], x[2])
    default: nil
    }
  }

  private func reduction(_ x: [Tensor]) -> Tensor? {
    if let axes = integers["axes"] {
      switch operation {
      case "sum": return sum(x[0], axes: axes, keepDims: keepDims)
      case "mean": return mean(x[0], axes: axes, keepDims: keepDims)
      case "max": return max(x[0], axes: axes, keepDims: keepDims)
      case "min": return min(x[0], axes: axes, keepDims: keepDims)
      case "logSumExp": return logSumExp(x[0], axes: axes, keepDims: keepDims)
      case "variance": return variance(x[0], axes: axes, keepDims: keepDims)
      case "std": return std(x[0], axes: axes, keepDims: keepDims)
      case "norm": return norm(x[0], axes: axes, keepDims: keepDims)
      default: return nil
      }
    }
    switch operation {
    case "sum": return sum(x[0], axis: axis, keepDims: keepDims)
    case "mean": return mean(x[0], axis: axis, keepDims: keepDims)
    case "prod": return prod(x[0], axis: axis, keepDims: keepDims)
    case "max": return max(x[0], axis: axis, keepDims: keepDims)
    case "min": return min(x[0], axis: axis, keepDims: keepDims)
    case "logSumExp": return logSumExp(x[0], axis: axis, keepDims: keepDims)
    case "variance": return variance(x[0], axis: axis, keepDims: keepDims, ddof: integer("ddof"))
    case "std": return std(x[0], axis: axis, keepDims: keepDims, ddof: integer("ddof"))
    case "norm": return norm(x[0], axis: axis, keepDims: keepDims)
    case "all": return all(x[0], axis: axis)
    case "any": return any(x[0], axis: axis)
    case "argMax": return argMax(x[0], axis: axis)
    case "argMin": return argMin(x[0], axis: axis)
    case "softmax": return softmax(x[0], axis: axis!)
    case "logSoftmax": return logSoftmax(x[0], axis: axis!)
    case "cumsum": return cumsum(x[0], axis: axis)
    case "cumprod": return cumprod(x[0], axis: axis)
    case "cummax": return cummax(x[0], axis: axis)
    case "cummin": return cummin(x[0], axis: axis)
    case "sort": return sort(x[0], axis: axis!, descending: flags["descending"]!)
    case "argSort": return argSort(x[0], axis: axis!, descending: flags["descending"]!)
    case "topK": return topK(x[0], integer("k"), axis: axis!).values
    default: return nil
    }
  }

  private func contraction(_ x: [Tensor]) -> Tensor? {
    let stride = integers["stride"]
    let padding = integers["padding"] ?? [0, 0]
    let dilation = integers["dilation"] ?? [1, 1]
    switch operation {
    case "matmul": return matmul(x[0], x[1])
    case "outer": return outer(x[0], x[1])
    case "einsum": return einsum(text, x)
    case "conv2d":
      return conv2d(
        x[0], x[1], bias: x.count == 3 ? x[2] : nil, stride: stride ?? [1, 1], padding: padding,
        dilation: dilation, groups: integer("groups", 1))
    case "maxPool2d":
      return maxPool2d(
        x[0], kernelSize: integers["kernelSize"]!, stride: stride, padding: padding,
        dilation: dilation)
    case "avgPool2d":
      return avgPool2d(
        x[0], kernelSize: integers["kernelSize"]!, stride: stride, padding: padding,
        countIncludePad: flags["countIncludePad"] ?? true)
    default: return nil
    }
  }

  private func movement(_ x: [Tensor]) -> Tensor? {
    switch operation {
    case "reshaped": return x[0].reshaped(integers["shape"]!)
    case "transposed": return x[0].transposed(axes: integers["axes"]!)
    case "swappedAxes": return x[0].swappedAxes(integers["axes"]![0], integers["axes"]![1])
    case "movedAxis": return x[0].movedAxis(from: integers["axes"]![0], to: integers["axes"]![1])
    case "flattened": return x[0].flattened(start: integer("start"))
    case "squeezed": return x[0].squeezed(axis: axis!)
    case "expandedDimensions": return x[0].expandedDimensions(axis: axis!)
    case "broadcast": return x[0].broadcast(to: integers["shape"]!)
    case "flipped": return x[0].flipped(axis: axis!)
    case "rolled": return x[0].rolled(integer("shift"), axis: axis!)
    case "tiled": return x[0].tiled(integers["counts"]!)
    case "repeated": return x[0].repeated(count: integer("count"), axis: axis!)
    case "padded":
      let widths = integers["widths"]!
      return padded(
        x[0], widths: [(widths[0], widths[1]), (widths[2], widths[3])], value: numbers["value"]!)
    case "concatenated": return concatenated(x, axis: axis!)
    case "stacked": return stacked(x, axis: axis!)
    case "split": return split(x[0], parts: integer("parts"), axis: axis!)[integer("part")]
    case "tril": return tril(x[0], k: integer("k"))
    case "triu": return triu(x[0], k: integer("k"))
    case "diagonal": return x[0].diagonal(offset: integer("offset"))
    case "diag": return diag(x[0])
    default: return nil
    }
  }

  private func other(_ x: [Tensor]) -> Tensor? {
    switch operation {
    case "take": take(x[0], x[1], axis: axis!)
    case "takeAlong": takeAlong(x[0], x[1], axis: axis!)
    case "scatterAdd": scatterAdd(x[0], x[1], x[2], axis: axis!)
    case "scatterAddAlong": scatterAddAlong(x[0], x[1], x[2], axis: axis!)
    case "scatterSet": scatterSet(x[0], x[1], x[2], axis: axis!)
    case "oneHot": oneHot(x[0], integer("classes"))
    case "slice": x[0][1..., .stride(by: 2)]
    case "place": x[0][.all, 2]
    case "mask": x[0][x[1]]
    case "arange": arange(integer("start"), integer("stop"), step: integer("step"))
    case "linspace":
      linspace(numbers["low"]!, numbers["high"]!, count: integer("count"), dtype: .float64)
    case "eye": eye(integer("rows"), integer("columns"))
    case "tri": tri(integer("rows"), integer("columns"), k: integer("k"))
    default: nil
    }
  }
}
