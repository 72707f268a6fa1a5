import DuetRuntime

/// A printed attribute of an operation.
enum OpAttribute: Hashable {
  case flag(Bool)
  case integer(Int)
  case number(Double)
  case dtype(DType)
  case integers([Int])
  /// The bits of one element of the result's dtype.
  case element(Element)
}

extension Op {
  /// Everything that sets two operations of one name apart, but for what the result's type tells.
  var attributes: [(label: String, value: OpAttribute)] {
    switch self {
    case .unary, .binary, .compare, .select, .matmul, .wideMatmul, .linear, .copy, .barrier,
      .channelMoments:
      []
    case .rowNorm(let norm), .rowNormInputGradient(let norm), .rowNormParameterGradient(let norm):
      norm.attributes
    case .channelNorm(let norm), .channelNormParameterGradient(let norm): norm.attributes
    case .channelNormInputGradient(let eps): [("eps", .number(eps))]
    case .crossEntropy(let loss), .crossEntropyGradient(let loss): loss.attributes
    case .cast(let dtype): [("to", .dtype(dtype))]
    case .fill(_, let element): [("value", .element(element))]
    case .iota(_, _, let start, let step): [("start", .number(start)), ("step", .number(step))]
    case .reduce(_, let axes, let keepDims):
      [("axes", .integers(axes.axes)), ("keepDims", .flag(keepDims))]
    case .softmax(let axis), .logSoftmax(let axis), .softmaxGradient(let axis),
      .logSoftmaxGradient(let axis), .cumulative(_, let axis), .concatenate(let axis),
      .take(let axis), .takeAlong(let axis), .scatterAdd(let axis), .scatterAddAlong(let axis),
      .scatterSet(let axis):
      [("axis", .integer(axis))]
    case .argSort(let axis, let descending):
      [("axis", .integer(axis)), ("descending", .flag(descending))]
    case .argTopK(let axis, let count): [("axis", .integer(axis)), ("count", .integer(count))]
    case .conv2d(let convolution): convolution.attributes
    case .conv2dInputGradient(let convolution, let size):
      convolution.attributes + [("inputSize", size.attribute)]
    case .conv2dWeightGradient(let convolution, let size):
      convolution.attributes + [("kernelSize", size.attribute)]
    case .maxPool2d(let pooling), .maxPool2dSelect(let pooling), .maxPool2dGradient(let pooling),
      .averagePool2d(let pooling):
      pooling.attributes
    case .averagePool2dGradient(let pooling, let size):
      pooling.attributes + [("inputSize", size.attribute)]
    case .reshape(let shape), .broadcast(let shape): [("shape", .integers(Array(shape)))]
    case .transpose(let permutation): [("permutation", .integers(Array(permutation)))]
    case .slice(let slice), .updateSlice(let slice):
      [
        ("starts", .integers(Array(slice.starts))), ("sizes", .integers(Array(slice.sizes))),
        ("steps", .integers(Array(slice.steps))),
      ]
    case .random(.integer(let low, let high), _):
      [("low", .integer(low)), ("high", .integer(high))]
    case .random: []
    case .advanceRandom(let blocks): [("blocks", .integer(blocks))]
    case .region(let region): (region as? GraphRegion)?.attributes ?? []
    case .regionResult(let index, _): [("index", .integer(index))]
    }
  }

  /// The operation of that name with these attributes and that result.
  init(name: String, _ attributes: AttributeReader, result: TensorType) throws(GraphError) {
    if let op = Self.withoutAttributes[name] {
      self = op
      return
    }
    func axis() throws(GraphError) -> Int { try attributes.integer("axis") }
    if let op = try Self.normalization(name, attributes) {
      self = op
      return
    }
    switch name {
    case "wideMatmul": self = .wideMatmul(result.dtype)
    case "cast": self = .cast(try attributes.dtype("to"))
    case "fill": self = .fill(result, try attributes.element("value"))
    case "iota":
      guard result.shape.rank == 1 else { throw GraphError("iota gives a vector, not \(result)") }
      self = .iota(
        result.dtype, count: result.shape[0], start: try attributes.number("start"),
        step: try attributes.number("step"))
    case "softmax": self = .softmax(axis: try axis())
    case "logSoftmax": self = .logSoftmax(axis: try axis())
    case "softmaxGradient": self = .softmaxGradient(axis: try axis())
    case "logSoftmaxGradient": self = .logSoftmaxGradient(axis: try axis())
    case "cumulativeSum": self = .cumulative(.sum, axis: try axis())
    case "cumulativeProduct": self = .cumulative(.product, axis: try axis())
    case "cumulativeMax": self = .cumulative(.max, axis: try axis())
    case "cumulativeMin": self = .cumulative(.min, axis: try axis())
    case "argTopK": self = .argTopK(axis: try axis(), count: try attributes.integer("count"))
    case "argSort": self = .argSort(axis: try axis(), descending: try attributes.flag("descending"))
    case "conv2d": self = .conv2d(try attributes.convolution())
    case "conv2dInputGradient":
      self = .conv2dInputGradient(
        try attributes.convolution(), inputSize: try attributes.extent("inputSize"))
    case "conv2dWeightGradient":
      self = .conv2dWeightGradient(
        try attributes.convolution(), kernelSize: try attributes.extent("kernelSize"))
    case "maxPool2d": self = .maxPool2d(try attributes.pooling())
    case "maxPool2dSelect": self = .maxPool2dSelect(try attributes.pooling())
    case "maxPool2dGradient": self = .maxPool2dGradient(try attributes.pooling())
    case "averagePool2d": self = .averagePool2d(try attributes.pooling())
    case "averagePool2dGradient":
      self = .averagePool2dGradient(
        try attributes.pooling(), inputSize: try attributes.extent("inputSize"))
    case "reshape": self = .reshape(try attributes.shape("shape"))
    case "broadcast": self = .broadcast(try attributes.shape("shape"))
    case "transpose": self = .transpose(try attributes.shape("permutation"))
    case "slice": self = .slice(try attributes.slice())
    case "updateSlice": self = .updateSlice(try attributes.slice())
    case "concatenate": self = .concatenate(axis: try axis())
    case "take": self = .take(axis: try axis())
    case "takeAlong": self = .takeAlong(axis: try axis())
    case "scatterAdd": self = .scatterAdd(axis: try axis())
    case "scatterAddAlong": self = .scatterAddAlong(axis: try axis())
    case "scatterSet": self = .scatterSet(axis: try axis())
    case "randomUniform": self = .random(.uniform, result)
    case "randomNormal": self = .random(.normal, result)
    case "randomPermutation": self = .random(.permutation, result)
    case "randomInteger":
      self = .random(
        .integer(low: try attributes.integer("low"), high: try attributes.integer("high")), result)
    case "result": self = .regionResult(index: try attributes.integer("index"), result)
    case "advanceRandom": self = .advanceRandom(blocks: try attributes.integer("blocks"))
    default:
      guard let reduction = ReductionOp.allCases.first(where: { "\($0)" == name }) else {
        throw GraphError("no operation is called \(name)")
      }
      self = .reduce(
        reduction, axes: AxisSet(try attributes.integers("axes").filter { 0..<8 ~= $0 }),
        keepDims: try attributes.flag("keepDims"))
    }
  }

