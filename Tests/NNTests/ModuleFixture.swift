import Duet
import DuetTestSupport
import Testing

/// Layers and functions beside what PyTorch computes in float64, see make_layer_fixtures.py: results, gradients, names
/// and running statistics, in every floating-point dtype, and the same bits in a traced function.
struct ModuleCase: Decodable {
  struct Values: Decodable {
    var shape: [Int]
    var values: [Double]
    var dtype: String?

    func tensor(_ dtype: DType) -> Tensor {
      Tensor(values, shape, dtype: self.dtype.map { DType(name: $0)! } ?? dtype)
    }
  }
  var inputs: [Values]
  var state: [String: Values]?
  /// Of parameters, in PyTorch's order.
  var names: [String]?
  var results: [Values]
  var cotangents: [Values]
  var inputGradients: [Values]?
  var gradients: [String: Values]?
  /// Buffers after the call.
  var after: [String: Values]?

  static let all = Result { try Fixture.load("modules", as: [String: ModuleCase].self) }

  /// What is tested: a module, if there is one, and what it makes of inputs.
  struct Subject {
    var module: (any Module)?
    var call: ([Tensor]) -> [Tensor]

    init(_ layer: some UnaryLayer) {
      module = layer
      call = { [layer($0[0])] }
    }

    init(_ module: (any Module)? = nil, _ call: @escaping ([Tensor]) -> [Tensor]) {
      self.module = module
      self.call = call
    }
  }

  /// Results and gradients of a call, in order.
  private func outcome(_ subject: Subject, _ inputs: [Tensor], _ cotangents: [Tensor]) -> [Tensor] {
    let leaves = inputs.map { $0.dtype.isFloatingPoint ? $0.requiringGrad() : $0 }
    subject.module?.zeroGrad()
    let results = subject.call(leaves)
    let products = zip(results, cotangents).map { ($0 * $1).sum() }
    products.dropFirst().reduce(products[0], +).backward()
    return results.map { $0.detached() } + leaves.compactMap(\.grad)
      + (subject.module?.parameters.compactMap(\.grad) ?? [])
  }

  func check(_ subject: Subject, _ dtype: DType) throws {
    let tolerance =
      switch dtype {
      case .float64: 2e-6
      case .float32: 2e-5
      case .float16: 0.03
      default: 0.2
      }
    let parameters = subject.module?.parameters.named ?? []
    #expect(parameters.map(\.name) == names ?? [])
    let variables =
      parameters.map { ($0.name, $0.parameter as Variable) } + (subject.module?.buffers ?? [])
    #expect(Set(variables.map(\.0)) == Set((state ?? [:]).keys))
    for (name, variable) in variables {
      #expect(variable.dtype == dtype || variable.dtype == .int64)
      if let value = state?[name] { variable.value = value.tensor(dtype) }
    }
    let (x, dy) = (inputs.map { $0.tensor(dtype) }, cotangents.map { $0.tensor(dtype) })
    let found = outcome(subject, x, dy)
    let expected =
      results + (inputGradients ?? [])
      + parameters.compactMap { gradients?[$0.name] }
    #expect(found.count == expected.count)
    for (i, (tensor, value)) in zip(found, expected).enumerated() {
      expectClose(tensor, value.tensor(dtype), "\(dtype), tensor \(i)", tolerance: tolerance)
    }
    for (name, value) in after ?? [:] {
      let buffer = try #require(subject.module?.buffers.first { $0.name == name })
      expectClose(buffer.variable.value, value.tensor(dtype), name, tolerance: tolerance)
    }
    let function = traced { (x: [Tensor], dy: [Tensor]) in outcome(subject, x, dy) }
    for call in 0..<2 {
      expectSame(function(x, dy), found, "\(dtype), traced call \(call)")
    }
    #expect(function.traceCount == 1)
  }

  /// Checks a case in every floating-point dtype.
  static func check(_ name: String, _ make: (DType) -> Subject) throws {
    let expected = try #require(try all.get()[name], "no case \(name)")
    for dtype in [DType.float64, .float32, .float16, .bfloat16] {
      try expected.check(make(dtype), dtype)
    }
  }
}

/// Operation and reason of the mistake in a body. The line, which takes long to look up, is left out.
func mistake(_ body: () -> Void) -> String {
  do {
    try checked(body)
    return "no error"
  } catch let error as TensorError {
    return "\(error.operation): \(error.reason)"
  } catch { return "\(error)" }
}
