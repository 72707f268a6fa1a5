// Unsafe: hands addresses of elements to a program, while their tensors are held.

import DuetRuntime

/// A closure of elementwise operations as one pass over arrays that are contiguous and of one shape.
struct FusedPass {
  let shape: Shape
  let program: ElementwiseProgram
  /// Which results there are.
  let gives: [Bool]

  /// Fewer elements are done as fast by loops that are called one by one: by two of them, and by more.
  static let fewestForTwo = 32_768
  static let fewestForMore = 8192
  /// Rows that are shorter are reduced as fast by themselves.
  private static let shortestRow = 256

  /// Nil where the closure has to be called as it is.
  /// - Parameters:
  ///   - types: Of what the closure takes before the inputs, and gives new values for.
  ///   - reduction: Of the only result, over its last axes, or all of them.
  init?(
    _ code: FusedCode, updating types: [TensorType] = [], _ inputs: [Tensor], isShort: Bool,
    reducing reduction: (op: ReductionOp, axes: AxisSet?)? = nil, _ body: ([Tensor]) -> [Tensor?]
  ) {
    let fewest = isShort ? Self.fewestForTwo : Self.fewestForMore
    let flags = ThreadContext.state.pointee.flags
    guard
      types.contains(where: { $0.shape.elementCount >= fewest })
        || inputs.contains(where: { $0.body.count >= fewest }),
      flags & ~harmlessFlags == 0, types.count + inputs.count <= 8
    else { return nil }
    var shape = types.first?.shape
    for input in inputs where shape == nil && input.body.count != 1 {
      shape = input.body.layout.shape
    }
    guard let shape, types.allSatisfy({ $0.shape == shape && $0.dtype.isFloatingPoint }) else {
      return nil
    }
    var forms = types.map { ElementwiseProgram.Input($0.dtype, isNumber: false) }
    for input in inputs {
      let body = input.body
      let isNumber = body.isOneNumber
      guard body.isUnwatched(flags), body.count == 1 || body.layout.shape == shape,
        isNumber || body.isContiguous, body.layout.shape.rank <= shape.rank,
        body.dtype.isFloatingPoint || body.dtype == .bool
      else { return nil }
      forms.append(ElementwiseProgram.Input(body.dtype, isNumber: isNumber))
    }
    if let axes = reduction?.axes, !shape.isReducedToRows(by: axes, of: Self.shortestRow) {
      return nil
    }
    guard forms.contains(where: { !$0.isNumber }),
      let known = FusedPrograms.program(code, forms, reducing: reduction?.op, body)
    else { return nil }
    self.shape = shape
    program = known.program
    gives = known.gives
  }

  /// Writes results to memory that no input shares.
  /// - Parameter rows: Into how many the result is reduced.
  func run(into results: [TensorBody], _ inputs: [Tensor], rows: Int = 1) {
    run(results.map(\.pointer), inputs, rows: rows)
    withExtendedLifetime(results) {}
  }

  /// - Parameter places: Where results go, then what the closure takes before the inputs.
  func run(_ places: [UnsafeMutableRawPointer], _ inputs: [Tensor], rows: Int = 1) {
    withUnsafeTemporaryAllocation(
      of: UnsafeMutableRawPointer.self, capacity: places.count + inputs.count
    ) { operands in
      for (i, place) in places.enumerated() { operands.initializeElement(at: i, to: place) }
      for (i, input) in inputs.enumerated() {
        operands.initializeElement(at: places.count + i, to: input.body.pointer)
      }
      program.run(count: shape.elementCount, rows: rows, UnsafeBufferPointer(operands))
    }
    withExtendedLifetime(inputs) {}
  }
}

extension Shape {
  /// Whether those are the last axes, and rows over them have so many elements.
  fileprivate func isReducedToRows(by axes: AxisSet, of fewest: Int) -> Bool {
    var count = 1
    var axis = rank
    while axis > 0, axes.contains(axis - 1) {
      axis -= 1
      count *= self[axis]
    }
    return axes == AxisSet(axis..<rank) && count >= fewest
  }
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
