/// Something that a program does with tensors' values and that is no operation: printing, logging.
public final class HostEffect: @unchecked Sendable {
  // Sendable: the closure is called by nobody but the threads that run, or replay, the program that asked for it. Without
  // replays it would be called by the same threads, so that whoever shares the program has to see to it anyway.

  private let body: ([Tensor]) -> Void

  package init(_ body: @escaping ([Tensor]) -> Void) { self.body = body }

  /// Does it with tensors that have elements, cut off from the autograd graph. Nobody watches.
  package func run(_ tensors: [Tensor]) {
    ThreadContext.withRecorder(nil) { body(tensors.map { $0.detached() }) }
  }
}
