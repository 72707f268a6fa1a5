import Duet
import DuetFormats
import DuetTestSupport
import Foundation
import Testing

/// Traced functions in files.
@Suite struct SavedFunctionTests {
  @Test func aModelServesWithoutItsCode() throws {
    let model = LeNet()
    let names = model.parameters.names
    let f = traced { (x: Tensor) in noGrad { softmax(model(x), axis: 1) } }
    try f.lower(TensorSpec([nil, 1, 28, 28]))
    try withTemporaryFile("duet") { url in
      try f.save(to: url)
      let h = try SavedFunction(contentsOf: url)
      #expect(h.signatures.contains("argument 0: float32[?, 1, 28, 28]"))
      for count in [1, 3, 8] {
        let x = Random.normal([count, 1, 28, 28])
        expectSame(h([x])[0], f(x), "\(count) images")
        expectSame(h([x])[0], f(x), "\(count) images, replayed")
      }
      #expect(h.plan(for: [zeros([8, 1, 28, 28])]).stepCount > 3)
      // Other programs find the weights by name.
      let arrays = try SafetensorsFile(url)
      #expect(Set(names).isSubset(of: arrays.names))
    }
  }

  @Test func stateIsWrittenAsItIs() throws {
    let total = Variable(zeros([2]), name: "total")
    let f = traced { (x: Tensor) in
      total.value = total.value + x
      return total.value * 2
    }
    let x = Tensor([1.0, 2.0])
    _ = f(x)
    try withTemporaryFile("duet") { url in
      try f.save(to: url)
      let h = try SavedFunction(contentsOf: url)
      expectSame(h([x])[0], Tensor([4.0, 8.0]))
      try h.save(to: url)
      let later = try SavedFunction(contentsOf: url)
      expectSame(h([x])[0], Tensor([6.0, 12.0]))
      expectSame(later([x])[0], Tensor([6.0, 12.0]))
      expectSame(total.value, x)
      #expect(later.state.map(\.name) == ["total"])
      expectSame(later.state[0].value!, Tensor([3.0, 6.0]))
    }
  }

  @Test func emptyBytesAreAResult() throws {
    let f = traced { (x: Tensor) in x[0..<0].asType(.uint8) }
    let x = Tensor([1.0, 2.0])
    _ = f(x)
    try withTemporaryFile("duet") { url in
      try f.save(to: url)
      expectSame(try SavedFunction(contentsOf: url)([x])[0], zeros([0], dtype: .uint8))
    }
  }

  @Test func pathsByHowManyThereAreAreKept() throws {
    let f = traced { (x: Tensor) in [x[x .> 0], unique(x)] }
    let inputs = [[1.0, -1, 2], [-1.0, 3, 4], [5.0, 5, 5]].map { Tensor($0) }
    let results = inputs.map { f($0) }
    try withTemporaryFile("duet") { url in
      try f.save(to: url)
      let h = try SavedFunction(contentsOf: url)
      for (x, result) in zip(inputs, results) { expectSame(h([x]), result) }
      // Elsewhere, but as many.
      expectSame(
        h([Tensor([7.0, 8, -9])]),
        [Tensor([7.0, 8.0]), Tensor([-9.0, 7.0, 8.0])])
    }
  }

  @Test func equalFunctionsMakeEqualBytes() throws {
    let w = Random.normal([40, 3], generator: Generator(seed: 1))
    let f = traced { (x: Tensor) in matmul(x, w).exp() }
    _ = f(ones([2, 40]))
    try withTemporaryFile("duet") { url in
      try f.save(to: url)
      let first = try Data(contentsOf: url)
      try SavedFunction(contentsOf: url).save(to: url)
      #expect(try Data(contentsOf: url) == first)
    }
  }

  @Test func otherFilesAreRefused() throws {
    try withTemporaryFile("safetensors") { url in
      #expect(throws: DataError.self) { try SavedFunction(contentsOf: url) }
      try save(["x": ones([2])], to: url)
      let error = #expect(throws: DataError.self) { try SavedFunction(contentsOf: url) }
      #expect(error?.reason.hasPrefix("holds no function") == true)
      try save(["x": ones([2])], metadata: ["duet.function": "{}"], to: url)
      let other = #expect(throws: DataError.self) { try SavedFunction(contentsOf: url) }
      #expect(other?.reason.hasPrefix("holds a function whose form cannot be read") == true)
    }
  }

