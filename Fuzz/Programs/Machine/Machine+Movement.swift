import Duet

extension Machine {
  func movement(
    _ kind: Kind, _ a: Operand, _ b: Operand, _ random: inout SplitMix64
  ) -> Operand {
    switch kind {
    case .reshaping: return reshaping(withAxis(a), &random)
    case .transposing:
      let x = a.tensor
      if x.ndim < 2 { return say(x.reshaped([1, x.size]).T, "\(a).reshaped([1, \(x.size)]).T") }
      switch random.int(below: 3) {
      case 0: return say(x.transposed(), "\(a).transposed()")
      case 1:
        let axes = Array(0..<x.ndim).shuffled(using: &random)
        return say(x.transposed(axes: axes), "\(a).transposed(axes: \(axes))")
      default:
        let (i, j) = (random.int(below: x.ndim), random.int(below: x.ndim))
        return say(x.movedAxis(from: i, to: j), "\(a).movedAxis(from: \(i), to: \(j))")
      }
    case .slicing: return slicing(withAxis(a), &random)
    case .broadcasting:
      let shape = [random.int(1...3)] + a.shape.map { $0 == 1 ? random.int(1...4) : $0 }
      return say(a.tensor.broadcast(to: shape), "\(a).broadcast(to: \(shape))")
    case .joining: return joining(withAxis(a), withAxis(b), &random)
    case .repeating: return repeating(withAxis(a), &random)
    default:
      let x = matrix(a)
      switch random.int(below: 3) {
      case 0: return say(tril(x.tensor), "tril(\(x))")
      case 1: return say(triu(x.tensor, k: 1), "triu(\(x), k: 1)")
      default: return say(x.tensor.diagonal(), "\(x).diagonal()")
      }
    }
  }

  private func reshaping(_ a: Operand, _ random: inout SplitMix64) -> Operand {
    let x = a.tensor
    switch random.int(below: program.isSized ? 3 : 5) {
    case 0: return say(x.flattened(), "\(a).flattened()")
    case 1:
      let axis = random.int(0...x.ndim)
      return say(x.expandedDimensions(axis: axis), "\(a).expandedDimensions(axis: \(axis))")
    case 2: return say(x.squeezed(), "\(a).squeezed()")
    default:
      let divisor = [2, 3, 5].first { x.size > 0 && x.size % $0 == 0 } ?? 1
      let shape = random.chance(0.5) ? [divisor, x.size / divisor] : [x.size / divisor, divisor]
      return say(x.reshaped(shape), "\(a).reshaped(\(shape))")
    }
  }

  private func slicing(_ a: Operand, _ random: inout SplitMix64) -> Operand {
    let x = a.tensor
    let axis = random.int(below: x.ndim)
    if program.isSized {
      switch random.int(below: 4) {
      case 0: return say(x[1...], "\(a)[1...]")
      case 1: return say(x[.ellipsis, .newAxis], "\(a)[.ellipsis, .newAxis]")
      case 2: return say(x.flipped(axis: axis), "\(a).flipped(axis: \(axis))")
      default: return say(x[-1], "\(a)[-1]")
      }
    }
    let count = x.dim(axis)
    let start = random.int(0...count)
    let end = random.int(start...count)
    switch random.int(below: 7) {
    case 0 where count > 0:
      let place = random.int(-count...(count - 1))
      return say(
        x.movedAxis(from: axis, to: 0)[place], "\(a).movedAxis(from: \(axis), to: 0)[\(place)]")
    case 1: return say(x[.ellipsis, .newAxis], "\(a)[.ellipsis, .newAxis]")
    case 2: return say(x.flipped(axis: axis), "\(a).flipped(axis: \(axis))")
    case 3:
      return say(x[.stride(by: -2)], "\(a)[.stride(by: -2)]")
    case 4:
      let last = x.dim(-1)
      let from = random.int(0...last)
      return say(x[.ellipsis, from..<last], "\(a)[.ellipsis, \(from)..<\(last)]")
    case 5:
      let parts = x.split(indices: [start, end], axis: axis)
      return say(parts[1], "\(a).split(indices: [\(start), \(end)], axis: \(axis))[1]")
    default:
      return say(
        x.movedAxis(from: axis, to: 0)[start..<end],
        "\(a).movedAxis(from: \(axis), to: 0)[\(start)..<\(end)]")
    }
  }

  private func joining(
    _ a: Operand, _ b: Operand, _ random: inout SplitMix64
  ) -> Operand {
    let x = a.tensor
    let axis = random.int(below: x.ndim)
    var expected = b.shape
    if b.tensor.ndim == x.ndim { expected[axis] = x.dim(axis) }
    let joins = expected == x.shape
    let y = joins ? b.tensor : x.flipped(axis: axis)
    let text = joins ? b.text : "\(a).flipped(axis: \(axis))"
    if random.chance(0.3) && y.shape == x.shape {
      return say(
        stacked([x, y, x], axis: axis), "stacked([\(a), \(text), \(a)], axis: \(axis))")
    }
    return say(concatenated([x, y], axis: axis), "concatenated([\(a), \(text)], axis: \(axis))")
  }

  private func repeating(_ a: Operand, _ random: inout SplitMix64) -> Operand {
    let x = a.tensor
    let axis = random.int(below: x.ndim)
    switch random.int(below: 4) {
    case 0: return say(x.tiled([2]), "\(a).tiled([2])")
    case 1:
      return say(x.repeated(count: 3, axis: axis), "\(a).repeated(count: 3, axis: \(axis))")
    case 2: return say(x.rolled(1, axis: axis), "\(a).rolled(1, axis: \(axis))")
    default:
      let widths = (0..<x.ndim).map { $0 == axis ? (1, 2) : (0, 0) }
      return say(
        x.padded(widths: widths, value: 0.5), "\(a).padded(widths: \(widths), value: 0.5)")
    }
  }
}
