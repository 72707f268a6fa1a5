/// Everything that a tensor program can do: one closed set, with the attributes of each operation.
///
/// Every operation has one result, which depends on its inputs and attributes only. What is true of an
/// operation is an exhaustive `switch` over this type: result types and kernels here, gradients in Eager,
/// fusion in Compiler. A new case does not compile until each of them knows it.
public enum Op: Sendable, Hashable {
  // Elementwise. Inputs broadcast against each other and have one dtype.
  case unary(UnaryOp)
  case binary(BinaryOp)
  case compare(ComparisonOp)
  /// Condition (`bool`), value where true, value where false.
  case select
  case cast(DType)

  // Creation.
  case fill(TensorType, Element)
  /// `start + i * step` for every index i of a vector.
  case iota(DType, count: Int, start: Double, step: Double)

  // Reductions and what else runs along an axis.
  case reduce(ReductionOp, axes: AxisSet, keepDims: Bool)
  case softmax(axis: Int)
  case logSoftmax(axis: Int)
  /// The softmax itself, its cotangent.
  case softmaxGradient(axis: Int)
  /// The logarithm of the softmax, its cotangent.
  case logSoftmaxGradient(axis: Int)
  case cumulative(CumulativeOp, axis: Int)
  case argSort(axis: Int, descending: Bool)
  /// The places of so many of the largest elements, as a descending `argSort` begins.
  case argTopK(axis: Int, count: Int)

  // Normalisation.
  /// Input, scale of the row's shape, and for a layer norm an offset.
  case rowNorm(RowNorm)
  /// Input, scale, cotangent of the output.
  case rowNormInputGradient(RowNorm)
  /// Input, cotangent: `[2, columns]`, the gradients of scale and offset; without offset `[1, columns]`.
  case rowNormParameterGradient(RowNorm)
  /// Input `[N, C, ...]`; gives `[2, C]`, means and variances (biased). Of 16-bit floats in `float32`.
  case channelMoments
  /// Input `[N, C, ...]`, moments, scale and offset `[C]`.
  case channelNorm(ChannelNorm)
  /// Input, moments, cotangent; gives `[2, C]`, the gradients of scale and offset.
  case channelNormParameterGradient(ChannelNorm)
  /// Input, its own moments, scale, the gradients of scale and offset, cotangent.
  case channelNormInputGradient(eps: Double)
  /// Scores `[N, C, ...]` or `[C]`, labels `[N, ...]` or `[]` (`int32` or `int64`), weights `[C]` if any.
  case crossEntropy(CrossEntropy)
  /// Scores, labels, cotangent, weights if any; gives the gradient of the scores.
  case crossEntropyGradient(CrossEntropy)

  // Contractions.
  /// `[..., m, k]` × `[..., k, n]`, leading axes broadcast.
  case matmul
  /// The same of a narrower dtype, with sums and result of this one.
  case wideMatmul(DType)
  /// Input `[..., k]`, weight `[n, k]` and perhaps a bias `[n]`: the products of the input's rows with the weight's,
  /// to which the bias is added.
  case linear
  /// Input `[N, C, H, W]`, weight `[O, C / groups, kh, kw]`.
  case conv2d(Convolution)
  /// Cotangent of the output, weight; gives the gradient of an input of that height and width.
  case conv2dInputGradient(Convolution, inputSize: Extent)
  /// Input, cotangent of the output; gives the gradient of a weight of that kernel size.
  case conv2dWeightGradient(Convolution, kernelSize: Extent)

  // Windows over the last two axes of `[N, C, H, W]`.
  case maxPool2d(Pooling)
  /// Input, values of the input's shape: the values at the places of the input's maxima.
  case maxPool2dSelect(Pooling)
  /// Input, cotangent of the output.
  case maxPool2dGradient(Pooling)
  case averagePool2d(Pooling)
  /// Cotangent of the output; gives the gradient of an input of that height and width.
  case averagePool2dGradient(Pooling, inputSize: Extent)

