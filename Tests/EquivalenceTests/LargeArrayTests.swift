import Duet
import DuetTestSupport
import Testing

/// Arrays larger than any cache, whose results are written past the caches: the bits are those of
/// the same operation on one small part after the other.
@Suite(.serialized) struct LargeArrayTests {
  /// Values of both signs, different in neighbouring places.
  private func values(_ shape: [Int], _ step: Float) -> Tensor {
    let count = shape.reduce(1, *)
    return (arange(0, count, dtype: .float32) * step).sin().reshaped(shape)
  }

  /// Compares rows (or elements) of a large result with what `part` gives for them: the first ones,
  /// the last ones and some between.
  private func expectParts(
    _ large: Tensor, _ length: Int, _ what: String, _ part: (Range<Int>) -> Tensor
  ) {
    let count = large.shape[0]
    for i in 0...10 {
      let start = (count - length) / 10 * i + (i == 10 ? (count - length) % 10 : 0)
      let range = start..<start + length
      expectSame(large[range], part(range), "\(what), \(range)")
    }
  }

  @Test("flat arrays, aligned and not", arguments: [4_500_032, 4_500_003])
  func flat(_ count: Int) {
    let whole = values([count + 1], 0.37)
    let other = values([count + 1], 0.11)
    let function = traced { (x: Tensor, y: Tensor) in ((x + y) * x - y, (x - y).tanh()) }
    for offset in 0...1 {
      let (x, y) = (whole[offset..<count + offset], other[offset..<count + offset])
      for set in ProcessSettings.instructionSets {
        for threads in 1...3 {
          ProcessSettings.with(threads: threads, instructionSet: set) {
            let what = "\(set), \(threads) threads, offset \(offset)"
            expectParts(x + y, 40_000, "sum, \(what)") { x[$0] + y[$0] }
            let (first, second) = function(x, y)
            expectParts(first, 40_000, "fused, \(what)") { (x[$0] + y[$0]) * x[$0] - y[$0] }
            expectParts(second, 40_000, "fused tanh, \(what)") { (x[$0] - y[$0]).tanh() }
          }
        }
      }
    }
    expectParts(whole .< other, 40_000, "comparison") { whole[$0] .< other[$0] }
    expectParts(whole.asType(.float64), 40_000, "cast") { whole[$0].asType(.float64) }
    expectParts(whole.asType(.float16), 40_000, "cast") { whole[$0].asType(.float16) }
  }

  @Test("rows with one row or one column for all", arguments: [2048, 2047])
  func broadcast(_ columns: Int) {
    let x = values([4200, columns], 0.37)
    let row = values([columns], 0.7)
    let column = values([4200, 1], 0.9)
    let function = traced { (x: Tensor, row: Tensor, column: Tensor) in x * row + column }
    expectParts(x + row, 20, "row") { x[$0] + row }
    expectParts(x + column, 20, "column") { x[$0] + column[$0] }
    expectParts(function(x, row, column), 20, "fused") { x[$0] * row + column[$0] }
    let transposed = values([columns, 4200], 0.3).transposed()
    expectParts(x - transposed, 20, "transposed") { x[$0] - transposed[$0] }
  }

  @Test("transposed copies and taken rows", arguments: [2048, 2043])
  func moved(_ columns: Int) {
    let x = values([4200, columns], 0.37)
    for set in ProcessSettings.instructionSets {
      ProcessSettings.with(threads: 2, instructionSet: set) {
        let turned = x.transposed().reshaped(-1).reshaped(columns, 4200)
        expectParts(turned, 16, "transposed, \(set)") {
          contiguousCopy(x[0..., $0].transposed())
        }
        let places = arange(0, 7000) * 1013 % 4200
        expectParts(x.take(places, axis: 0), 20, "taken, \(set)") {
          x.take(places[$0], axis: 0)
        }
      }
    }
  }

  @Test("normalised rows, whole lines and not", arguments: [1040, 1037])
  func normalised(_ columns: Int) {
    let x = values([6200, columns], 0.37)
    let scale = values([columns], 0.7)
    let offset = values([columns], 0.9)
    for set in ProcessSettings.instructionSets {
      ProcessSettings.with(threads: 2, instructionSet: set) {
        expectParts(layerNorm(x, weight: scale, bias: offset), 20, "layer norm, \(set)") {
          layerNorm(x[$0], weight: scale, bias: offset)
        }
        expectParts(rmsNorm(x, weight: scale), 20, "rms norm, \(set)") {
          rmsNorm(x[$0], weight: scale)
        }
      }
    }
  }
}
