import Duet

/// A value of a program with the text that it is called by.
struct Operand: CustomStringConvertible {
  var tensor: Tensor
  let text: String

  var description: String { text }
  var shape: [Int] { tensor.shape }
  var dtype: DType { tensor.dtype }
}

extension Machine {
  /// A value and how it is written, if anybody reads it.
  func say(_ tensor: Tensor, _ text: @autoclosure () -> String) -> Operand {
    Operand(tensor: tensor, text: listing == nil ? "" : text())
  }

  // MARK: What statements ask of their operands

  func floating(_ x: Operand) -> Operand {
    x.dtype.isFloatingPoint ? x : say(x.tensor.asType(.float32), "\(x).asType(.float32)")
  }

  /// float32 or float64.
  func wide(_ x: Operand) -> Operand {
    x.dtype == .float64 || x.dtype == .float32
      ? x : say(x.tensor.asType(.float32), "\(x).asType(.float32)")
  }

  func numeric(_ x: Operand) -> Operand {
    x.dtype == .bool ? say(x.tensor.asType(.int32), "\(x).asType(.int32)") : x
  }

  func integral(_ x: Operand) -> Operand {
    x.dtype.isInteger ? x : say(x.tensor.asType(.int64), "\(x).asType(.int64)")
  }

  func withAxis(_ x: Operand) -> Operand {
    x.tensor.ndim > 0 ? x : say(x.tensor.reshaped(1), "\(x).reshaped(1)")
  }

  /// With at least two axes.
  func matrix(_ x: Operand) -> Operand {
    if x.tensor.ndim >= 2 { return x }
    return say(x.tensor.reshaped([-1, 1]), "\(x).reshaped([-1, 1])", ifEmpty: x, [0, 1])
  }

  private func say(
    _ tensor: @autoclosure () -> Tensor, _ text: @autoclosure () -> String, ifEmpty x: Operand,
    _ shape: [Int]
  ) -> Operand {
    x.tensor.size == 0
      ? say(x.tensor.reshaped(shape), "\(x).reshaped(\(shape))") : say(tensor(), text())
  }

  func nonempty(_ x: Operand) -> Operand {
    if x.tensor.size > 0 { return x }
    return say(
      full([3], 0.5).asType(x.dtype), "full([3], 0.5).asType(.\(x.dtype))")
  }

  /// So many elements of x, the first ones or all again and again, in that shape.
  func shaped(_ x: Operand, _ shape: [Int]) -> Operand {
    if x.shape == shape { return x }
    let count = shape.reduce(1, *)
    let size = x.tensor.size
    if size == 0 {
      return say(zeros(shape, dtype: x.dtype), "zeros(\(shape), dtype: .\(x.dtype))")
    }
    let times = (count + size - 1) / size
    let flat = x.tensor.flattened()
    if times > 1 {
      return say(
        flat.tiled([times])[0..<count].reshaped(shape),
        "\(x).flattened().tiled([\(times)])[0..<\(count)].reshaped(\(shape))")
    }
    if count == size { return say(x.tensor.reshaped(shape), "\(x).reshaped(\(shape))") }
    return say(
      flat[0..<count].reshaped(shape), "\(x).flattened()[0..<\(count)].reshaped(\(shape))")
  }

  /// x, or what of it broadcasts with the other.
  func fitting(_ x: Operand, with other: Operand) -> Operand {
    if let shape = Shape.broadcast(x.tensor.type.shape, other.tensor.type.shape),
      shape.elementCount <= program.sizeLimit
    {
      return x
    }
    if x.tensor.size == 0 {
      return say(zeros([], dtype: x.dtype), "zeros([], dtype: .\(x.dtype))")
    }
    return say(x.tensor.flattened()[0], "\(x).flattened()[0]")
  }

  /// A number that a gradient can start from.
  func loss(_ x: Operand, _ random: inout SplitMix64) -> Operand {
    let x = floating(x)
    return random.chance(0.5)
      ? say(x.tensor.mean(), "\(x).mean()")
      : say(x.tensor.square().sum(), "\(x).square().sum()")
  }

  /// A truth value that depends on x.
  func condition(_ x: Operand, _ random: inout SplitMix64) -> Operand {
    if x.dtype.isInteger {
      return say((x.tensor.sum() % 2 .== 0), "(\(x).sum() % 2 .== 0)")
    }
    if x.dtype == .bool { return say(x.tensor.any(), "\(x).any()") }
    let bound = random.pick([-0.5, 0, 0, 0.25, 0.5])
    switch random.int(below: 4) {
    case 0: return say((x.tensor .> bound).any(), "(\(x) .> \(bound)).any()")
    case 1: return say((x.tensor .> bound).all(), "(\(x) .> \(bound)).all()")
    default: return say((x.tensor.mean() .> bound), "(\(x).mean() .> \(bound))")
    }
  }

  /// A small count that depends on x, from 0 to 3.
  func smallCount(_ x: Operand) -> Operand {
    let x = integral(x)
    let text = "abs(\(x).asType(.int64).sum() % 4)"
    return say(abs(x.tensor.asType(.int64).sum() % 4), text)
  }
}
