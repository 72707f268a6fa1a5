// Unsafe: adds to a tensor's memory in place, after making sure that nothing else refers to it.

import DuetRuntime

/// The sum of the cotangents that have reached a tensor so far.
///
/// Two kinds of cotangents wait until the sum is asked for:
/// - What a slice sends back is its part alone: a sequence that is read step by step, or an array that is split,
///   would otherwise be filled with zeros and added up once for every part. Parts that do not overlap are
///   written side by side.
/// - What a matrix gets from the rows that were multiplied by it is a product over those rows. A recurrent
///   weight meets a few rows at every step; all of them together make one product. Their order is that of
///   recording, in which a sequence lies in memory.
///
/// Every other sum of elements keeps the order of arrival.
///
/// A branch or a loop ends everybody's waiting: what arrived before it is one summand, what arrives later another. A
/// branch that is not taken sends nothing, or what changes no sum; so whether something came of it cannot tell in
/// the order of additions.
struct GradientSum {
  /// The sum of what arrived before the last branch or loop.
  private var earlier: Tensor?
  /// The cotangents of a region's results by their places, in the sum of what stands for all of them.
  private var results: [Int: Tensor] = [:]
  /// The sum of everything but the parts.
  private var whole: Tensor?
  /// Parts that do not overlap each other.
  private var parts: [Part] = []
  /// The places between which all parts lie, per axis.
  private var hull: [Range<Int>] = []
  /// Products that wait; there is neither a whole nor parts then.
  private var products: [Product] = []
  private let type: TensorType

  /// The product leftᵀ · right of `[rows, m]` and `[rows, n]`.
  struct Product {
    var left: Tensor
    var right: Tensor
    /// The operation whose gradient the product is.
    var function: GradientFunction?

    /// The product of the other order, whose value is this one's transposed.
    var transposed: Product { Product(left: right, right: left, function: function) }

    /// Whether there are so few rows that copying them costs less than adding up results.
    fileprivate var isShort: Bool {
      let (rows, m, n) = (left.dim(0), left.dim(1), right.dim(1))
      return rows * (m + n) <= 2 * m * n
    }

    fileprivate var value: Tensor {
      let product = { apply(.matmul, apply(.transpose([1, 0]), left), right) }
      guard let function else { return product() }
      return AnomalyDetector.gradients(of: function) { [product()] }[0]!
    }
  }

  private struct Part {
    let slice: Slice
    let gradient: Tensor

    /// The places along an axis between which the part lies.
    func range(_ axis: Int) -> Range<Int> {
      let first = slice.starts[axis]
      let last = first + (slice.sizes[axis] - 1) * slice.steps[axis]
      return min(first, last)..<max(first, last) + 1
    }
  }

  /// The sum of nothing, for a tensor of that type.
  init(_ type: TensorType) { self.type = type }

  /// The sum, which is nothing from then on.
  mutating func take() -> Tensor {
    if earlier != nil {
      close()
      return earlier.take()!
    }
    return takeCurrent()
  }

  /// Makes one summand of what has arrived since the last time.
  mutating func close() {
    if whole == nil && parts.isEmpty && products.isEmpty { return }
    let current = takeCurrent()
    if earlier == nil { earlier = current } else { Self.add(current, to: &earlier!) }
  }

  /// Adds the cotangent of a region's result.
  mutating func add(_ gradient: Tensor, result index: Int) {
    results[index] = results[index].map { $0 + gradient } ?? gradient
  }

  /// The cotangents of a region's results.
  func results(count: Int) -> [Tensor?] { (0..<count).map { results[$0] } }

  private mutating func takeCurrent() -> Tensor {
    multiply()
    if whole != nil {
      flush()
      return whole.take()!
    }
    defer { forgetParts() }
    return sideBySide() ?? onZeros()
  }

  /// Adds the cotangent of the whole tensor.
  mutating func add(_ gradient: Tensor) {
    multiply()
    if whole == nil {
      // Parts that are waiting may be added later: no element has got more than one, and a sum of two has no
      // order.
      whole = gradient
    } else {
      flush()
      Self.add(gradient, to: &whole!)
    }
  }

  /// Adds the cotangent of a slice of the tensor.
  mutating func add(_ gradient: Tensor, _ slice: Slice) {
    if slice.sizes.contains(0) { return }
    multiply()
    let part = Part(slice: slice, gradient: gradient)
    if whole == nil && !isApart(part) { whole = take() }
    if whole != nil {
      flush()
      Self.add(gradient, to: &whole!, slice)
      return
    }
    parts.append(part)
    for axis in 0..<slice.sizes.rank {
      let range = part.range(axis)
      if hull.count == axis {
        hull.append(range)
      } else {
        let known = hull[axis]
        hull[axis] =
          min(known.lowerBound, range.lowerBound)..<max(known.upperBound, range.upperBound)
      }
    }
  }

  /// Adds a product of this tensor's shape.
  mutating func add(_ product: Product) {
    let mayWait =
      whole == nil && parts.isEmpty
      && (products.isEmpty || product.isShort && products[0].isShort)
    if mayWait { products.append(product) } else { add(product.value) }
  }

