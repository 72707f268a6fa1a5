/// Everything that a tensor program can do: one closed set, with the attributes of each operation.
///
/// Every operation has one result, which depends on its inputs and attributes only. What is true of an
/// operation is an exhaustive `switch` over this type: result types and kernels here, gradients in Eager,
/// fusion in Compiler. A new case does not compile until each of them knows it.
public enum Op: Sendable, Hashable {
  // Elementwise. Inputs broadcast against each other and have one dtype.
  /// A function of each element.
  case unary(UnaryOp)
  /// A function of each pair of elements.
  case binary(BinaryOp)
  /// A relation of each pair of elements; gives `bool`.
  case compare(ComparisonOp)
  /// Condition (`bool`), value where true, value where false.
  case select
  /// To that dtype. Floating point to integers: fractions are cut off, what is out of range saturates, not-a-number gives
  /// 0. Integers to integers wrap, to floating point rounds. To `bool`: anything but zero, not-a-number included, is true.
  case cast(DType)

  // Creation.
  /// A tensor of that type with the same element everywhere.
  case fill(TensorType, Element)
  /// `start + i * step` for every index i of a vector.
  case iota(DType, count: Int, start: Double, step: Double)

  // Reductions and what else runs along an axis.
  /// Axes go away, or stay with one element if `keepDims`.
  case reduce(ReductionOp, axes: AxisSet, keepDims: Bool)
  /// eˣ over the sum of eˣ along the axis.
  case softmax(axis: Int)
  /// The logarithm of the softmax along the axis.
  case logSoftmax(axis: Int)
  /// The softmax itself, its cotangent.
  case softmaxGradient(axis: Int)
  /// The logarithm of the softmax, its cotangent.
  case logSoftmaxGradient(axis: Int)
  /// What the elements up to each place along the axis give; the input's shape.
  case cumulative(CumulativeOp, axis: Int)
  /// The places, `int64`, of the elements in order; equal ones keep theirs, not-a-number comes last either way.
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
  /// The largest element of each window; not-a-number wins.
  case maxPool2d(Pooling)
  /// Input, values of the input's shape: the values at the places of the input's maxima.
  case maxPool2dSelect(Pooling)
  /// Input, cotangent of the output.
  case maxPool2dGradient(Pooling)
  /// The mean of each window.
  case averagePool2d(Pooling)
  /// Cotangent of the output; gives the gradient of an input of that height and width.
  case averagePool2dGradient(Pooling, inputSize: Extent)

  // Movement: the same elements elsewhere. The first four are views that copy nothing where strides allow.
  /// To a shape of as many elements, in row-major order.
  case reshape(Shape)
  /// To other places of the axes: the i-th number is the input's axis that becomes axis i.
  case transpose(Shape)
  /// To a larger shape, as NumPy's rules have it.
  case broadcast(Shape)
  /// The elements that a slice names, in its order.
  indirect case slice(Slice)
  /// The elements one behind the other.
  case copy
  /// A view that passes do not look through: what is computed from it is not merged with what is computed from the
  /// input.
  case barrier
  /// One or more inputs, behind each other along an axis and alike along the others.
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
  /// A tensor of that type, drawn; the state stays as it is.
  case random(Distribution, TensorType)
  /// The state after a draw of so many counter blocks.
  case advanceRandom(blocks: Int)

  // Control flow. The only operation with several results: its own stands for all of them and has no elements.
  /// Inputs as the region's `inputTypes` say.
  case region(Region)
  /// A region; gives one of its results.
  case regionResult(index: Int, TensorType)
}

/// An elementwise operation on one input. Raw values are the kernels' codes.
public enum UnaryOp: Int32, Sendable, Hashable, CaseIterable {
  /// -x, |x|, x's sign (-1, 0 or 1), x²; of floating point √x, 1 / √x, 1 / x.
  case negate, absolute, sign, square, sqrt, rsqrt, reciprocal
  /// eˣ, eˣ - 1, the logarithms of x and of 1 + x, those to base 2 and 10. Floating point.
  case exp, expm1, log, log1p, log2, log10
  /// Angles are in radians. Floating point.
  case sin, cos, tan, asin, acos, atan
  /// Hyperbolic functions and the error function. Floating point.
  case sinh, cosh, tanh, erf
  /// 1 / (1 + e⁻ˣ), max(x, 0), x Φ(x) by erf and by tanh, x sigmoid(x), log(1 + eˣ). But for `relu` floating point.
  case sigmoid, relu, gelu, geluTanh, silu, softplus
  /// Whole numbers: below, above, nearest (ties to even), toward 0. Integers stay as they are.
  case floor, ceil, round, truncate
  /// Of `bool`; of integers every bit.
  case logicalNot
  /// Give `bool`, of every dtype.
  case isNaN, isInfinite, isFinite
}

