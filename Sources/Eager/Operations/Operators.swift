import DuetRuntime

/// What an operator takes beside a tensor: another tensor or a Swift number.
///
/// A number takes the tensor's dtype, so that `x * 2.5` stays `float32`; only a fraction with an
/// integer or bool tensor makes the result `float32`.
public protocol TensorOperand {
  /// The operand as a tensor to be used with `other`.
  consuming func operand(with other: DType) -> Tensor
  /// The operand's dtype if it is a tensor; numbers adapt and have none.
  var operandDType: DType? { get }
}

extension Tensor: TensorOperand {
  public consuming func operand(with other: DType) -> Tensor { self }
  public var operandDType: DType? { dtype }
}

extension TensorOperand where Self: TensorScalar {
  public consuming func operand(with other: DType) -> Tensor { Tensor(scalar: self, for: other) }
  public var operandDType: DType? { nil }
}

extension Double: TensorOperand {}
extension Float: TensorOperand {}
extension Int: TensorOperand {}
extension Int64: TensorOperand {}
extension Int32: TensorOperand {}
extension Int16: TensorOperand {}
extension Int8: TensorOperand {}
extension UInt8: TensorOperand {}
extension Bool: TensorOperand {}
extension BFloat16: TensorOperand {}
#if !(os(macOS) && arch(x86_64))
  extension Float16: TensorOperand {}
#endif

extension Tensor {
  /// A number as a scalar tensor that goes with tensors of `dtype`.
  @inlinable
  package init<S: TensorScalar>(scalar value: S, for dtype: DType) {
    self.init(Number(value, for: dtype))
  }

  /// A number as a tensor of no axes.
  @usableFromInline
  init(_ number: Number) {
    let body = TensorBody(allocating: TensorType(number.dtype, []))
    Tensor.store(number.element, number.dtype, at: body.pointer)
    self.init(body)
  }

  static func store(_ element: Element, _ dtype: DType, at pointer: UnsafeMutableRawPointer) {
    withUnsafeBytes(of: element.bits.littleEndian) {
      pointer.copyMemory(from: $0.baseAddress!, byteCount: dtype.size)
    }
  }
}

/// Makes both operands one dtype and does the operation.
@inline(__always)
package func promoting(_ op: BinaryOp, _ a: consuming Tensor, _ b: consuming Tensor) -> Tensor {
  if a.body.dtype == b.body.dtype { return apply(op, a, b) }
  let dtype = DType.promoted(a.dtype, b.dtype)
  return apply(op, a.asType(dtype), b.asType(dtype))
}

@inline(__always)
package func promoting(_ op: ComparisonOp, _ a: Tensor, _ b: Tensor) -> Tensor {
  if a.body.dtype == b.body.dtype { return apply(.compare(op), a, b) }
  let dtype = DType.promoted(a.dtype, b.dtype)
  return apply(.compare(op), a.asType(dtype), b.asType(dtype))
}

@inline(__always)
package func promoting(_ op: BinaryOp, _ a: consuming Tensor, _ b: some TensorScalar) -> Tensor {
  let number = Number(b, for: a.body.dtype)
  return apply(op, a, number, numberIsFirst: false)
}

@inline(__always)
package func promoting(_ op: BinaryOp, _ a: some TensorScalar, _ b: consuming Tensor) -> Tensor {
  let number = Number(a, for: b.body.dtype)
  return apply(op, b, number, numberIsFirst: true)
}

@inline(__always)
package func promoting(_ op: ComparisonOp, _ a: Tensor, _ b: some TensorScalar) -> Tensor {
  apply(op, a, Number(b, for: a.body.dtype))
}

/// The operands of a free function of two, each of which may be a number.
func pair(
  _ a: consuming some TensorOperand, _ b: consuming some TensorOperand
) -> (Tensor, Tensor) {
  // Two numbers keep the dtypes that they have beside a bool tensor, their own.
  let dtypes = (a.operandDType ?? .bool, b.operandDType ?? .bool)
  return (a.operand(with: dtypes.1), b.operand(with: dtypes.0))
}

precedencegroup PowerPrecedence {
  higherThan: MultiplicationPrecedence
  associativity: right
}
infix operator ** : PowerPrecedence

// Per operator: two tensors, and a number on either side (numbers adapt to the tensor's dtype).
extension Tensor {
  public static func + (a: consuming Tensor, b: consuming Tensor) -> Tensor {
    promoting(.add, a, b)
  }
  public static func + (a: consuming Tensor, b: some TensorScalar) -> Tensor {
    promoting(.add, a, b)
  }
  public static func + (a: some TensorScalar, b: consuming Tensor) -> Tensor {
    promoting(.add, a, b)
  }

  public static func - (a: consuming Tensor, b: consuming Tensor) -> Tensor {
    promoting(.subtract, a, b)
  }
  public static func - (a: consuming Tensor, b: some TensorScalar) -> Tensor {
    promoting(.subtract, a, b)
  }
  public static func - (a: some TensorScalar, b: consuming Tensor) -> Tensor {
    promoting(.subtract, a, b)
  }