  // Movement: the same elements elsewhere. The first four are views that copy nothing where strides allow.
  case reshape(Shape)
  case transpose(Shape)
  case broadcast(Shape)
  indirect case slice(Slice)
  /// The elements one behind the other.
  case copy
  /// A view that passes do not look through: what is computed from it is not merged with what is computed from the
  /// input.
  case barrier
  case concatenate(axis: Int)
  /// Base, values: the base with the values in place of the slice.
  indirect case updateSlice(Slice)

  // Indexing along an axis; indices are `int32` or `int64`, negative ones count from the end.
  /// Source, indices of any shape: their axes take the place of the source's axis.
  case take(axis: Int)
  /// Source, indices of the same rank.
  case takeAlong(axis: Int)
  /// Base, indices (a vector), updates: adds in ascending order of the indices' places.
  case scatterAdd(axis: Int)
  /// Base, indices, updates, all of one rank.
  case scatterAddAlong(axis: Int)
  /// Base, indices (a vector), values: the last of equal indices stays.
  case scatterSet(axis: Int)

  // Random numbers from a generator's state, `int64[2]`.
  case random(Distribution, TensorType)
  /// The state after a draw of so many counter blocks.
  case advanceRandom(blocks: Int)

  // Control flow. The only operation with several results: its own stands for all of them and has no elements.
  case region(Region)
  /// A region; gives one of its results.
  case regionResult(index: Int, TensorType)
}

/// An elementwise operation on one input. Raw values are the kernels' codes.
public enum UnaryOp: Int32, Sendable, Hashable, CaseIterable {
  case negate, absolute, sign, square, sqrt, rsqrt, reciprocal
  case exp, expm1, log, log1p, log2, log10
  case sin, cos, tan, asin, acos, atan
  case sinh, cosh, tanh, erf
  case sigmoid, relu, gelu, geluTanh, silu, softplus
  case floor, ceil, round, truncate
  case logicalNot
  case isNaN, isInfinite, isFinite
}

/// An elementwise operation on two inputs. Raw values are the kernels' codes.
public enum BinaryOp: Int32, Sendable, Hashable, CaseIterable {
  case add, subtract, multiply, divide, floorDivide, remainder, floorRemainder, power
  case maximum, minimum, atan2, hypot
  case bitwiseAnd, bitwiseOr, bitwiseXor, shiftLeft, shiftRight
}

/// An elementwise comparison; gives `bool`. Raw values are the kernels' codes.
public enum ComparisonOp: Int32, Sendable, Hashable, CaseIterable {
  case equal, notEqual, less, lessEqual, greater, greaterEqual
}

/// A reduction over axes. Raw values are the kernels' codes.
public enum ReductionOp: Int32, Sendable, Hashable, CaseIterable {
  case sum, mean, product, max, min, all, any, argMax, argMin
}

/// A running sum, product or extreme along an axis. Raw values are the kernels' codes.
public enum CumulativeOp: Int32, Sendable, Hashable, CaseIterable {
  case sum, product, max, min
}

/// What a random tensor's elements are drawn from.
public enum Distribution: Sendable, Hashable {
  /// At least 0 and below 1.
  case uniform
  /// Mean 0, deviation 1.
  case normal
  /// At least `low` and below `high`.
  case integer(low: Int, high: Int)
  /// The numbers 0 ..< count in random order.
  case permutation
}

/// A height and a width.
public struct Extent: Sendable, Hashable, CustomStringConvertible {
  public var height: Int
  public var width: Int

  public init(_ height: Int, _ width: Int) {
    self.height = height
    self.width = width
  }

  public var description: String { "\(height)×\(width)" }
}

/// How a convolution's kernel moves over its input.
public struct Convolution: Sendable, Hashable {
  public var stride: Extent
  /// Rows and columns of zeros on each side.
  public var padding: Extent
  public var dilation: Extent
  public var groups: Int

  public init(
    stride: Extent = Extent(1, 1), padding: Extent = Extent(0, 0), dilation: Extent = Extent(1, 1),
    groups: Int = 1
  ) {
    self.stride = stride
    self.padding = padding
    self.dilation = dilation
    self.groups = groups
  }
}