/// An elementwise operation on two inputs.
public enum BinaryOp: Int32, Sendable, Hashable, CaseIterable {
  /// `divide` cuts integers off toward 0, `floorDivide` rounds down; `remainder` and `floorRemainder` are what these
  /// leave, with the dividend's sign and with the divisor's. Integers by 0 give 0. `bool` has none of them.
  case add, subtract, multiply, divide, floorDivide, remainder, floorRemainder, power
  /// Not-a-number wins in extremes. The angle of the point (second, first) and √(a² + b²) need floating point.
  case maximum, minimum, atan2, hypot
  /// Of `bool` and integers; shifts of integers, where signed ones keep their sign to the right.
  case bitwiseAnd, bitwiseOr, bitwiseXor, shiftLeft, shiftRight
  /// The first operand, but not less (not more) than the second: the larger (smaller) of both. Where they are equal, the
  /// first has the whole gradient.
  case atLeast, atMost

  /// The kernels' code.
  @inlinable package var kernel: Int32 {
    switch self {
    case .atLeast: BinaryOp.maximum.rawValue
    case .atMost: BinaryOp.minimum.rawValue
    default: rawValue
    }
  }
}

/// An elementwise comparison; gives `bool`. Raw values are the kernels' codes.
public enum ComparisonOp: Int32, Sendable, Hashable, CaseIterable {
  /// By IEEE 754: not-a-number equals nothing, itself included.
  case equal, notEqual, less, lessEqual, greater, greaterEqual
}

/// A reduction over axes. Raw values are the kernels' codes.
public enum ReductionOp: Int32, Sendable, Hashable, CaseIterable {
  /// Sums and products of integers and bools are `int64`. `mean` is of floating point, `all` and `any` of `bool`.
  /// Places are `int64`, the first of equals.
  case sum, mean, product, max, min, all, any, argMax, argMin
}

/// A running sum, product or extreme along an axis. Raw values are the kernels' codes.
public enum CumulativeOp: Int32, Sendable, Hashable, CaseIterable {
  /// Not-a-number wins in extremes.
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
  /// Rows, or their distance: along axis 2 of `[N, C, H, W]`.
  public var height: Int
  /// Columns, or their distance: along axis 3 of `[N, C, H, W]`.
  public var width: Int

  /// Height first, as in shapes.
  public init(_ height: Int, _ width: Int) {
    self.height = height
    self.width = width
  }

  public var description: String { "\(height)×\(width)" }
}

/// How a convolution's kernel moves over its input.
public struct Convolution: Sendable, Hashable {
  /// Rows and columns from one place of the kernel to the next.
  public var stride: Extent
  /// Rows and columns of zeros on each side.
  public var padding: Extent
  /// Rows and columns from one element of the kernel to the next.
  public var dilation: Extent
  /// The number of groups of channels that do not see each other.
  public var groups: Int

  /// By default the kernel goes to every place inside the input. Nothing is checked before `Op.resultType`.
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
  /// Rows and columns of a window.
  public var kernelSize: Extent
  /// Rows and columns from one window to the next.
  public var stride: Extent
  /// Rows and columns on each side, at most half of the kernel.
  public var padding: Extent
  /// Rows and columns from one element of a window to the next.
  public var dilation: Extent
  /// Average pooling: whether padding counts as elements of a window.
  public var countsPadding: Bool

  /// By default windows lie inside the input, their elements side by side. Nothing is checked before `Op.resultType`.
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

  /// The axes whose bits are 1.
  @inlinable public init(bits: UInt8) { self.bits = bits }
  /// One axis, from 0 to 7.
  @inlinable public init(_ axis: Int) { bits = 1 << UInt8(axis) }
  /// Those axes, from 0 to 7, in any order.
  @inlinable public init(_ axes: some Sequence<Int>) {
    bits = axes.reduce(0) { $0 | 1 << UInt8($1) }
  }
  /// All axes of a tensor of that rank.
  @inlinable public init(allOf rank: Int) { bits = UInt8(truncatingIfNeeded: (1 << rank) - 1) }
  /// Whether an axis, from 0 to 7, is in the set.
  @inlinable public func contains(_ axis: Int) -> Bool { bits >> UInt8(axis) & 1 == 1 }
  /// The axes in ascending order.
  public var axes: [Int] { (0..<8).filter(contains) }
}

/// The bits of one element.
@frozen public struct Element: Sendable, Hashable {
  /// The element's bytes, little-endian, in the low end.
  public var bits: UInt64

  /// Those bits. What lies above the element's own has to be 0, so that equal elements are equal.
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
