import Duet
import DuetTestSupport
import Testing

/// Orders of rows of every kind of length, against a sort written for these tests.
@Suite struct SortTests {
  /// How a row's elements come.
  enum Arrangement: CaseIterable, Sendable {
    case anyhow, fewValues, ascending, descending
  }

  @Test(
    "orders are stable, NaN last, whatever way the kernel goes",
    arguments: DType.allCases, Arrangement.allCases)
  func order(_ dtype: DType, _ arrangement: Arrangement) {
    var draw = SplitMix64(dtype.rawValue)
    for length in [1, 15, 16, 17, 63, 127, 128, 129, 255, 256, 257, 1000, 5000, 9000, 70_000] {
      let x = row(&draw, dtype, length, arrangement)
      for isDescending in [false, true] {
        let expected = order(x, isDescending)
        #expect(
          argSort(x, descending: isDescending).asArray(Int.self) == expected,
          "\(dtype), \(length) elements")
        guard isDescending else { continue }
        for k in Set([1, 2, 15, 16, 17, 64, length / 9, length / 8, length / 2])
        where (1...length).contains(k) {
          #expect(
            topK(x, k).indices.asArray(Int.self) == Array(expected[..<k]),
            "\(dtype), the first \(k) of \(length)")
        }
      }
    }
  }

  @Test("columns are ordered like rows")
  func columns() {
    var draw = SplitMix64(5)
    for length in [300, 3000] {
      let x = draw.tensor(.float32, [length, 5], .special)
      let byRows = x.transposed(1, 0).contiguous()
      expectSame(argSort(x, axis: 0).transposed(1, 0).contiguous(), argSort(byRows, axis: 1))
      expectSame(
        topK(x, 20, axis: 0).indices.transposed(1, 0).contiguous(),
        topK(byRows, 20, axis: 1).indices)
    }
  }

  private func row(
    _ draw: inout SplitMix64, _ dtype: DType, _ length: Int, _ arrangement: Arrangement
  ) -> Tensor {
    switch arrangement {
    case .anyhow: draw.tensor(dtype, [length], .special)
    case .fewValues: draw.tensor(.int32, [length]).asType(dtype)
    case .ascending: arange(length).asType(dtype)
    case .descending: (arange(length) * -1).asType(dtype)
    }
  }

  private func order(_ x: Tensor, _ isDescending: Bool) -> [Int] {
    func sorted<T: Comparable>(_ values: [T]) -> [Int] {
      values.indices.sorted { i, j in
        let (a, b) = (values[i], values[j])
        // What does not equal itself comes last.
        if a != a || b != b { return a == a || (b != b && i < j) }
        return a == b ? i < j : isDescending ? a > b : a < b
      }
    }
    return x.dtype.isFloatingPoint
      ? sorted(x.asArray(Double.self)) : sorted(x.asArray(Int.self))
  }
}
