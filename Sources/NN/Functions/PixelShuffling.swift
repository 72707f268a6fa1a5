import DuetEager
import DuetRuntime

/// Channels as finer pixels: `[..., C r², H, W]` gives `[..., C, H r, W r]` (Shi and others, 2016). Any dtype.
public func pixelShuffle(_ x: Tensor, upscaleFactor r: Int) -> Tensor {
  if x.isFailed { return x }
  guard x.ndim >= 3, x.ndim <= 6, r > 0, let square = checkedProduct([r, r]),
    x.dim(-3) % square == 0,
    let height = checkedProduct([x.dim(-2), r]), let width = checkedProduct([x.dim(-1), r])
  else {
    return fail(
      OpError(
        "pixelShuffle",
        "needs images [..., C, H, W] with a multiple of \(r)² channels, not \(x.shape)"
      ))
  }
  let outer = Array(x.shape.dropLast(3))
  let (c, h, w) = (x.dim(-3) / square, x.dim(-2), x.dim(-1))
  let parts = x.reshaped(outer + [c, r, r, h, w])
  let axes = Array(0..<outer.count) + [0, 3, 1, 4, 2].map { $0 + outer.count }
  return parts.transposed(axes: axes).reshaped(outer + [c, height, width])
}

/// The inverse of `pixelShuffle`: `[..., C, H r, W r]` gives `[..., C r², H, W]`. Any dtype.
public func pixelUnshuffle(_ x: Tensor, downscaleFactor r: Int) -> Tensor {
  if x.isFailed { return x }
  guard x.ndim >= 3, x.ndim <= 6, r > 0, x.dim(-2) % r == 0, x.dim(-1) % r == 0,
    let channels = checkedProduct([x.dim(-3), r, r])
  else {
    return fail(
      OpError(
        "pixelUnshuffle",
        "needs images [..., C, H, W] whose sizes are multiples of \(r), not \(x.shape)"
      ))
  }
  let outer = Array(x.shape.dropLast(3))
  let (c, h, w) = (x.dim(-3), x.dim(-2) / r, x.dim(-1) / r)
  let parts = x.reshaped(outer + [c, h, r, w, r])
  let axes = Array(0..<outer.count) + [0, 2, 4, 1, 3].map { $0 + outer.count }
  return parts.transposed(axes: axes).reshaped(outer + [channels, h, w])
}
