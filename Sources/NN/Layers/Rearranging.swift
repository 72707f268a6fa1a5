import DuetEager
import DuetRuntime

/// Channels as finer pixels: `[..., C r², H, W]` gives `[..., C, H r, W r]` (Shi and others, 2016).
public struct PixelShuffle: UnaryLayer, Sendable {
  /// r: rows and columns that each pixel becomes.
  public let upscaleFactor: Int
  /// A layer that calls `pixelShuffle`. Any dtype.
  public init(_ upscaleFactor: Int) { self.upscaleFactor = upscaleFactor }
  public func callAsFunction(_ x: Tensor) -> Tensor {
    pixelShuffle(x, upscaleFactor: upscaleFactor)
  }
}

/// Pixels as channels, the inverse of ``PixelShuffle``: `[..., C, H r, W r]` gives `[..., C r², H, W]`.
public struct PixelUnshuffle: UnaryLayer, Sendable {
  /// r: rows and columns that become one pixel.
  public let downscaleFactor: Int
  /// A layer that calls `pixelUnshuffle`. Any dtype.
  public init(_ downscaleFactor: Int) { self.downscaleFactor = downscaleFactor }
  public func callAsFunction(_ x: Tensor) -> Tensor {
    pixelUnshuffle(x, downscaleFactor: downscaleFactor)
  }
}

/// Zeros around images `[..., H, W]`. Any dtype.
public struct ZeroPad2d: UnaryLayer, Sendable {
  /// Columns on the left and on the right, rows above and below.
  public let left: Int, right: Int, top: Int, bottom: Int

  /// As many on each side.
  public init(_ padding: Int) {
    self.init(left: padding, right: padding, top: padding, bottom: padding)
  }

  /// So many on each side, in PyTorch's order. Negative numbers are an error.
  public init(left: Int = 0, right: Int = 0, top: Int = 0, bottom: Int = 0) {
    noteNegative(["left": left, "right": right, "top": top, "bottom": bottom], in: "ZeroPad2d")
    self.left = left
    self.right = right
    self.top = top
    self.bottom = bottom
  }

  public func callAsFunction(_ x: Tensor) -> Tensor {
    if x.isFailed { return x }
    guard x.ndim >= 2 else {
      return fail(OpError("ZeroPad2d", "needs images [..., H, W], not shape \(x.shape)"))
    }
    let outer = Array(repeating: (0, 0), count: x.ndim - 2)
    return x.padded(widths: outer + [(top, bottom), (left, right)])
  }
}

/// One axis as several: the inverse of ``Flatten``.
public struct Unflatten: UnaryLayer, Sendable {
  /// The axis that is divided; negative: from the end.
  public let axis: Int
  /// The sizes of the axes that take its place; one may be -1: what is left.
  public let sizes: [Int]

  /// Sizes whose product is not the axis' size are an error.
  public init(axis: Int, _ sizes: [Int]) {
    self.axis = axis
    self.sizes = sizes
  }

  public func callAsFunction(_ x: Tensor) -> Tensor {
    guard let axis = resolved(axis, of: x, in: "Unflatten") else { return .failed }
    let unknown = sizes.count { $0 == -1 }
    guard !sizes.isEmpty, sizes.allSatisfy({ $0 >= -1 }), unknown <= 1,
      let known = checkedProduct(sizes.filter { $0 != -1 }),
      unknown == 0 ? known == x.dim(axis) : known > 0 && x.dim(axis) % known == 0
    else {
      return fail(
        OpError(
          "Unflatten", "axis \(axis) of shape \(x.shape) does not divide into sizes \(sizes)"))
    }
    return x.reshaped(Array(x.shape[..<axis]) + sizes + Array(x.shape[(axis + 1)...]))
  }
}
