// Unsafe: writes to a tensor's memory, after making sure that nothing else refers to it.

import DuetRuntime

extension Tensor {
  /// A part of the tensor: `m[0]`, `m[0..., 1]`, `m[.ellipsis, -1]`, `m[Tensor([0, 2])]`,
  /// `m[m .> 0]`.
  ///
  /// Integers name a place and remove the axis, ranges a part of it; both count from the end if
  /// negative. Index tensors of integers gather; several broadcast against each other. A `bool`
  /// tensor picks where it is true; how many elements these are depends on values, and is looked at as
  /// `item()` does. Parts that are regular are views: no element is copied.
  ///
  /// Setting a part gives this variable a changed tensor and leaves all others alone; the elements
  /// are copied first if another tensor shares them. The new value broadcasts, and takes this
  /// tensor's dtype.
  public subscript(indices: any TensorIndex...) -> Tensor {
    // Inlined, so that the array of the indices need not be allocated.
    @inlinable get { indices.withUnsafeBufferPointer { part($0) } }
    set {
      if newValue.isFailed || isFailed { return }
      if let chosen = selected(indices, newValue) {
        if !chosen.isFailed { self = chosen }
        return
      }
      guard let plan = IndexPlan(indices, of: self) else { return }
      if plan.gathers.isEmpty && write(newValue, plan) { return }
      let result = plan.replacing(in: self, with: newValue)
      if !result.isFailed { self = result }
    }
  }

  @usableFromInline
  func part(_ indices: UnsafeBufferPointer<any TensorIndex>) -> Tensor {
    if indices.count == 1, let place = indices[0] as? Int { return row(place) }
    guard let plan = IndexPlan(Array(indices), of: self) else { return .failed }
    return plan.elements(of: self)
  }

  /// One place of the first axis: what loops over a tensor ask for.
  private func row(_ place: Int) -> Tensor {
    if isFailed { return self }
    guard ndim > 0 else {
      return fail(OpError("subscript", "1 indices for the 0 axes of shape []"))
    }
    let count = dim(0)
    guard place >= -count && place < count else {
      return fail(
        OpError("subscript", "index \(place) is out of range for axis 0 of shape \(shape)"))
    }
    var slice = Slice(all: body.layout.shape)
    slice.starts[0] = place < 0 ? place + count : place
    slice.sizes[0] = 1
    return part(slice, shape: body.layout.shape.removing(axis: 0))
  }

  /// A regular part in a shape that differs in axes of one element only.
  func part(_ slice: Slice, shape: Shape) -> Tensor {
    // With nobody to tell, one view instead of two.
    if hasElements, body.autograd == nil || !ThreadContext.isGradEnabled,
      !ThreadContext.has(ThreadContext.Flags.recording)
    {
      let (layout, offset) = body.layout.sliced(slice)
      if let layout = layout.reshaped(shape) {
        return Tensor(TensorBody(viewOf: body, layout: layout, offset: offset))
      }
    }
    let part = slice == Slice(all: body.layout.shape) ? self : apply(.slice(slice), self)
    return shape == slice.sizes ? part : apply(.reshape(shape), part)
  }

  /// Setting the elements where a mask is true to a value that does not depend on how many there
  /// are: a selection, which reads nothing. Nil in other cases.
  private func selected(_ indices: [any TensorIndex], _ value: Tensor) -> Tensor? {
    guard indices.count == 1, let mask = indices[0] as? Tensor, mask.dtype == .bool, !mask.isFailed,
      mask.ndim > 0, mask.ndim <= ndim, value.ndim <= ndim - mask.ndim,
      mask.body.layout.shape == Shape(body.layout.shape[..<mask.ndim])
    else { return nil }
    let rest = Shape(body.layout.shape[mask.ndim...])
    guard let fitted = IndexPlan.fitted(value.asType(dtype), to: rest) else { return .failed }
    let wide = mask.reshaped(mask.shape + Array(repeating: 1, count: rest.rank))
    return apply(.select, [wide, fitted, self])
  }

  /// Writes a regular part in place, if nobody could see the difference.
  private mutating func write(_ value: Tensor, _ plan: IndexPlan) -> Bool {
    guard isOwnedAlone(), value.hasElements,
      value.body.autograd == nil || !ThreadContext.isGradEnabled,
      !ThreadContext.has(ThreadContext.Flags.recording),
      value.body.storage !== body.storage
    else { return false }
    guard let fitted = IndexPlan.fitted(value.asType(dtype), to: plan.shape) else { return true }
    let part =
      plan.shape == plan.slice.sizes ? fitted : apply(.reshape(plan.slice.sizes), fitted)
    // Deferred mode has put off what made it fit.
    guard part.hasElements else { return false }
    let views = [body.view, part.body.view]
    do throws(OpError) {
      try views.withUnsafeBufferPointer { views throws(OpError) in
        // Kernels that find the base in the result's place copy the slice alone.
        try Op.updateSlice(plan.slice).execute(output: views[0], inputs: views)
      }
    } catch {
      note(error)
    }
    withExtendedLifetime(part) {}
    return true
  }
}
