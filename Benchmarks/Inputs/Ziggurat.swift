import Foundation

/// Standard normal float32 numbers by the ziggurat of G. Marsaglia and W. W. Tsang (2000), with the
/// layers and the order of draws of NumPy's `standard_normal(dtype=float32)`.
struct Ziggurat {
  /// Where the tail begins. With 256 layers of one area that is fixed.
  private static let tailStart = 3.6541528853610087963519472518
  /// Mantissas below these lie inside the layer below and need no test.
  private var certain = [UInt32](repeating: 0, count: 256)
  /// A layer's width per unit of the 23-bit mantissa.
  private var widths = [Float](repeating: 0, count: 256)
  /// exp(-x² / 2) at the outer edge of each layer.
  private var heights = [Float](repeating: 1, count: 256)

  init() {
    func density(_ x: Double) -> Double { exp(-0.5 * x * x) }
    let scale = 0x1p23
    var edge = Self.tailStart
    let area = edge * density(edge) + (Double.pi / 2).squareRoot() * erfc(edge / 2.0.squareRoot())
    // The lowest layer holds the tail as well, so it counts as that much wider.
    let base = area / density(edge)
    certain[0] = UInt32((edge / base * scale).rounded(.toNearestOrEven))
    widths[0] = Float(base / scale)
    widths[255] = Float(edge / scale)
    heights[255] = Float(density(edge))
    for layer in stride(from: 254, through: 1, by: -1) {
      let outer = edge
      edge = (-2 * log(area / outer + density(outer))).squareRoot()
      certain[layer + 1] = UInt32((edge / outer * scale).rounded(.toNearestOrEven))
      widths[layer] = Float(edge / scale)
      heights[layer] = Float(density(edge))
    }
  }

  func next(_ generator: inout PCG64) -> Float {
    while true {
      let bits = generator.next32()
      let layer = Int(bits & 0xff)
      let mantissa = bits >> 9
      let magnitude = Float(mantissa) * widths[layer]
      let x = bits & 0x100 == 0 ? magnitude : -magnitude
      if mantissa < certain[layer] { return x }
      if layer == 0 {
        let far = Float(Self.tailStart) + tail(&generator)
        return mantissa & 0x100 == 0 ? far : -far
      }
      let drop = heights[layer - 1] - heights[layer]
      let height = drop * generator.nextFloat() + heights[layer]
      if Double(height) < exp(-0.5 * Double(x) * Double(x)) { return x }
    }
  }

  /// How far beyond the start of the tail (G. Marsaglia, 1964).
  private func tail(_ generator: inout PCG64) -> Float {
    while true {
      let x = -Float(1 / Self.tailStart) * log1p(-generator.nextFloat())
      let y = -log1p(-generator.nextFloat())
      if y + y > x * x { return x }
    }
  }
}