  /// The products, if nothing else has arrived; the sum is nothing then.
  mutating func takeProducts() -> [Product] {
    if earlier != nil { return [] }
    defer { products = [] }
    return products
  }

  /// Does now what would otherwise wait.
  mutating func settle() { multiply() }

  /// Computes the waiting products as one.
  private mutating func multiply() {
    guard var all = products.first else { return }
    if products.count > 1 {
      // What was recorded first arrives last.
      all.left = apply(.concatenate(axis: 0), products.reversed().map(\.left))
      all.right = apply(.concatenate(axis: 0), products.reversed().map(\.right))
    }
    products = []
    whole = all.value
  }

  /// Adds the waiting parts to the whole.
  private mutating func flush() {
    for part in parts { Self.add(part.gradient, to: &whole!, part.slice) }
    forgetParts()
  }

  private mutating func forgetParts() {
    parts = []
    hull = []
  }

  /// Whether a part overlaps none of those that wait.
  private func isApart(_ part: Part) -> Bool {
    func areApart(_ other: (Int) -> Range<Int>) -> Bool {
      (0..<part.slice.sizes.rank).contains { !part.range($0).overlaps(other($0)) }
    }
    if parts.isEmpty || areApart({ hull[$0] }) { return true }
    // In no order: all are compared, as long as they are few.
    return parts.count <= 64 && parts.allSatisfy { areApart($0.range) }
  }

  // MARK: The whole from its parts

  /// Parts of one axis, and zeros between them, one behind the other; nil if they are not of that kind.
  private func sideBySide() -> Tensor? {
    guard let first = parts.first else { return nil }
    let shape = type.shape
    func isPartial(_ axis: Int) -> Bool {
      parts.contains { $0.slice.sizes[axis] != shape[axis] || $0.slice.steps[axis] != 1 }
    }
    let partial = (0..<shape.rank).filter(isPartial)
    guard let axis = partial.first else { return first.gradient }
    guard partial.count == 1, parts.allSatisfy({ $0.slice.steps[axis] == 1 }) else { return nil }
    var pieces: [Tensor] = []
    var end = 0
    func fill(to place: Int) {
      guard place > end else { return }
      var gap = shape
      gap[axis] = place - end
      let zero = apply(.fill(TensorType(type.dtype, []), Element(bits: 0)), [])
      pieces.append(apply(.broadcast(gap), zero))
    }
    for part in parts.sorted(by: { $0.slice.starts[axis] < $1.slice.starts[axis] }) {
      fill(to: part.slice.starts[axis])
      pieces.append(part.gradient)
      end = part.range(axis).upperBound
    }
    fill(to: shape[axis])
    return apply(.concatenate(axis: axis), pieces)
  }

  private func onZeros() -> Tensor {
    var sum = apply(.fill(type, Element(bits: 0)), [])
    for part in parts { Self.replace(part.slice, of: &sum, with: part.gradient) }
    return sum
  }

  // MARK: Sums

  private static func add(_ gradient: Tensor, to sum: inout Tensor) {
    guard mayChange(&sum), isHarmless(gradient, to: sum), gradient.type == sum.type else {
      sum = sum + gradient
      return
    }
    write(.binary(.add), [sum.body.view, gradient.body.view], to: sum.body.view)
    withExtendedLifetime(gradient) {}
  }

  private static func add(_ gradient: Tensor, to sum: inout Tensor, _ slice: Slice) {
    if slice == Slice(all: sum.body.layout.shape) { return add(gradient, to: &sum) }
    let part = apply(.slice(slice), sum) + gradient
    replace(slice, of: &sum, with: part)
  }

  private static func replace(_ slice: Slice, of sum: inout Tensor, with part: Tensor) {
    guard mayChange(&sum), isHarmless(part, to: sum) else {
      sum = apply(.updateSlice(slice), sum, part)
      return
    }
    // Kernels that find the base in the result's place copy the slice alone.
    write(.updateSlice(slice), [sum.body.view, part.body.view], to: sum.body.view)
    withExtendedLifetime(part) {}
  }

  /// Whether nobody could see a change of the tensor's elements.
  private static func mayChange(_ tensor: inout Tensor) -> Bool {
    tensor.isOwnedAlone()
      && !ThreadContext.has(ThreadContext.Flags.recording | ThreadContext.Flags.anomaly)
  }

  /// Whether a tensor's elements may simply be read while those of another change.
  private static func isHarmless(_ tensor: Tensor, to sum: Tensor) -> Bool {
    tensor.hasElements && tensor.body.storage !== sum.body.storage
      && (tensor.body.autograd == nil || !ThreadContext.isGradEnabled)
  }

  private static func write(_ op: Op, _ inputs: [TensorView], to output: TensorView) {
    do throws(OpError) {
      try inputs.withUnsafeBufferPointer { inputs throws(OpError) in
        try op.execute(output: output, inputs: inputs)
      }
    } catch {
      note(error)
    }
  }
}
