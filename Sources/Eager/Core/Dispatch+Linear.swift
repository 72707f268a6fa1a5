// Unsafe: hands addresses of elements to a kernel, while their tensors are held.

import DuetRuntime

/// A linear layer of contiguous rows with nothing to differentiate and nobody to tell: one allocation and one call
/// of the kernel. Nil where the general path has to look.
@inline(__always)
func fastLinear(_ x: TensorBody, _ weight: TensorBody, _ bias: TensorBody?) -> TensorBody? {
  let flags = ThreadContext.state.pointee.flags
  guard
    flags & ~harmlessFlags == 0,
    x.isContiguous, weight.isContiguous, x.storage != nil, weight.storage != nil,
    x.layout.shape.rank == 2, weight.layout.shape.rank == 2,
    x.dtype == weight.dtype, x.dtype.isFloatingPoint,
    x.layout.shape[1] == weight.layout.shape[1],
    flags & ThreadContext.Flags.noGrad != 0 || (x.autograd == nil && weight.autograd == nil)
  else { return nil }
  let (rows, n, k) = (x.layout.shape[0], weight.layout.shape[0], weight.layout.shape[1])
  if let bias {
    guard
      bias.isContiguous, bias.storage != nil, bias.dtype == x.dtype, bias.layout.shape.rank == 1,
      bias.layout.shape[0] == n,
      flags & ThreadContext.Flags.noGrad != 0 || bias.autograd == nil
    else { return nil }
  }
  var shape = x.layout.shape
  shape[1] = n
  guard shape.isRepresentable,
    let storage = Storage.allocateIfPossible(byteCount: rows &* n &* x.dtype.size)
  else { return nil }
  let result = TensorBody(owning: storage, TensorType(x.dtype, shape), autograd: nil)
  executeLinear(
    result.pointer, x.dtype, rows: rows, n: n, k: k, x.pointer, weight: weight.pointer,
    bias: bias?.pointer)
  withExtendedLifetime((x, weight, bias)) {}
  return result
}
