#if canImport(Runtime)
  import Runtime
#endif

/// A line of a source file.
public struct SourceLocation: Sendable, Hashable, CustomStringConvertible {
  /// The file's name without its folders.
  public var file: String
  /// The line's number, from 1.
  public var line: Int

  package init(file: String, line: Int) {
    self.file = file
    self.line = line
  }

  public var description: String { "\(file):\(line)" }

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
      // The standard library and its extensions in between (withUnsafe..., map) begin with a letter, and so do the thunks
      // that hand closures over, which may have the line of the framework's closure.
      return !(rest.first?.isNumber ?? false)
    }
    // The top level of a main.swift has a plain name.
    return false
  }
}
