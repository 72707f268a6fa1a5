import DuetCompiler
import DuetEager
import DuetRuntime

/// A closure recorded from types, with numbers tried in the place of its unknown sizes.
struct SizeProbe {
  let sizes: [Int]
  let recorder: GraphRecorder
  let arguments: [Tensor]
  let results: [Tensor]
  /// The result's form; a `FormBox` of the function's result type.
  let form: AnyObject?
  let nodes: [Graph.Node]

  init(
    _ sizes: [Int], _ recorder: GraphRecorder, arguments: [Tensor], results: [Tensor],
    form: AnyObject?
  ) {
    self.sizes = sizes
    self.recorder = recorder
    self.arguments = arguments
    self.results = results
    self.form = form
    nodes = recorder.builder.finish(outputs: []).nodes
  }
}

/// Where recordings with other sizes go apart.
struct SizeDependence: Error {
  /// The first node that differs; nil: what is returned or written does.
  let node: Int?
  let what: String

  init(_ node: Int?, _ what: String) {
    self.node = node
    self.what = what
  }
}

/// Which axes of a function's arguments have unknown sizes, and which of these are one and the same.
struct SizeSymbols: Sendable {
  let specs: [TensorSpec]
  /// For each argument and axis the place of its unknown size; nil where the size is known.
  private(set) var places: [[Int?]]
  /// How many different unknown sizes there are.
  private(set) var count = 0

  /// The sizes are the same where the keys are.
  init(_ specs: [TensorSpec], key: (_ argument: Int, _ axis: Int) -> [Int]) {
    self.specs = specs
    var known: [[Int]: Int] = [:]
    places = specs.indices.map { a in
      specs[a].shape.indices.map { axis in
        guard specs[a].shape[axis] == nil else { return nil }
        let key = key(a, axis)
        let place = known[key] ?? known.count
        known[key] = place
        return place
      }
    }
    count = known.count
  }

  /// Every unknown size by argument and axis.
  static func unknown(in specs: [TensorSpec]) -> [(argument: Int, axis: Int)] {
    specs.indices.flatMap { a in
      specs[a].shape.indices.filter { specs[a].shape[$0] == nil }.map { (a, $0) }
    }
  }

  func types(_ sizes: [Int]) -> [TensorType] {
    zip(specs, places).map { spec, places in
      TensorType(spec.dtype, Shape(zip(spec.shape, places).map { $0 ?? sizes[$1!] }))
    }
  }

  /// The sizes that these tensors have, if they fit.
  func sizes(of tensors: [Tensor]) -> [Int]? {
    guard tensors.count == specs.count else { return nil }
    var sizes = [Int](repeating: -1, count: count)
    for (tensor, (spec, places)) in zip(tensors, zip(specs, places)) {
      guard tensor.dtype == spec.dtype, tensor.ndim == spec.shape.count, !tensor.requiresGrad
      else { return nil }
      for (size, (known, place)) in zip(tensor.shape, zip(spec.shape, places)) {
        if let known, known != size { return nil }
        guard let place else { continue }
        if sizes[place] >= 0 && sizes[place] != size { return nil }
        sizes[place] = size
      }
    }
    return sizes
  }

  /// The arguments as text, unknown sizes as letters.
  var description: String {
    let letters = Array("nmkpqr")
    return zip(specs, places).enumerated().map { i, item in
      let sizes = zip(item.0.shape, item.1).map { size, place in
        size.map(String.init)
          ?? (place! < letters.count ? String(letters[place!]) : "n\(place!)")
      }
      return "argument \(i): \(item.0.dtype)[\(sizes.joined(separator: ", "))]"
    }.joined(separator: ", ")
  }
}
