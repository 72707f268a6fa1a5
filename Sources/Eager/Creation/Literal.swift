import DuetRuntime

/// Numbers as they are written in the program: one, or nested arrays of them.
///
/// Lets `Tensor([1.0, 2.0])` be `float32` although Swift's own type for `1.0` is `Double`: with a
/// fraction anywhere the tensor is `float32`, of integers alone `int64`, of `true` and `false`
/// `bool`.
public struct TensorLiteral: Sendable, ExpressibleByFloatLiteral, ExpressibleByIntegerLiteral,
  ExpressibleByBooleanLiteral, ExpressibleByArrayLiteral
{
  enum Content {
    case real(Double)
    case integer(Int64)
    case boolean(Bool)
    case array([TensorLiteral])
  }

  let content: Content

  public init(floatLiteral value: Double) { content = .real(value) }
  public init(integerLiteral value: Int64) { content = .integer(value) }
  public init(booleanLiteral value: Bool) { content = .boolean(value) }
  public init(arrayLiteral elements: TensorLiteral...) { content = .array(elements) }

  /// Positive infinity.
  public static var infinity: TensorLiteral { TensorLiteral(floatLiteral: .infinity) }
  /// Not-a-number.
  public static var nan: TensorLiteral { TensorLiteral(floatLiteral: .nan) }
  /// The circle's constant.
  public static var pi: TensorLiteral { TensorLiteral(floatLiteral: .pi) }

  /// The negative of a number: for `-.infinity`.
  public static prefix func - (a: TensorLiteral) -> TensorLiteral {
    switch a.content {
    case .real(let value): TensorLiteral(floatLiteral: -value)
    case .integer(let value): TensorLiteral(integerLiteral: 0 &- value)
    case .boolean: a
    case .array(let elements): TensorLiteral(elements.map { -$0 })
    }
  }

  private init(_ elements: [TensorLiteral]) { content = .array(elements) }
}

extension Tensor {
  /// A tensor of numbers written in the program: `Tensor(5.0)`, `Tensor([[1, 2], [3, 4]])`.
  ///
  /// - Parameters:
  ///   - dtype: Without it `float32` if any number has a fraction, else `int64`, or `bool` for
  ///     booleans.
  ///   - requiresGrad: Whether `backward` accumulates gradients in `grad`.
  public init(_ literal: TensorLiteral, dtype: DType? = nil, requiresGrad: Bool = false) {
    var reader = LiteralReader()
    reader.read(literal, depth: 0)
    self = reader.tensor(shape: nil, dtype: dtype).asLeaf(requiresGrad)
  }

  /// A tensor of that shape from numbers written in the program, in row-major order.
  public init(
    _ literal: TensorLiteral, _ shape: [Int], dtype: DType? = nil, requiresGrad: Bool = false
  ) {
    var reader = LiteralReader()
    reader.read(literal, depth: 0)
    self = reader.tensor(shape: shape, dtype: dtype).asLeaf(requiresGrad)
  }

  /// This new tensor, as a leaf whose gradient is asked for if so wished.
  func asLeaf(_ requiresGrad: Bool) -> Tensor { requiresGrad ? requiringGrad() : self }
}

/// Flattens a literal and finds its shape and dtype on the way.
private struct LiteralReader {
  var reals: [Double] = []
  var integers: [Int64] = []
  var sizes: [Int] = []
  var isReal = false
  var isBoolean = false
  var isNumber = false
  var problem: String?

  mutating func read(_ literal: TensorLiteral, depth: Int) {
    switch literal.content {
    case .array(let elements):
      if !enter(elements.count, depth) { return }
      for element in elements { read(element, depth: depth + 1) }
      return
    case .real(let value):
      isReal = true
      isNumber = true
      reals.append(value)
      integers.append(Int64(tensorValue: value))
    case .integer(let value):
      isNumber = true
      reals.append(Double(value))
      integers.append(value)
    case .boolean(let value):
      isBoolean = true
      reals.append(value ? 1 : 0)
      integers.append(value ? 1 : 0)
    }
    if depth != sizes.count { problem = problem ?? "numbers and arrays are mixed at one level" }
  }

  private var isDeepest: Bool { !reals.isEmpty }

  /// Notes an array's size at its level, or the problem that it has with earlier ones.
  private mutating func enter(_ count: Int, _ depth: Int) -> Bool {
    if depth < sizes.count {
      if sizes[depth] != count {
        problem =
          problem
          ?? "the arrays at level \(depth) have different sizes: \(sizes[depth]) and \(count)"
      }
    } else if isDeepest {
      problem = problem ?? "numbers and arrays are mixed at one level"
    } else {
      sizes.append(count)
    }
    return problem == nil
  }

  func tensor(shape given: [Int]?, dtype: DType?) -> Tensor {
    if let problem { return fail(OpError("Tensor", problem)) }
    if isBoolean && isNumber {
      return fail(OpError("Tensor", "numbers and booleans are mixed"))
    }
    let own: DType = isBoolean ? .bool : isReal || reals.isEmpty ? .float32 : .int64
    let target = dtype ?? own
    guard let shape = Shape(of: reals.count, given ?? sizes) else { return .failed }
    return isReal
      ? Tensor(filling: TensorType(target, shape)) { Element(reals[$0], target) }
      : Tensor(filling: TensorType(target, shape)) { Element(integer: Int(integers[$0]), target) }
  }
}

extension Shape {
  /// The shape that was asked for so many elements; nil after noting that it does not fit.
  init?(of count: Int, _ sizes: [Int]) {
    guard let shape = Shape(checking: sizes, for: "Tensor") else {
      _ = fail(sizes, "Tensor")
      return nil
    }
    guard shape.elementCount == count else {
      note(OpError("Tensor", "\(count) elements do not fit the shape \(shape)"))
      return nil
    }
    self = shape
  }
}

extension Tensor {
  /// The result of an operation that was already reported as a mistake.
  package static var failed: Tensor { Tensor(FailedTensor.body) }

  /// A tensor whose elements are given one by one.
  init(filling type: TensorType, _ element: (Int) -> Element) {
    let body = TensorBody(allocating: type)
    for i in 0..<body.count {
      Tensor.store(element(i), type.dtype, at: body.pointer + i * type.dtype.size)
    }
    self.init(body)
  }
}
