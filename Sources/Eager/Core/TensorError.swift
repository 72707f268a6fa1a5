import DuetKernels
import DuetRuntime
import Foundation

#if canImport(Runtime)
  import Runtime
#endif

/// A mistake in the use of tensors: what was asked, why it cannot be done, and where in the program.
public struct TensorError: Error, Sendable, CustomStringConvertible {
  /// The operation, by the name in messages.
  public var operation: String
  /// What is wrong, with the shapes and dtypes in question.
  public var reason: String
  /// The place in the user's program, if the program carries line tables.
  public var location: SourceLocation?
  /// The name scope around the operation: `encoder/attention`; empty outside of any.
  public var scope: String

  package init(_ error: OpError, location: SourceLocation?, scope: String? = nil) {
    operation = error.operation
    reason = error.reason
    self.location = location
    self.scope = scope ?? DeferredThread.existing?.scope ?? ""
  }

  public var description: String {
    (scope.isEmpty ? "" : scope + "/") + "\(operation): \(reason)"
      + (location.map { "  at \($0)" } ?? "")
  }
}

/// A line of a source file.
public struct SourceLocation: Sendable, Hashable, CustomStringConvertible {
  /// The file's name without its folders.
  public var file: String
  public var line: Int

  package init(file: String, line: Int) {
    self.file = file
    self.line = line
  }

  public var description: String { "\(file):\(line)" }

  /// The innermost line on the call stack that is not the framework's own.
  ///
  /// Slow (it reads line tables): for messages only.
  package static func ofCaller() -> SourceLocation? {
    #if canImport(Runtime)
      // A few frames at a time, since each takes milliseconds and the user's is usually close. One more is
      // asked for because the last one stands for those left out.
      let step = 4
      for offset in stride(from: 1, to: LoadedImages.depth, by: step) {
        guard
          let trace = try? Backtrace.capture(
            limit: step + 1, offset: offset, top: 0, images: LoadedImages.all)
        else { return nil }
        if let location = LoadedImages.location(in: trace) { return location }
        if trace.frames.reduce(0, { count, _ in count + 1 }) < step { return nil }
      }
    #endif
    return nil
  }

  #if canImport(Runtime)
    /// The source line of a frame, if it is known and not the framework's own.
    init?(ofUser frame: SymbolicatedBacktrace.Frame) {
      guard let symbol = frame.symbol, let source = symbol.sourceLocation, source.line > 0,
        source.path.hasSuffix(".swift"), !Self.isOwn(symbol.rawName)
      else { return nil }
      self.init(file: String(source.path.split(separator: "/").last ?? ""), line: source.line)
    }
  #endif

  // Mangled names begin with the module: "$s9DuetEager...". Closures that the user wrote carry the user's.
  private static func isOwn(_ symbol: String) -> Bool {
    let modules = [
      "10DuetKernels", "11DuetRuntime", "9DuetEager", "12DuetCompiler", "10DuetTracer",
      "6DuetNN", "11DuetFormats", "4Duet",
    ]
    for prefix in ["$s", "$S"] where symbol.hasPrefix(prefix) {
      let rest = symbol.dropFirst(2)
      if modules.contains(where: rest.hasPrefix) { return true }
      // The standard library and its extensions in between (withUnsafe..., map).
      return rest.first == "S" || rest.first == "s"
    }
    // The top level of a main.swift has a plain name.
    return false
  }
}

/// A point in the program's run, whose source line is looked up only when it is asked for.
package final class CallSite: Sendable {
  #if canImport(Runtime)
    /// The innermost calls, those around them, and so on: to look up a frame's line takes milliseconds, and the
    /// user's is usually close.
    private let stack: [Backtrace]
  #endif

  /// The call that is under way.
  package init() {
    #if canImport(Runtime)
      let images = LoadedImages.all
      // One more than wanted is asked for, because the last one stands for those left out.
      let depth = LoadedImages.depth
      stack = [(1, 6), (7, 6), (13, 36)].filter { $0.0 + 1 < depth }.compactMap { offset, count in
        try? Backtrace.capture(limit: count + 1, offset: offset + 1, top: 0, images: images)
      }
    #endif
  }

  /// The innermost line that is not the framework's own. Slow, as ``SourceLocation/ofCaller()``.
  package var location: SourceLocation? {
    #if canImport(Runtime)
      stack.lazy.compactMap(LoadedImages.location).first
    #else
      nil
    #endif
  }
}

/// Collects the first mistake inside `checked`.
final class ErrorBox {
  var error: TensorError?
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
  report(TensorError(error, location: .ofCaller()))
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
  ThreadContext.recorder?.didFail()
}

/// The result of an operation that could not be done.
enum FailedTensor {
  static let body = TensorBody(withoutElements: TensorType(.float32, []))
}

extension Tensor {
  /// Whether this is the result of an operation that could not be done, inside `checked`.
  package var isFailed: Bool { body === FailedTensor.body }
}
