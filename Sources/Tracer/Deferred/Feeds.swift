import DuetEager
import DuetRuntime

/// What a ``Session`` is given for a run: tensors for placeholders and other pending values.
///
///     var feeds: Feeds = [x: images]
///     feeds[y] = labels
public struct Feeds: Sendable, ExpressibleByDictionaryLiteral {
  private var pairs: [(key: Tensor, value: Tensor)] = []

  /// No feeds.
  public init() {}

  /// Pairs of a pending value and what is fed for it; of two for one value the last counts.
  public init(dictionaryLiteral elements: (Tensor, Tensor)...) {
    for (key, value) in elements { self[key] = value }
  }

  /// What is fed for a value.
  public subscript(value: Tensor) -> Tensor? {
    get { place(of: value).map { pairs[$0].value } }
    set {
      switch (place(of: value), newValue) {
      case (let place?, let tensor?): pairs[place].value = tensor
      case (let place?, nil): pairs.remove(at: place)
      case (nil, let tensor?): pairs.append((value, tensor))
      case (nil, nil): break
      }
    }
  }

  /// The number of values that are fed.
  public var count: Int { pairs.count }

  private func place(of value: Tensor) -> Int? {
    guard let node = value.node else { return nil }
    return pairs.firstIndex { $0.key.node === node }
  }

  /// What is fed.
  func nodes() throws(OpError) -> [PendingNode] {
    var nodes: [PendingNode] = []
    for (key, _) in pairs {
      guard let node = key.node else {
        throw OpError(
          "Session.run",
          "only placeholders and other values of deferred mode can be fed; a tensor \(key.type) has elements of its own"
        )
      }
      nodes.append(node)
    }
    return nodes
  }

  /// The tensors, each of its node's type and with elements.
  func values(_ nodes: [PendingNode]) throws(OpError) -> [Tensor] {
    var values: [Tensor] = []
    for ((_, value), node) in zip(pairs, nodes) {
      if let placeholder = value.node?.placeholder {
        throw OpError(
          "Session.run",
          "\(node.title) was fed a value that depends on the placeholder \"\(placeholder.label)\" itself"
        )
      }
      guard value.type == node.type else {
        let what = value.dtype == node.type.dtype ? "shape" : "dtype"
        throw OpError(
          "Session.run",
          "\(node.title) takes \(node.type), but the \(what) of what was fed is "
            + (value.dtype == node.type.dtype ? "\(value.shape)" : "\(value.dtype)"))
      }
      let evaluated: Tensor
      do {
        evaluated = try checked { value.evaluated(for: "Session.run") }
      } catch let error as TensorError {
        throw OpError(error.operation, error.reason)
      } catch {
        throw OpError("Session.run", "\(error)")
      }
      values.append(evaluated.body.isContiguous ? evaluated : evaluated.contiguousCopy)
    }
    return values
  }
}

extension Tensor {
  /// The node behind a pending tensor.
  package var node: PendingNode? { (body as? PendingBody)?.node }
}

extension PendingNode {
  /// What it is, and its name.
  fileprivate var title: String {
    switch kind {
    case .placeholder: "the placeholder \"\(label)\""
    case .operation: "the value \"\(label)\""
    case .content: "the variable \"\(label)\""
    }
  }
}
