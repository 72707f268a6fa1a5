import Duet

/// What a program is called with.
struct Arguments: TensorTree {
  var tensors: [Tensor]
  var named: [String: Tensor]
  var optional: Tensor?
  var mode: Static<Int>

  mutating func visit(_ visitor: inout TensorVisitor) {
    visitor.visit(&tensors, "tensors")
    visitor.visit(&named, "named")
    visitor.visit(&optional, "optional")
    visitor.visit(&mode, "mode")
  }
}

/// What a program gives.
struct Results: TensorTree {
  var first: Tensor
  var rest: [Tensor]
  var named: [String: Tensor]
  var last: Tensor?

  mutating func visit(_ visitor: inout TensorVisitor) {
    visitor.visit(&first, "first")
    visitor.visit(&rest, "rest")
    visitor.visit(&named, "named")
    visitor.visit(&last, "last")
  }

  /// A program's results in a form that depends on how many there are.
  init(_ tensors: [Tensor]) {
    first = tensors[0]
    rest = Array(tensors.dropFirst(2))
    named = tensors.count > 1 ? ["second": tensors[1]] : [:]
    last = tensors.count > 3 ? tensors[3] : nil
  }

  var all: [Tensor] { [first] + rest + named.values + (last.map { [$0] } ?? []) }
}
