import DuetRuntime

extension Op {
  /// The operation with other whole numbers in the places that depend on the sizes of what a program works on.
  ///
  /// Regions are not looked into. Of what else is not named here no attribute depends on a size: where one does, two recordings differ.
  func mappingSizes(_ map: (Int) -> Int) -> Op {
    func mapped(_ shape: Shape) -> Shape { Shape(shape.map(map)) }
    func mapped(_ slice: Slice) -> Slice {
      Slice(starts: mapped(slice.starts), sizes: mapped(slice.sizes), steps: mapped(slice.steps))
    }
    func mapped(_ type: TensorType) -> TensorType { TensorType(type.dtype, mapped(type.shape)) }
    func mapped(_ extent: Extent) -> Extent { Extent(map(extent.height), map(extent.width)) }
    switch self {
    case .fill(let type, let element): return .fill(mapped(type), element)
    case .iota(let dtype, let count, let start, let step):
      return .iota(dtype, count: map(count), start: start, step: step)
    case .argTopK(let axis, let count): return .argTopK(axis: axis, count: map(count))
    case .conv2dInputGradient(let convolution, let size):
      return .conv2dInputGradient(convolution, inputSize: mapped(size))
    case .conv2dWeightGradient(let convolution, let size):
      return .conv2dWeightGradient(convolution, kernelSize: mapped(size))
    case .averagePool2dGradient(let pooling, let size):
      return .averagePool2dGradient(pooling, inputSize: mapped(size))
    case .reshape(let shape): return .reshape(mapped(shape))
    case .broadcast(let shape): return .broadcast(mapped(shape))
    case .slice(let slice): return .slice(mapped(slice))
    case .updateSlice(let slice): return .updateSlice(mapped(slice))
    case .random(.integer(let low, let high), let type):
      return .random(.integer(low: map(low), high: map(high)), mapped(type))
    case .random(let distribution, let type): return .random(distribution, mapped(type))
    case .regionResult(let index, let type): return .regionResult(index: index, mapped(type))
    default: return self
    }
  }

  /// The numbers that `mappingSizes` may change, in order.
  var sizes: [Int] {
    var found: [Int] = []
    _ = mappingSizes {
      found.append($0)
      return $0
    }
    return found
  }

  /// What two recordings with other sizes have in common.
  var withoutSizes: Op {
    switch mappingSizes({ _ in 0 }) {
    case .fill(let type, _): .fill(type, Element(bits: 0))
    case .advanceRandom: .advanceRandom(blocks: 0)
    case let op: op
    }
  }
}
