import DuetCompiler
import DuetEager

/// What a closure did on one path, with its places in the program: kept where `verify` wants to know later what has
/// become different.
final class Transcript: Sendable {
  /// Where what a closure has done is seen.
  enum Place {
    /// How many results there are.
    case results
    case result(Int)
    case cell(ObjectIdentifier)
  }

  /// What a result or a cell's new content is.
  private enum Source {
    case value(ValueID)
    /// A tensor from outside of the closure, or made there of numbers alone.
    case outside(Tensor)
    case nothing

    func isOther(than other: Source) -> Bool {
      switch (self, other) {
      case (.value(let a), .value(let b)): a != b
      case (.outside(let a), .outside(let b)): a.firstDifference(from: b) != nil
      case (.nothing, .nothing): false
      default: true
      }
    }
  }

  let nodes: [Graph.Node]
  private let callSites: [ValueID: CallSite]
  private let results: [Source]
  /// The new contents of the cells that are changed.
  private let contents: [ObjectIdentifier: Source]

  init(_ recorder: GraphRecorder, results: [Tensor]) {
    nodes = recorder.builder.finish(outputs: []).nodes
    callSites = recorder.callSites
    func source(_ tensor: Tensor) -> Source {
      guard let id = recorder.knownValue(of: tensor), !recorder.builder.isConstant(id) else {
        return .outside(tensor.detached())
      }
      return .value(id)
    }
    self.results = results.map(source)
    contents = recorder.state.filter(\.isChanged).reduce(into: [:]) {
      $0[ObjectIdentifier($1.cell)] = $1.current.map(source) ?? .nothing
    }
  }

  /// What another run of the closure did otherwise, in words.
  /// - Parameter place: Where that was noticed.
  func difference(from other: Transcript, at place: Place) -> String {
    for (i, (old, new)) in zip(nodes, other.nodes).enumerated() {
      // Finding a line takes milliseconds: only for the node that differs.
      var line: String { callSites[ValueID(i)]?.location.map { " at \($0)" } ?? "" }
      switch (old.kind, new.kind) {
      case (.constant(let before), .constant(let now)):
        let (before, now) = (Tensor(before), Tensor(now))
        guard let difference = before.firstDifference(from: now, "now it") else { continue }
        let what = before.size == 1 && before.type == now.type ? "number" : "tensor"
        return
          "a \(what) captured\(line) is remembered as it was: it \(difference); pass it as an argument, or "
          + "keep it in a Variable"
      case (.operation(let a, let x), .operation(let b, let y)):
        if a == b && x == y { continue }
        return a.name == b.name
          ? "\(a.name)\(line) has other attributes or operands now; what decides them is no argument and no state"
          : "\(a.name)\(line) is \(b.name) now; what decides it is no argument and no state"
      case (.input(_, let a), .input(_, let b)):
        if a == b { continue }
        return "it reads \(b) where it read \(a)"
      default:
        return "it does something else\(line) than when it was recorded"
      }
    }
    if nodes.count != other.nodes.count {
      return
        "it does \(other.nodes.count) things instead of \(nodes.count); what decides that is no argument and "
        + "no state"
    }
    let decides = "what decides that is no argument and no state"
    switch place {
    case .results: return decides
    case .result(let i):
      let (old, new) = (results[i], other.results[i])
      if old.isOther(than: new) {
        if case (.outside, .outside) = (old, new) {
          return "a result is a tensor from outside, remembered as it was; pass it as an argument"
        }
        return "the closure did the same operations, and another value is the result; \(decides)"
      }
    case .cell(let cell):
      switch (contents[cell], other.contents[cell]) {
      case (nil, nil): break
      case (nil, _): return "that was not changed when it was recorded; \(decides)"
      case (_, nil): return "that was changed when it was recorded, and is not now; \(decides)"
      case (let old?, let new?):
        guard old.isOther(than: new) else { break }
        if case (.outside, .outside) = (old, new) {
          return
            "what is written there is a tensor from outside or a number, remembered as it was; pass it as an argument, "
            + "keep it in a Variable, or compute it from one"
        }
        return "it writes another value there than when it was recorded; \(decides)"
      }
    }
    return
      "the closure did the same operations: the plan is wrong, which is a mistake of this framework"
  }
}

extension Tensor {
  /// The first difference from what should be there, in words: `is 3.0 at [1] where the closure gives 4.0`. Nil for
  /// equal bits; one NaN is as good as another.
  func firstDifference(from expected: Tensor, _ source: String = "the closure") -> String? {
    guard type == expected.type else {
      return "is of type \(type) where \(source) gives \(expected.type)"
    }
    if bytes == expected.bytes { return nil }
    let (own, other) = (detached().constant.elements, expected.detached().constant.elements)
    func differ(_ i: Int) -> Bool {
      own[i] != other[i] && !(own[i].value(dtype).isNaN && other[i].value(dtype).isNaN)
    }
    guard let first = own.indices.first(where: differ) else { return nil }
    var rest = first
    let place = shape.reversed().map { size in
      defer { rest /= size }
      return rest % size
    }
    func show(_ element: Element) -> String {
      dtype.isFloatingPoint ? "\(element.value(dtype))" : "\(Int(element.value(dtype)))"
    }
    return "is \(show(own[first]))" + (ndim == 0 ? "" : " at \(Array(place.reversed()))")
      + " where \(source) gives \(show(other[first]))"
  }
}