  public static func * (a: consuming Tensor, b: consuming Tensor) -> Tensor {
    promoting(.multiply, a, b)
  }
  public static func * (a: consuming Tensor, b: some TensorScalar) -> Tensor {
    promoting(.multiply, a, b)
  }
  public static func * (a: some TensorScalar, b: consuming Tensor) -> Tensor {
    promoting(.multiply, a, b)
  }

  /// The quotient. Of two integer tensors: the integer quotient, cut off toward zero as in Swift; a
  /// quotient by 0 is 0.
  public static func / (a: consuming Tensor, b: consuming Tensor) -> Tensor {
    promoting(.divide, a, b)
  }
  public static func / (a: consuming Tensor, b: some TensorScalar) -> Tensor {
    promoting(.divide, a, b)
  }
  public static func / (a: some TensorScalar, b: consuming Tensor) -> Tensor {
    promoting(.divide, a, b)
  }

  /// What `/` cut off to a whole number leaves: the sign is the dividend's, as in Swift. See
  /// `remainder` for NumPy's.
  public static func % (a: consuming Tensor, b: consuming Tensor) -> Tensor {
    promoting(.remainder, a, b)
  }
  public static func % (a: consuming Tensor, b: some TensorScalar) -> Tensor {
    promoting(.remainder, a, b)
  }
  public static func % (a: some TensorScalar, b: consuming Tensor) -> Tensor {
    promoting(.remainder, a, b)
  }

  public static func ** (a: consuming Tensor, b: consuming Tensor) -> Tensor {
    promoting(.power, a, b)
  }
  public static func ** (a: consuming Tensor, b: some TensorScalar) -> Tensor { power(a, b) }
  public static func ** (a: some TensorScalar, b: consuming Tensor) -> Tensor {
    promoting(.power, a, b)
  }

  public static prefix func - (a: consuming Tensor) -> Tensor { apply(.negate, a) }
  /// Not, of a bool tensor; of integers every bit.
  public static prefix func .! (a: Tensor) -> Tensor { apply(.logicalNot, a) }

  public static func += (a: inout Tensor, b: Tensor) { a = (consume a) + b }
  public static func += (a: inout Tensor, b: some TensorScalar) { a = (consume a) + b }
  public static func -= (a: inout Tensor, b: Tensor) { a = (consume a) - b }
  public static func -= (a: inout Tensor, b: some TensorScalar) { a = (consume a) - b }
  public static func *= (a: inout Tensor, b: Tensor) { a = (consume a) * b }
  public static func *= (a: inout Tensor, b: some TensorScalar) { a = (consume a) * b }
  public static func /= (a: inout Tensor, b: Tensor) { a = (consume a) / b }
  public static func /= (a: inout Tensor, b: some TensorScalar) { a = (consume a) / b }
}

// Elementwise comparisons give bool tensors.
extension Tensor {
  public static func .== (a: Tensor, b: Tensor) -> Tensor { promoting(.equal, a, b) }
  public static func .== (a: Tensor, b: some TensorScalar) -> Tensor {
    promoting(.equal, a, b)
  }
  public static func .!= (a: Tensor, b: Tensor) -> Tensor { promoting(.notEqual, a, b) }
  public static func .!= (a: Tensor, b: some TensorScalar) -> Tensor {
    promoting(.notEqual, a, b)
  }
  public static func .< (a: Tensor, b: Tensor) -> Tensor { promoting(.less, a, b) }
  public static func .< (a: Tensor, b: some TensorScalar) -> Tensor {
    promoting(.less, a, b)
  }
  public static func .<= (a: Tensor, b: Tensor) -> Tensor { promoting(.lessEqual, a, b) }
  public static func .<= (a: Tensor, b: some TensorScalar) -> Tensor {
    promoting(.lessEqual, a, b)
  }
  public static func .> (a: Tensor, b: Tensor) -> Tensor { promoting(.greater, a, b) }
  public static func .> (a: Tensor, b: some TensorScalar) -> Tensor {
    promoting(.greater, a, b)
  }
  public static func .>= (a: Tensor, b: Tensor) -> Tensor { promoting(.greaterEqual, a, b) }
  public static func .>= (a: Tensor, b: some TensorScalar) -> Tensor {
    promoting(.greaterEqual, a, b)
  }

  /// And, of bool tensors; of integers bit by bit.
  public static func .& (a: Tensor, b: Tensor) -> Tensor { promoting(.bitwiseAnd, a, b) }
  /// Or, of bool tensors; of integers bit by bit.
  public static func .| (a: Tensor, b: Tensor) -> Tensor { promoting(.bitwiseOr, a, b) }
  /// Exclusive or, of bool tensors; of integers bit by bit.
  public static func .^ (a: Tensor, b: Tensor) -> Tensor { promoting(.bitwiseXor, a, b) }
}
