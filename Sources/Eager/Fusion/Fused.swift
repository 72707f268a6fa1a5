import DuetRuntime

/// Does what a closure of elementwise operations does, in one pass over the arrays where that gives the same: eagerly,
/// on contiguous floating-point arrays of one shape and numbers, with nobody to tell and nothing to differentiate. Values
/// in between take no memory then. Everywhere else the closure is called as it is; the bits are the same.
///
/// - Parameters:
///   - code: Names the closure: two that do not do the same have different ones.
///   - inputs: Up to eight.
///   - isShort: Whether there are two operations at most.
///   - body: Depends on what is in the code and on its arguments' dtypes alone, not on how many elements they have.
package func fused(
  _ code: FusedCode, _ inputs: [Tensor], isShort: Bool = false, _ body: ([Tensor]) -> [Tensor?]
) -> [Tensor?] {
  guard let onePass = FusedPass(code, inputs, isShort: isShort, body) else { return body(inputs) }
  let shape = onePass.shape
  var results: [TensorBody] = []
  for dtype in onePass.program.outputTypes {
    guard let result = TensorBody(allocatingIfPossible: TensorType(dtype, shape)) else {
      return body(inputs)
    }
    results.append(result)
  }
  onePass.run(into: results, inputs)
  var next = results.makeIterator()
  return onePass.gives.map { $0 ? Tensor(next.next()!) : nil }
}

/// As the first form, for one result of one input.
package func fused(_ code: FusedCode, _ x: Tensor, _ body: (Tensor) -> Tensor) -> Tensor {
  guard x.body.count >= FusedPass.fewestForMore else { return body(x) }
  return fused(code, [x]) { [body($0[0])] }[0]!
}

/// As the first form, for one result of which axes are reduced, in the same pass where they are the last ones: with the
/// bits of the reduction by itself.
/// - Parameter axes: Nil: all.
package func fusedReduction(
  _ op: ReductionOp, axes: AxisSet? = nil, keepDims: Bool = false, _ code: FusedCode,
  _ inputs: [Tensor], _ body: ([Tensor]) -> Tensor
) -> Tensor {
  func separately() -> Tensor {
    let x = body(inputs)
    return apply(.reduce(op, axes: axes ?? AxisSet(allOf: x.ndim), keepDims: keepDims), x)
  }
  guard
    let onePass = FusedPass(
      code, inputs, isShort: false, reducing: (op, axes), { [body($0)] }),
    case let axes = axes ?? AxisSet(allOf: onePass.shape.rank),
    let type = try? Op.reduce(op, axes: axes, keepDims: keepDims).resultType(
      for: [TensorType(onePass.program.outputTypes[0], onePass.shape)]),
    let result = TensorBody(allocatingIfPossible: type)
  else { return separately() }
  onePass.run(into: [result], inputs, rows: result.count)
  return Tensor(result)
}

extension TensorBody {
  fileprivate convenience init?(allocatingIfPossible type: TensorType) {
    guard let storage = Storage.allocateIfPossible(byteCount: type.byteCount) else { return nil }
    self.init(owning: storage, type, autograd: nil)
  }
}