  private static let withoutAttributes: [String: Op] = {
    var ops: [Op] = [.select, .matmul, .linear, .copy, .barrier, .channelMoments]
    ops += UnaryOp.allCases.map(Op.unary)
    ops += BinaryOp.allCases.map(Op.binary)
    ops += ComparisonOp.allCases.map(Op.compare)
    return Dictionary(uniqueKeysWithValues: ops.map { ($0.name, $0) })
  }()
}

extension Extent {
  fileprivate var attribute: OpAttribute { .integers([height, width]) }
}

extension Convolution {
  fileprivate var attributes: [(label: String, value: OpAttribute)] {
    [
      ("stride", stride.attribute), ("padding", padding.attribute),
      ("dilation", dilation.attribute), ("groups", .integer(groups)),
    ]
  }
}

extension Pooling {
  fileprivate var attributes: [(label: String, value: OpAttribute)] {
    [
      ("kernelSize", kernelSize.attribute), ("stride", stride.attribute),
      ("padding", padding.attribute), ("dilation", dilation.attribute),
      ("countsPadding", .flag(countsPadding)),
    ]
  }
}

/// The attributes that were read for one operation.
struct AttributeReader {
  let operation: String
  let values: [String: OpAttribute]

  private func value(_ label: String) throws(GraphError) -> OpAttribute {
    guard let value = values[label] else {
      throw GraphError("\(operation) needs the attribute \(label)")
    }
    return value
  }

  private func wrong(_ label: String) -> GraphError {
    GraphError("\(operation): the attribute \(label) has a value of another kind")
  }

  func flag(_ label: String) throws(GraphError) -> Bool {
    guard case .flag(let value) = try value(label) else { throw wrong(label) }
    return value
  }

  func integer(_ label: String) throws(GraphError) -> Int {
    guard case .integer(let value) = try value(label) else { throw wrong(label) }
    return value
  }

  func number(_ label: String) throws(GraphError) -> Double {
    switch try value(label) {
    case .number(let value): return value
    case .integer(let value): return Double(value)
    default: throw wrong(label)
    }
  }

  func dtype(_ label: String) throws(GraphError) -> DType {
    guard case .dtype(let value) = try value(label) else { throw wrong(label) }
    return value
  }

  func element(_ label: String) throws(GraphError) -> Element {
    guard case .element(let value) = try value(label) else { throw wrong(label) }
    return value
  }

  func integers(_ label: String) throws(GraphError) -> [Int] {
    guard case .integers(let value) = try value(label) else { throw wrong(label) }
    return value
  }

  func shape(_ label: String) throws(GraphError) -> Shape {
    let values = try integers(label)
    guard values.count <= Shape.maximumRank else { throw wrong(label) }
    return Shape(values)
  }

  func extent(_ label: String) throws(GraphError) -> Extent {
    let values = try integers(label)
    guard values.count == 2 else { throw wrong(label) }
    return Extent(values[0], values[1])
  }

  func slice() throws(GraphError) -> Slice {
    Slice(starts: try shape("starts"), sizes: try shape("sizes"), steps: try shape("steps"))
  }

  func convolution() throws(GraphError) -> Convolution {
    Convolution(
      stride: try extent("stride"), padding: try extent("padding"),
      dilation: try extent("dilation"), groups: try integer("groups"))
  }

  func pooling() throws(GraphError) -> Pooling {
    Pooling(
      kernelSize: try extent("kernelSize"), stride: try extent("stride"),
      padding: try extent("padding"), dilation: try extent("dilation"),
      countsPadding: try flag("countsPadding"))
  }
}
