// Unsafe: keeps plain data in raw memory, constant after init and freed with its owner.

import DuetEager
import DuetRuntime

/// A signature of arguments each of which is a tensor, as plain data: what most calls are compared with.
final class TensorSignature: @unchecked Sendable {
  // Sendable: constant after init, raw memory included.

  private let leaves: UnsafeMutableBufferPointer<Signature.Leaf>
  /// -1: some argument is no tensor.
  private let count: Int
  private let isGradEnabled: Bool

  init(_ signature: Signature) {
    leaves = .plain(signature.leaves)
    count = signature.structure.isEmpty ? signature.leaves.count : -1
    isGradEnabled = signature.isGradEnabled
  }

  deinit { leaves.deallocate() }

  /// Whether a call with these arguments has this signature and every argument's elements lie one behind the other.
  @inline(__always)
  func matches(
    _ arguments: UnsafePointer<Unmanaged<TensorBody>>, _ count: Int, isGradEnabled: Bool
  ) -> Bool {
    guard self.count == count, self.isGradEnabled == isGradEnabled else { return false }
    for i in 0..<count {
      let leaf = leaves.baseAddress! + i
      let fits = arguments[i]._withUnsafeGuaranteedRef { body in
        body.dtype == leaf.pointee.type.dtype && body.layout.shape == leaf.pointee.type.shape
          && (body.autograd != nil) == leaf.pointee.requiresGrad && body.isContiguous
          && body.hasElements
      }
      if !fits { return false }
    }
    return true
  }
}