  /// Numbers, names and brackets of a function's form change places and values: it loads or is refused, and runs or
  /// fails, but the process lives.
  @Test(arguments: [1, 2, 3, 4]) func damagedFunctionsAreRefusedOrRun(seed: Int) throws {
    var random = Damage(seed: UInt64(seed))
    let (text, arrays, arguments) = try Self.subject(seed)
    var (loaded, ran) = (0, 0)
    try withTemporaryFile("safetensors") { url in
      for _ in 0..<400 {
        var damaged = Array(text.utf8)
        for _ in 0..<(1 + random.below(2)) { random.damage(&damaged) }
        let form = String(decoding: damaged, as: UTF8.self)
        try save(arrays, metadata: ["duet.function": form], to: url)
        let function: SavedFunction
        do { function = try SavedFunction(contentsOf: url) } catch is DataError { continue }
        loaded += 1
        do {
          _ = try checked { function(arguments) }
          ran += 1
        } catch is TensorError {}
      }
    }
    #expect(loaded > 10 && ran > 5, "\(loaded) loaded, \(ran) ran")
  }

  /// A function's form, its arrays, and arguments for it.
  private static func subject(_ seed: Int) throws -> (String, [String: Tensor], [Tensor]) {
    let layer = Linear(6, 4)
    let count = Variable(zeros([], dtype: .int64), name: "count")
    let generator = Generator(seed: 4)
    func file(_ write: (URL) throws -> Void) throws -> (String, [String: Tensor]) {
      try withTemporaryFile("safetensors") { url in
        try write(url)
        let (arrays, metadata) = try loadArraysAndMetadata(url: url)
        return (metadata["duet.function"]!, arrays)
      }
    }
    let x = Random.normal([3, 6], generator: generator)
    switch seed {
    case 1:
      let f = traced { (x: Tensor) in
        count.value = count.value + 1
        let y = noGrad { layer(x).tanh() }
        let parts = concatenated([y[0..., 0..<2], y.T[0..<2].T], axis: 1)
        return (parts.sum(axes: [1], keepDims: true) + y).reshaped([-1])
      }
      _ = f(x)
      let (text, arrays) = try file { try f.save(to: $0) }
      return (text, arrays, [x])
    case 2:
      let f = traced { (x: Tensor) in
        var y = x + 0.5
        if (y.sum() .> 5).item() { y = y * 2 }
        for _ in 0..<2 where (y.max() .< 100).item() { y = y * y + 1 }
        return softmax(y, axis: 1) + Random.uniform([3, 6], generator: generator)
      }
      for scale in [1.0, -4.0, 3.0, 10.0] { _ = f(x * scale) }
      let (text, arrays) = try file { try f.save(to: $0) }
      return (text, arrays, [x])
    case 3:
      let f = traced { (x: Tensor) in noGrad { layer(x).mean(axis: 0) + zeros([x.dim(0), 4]) } }
      try f.lower(TensorSpec([nil, 6]))
      let (text, arrays) = try file { try f.save(to: $0) }
      return (text, arrays, [x])
    default:
      let images = Random.normal([2, 3, 6, 6], generator: generator)
      let weight = Random.normal([4, 3, 3, 3], generator: generator)
      let places = Tensor([0, 2, 1])
      let f = traced { (x: Tensor) in
        let y = maxPool2d(relu(conv2d(x, weight, padding: 1)), kernelSize: 2)
        let (_, parts) = scan(zeros([4, 3, 3]), over: y) { (carry: Tensor, v: Tensor) in
          (carry + v, carry)
        }
        let taken = take(parts, places, axis: 2)
        return sort(taken.cumsum(axis: 1), axis: 3).argMax(axis: 1)
      }
      _ = f(images)
      let (text, arrays) = try file { try f.save(to: $0) }
      return (text, arrays, [images])
    }
  }
}

/// Changes of text that leave much of it whole.
private struct Damage {
  private var state: UInt64

  init(seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 | 1 }

  mutating func below(_ count: Int) -> Int {
    state ^= state << 13
    state ^= state >> 7
    state ^= state << 17
    return Int(state % UInt64(count))
  }

  mutating func damage(_ text: inout [UInt8]) {
    let place = below(text.count)
    switch below(8) {
    case 0: text[place] = UInt8(32 + below(95))
    case 1: text.remove(at: place)
    case 2:
      let other = below(text.count)
      text.swapAt(place, other)
    default:
      // A number becomes another one.
      func isDigit(_ i: Int) -> Bool { text.indices.contains(i) && 48...57 ~= text[i] }
      guard let start = (place..<text.count).first(where: isDigit) else { return }
      var end = start
      while isDigit(end) { end += 1 }
      let numbers = ["0", "1", "2", "3", "5", "8", "9", "-1", "-7", "30", "9223372036854775807"]
      text.replaceSubrange(start..<end, with: Array(numbers[below(numbers.count)].utf8))
    }
  }
}
