import Foundation

/// Says on a terminal which case is being timed; silent where standard error is not one.
struct Progress {
  private let isShown = isatty(STDERR_FILENO) == 1
  let total: Int

  func show(_ index: Int, _ name: String) {
    write("\r\u{1B}[K[\(index + 1)/\(total)] \(name)")
  }

  func clear() { write("\r\u{1B}[K") }

  private func write(_ text: String) {
    if isShown { FileHandle.standardError.write(Data(text.utf8)) }
  }
}
