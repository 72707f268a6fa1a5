import DuetEager
import DuetRuntime

/// What stands for a tensor of a mapped function outside of it: a tensor with all examples along axis 0, or one that
/// all examples share.
struct Batched {
  let tensor: Tensor
  let isMapped: Bool

  init(_ tensor: Tensor, isMapped: Bool) {
    self.tensor = tensor
    self.isMapped = isMapped
  }

  static func shared(_ tensor: Tensor) -> Batched { Batched(tensor, isMapped: false) }
  static func mapped(_ tensor: Tensor) -> Batched { Batched(tensor, isMapped: true) }

  /// What one example sees.
  var type: TensorType {
    let type = tensor.type
    return isMapped ? TensorType(type.dtype, Shape(type.shape.dropFirst())) : type
  }

  var shape: Shape { type.shape }
}

/// Does operations of one example on all of them: a rule for each kind of operation.
///
/// Mapped operands have their examples along axis 0, always: moving an axis there is a view. What the rules emit are
/// ordinary operations, so that whoever watches them (autograd, a recorder, deferred mode) sees nothing else.
struct Batching {
  /// How many examples there are.
  let size: Int

  /// A type of one example for all of them.
  func whole(_ type: TensorType) -> TensorType { TensorType(type.dtype, whole(type.shape)) }

  func whole(_ shape: Shape) -> Shape { Shape([size] + Array(shape)) }

  /// The operand with all examples along axis 0, repeated if they share it.
  func expanded(_ value: Batched) -> Tensor {
    if value.isMapped || value.tensor.isFailed { return value.tensor }
    return apply(.broadcast(whole(value.shape)), value.tensor)
  }

  /// The operand with so many axes for each example: NumPy's rules would put those that a smaller operand lacks in
  /// front of the examples.
  func aligned(_ value: Batched, rank: Int) -> Tensor {
    guard value.isMapped, value.shape.rank < rank else { return value.tensor }
    let ones = Shape(repeating: 1, rank: rank - value.shape.rank)
    return reshaped(value.tensor, [size] + Array(ones) + Array(value.shape))
  }

  func reshaped(_ tensor: Tensor, _ sizes: [Int]) -> Tensor {
    let shape = Shape(sizes)
    return tensor.isFailed || tensor.type.shape == shape ? tensor : apply(.reshape(shape), tensor)
  }

  /// The tensor with one of its axes moved; the others keep their order.
  func moving(_ tensor: Tensor, _ axis: Int, to place: Int) -> Tensor {
    if tensor.isFailed || axis == place { return tensor }
    var permutation = Array(0..<tensor.ndim)
    permutation.insert(permutation.remove(at: axis), at: place)
    return apply(.transpose(Shape(permutation)), tensor)
  }

  /// Numbers of that type that are all the same, for one example.
  func filled(_ type: TensorType, _ value: Double) -> Tensor {
    apply(.fill(type, Element(value, type.dtype)), [])
  }

  // MARK: Examples and other axes as one

  /// `[B, N, ...]` as `[B N, ...]`.
  func folded(_ value: Batched) -> Tensor {
    let shape = Array(value.shape)
    return reshaped(expanded(value), [size * shape[0]] + shape.dropFirst())
  }

  /// `[B N, ...]` as `[B, N, ...]`.
  func unfolded(_ tensor: Tensor, _ type: TensorType) -> Batched {
    .mapped(reshaped(tensor, [size] + Array(type.shape)))
  }

  /// `[B, N, C, ...]` as `[N, B C, ...]`: what goes channel by channel goes example by example.
  func channelsFolded(_ value: Batched) -> Tensor {
    let shape = Array(value.shape)
    return reshaped(
      moving(expanded(value), 0, to: 1), [shape[0], size * shape[1]] + shape.dropFirst(2))
  }

  /// `[N, B C, ...]` as `[B, N, C, ...]`.
  func channelsUnfolded(_ tensor: Tensor, _ type: TensorType) -> Batched {
    let shape = Array(type.shape)
    return .mapped(
      moving(reshaped(tensor, [shape[0], size] + shape.dropFirst()), 1, to: 0))
  }
}

extension Slice {
  /// The same part of each of so many examples.
  func ofEach(_ size: Int) -> Slice {
    Slice(
      starts: Shape([0] + Array(starts)), sizes: Shape([size] + Array(sizes)),
      steps: Shape([1] + Array(steps)))
  }
}