/// The windows of a pooling operation.
public struct Pooling: Sendable, Hashable {
  public var kernelSize: Extent
  public var stride: Extent
  public var padding: Extent
  public var dilation: Extent
  /// Average pooling: whether padding counts as elements of a window.
  public var countsPadding: Bool

  public init(
    kernelSize: Extent, stride: Extent, padding: Extent = Extent(0, 0),
    dilation: Extent = Extent(1, 1), countsPadding: Bool = true
  ) {
    self.kernelSize = kernelSize
    self.stride = stride
    self.padding = padding
    self.dilation = dilation
    self.countsPadding = countsPadding
  }
}

/// A set of axes.
@frozen public struct AxisSet: Sendable, Hashable {
  /// Bit i stands for axis i.
  public var bits: UInt8

  @inlinable public init(bits: UInt8) { self.bits = bits }
  @inlinable public init(_ axis: Int) { bits = 1 << UInt8(axis) }
  @inlinable public init(_ axes: some Sequence<Int>) {
    bits = axes.reduce(0) { $0 | 1 << UInt8($1) }
  }
  /// All axes of a tensor of that rank.
  @inlinable public init(allOf rank: Int) { bits = UInt8(truncatingIfNeeded: (1 << rank) - 1) }
  @inlinable public func contains(_ axis: Int) -> Bool { bits >> UInt8(axis) & 1 == 1 }
  public var axes: [Int] { (0..<8).filter(contains) }
}

/// The bits of one element.
@frozen public struct Element: Sendable, Hashable {
  /// The element's bytes, little-endian, in the low end.
  public var bits: UInt64

  @inlinable public init(bits: UInt64) { self.bits = bits }

  /// The bits of a number as an element of that dtype, rounded as a cast rounds.
  public init(_ value: Double, _ dtype: DType) {
    switch dtype {
    case .bool: bits = value != 0 ? 1 : 0
    case .uint8: bits = UInt64(UInt8(tensorValue: value))
    case .int8: bits = UInt64(UInt8(bitPattern: Int8(tensorValue: value)))
    case .int16: bits = UInt64(UInt16(bitPattern: Int16(tensorValue: value)))
    case .int32: bits = UInt64(UInt32(bitPattern: Int32(tensorValue: value)))
    case .int64: bits = UInt64(bitPattern: Int64(tensorValue: value))
    case .float16: bits = UInt64(Half.bits(of: value))
    case .bfloat16: bits = UInt64(BFloat16(tensorValue: value).bitPattern)
    case .float32: bits = UInt64(Float(value).bitPattern)
    case .float64: bits = value.bitPattern
    }
  }

  /// The bits of an integer as an element of that dtype; integers wrap.
  public init(integer value: Int, _ dtype: DType) {
    switch dtype {
    case .uint8, .int8: self.init(bits: UInt64(UInt8(truncatingIfNeeded: value)))
    case .int16: self.init(bits: UInt64(UInt16(truncatingIfNeeded: value)))
    case .int32: self.init(bits: UInt64(UInt32(truncatingIfNeeded: value)))
    case .int64: self.init(bits: UInt64(bitPattern: Int64(value)))
    case .bool: self.init(bits: value != 0 ? 1 : 0)
    case .float16, .bfloat16, .float32, .float64: self.init(Double(value), dtype)
    }
  }

  /// The number that the bits stand for in that dtype.
  public func value(_ dtype: DType) -> Double {
    switch dtype {
    case .bool, .uint8: Double(UInt8(truncatingIfNeeded: bits))
    case .int8: Double(Int8(truncatingIfNeeded: bits))
    case .int16: Double(Int16(truncatingIfNeeded: bits))
    case .int32: Double(Int32(truncatingIfNeeded: bits))
    case .int64: Double(Int64(bitPattern: bits))
    case .float16: Half.value(of: UInt16(truncatingIfNeeded: bits))
    case .bfloat16: Double(BFloat16(bitPattern: UInt16(truncatingIfNeeded: bits)).float)
    case .float32: Double(Float(bitPattern: UInt32(truncatingIfNeeded: bits)))
    case .float64: Double(bitPattern: bits)
    }
  }
}
