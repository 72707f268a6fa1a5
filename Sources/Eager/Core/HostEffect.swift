/// Something that a program does with tensors' values and that is no operation: printing, logging.
public final class HostEffect: @unchecked Sendable {
  // Sendable: the closure is shared as the user's program shares it.

  private let body: ([Tensor]) -> Void

  package init(_ body: @escaping ([Tensor]) -> Void) { self.body = body }

  /// Does it with tensors that have elements, cut off from the autograd graph. Nobody watches.
  package func run(_ tensors: [Tensor]) {
    ThreadContext.withRecorder(nil) { body(tensors.map { $0.detached() }) }
  }
}
