import Duet
import DuetTestSupport
import Foundation
import Testing

/// Functions that are composed of operations, against PyTorch's and NumPy's: eagerly, recorded and replayed, with
/// gradients.
@Suite struct ComposedOperationTests {
  private struct File: Decodable {
    let cases: [String: Case]
  }

  private struct Case: Decodable {
    let inputs: [Stored]
    let outputs: [Stored]
    let cotangents: [Stored]
    let gradients: [Stored]
  }

  private struct Stored: Decodable {
    let dtype: String
    let shape: [Int]
    let values: [Double]
    var tensor: Tensor { Tensor(values, shape).asType(DType(name: dtype)!) }
  }

  private static let file: File = {
    let url = Bundle.module.url(
      forResource: "composed", withExtension: "json", subdirectory: "Fixtures")!
    let decoder = JSONDecoder()
    decoder.nonConformingFloatDecodingStrategy = .convertFromString(
      positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
    // A fixture that does not read is a broken checkout.
    return try! decoder.decode(File.self, from: Data(contentsOf: url))
  }()

  private func compare(
    _ results: [Tensor], _ expected: [Stored], _ what: String,
    _ sourceLocation: Testing.SourceLocation
  ) {
    #expect(results.count == expected.count, "\(what)", sourceLocation: sourceLocation)
    for (i, (result, stored)) in zip(results, expected).enumerated() {
      guard result.shape == stored.shape, result.dtype.description == stored.dtype else {
        Issue.record(
          "\(what), \(i): \(result.type) instead of \(stored.dtype)\(stored.shape)",
          sourceLocation: sourceLocation)
        continue
      }
      for (a, b) in zip(result.asArray(Double.self), stored.values) {
        let isNear = a == b || a.isNaN && b.isNaN || abs(a - b) <= 1e-12 + 1e-11 * abs(b)
        if isNear { continue }
        Issue.record("\(what), \(i): \(a) instead of \(b)", sourceLocation: sourceLocation)
        break
      }
    }
  }

  /// Compares what a closure makes of a case's inputs with its outputs, and gradients if the case has some.
  private func expect(
    _ name: String, sourceLocation: Testing.SourceLocation = #_sourceLocation,
    _ body: @escaping ([Tensor]) -> [Tensor]
  ) throws {
    let item = try #require(
      Self.file.cases[name], "no case \(name)", sourceLocation: sourceLocation)
    let inputs = item.inputs.map(\.tensor)
    let isDifferentiable = !item.cotangents.isEmpty
    let cotangents = item.cotangents.map(\.tensor)
    let all = { (inputs: [Tensor]) -> [Tensor] in
      guard isDifferentiable else { return body(inputs) }
      let places = inputs.indices.filter { inputs[$0].dtype.isFloatingPoint }
      let (outputs, gradients) = vjp(
        { (primals: [Tensor]) in
          var inputs = inputs
          for (place, primal) in zip(places, primals) { inputs[place] = primal }
          return body(inputs)
        }, primals: places.map { inputs[$0] }, cotangents: cotangents)
      return outputs + gradients
    }
    let function = traced(all)
    let eager = all(inputs)
    compare(eager, item.outputs + item.gradients, name, sourceLocation)
    expectSame(function(inputs), eager, "\(name), recorded", sourceLocation: sourceLocation)
    expectSame(function(inputs), eager, "\(name), replayed", sourceLocation: sourceLocation)
    let put = withExecution(.deferred) { all(inputs) }
    expectSame(put, eager, "\(name), deferred", sourceLocation: sourceLocation)
    #expect(
      function.explain().traces.allSatisfy { $0.runsEagerlyBecause == nil }, "\(name)",
      sourceLocation: sourceLocation)
  }

  private static func list(_ x: UniqueElements) -> [Tensor] {
    [x.values, x.indices, x.inverse, x.counts]
  }

  @Test func sizesThatDependOnValues() throws {
    for name in ["nonzero", "nonzero of a vector", "nonzero of a scalar"] {
      try expect(name) { [nonzero($0[0])] }
    }
    for name in ["maskedSelect", "maskedSelect, broadcast"] {
      try expect(name) { [maskedSelect($0[0], $0[1])] }
    }
    try expect("maskedSelect") { [$0[0][$0[1]]] }
    try expect("uniqueAll") { Self.list(uniqueAll($0[0])) }
    try expect("uniqueAll with not-a-number") { Self.list(uniqueAll($0[0])) }
    try expect("uniqueAll, axis 0") { Self.list(uniqueAll($0[0], axis: 0)) }
    try expect("uniqueAll, axis 1") { Self.list(uniqueAll($0[0], axis: 1)) }
  }

  @Test func counting() throws {
    try expect("bincount") { [bincount($0[0])] }
    try expect("bincount, minLength") { [bincount($0[0], minLength: 9)] }
    try expect("bincount, minLength") { [bincount($0[0], length: 9)] }
    try expect("bincount, weights") { [bincount($0[0], weights: $0[1])] }
    func list(_ h: (counts: Tensor, edges: Tensor)) -> [Tensor] { [h.counts, h.edges] }
    try expect("histogram of a range") { list(histogram($0[0], range: (0, 1))) }
    try expect("histogram") { list(histogram($0[0], bins: 7)) }
    try expect("histogram of one value") { list(histogram($0[0], bins: 4)) }
    try expect("histogram, density") { list(histogram($0[0], bins: 5, density: true)) }
    try expect("histogram, weights") { list(histogram($0[0], bins: 5, weights: $0[1])) }
    try expect("histogram, edges") { list(histogram($0[0], edges: $0[1])) }
    try expect("histogram of integers") { list(histogram($0[0], bins: 6)) }
    try expect("countNonzero") { [countNonzero($0[0], axis: 1)] }
  }

  @Test func searching() throws {
    for (side, name) in [(SearchSide.left, "left"), (.right, "right")] {
      for form in ["searchSorted \(name)", "searchSorted rows \(name)"] {
        try expect(form) { [searchSorted($0[0], $0[1], side: side)] }
      }
      try expect("searchSorted \(name) with not-a-number") {
        [searchSorted($0[0], $0[1], side: side)]
      }
    }
  }

  @Test func splitting() throws {
    try expect("split, sizes") { split($0[0], sizes: [1, 0, 4, 2], axis: 1) }
    try expect("split, size") { split($0[0], size: 3, axis: -1) }
    try expect("chunked") { chunked($0[0], 5) }
    try expect("arraySplit") { arraySplit($0[0], parts: 5) }
    try expect("repeated") { [repeated($0[0], counts: [2, 0, 1, 3], axis: 1)] }
    try expect("repeated, no axis") { [repeated($0[0], counts: [2, 0, 1, 3, 1, 0])] }
    try expect("rot90") { x in (-1..<4).map { rot90(x[0], $0, axes: (0, 2)) } }
  }

  @Test(arguments: [0, 0.5, 1, 1.5, 2, 3, 4.5, Double.infinity, -Double.infinity, -1, -2.5])
  func norms(_ order: Double) throws {
    let name =
      "norm of order \(order == order.rounded() && order.isFinite ? "\(Int(order))" : "\(order)")"
    try expect(name) { [norm($0[0], order: order, axis: 1)] }
    try expect("\(name) of all") { [norm($0[0], order: order, axes: [0, 2], keepDims: true)] }
    if order != -.infinity {
      try expect("\(name) with zeros") { [$0[0].norm(order: order, axis: 1)] }
    }
  }

  @Test func matrixNorms() throws {
    let orders: [(MatrixNorm, String)] = [
      (.frobenius, "fro"), (.one, "1"), (.minusOne, "-1"), (.infinity, "inf"),
      (.minusInfinity, "-inf"),
    ]
    for (order, name) in orders {
      try expect("matrix norm \(name)") { [matrixNorm($0[0], order)] }
      try expect("matrix norm \(name) of other axes") {
        [matrixNorm($0[0], order, axes: (2, 0), keepDims: true)]
      }
    }
  }

  @Test func distances() throws {
    for (p, name) in [(0.5, "0.5"), (1, "1"), (2, "2"), (3, "3"), (Double.infinity, "inf")] {
      try expect("cdist \(name)") { [cdist($0[0], $0[1], p: p)] }
    }
    try expect("cdist of many") { [cdist($0[0], $0[1])] }
    try expect("cdist of equals") { [cdist($0[0], $0[0].detached())] }
  }

  @Test func quantiles() throws {
    for count in [1, 4, 5] { try expect("median of \(count)") { [median($0[0], axis: 1)] } }
    let methods: [(QuantileMethod, String)] = [
      (.linear, "linear"), (.lower, "lower"), (.higher, "higher"), (.nearest, "nearest"),
      (.midpoint, "midpoint"),
    ]
    for (method, name) in methods {
      try expect("quantile \(name)") {
        [quantile($0[0], [0, 0.1, 0.5, 0.77, 1], axis: 1, method: method)]
      }
      try expect("quantile \(name) of all") { [quantile($0[0], 0.35, method: method)] }
    }
    try expect("quantile with not-a-number") { [quantile($0[0], 0.3, axis: 0, keepDims: true)] }
  }

  @Test func statistics() throws {
    try expect("nanSum") { [nanSum($0[0], axis: 1)] }
    try expect("nanMean") { [nanMean($0[0], axis: 0, keepDims: true)] }
    try expect("nanToNum") { [nanToNum($0[0])] }
    try expect("nanToNum, others") { [nanToNum($0[0], nan: 7, posInf: 8, negInf: -9)] }
    try expect("cov") { [cov($0[0])] }
    try expect("cov of one") { [cov($0[0])] }
    try expect("cov, ddof 0") { [cov($0[0], ddof: 0)] }
    try expect("corrcoef") { [corrcoef($0[0])] }
    try expect("corrcoef of one") { [corrcoef($0[0])] }
  }

  @Test func differences() throws {
    try expect("diff") { [diff($0[0], axis: 0)] }
    try expect("diff, order 3") { [diff($0[0], order: 3)] }
    try expect("diff of bools") { [diff($0[0])] }
    try expect("trapezoid") { [trapezoid($0[0], dx: 0.3, axis: 0)] }
    try expect("trapezoid, points") { [trapezoid($0[0], $0[1])] }
    try expect("trapezoid, vector of points") {
      [trapezoid($0[0], Tensor([0, 1, 1.5, 4.0], dtype: .float64))]
    }
    try expect("cumulativeLogSumExp") { [cumulativeLogSumExp($0[0])] }
    try expect("cumulativeLogSumExp of little") { [cumulativeLogSumExp($0[0])] }
  }

  @Test func products() throws {
    try expect("cross") { [cross($0[0], $0[1], axis: 1)] }
    try expect("kron") { [kron($0[0], $0[1])] }
    try expect("tensordot") { [tensordot($0[0], $0[1])] }
    try expect("tensordot, axes") { [tensordot($0[0], $0[1], axes: ([2, 0], [0, 1]))] }
    try expect("tensordot, none") { [tensordot($0[0], $0[1], axes: 0)] }
  }

  @Test func specialFunctions() throws {
    try expect("lerp") { [lerp($0[0], $0[1], 0.7)] }
    try expect("lerp, tensor") { [lerp($0[0], $0[1], $0[2])] }
    try expect("logAddExp of all") { [logAddExp($0[0].expandedDimensions(axis: 1), $0[1])] }
    try expect("logAddExp") { [logAddExp($0[0], $0[1])] }
    try expect("logAddExp of equals") { [logAddExp($0[0], $0[1])] }
    try expect("xlogy of all") { [xlogy($0[0].expandedDimensions(axis: 1), $0[1])] }
    try expect("xlogy") { [xlogy($0[0], $0[1])] }
    try expect("heaviside") { [heaviside($0[0], $0[1])] }
    try expect("sinc") { [sinc($0[0])] }
    try expect("isClose") {
      [isClose($0[0].expandedDimensions(axis: 1), $0[1], rtol: 0.1, atol: 0.5)]
    }
    try expect("isClose with not-a-number") { [isClose($0[0], $0[1], equalNaN: true)] }
  }
}
