import DuetKernels
import DuetRuntime
import Foundation

/// A mistake in the use of tensors: what was asked, why it cannot be done, and where in the program.
public struct TensorError: Error, Sendable, CustomStringConvertible {
  /// The operation, by the name in messages.
  public var operation: String
  /// What is wrong, with the shapes and dtypes in question.
  public var reason: String
  /// The place in the user's program, if the program carries line tables. The first look at it is slow: it reads them.
  public var location: SourceLocation? {
    get {
      switch place {
      case .line(let line): line
      case .calls(let site): site.location
      }
    }
    set { place = .line(newValue) }
  }
  /// The name scope around the operation: `encoder/attention`; empty outside of any.
  public var scope: String

  private enum Place {
    case line(SourceLocation?)
    case calls(CallSite)
  }
  private var place: Place

  /// - Parameter scope: Nil for this thread's.
  package init(_ error: OpError, at site: CallSite?, scope: String? = nil) {
    operation = error.operation
    reason = error.reason
    place = site.map { .calls($0) } ?? .line(nil)
    self.scope = scope ?? DeferredThread.existing?.scope ?? ""
  }

  public var description: String {
    (scope.isEmpty ? "" : scope + "/") + "\(operation): \(reason)"
      + (location.map { "  at \($0)" } ?? "")
  }
}

/// Collects the first mistake inside `checked`.
final class ErrorBox {
  var error: TensorError?
  /// Who records the program that goes on with the error.
  let recorder = ThreadContext.recorder
}

/// Runs the body and throws the first mistake in it instead of stopping the program.
///
/// After a mistake the body runs on with failed tensors: operations on them do nothing, reading them gives
/// zeros, and writing them to a variable leaves the variable alone.
/// - Throws: `TensorError`, or what the body throws.
@discardableResult
public func checked<R>(_ body: () throws -> R) throws -> R {
  let state = duet_thread()!
  let box = ErrorBox()
  let before = (state.pointee.checked, state.pointee.flags)
  state.pointee.checked = Unmanaged.passUnretained(box).toOpaque()
  state.pointee.flags |= ThreadContext.Flags.checked
  defer {
    state.pointee.checked = before.0
    state.pointee.flags =
      (state.pointee.flags & ~ThreadContext.Flags.checked)
      | (before.1 & ThreadContext.Flags.checked)
  }
  let result = Result { try body() }
  if let error = box.error { throw error }
  return try result.get()
}

extension ThreadContext {
  /// Whether a mistake that is made now is handed to a program that is recorded.
  package static var catchesMistakesInsideRecording: Bool {
    guard has(Flags.checked), let pointer = state.pointee.checked else { return false }
    return Unmanaged<ErrorBox>.fromOpaque(pointer).takeUnretainedValue().recorder != nil
  }
}

/// Reports a mistake in the user's program: stops it, or inside `checked` notes the error and gives a failed
/// tensor.
@inline(never)
package func fail(_ error: OpError) -> Tensor {
  note(error)
  return Tensor(FailedTensor.body)
}

/// Reports a mistake whose result is not a tensor.
@inline(never)
package func note(_ error: OpError) {
  report(TensorError(error, at: CallSite()))
}

/// As `note`, for a mistake whose place is known: made on another thread, for example.
@inline(never)
package func report(_ located: TensorError) {
  let state = duet_thread()!
  guard state.pointee.flags & ThreadContext.Flags.checked != 0, let pointer = state.pointee.checked
  else {
    FileHandle.standardError.write(Data("Fatal error: \(located)\n".utf8))
    fatalError("\(located)")
  }
  let box = Unmanaged<ErrorBox>.fromOpaque(pointer).takeUnretainedValue()
  if box.error == nil { box.error = located }
  ThreadContext.recorder?.didFail(caughtBy: box.recorder)
}

/// The result of an operation that could not be done.
enum FailedTensor {
  static let body = TensorBody(withoutElements: TensorType(.float32, []))
}

extension Tensor {
  /// Whether this is the result of an operation that could not be done, inside `checked`.
  package var isFailed: Bool { body === FailedTensor.body }
}
