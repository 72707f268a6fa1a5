import DuetEager
import DuetRuntime

/// The arguments of a mapped function, with their examples along axis 0.
struct MappedArguments {
  let values: [Batched]
  /// How many examples there are.
  let size: Int

  /// - Returns: Nil after reporting what does not fit.
  init?(_ tensors: [Tensor], _ paths: [String], _ axes: [Int?]) {
    if tensors.contains(where: \.isFailed) { return nil }
    var first: (size: Int, place: String)?
    var values: [Batched] = []
    func refuse(_ reason: String) { note(OpError("vmap", reason)) }
    for (i, tensor) in tensors.enumerated() {
      guard let given = axes[i] else {
        values.append(.shared(tensor))
        continue
      }
      let axis = given < 0 ? given + tensor.ndim : given
      guard 0..<tensor.ndim ~= axis else {
        refuse("\(paths[i]) is \(tensor.type), which has no axis \(given) to map over")
        return nil
      }
      let place = "axis \(axis) of \(paths[i]), which is \(tensor.type)"
      if let first, first.size != tensor.dim(axis) {
        refuse(
          "the numbers of examples differ: \(first.size) along \(first.place), and "
            + "\(tensor.dim(axis)) along \(place)")
        return nil
      }
      first = first ?? (tensor.dim(axis), place)
      // Without gradients wanted the examples are constants, as their slices would be.
      let batch = Batching(size: tensor.dim(axis)).moving(tensor, axis, to: 0)
      values.append(.mapped(isGradEnabled ? batch : batch.detached()))
    }
    guard let first else {
      refuse(
        axes.contains { $0 != nil } || tensors.isEmpty
          ? "there is nothing to map over: the arguments have no tensors"
          : "there is nothing to map over: inAxes says of every argument that all examples share it"
      )
      return nil
    }
    self.values = values
    size = first.size
  }
}

extension GraphRecorder {
  /// Something like one example of a tensor; the tensor's like if there is no such axis.
  func example(of tensor: Tensor, without axis: Int?) -> Tensor {
    if tensor.isFailed { return tensor }
    var shape = tensor.body.layout.shape
    let place = axis.map { $0 < 0 ? $0 + shape.rank : $0 }
    if let place, 0..<shape.rank ~= place { shape = shape.removing(axis: place) }
    let type = TensorType(tensor.dtype, shape)
    return addArgument(Tensor(TensorBody(withoutElements: type)), name: "an example")
  }
}

extension BatchingRecorder {
  /// A result of the function for all examples, which lie along that axis.
  func result(_ tensor: Tensor, along axis: Int) -> Tensor {
    let value = value(of: tensor)
    if value.tensor.isFailed { return .failed }
    let rank = value.shape.rank + 1
    let place = axis < 0 ? axis + rank : axis
    guard 0..<rank ~= place, rank <= Shape.maximumRank else {
      return fail(
        OpError(
          "vmap",
          rank > Shape.maximumRank
            ? "a result is \(value.type) for each example, and would have \(rank) axes for all"
            : "a result is \(value.type) for each example: outAxes \(axis) is not among its "
              + "\(rank) axes with the examples'"))
    }
    return outside { batching.moving(batching.expanded(value), 0, to: place) }
  }
}
