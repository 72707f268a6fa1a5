// Unsafe: runs kernels on bare addresses that the caller keeps alive.

import DuetKernels

extension Op {
  /// Computes the result into `output`, which is contiguous, has the result type's dtype and shape and
  /// shares no memory with the inputs (an elementwise result may be the very array of an input, that
  /// of a scatter or of `updateSlice` the array of the first).
  ///
  /// - Throws: `OpError` for what only values tell: an index out of range.
  package func execute(output: TensorView, inputs: UnsafeBufferPointer<TensorView>) throws(OpError)
  {
    if !takesStridedInputs && inputs.contains(where: { !$0.layout.isContiguous }) {
      try executeOnCopies(output: output, inputs: inputs)
      return
    }
    let thread = duet_thread()!
    thread.pointee.failure.status = DUET_OK
    kernels(output: output, inputs: inputs, runAtOnce)
    if thread.pointee.failure.status != DUET_OK { throw lastFailure() }
  }

  private func executeOnCopies(
    output: TensorView, inputs: UnsafeBufferPointer<TensorView>
  ) throws(OpError) {
    var owners: [Storage] = []
    var views = Array(inputs)
    for i in views.indices where !views[i].layout.isContiguous {
      let type = TensorType(views[i].dtype, views[i].shape)
      let storage = Storage.allocate(byteCount: type.byteCount)
      let target = TensorView(storage.base, type.dtype, Layout(contiguous: type.shape))
      withUnsafePointer(to: views[i]) { source in
        Op.copy.kernels(
          output: target, inputs: UnsafeBufferPointer(start: source, count: 1), runAtOnce)
      }
      owners.append(storage)
      views[i] = target
    }
    let thread = duet_thread()!
    thread.pointee.failure.status = DUET_OK
    views.withUnsafeBufferPointer { kernels(output: output, inputs: $0, runAtOnce) }
    withExtendedLifetime(owners) {}
    if thread.pointee.failure.status != DUET_OK { throw lastFailure() }
  }

  /// The error behind the last failed kernel of this thread.
  package func lastFailure() -> OpError {
    let failure = duet_thread().pointee.failure
    switch failure.status {
    case DUET_INDEX_OUT_OF_RANGE:
      if case .crossEntropy = self { return labelError(failure.value, failure.limit) }
      if case .crossEntropyGradient = self { return labelError(failure.value, failure.limit) }
      return OpError(
        name, "index \(failure.value) is out of range for an axis of \(failure.limit) elements")
    default:
      return OpError(name, "failed with status \(failure.status.rawValue)")
    }
  }

  private func labelError(_ label: Int64, _ classes: Int64) -> OpError {
    OpError(name, "label \(label) is out of range for \(classes) classes")
  }

  /// The result for constant inputs, computed by the same kernels as everywhere.
  package func evaluate(_ inputs: [ConstantArray]) throws(OpError) -> ConstantArray {
    let type = try resultType(for: inputs.map(\.type))
    if inputs.count == 1, let (layout, offset) = view(of: inputs[0].layout) {
      let source = inputs[0]
      return ConstantArray(
        storage: source.storage, byteOffset: source.byteOffset + offset * type.dtype.size,
        type: type,
        layout: layout)
    }
    let storage = Storage.allocate(byteCount: type.byteCount)
    let layout = Layout(contiguous: type.shape)
    let output = TensorView(storage.base, type.dtype, layout)
    let views = inputs.map(\.view)
    let result = views.withUnsafeBufferPointer { buffer in
      Result { () throws(OpError) in try execute(output: output, inputs: buffer) }
    }
    withExtendedLifetime(inputs) {}
    try result.get()
    return ConstantArray(storage: storage, byteOffset: 0, type: type, layout: layout)
  }
}

// Captures nothing, so that handing it over allocates nothing; a failure is left in the thread's state.
private func runAtOnce(
  _ kernel: duet_kernel, _ call: UnsafeMutablePointer<duet_call>, _ byteCount: Int
) {
  _ = kernel(call)
}
