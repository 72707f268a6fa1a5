// Unsafe: hands addresses of elements to a program, while their tensors are held.

import DuetRuntime

/// Does what a closure of elementwise operations does, in one pass over the arrays where that gives the same: eagerly,
/// on contiguous floating-point arrays of one shape and numbers, with nobody to tell and nothing to differentiate. Values
/// in between take no memory then. Everywhere else the closure is called as it is; the bits are the same.
///
/// - Parameters:
///   - code: Names the closure: two that do not do the same have different ones.
///   - inputs: Up to eight.
///   - isShort: Whether there are two operations at most.
///   - body: Depends on its arguments and on what is in the code alone.
package func fused(
  _ code: FusedCode, _ inputs: [Tensor], isShort: Bool = false, _ body: ([Tensor]) -> [Tensor?]
) -> [Tensor?] {
  let fewest = isShort ? fewestForTwo : fewestForMore
  guard inputs.contains(where: { $0.body.count >= fewest }) else { return body(inputs) }
  return inOnePass(code, inputs, body) ?? body(inputs)
}

/// As the first form, for one result of one input.
package func fused(_ code: FusedCode, _ x: Tensor, _ body: (Tensor) -> Tensor) -> Tensor {
  guard x.body.count >= fewestForMore else { return body(x) }
  return inOnePass(code, [x]) { [body($0[0])] }?[0] ?? body(x)
}

/// Fewer elements are done as fast by loops that are called one by one: by two of them, and by more.
let fewestForTwo = 32_768
private let fewestForMore = 8192

private func inOnePass(
  _ code: FusedCode, _ inputs: [Tensor], _ body: ([Tensor]) -> [Tensor?]
) -> [Tensor?]? {
  let flags = ThreadContext.state.pointee.flags
  guard flags & ~harmlessFlags == 0, inputs.count <= 8 else { return nil }
  var shape: Shape?
  for input in inputs where input.body.count != 1 {
    if shape == nil { shape = input.body.layout.shape }
    guard input.body.layout.shape == shape else { return nil }
  }
  guard let shape else { return nil }
  var forms: [ElementwiseProgram.Input] = []
  var hasArray = false
  for input in inputs {
    let body = input.body
    let isNumber = body.isOneNumber
    guard body.isUnwatched(flags), isNumber || body.isContiguous,
      body.layout.shape.rank <= shape.rank, body.dtype.isFloatingPoint || body.dtype == .bool
    else { return nil }
    if !isNumber { hasArray = true }
    forms.append(ElementwiseProgram.Input(body.dtype, isNumber: isNumber))
  }
  guard hasArray, let program = FusedPrograms.program(code, forms, body) else { return nil }
  let types = program.program.outputTypes.map { TensorType($0, shape) }
  var results: [TensorBody] = []
  for type in types {
    guard let storage = Storage.allocateIfPossible(byteCount: type.byteCount) else { return nil }
    results.append(TensorBody(owning: storage, type, autograd: nil))
  }
  withUnsafeTemporaryAllocation(
    of: UnsafeMutableRawPointer.self, capacity: results.count + inputs.count
  ) { operands in
    for (i, result) in results.enumerated() {
      operands.initializeElement(at: i, to: result.pointer)
    }
    for (i, input) in inputs.enumerated() {
      operands.initializeElement(at: results.count + i, to: input.body.pointer)
    }
    program.program.run(count: shape.elementCount, UnsafeBufferPointer(operands))
  }
  withExtendedLifetime(inputs) {}
  var next = results.makeIterator()
  return program.gives.map { $0 ? Tensor(next.next()!) : nil }
}

extension TensorBody {
  /// Whether all elements are one in memory.
  fileprivate var isOneNumber: Bool {
    if count == 1 { return true }
    if isContiguous { return false }
    for axis in 0..<layout.shape.rank where layout.shape[axis] != 1 && layout.strides[axis] != 0 {
      return false
    }
    return true
  }

  /// The first element.
  var firstElement: Element {
    var bits: UInt64 = 0
    withUnsafeMutableBytes(of: &bits) {
      $0.baseAddress!.copyMemory(from: pointer, byteCount: dtype.size)
    }
    return Element(bits: UInt64(littleEndian: bits))
  }
}
