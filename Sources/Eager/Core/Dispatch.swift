// The general way from an operation to its kernel. Every public operation ends in `apply`.

import DuetKernels
import DuetRuntime

/// Does an operation on one input: the result's type, the kernel, the autograd graph and the recorder.
package func apply(_ op: Op, _ a: Tensor) -> Tensor {
  withUnsafePointer(to: a) { dispatch(op, UnsafeBufferPointer(start: $0, count: 1)) }
}

/// Does an operation on two inputs, whose dtypes the caller has made equal where the operation asks for it.
package func apply(_ op: Op, _ a: Tensor, _ b: Tensor) -> Tensor {
  withUnsafeTemporaryAllocation(of: Tensor.self, capacity: 2) { inputs in
    inputs.initializeElement(at: 0, to: a)
    inputs.initializeElement(at: 1, to: b)
    defer { inputs.deinitialize() }
    return dispatch(op, UnsafeBufferPointer(inputs))
  }
}

/// Does an operation on three inputs, of one dtype where the operation asks for it.
package func apply(_ op: Op, _ a: Tensor, _ b: Tensor, _ c: Tensor) -> Tensor {
  withUnsafeTemporaryAllocation(of: Tensor.self, capacity: 3) { inputs in
    inputs.initializeElement(at: 0, to: a)
    inputs.initializeElement(at: 1, to: b)
    inputs.initializeElement(at: 2, to: c)
    defer { inputs.deinitialize() }
    return dispatch(op, UnsafeBufferPointer(inputs))
  }
}

/// Does an operation on any number of inputs.
package func apply(_ op: Op, _ inputs: [Tensor]) -> Tensor {
  inputs.withUnsafeBufferPointer { dispatch(op, $0) }
}

/// The general path.
private func dispatch(_ op: Op, _ inputs: UnsafeBufferPointer<Tensor>) -> Tensor {
  let flags = ThreadContext.state.pointee.flags
  // Looking for anomalies takes elements.
  if flags & (ThreadContext.Flags.deferred | ThreadContext.Flags.anomaly)
    == ThreadContext.Flags.deferred
  {
    // A view of elements that are there costs nothing; put off, every other part would be another program.
    if let whole = inputs.first?.knownElements, op.view(of: whole.body.layout) != nil {
      return withUnsafePointer(to: whole) {
        perform(op, UnsafeBufferPointer(start: $0, count: 1), flags)
      }
    }
    return putOff(op, inputs, flags)
  }
  return perform(op, inputs, flags)
}

@inline(__always)
private func perform(
  _ op: Op, _ inputs: UnsafeBufferPointer<Tensor>, _ flags: Int32
) -> Tensor {
  var isDifferentiable = false
  for input in inputs {
    if input.body.storage == nil { return dispatchWithoutElements(op, inputs) }
    if input.body.autograd != nil { isDifferentiable = true }
  }
  if flags & ThreadContext.Flags.noGrad != 0 { isDifferentiable = false }
  return completed(op, inputs, isDifferentiable, flags) { type, autograd throws(OpError) in
    try compute(op, inputs, type, autograd)
  }
}

/// What all ways have in common: the result's type, its place in the autograd graph, whoever wants to know, errors.
/// - Parameter body: Makes the result.
@inline(__always)
private func completed(
  _ op: Op, _ inputs: UnsafeBufferPointer<Tensor>, _ isDifferentiable: Bool, _ flags: Int32,
  _ body: (TensorType, AutogradMeta?) throws(OpError) -> TensorBody
) -> Tensor {
  do throws(OpError) {
    let type = try resultType(op, inputs)
    let function =
      isDifferentiable && type.dtype.isFloatingPoint
      ? GradientFunction(op, inputs, outputType: type) : nil
    let body = try body(type, function.map { AutogradMeta($0) })
    finish(op, inputs, body, function, flags)
    return Tensor(body)
  } catch {
    return fail(error)
  }
}

private func resultType(
  _ op: Op, _ inputs: UnsafeBufferPointer<Tensor>
) throws(OpError) -> TensorType {
  try withUnsafeTemporaryAllocation(of: TensorType.self, capacity: inputs.count) { types in
    for i in inputs.indices { types.initializeElement(at: i, to: inputs[i].body.type) }
    return Result { () throws(OpError) in try op.resultType(for: UnsafeBufferPointer(types)) }
  }.get()
}

/// The result's elements: a view of the input, or fresh memory that the kernel fills.
private func compute(
  _ op: Op, _ inputs: UnsafeBufferPointer<Tensor>, _ type: TensorType, _ autograd: AutogradMeta?
) throws(OpError) -> TensorBody {
  if inputs.count == 1, let (layout, offset) = op.view(of: inputs[0].body.layout) {
    return TensorBody(viewOf: inputs[0].body, layout: layout, offset: offset, autograd: autograd)
  }
  guard let storage = Storage.allocateIfPossible(byteCount: type.byteCount) else {
    throw OpError(op.name, "out of memory: the result \(type) takes \(type.byteCount) bytes")
  }
  let result = TensorBody(owning: storage, type, autograd: autograd)
  try withUnsafeTemporaryAllocation(of: TensorView.self, capacity: inputs.count) { views in
    for i in inputs.indices { views.initializeElement(at: i, to: inputs[i].body.view) }
    return Result { () throws(OpError) in
      try op.execute(output: result.view, inputs: UnsafeBufferPointer(views))
    }
  }.get()
  return result
}

/// Completes the result's place in the autograd graph and tells the recorder.
private func finish(
  _ op: Op, _ inputs: UnsafeBufferPointer<Tensor>, _ body: TensorBody,
  _ function: GradientFunction?,
  _ flags: Int32
) {
  let isRecording = flags & ThreadContext.Flags.recording != 0
  if isRecording { ThreadContext.recorder?.record(op, Array(inputs), Tensor(body)) }
  if let function, op.gradientNeeds.output {
    // Without its place in the graph, which would hold the function in a circle.
    let plain = Tensor(body.attached(to: nil))
    function.save(output: plain)
    if isRecording { ThreadContext.recorder?.recordAlias(plain, of: Tensor(body)) }
  }
  if flags & ThreadContext.Flags.anomaly != 0 { AnomalyDetector.check(op, Tensor(body)) }
}

/// Operations on failed tensors fail, those on values put off wait for them, and those on symbolic ones only go into
/// the graph.
@inline(never)
private func dispatchWithoutElements(_ op: Op, _ inputs: UnsafeBufferPointer<Tensor>) -> Tensor {
  if inputs.contains(where: \.isFailed) { return Tensor(FailedTensor.body) }
  if inputs.contains(where: \.isPending), !(ThreadContext.recorder?.takesPending ?? false) {
    let evaluated = inputs.map { $0.isPending ? $0.evaluated(for: op.name) : $0 }
    return evaluated.withUnsafeBufferPointer { dispatch(op, $0) }
  }
  let recorder = ThreadContext.recorder
  for input in inputs where input.body.storage == nil {
    guard let recorder, recorder.knows(input) else {
      return fail(OpError(op.name, input.reasonForHavingNoElements))
    }
  }
  let flags = ThreadContext.state.pointee.flags
  let isDifferentiable =
    flags & ThreadContext.Flags.noGrad == 0 && inputs.contains { $0.body.autograd != nil }
  return completed(op, inputs, isDifferentiable, flags) { type, autograd throws(OpError) in
    SymbolicBody(type, autograd: autograd, madeBy: op.name, in: recorder!.origin)
  }
}

/// Operations of deferred mode only make a node.
@inline(never)
private func putOff(
  _ op: Op, _ inputs: UnsafeBufferPointer<Tensor>, _ flags: Int32
) -> Tensor {
  var isDifferentiable = false
  for input in inputs {
    if input.isFailed { return Tensor(FailedTensor.body) }
    if !input.hasElements && !input.isPending {
      return fail(OpError(op.name, input.reasonForHavingNoElements))
    }
    if input.body.autograd != nil { isDifferentiable = true }
  }
  if flags & ThreadContext.Flags.noGrad != 0 { isDifferentiable = false }
  var node: PendingNode?
  let result = completed(op, inputs, isDifferentiable, flags) { type, autograd throws(OpError) in
    node = PendingNode(op, inputs, type)
    return PendingBody(node!, autograd: autograd)
  }
  if let node, node.isDeep { PendingNode.evaluate(node) }
  return result
}
