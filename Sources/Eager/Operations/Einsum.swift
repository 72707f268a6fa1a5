import DuetRuntime

/// The sum of products that a formula of axis labels describes (Einstein's notation).
///
/// `einsum("ij,jk->ik", a, b)` is a matrix product. Labels are letters; those that the result does
/// not have are summed over, a label twice in one operand takes the diagonal, `...` stands for any
/// leading axes, which broadcast, and without an arrow the result has the labels that occur once,
/// in alphabetical order.
public func einsum(_ formula: String, _ operands: Tensor...) -> Tensor { einsum(formula, operands) }

/// The sum of products that a formula of axis labels describes (Einstein's notation).
public func einsum(_ formula: String, _ operands: [Tensor]) -> Tensor {
  if operands.contains(where: \.isFailed) { return .failed }
  do throws(OpError) {
    let labels = try EinsumFormula(formula).labels(for: operands.map(\.shape))
    let dtype = operands.dropFirst().reduce(operands[0].dtype) { DType.promoted($0, $1.dtype) }
    guard dtype != .bool || operands.count == 1 else {
      throw OpError("einsum", "bool has no arithmetic; cast it first")
    }
    var terms = zip(operands, labels.operands).map {
      EinsumTerm(tensor: $0.asType(dtype), labels: $1).withDiagonalsTaken
    }
    // An axis of one element beside a larger one of the same label repeats: it takes no part.
    for i in terms.indices { terms[i].dropOnes { labels.sizes[$0]! > 1 } }
    var result = terms.removeFirst()
    while !terms.isEmpty {
      // The next term, or one behind it where that leaves too many axes for a tensor.
      func kept(without i: Int) -> Set<EinsumLabel> {
        Set(terms.indices.filter { $0 != i }.flatMap { terms[$0].labels }).union(labels.result)
      }
      let next = terms.indices.first { i in
        Set(result.labels + terms[i].labels).intersection(kept(without: i)).count
          <= Shape.maximumRank
      }
      guard let next else {
        throw OpError("einsum", "no order of the operands of \"\(formula)\" keeps to 8 axes")
      }
      let keeping = kept(without: next)
      result = result.contracted(with: terms.remove(at: next), keeping: keeping)
    }
    return result.arranged(labels.result, sizes: labels.sizes)
  } catch {
    return fail(error)
  }
}

/// An axis label: a letter, or an axis of the ellipsis counted from its end.
private enum EinsumLabel: Hashable {
  case letter(Character)
  case ellipsis(fromEnd: Int)
}

/// A formula's text taken apart.
private struct EinsumFormula {
  /// Letters, and nil for the ellipsis.
  var inputs: [[Character?]] = []
  var result: [Character?]?
  let text: String

  init(_ text: String) throws(OpError) {
    self.text = text
    let compact = text.filter { !$0.isWhitespace }
    var sides = [compact[...]]
    if let arrow = compact.firstRange(of: "->") {
      sides = [compact[..<arrow.lowerBound], compact[arrow.upperBound...]]
    }
    for part in sides[0].split(separator: ",", omittingEmptySubsequences: false) {
      inputs.append(try Self.axes(part, text))
    }
    if sides.count == 2 { result = try Self.axes(sides[1], text) }
  }

  private static func axes(_ part: Substring, _ text: String) throws(OpError) -> [Character?] {
    var rest = part
    var axes: [Character?] = []
    while let next = rest.first {
      if rest.hasPrefix("...") {
        guard !axes.contains(nil) else {
          throw OpError("einsum", "two ellipses in one term of \"\(text)\"")
        }
        axes.append(nil)
        rest = rest.dropFirst(3)
      } else if next.isASCII && next.isLetter {
        axes.append(next)
        rest = rest.dropFirst()
      } else {
        throw OpError("einsum", "\"\(next)\" in \"\(text)\" is neither a letter nor an ellipsis")
      }
    }
    return axes
  }

  struct Labels {
    var operands: [[EinsumLabel]] = []
    var result: [EinsumLabel] = []
    var sizes: [EinsumLabel: Int] = [:]
  }

  /// The label of every axis of operands of those shapes, and the axes of the result.
  func labels(for shapes: [[Int]]) throws(OpError) -> Labels {
    guard inputs.count == shapes.count else {
      throw OpError(
        "einsum", "\"\(text)\" has \(inputs.count) operands, \(shapes.count) were given")
    }
    var labels = Labels()
    var ellipsisRank = 0
    for (axes, shape) in zip(inputs, shapes) {
      let letters = axes.count { $0 != nil }
      let hidden = shape.count - letters
      guard axes.contains(nil) ? hidden >= 0 : hidden == 0 else {
        throw OpError(
          "einsum", "a term of \"\(text)\" names \(letters) axes, its operand has shape \(shape)")
      }
      let operand = axes.flatMap { expanded($0, hidden) }
      ellipsisRank = max(ellipsisRank, axes.contains(nil) ? hidden : 0)
      for (label, size) in zip(operand, shape) {
        let known = labels.sizes[label] ?? 1
        guard known == size || known == 1 || size == 1 else {
          throw OpError("einsum", "the sizes of \(name(label)) differ: \(known) and \(size)")
        }
        labels.sizes[label] = known == 1 ? size : known
      }
      labels.operands.append(operand)
    }
    labels.result = try resultLabels(ellipsisRank)
    return labels
  }

  private func resultLabels(_ ellipsisRank: Int) throws(OpError) -> [EinsumLabel] {
    let all = inputs.joined().compactMap { $0 }
    guard let result else {
      let once = Set(all).filter { letter in all.count { $0 == letter } == 1 }
      return expanded(nil, ellipsisRank) + once.sorted().map { .letter($0) }
    }
    for letter in result.compactMap({ $0 }) {
      guard all.contains(letter) else {
        throw OpError("einsum", "the result's label \(letter) is in no operand of \"\(text)\"")
      }
      guard result.count(where: { $0 == letter }) == 1 else {
        throw OpError("einsum", "the result has the label \(letter) twice in \"\(text)\"")
      }
    }
    guard result.count + ellipsisRank - (result.contains(nil) ? 1 : 0) <= Shape.maximumRank else {
      throw OpError("einsum", "the result of \"\(text)\" would have more than 8 axes")
    }
    return result.flatMap { expanded($0, ellipsisRank) }
  }

  private func expanded(_ axis: Character?, _ hidden: Int) -> [EinsumLabel] {
    axis.map { [.letter($0)] } ?? (0..<hidden).reversed().map { .ellipsis(fromEnd: $0) }
  }

  private func name(_ label: EinsumLabel) -> String {
    switch label {
    case .letter(let letter): "\(letter)"
    case .ellipsis: "an axis of the ellipsis"
    }
  }
}

/// A tensor with a label for every axis.
private struct EinsumTerm {
  var tensor: Tensor
  var labels: [EinsumLabel]

  /// The diagonal of axes that share a label, as one axis.
  var withDiagonalsTaken: EinsumTerm {
    var term = self
    var i = 0
    while i < term.labels.count {
      let label = term.labels[i]
      if let j = term.labels[(i + 1)...].firstIndex(of: label) {
        term.takeDiagonal(i, j)
      } else {
        i += 1
      }
    }
    return term
  }

  private mutating func takeDiagonal(_ i: Int, _ j: Int) {
    // Sizes that differ were found to be 1 and n: the axis of one element repeats.
    let label = labels[i]
    for axis in [j, i] where tensor.dim(axis) == 1 && tensor.dim(axis == i ? j : i) != 1 {
      tensor = tensor.squeezed(axis: axis)
      labels.remove(at: axis)
      return
    }
    tensor = tensor.diagonal(axis1: i, axis2: j)
    labels.remove(at: j)
    labels.remove(at: i)
    labels.append(label)
  }

  mutating func dropOnes(_ isLarger: (EinsumLabel) -> Bool) {
    let axes = labels.indices.filter { tensor.dim($0) == 1 && isLarger(labels[$0]) }
    if axes.isEmpty { return }
    tensor = tensor.squeezed(axes: axes)
    for axis in axes.reversed() { labels.remove(at: axis) }
  }

  /// Sums over the axes whose labels are not kept.
  private func summed(keeping kept: Set<EinsumLabel>) -> EinsumTerm {
    let axes = labels.indices.filter { !kept.contains(labels[$0]) }
    if axes.isEmpty { return self }
    return EinsumTerm(tensor: tensor.summed(axes), labels: labels.filter(kept.contains))
  }

  /// The product of two terms, summed over the labels that are not kept: as a matrix product of
  /// [shared kept, own of a, summed] and [shared kept, summed, own of b].
  func contracted(with other: EinsumTerm, keeping kept: Set<EinsumLabel>) -> EinsumTerm {
    let a = summed(keeping: kept.union(other.labels))
    let b = other.summed(keeping: kept.union(a.labels))
    let shared = a.labels.filter(b.labels.contains)
    let batch = shared.filter(kept.contains)
    let inner = shared.filter { !kept.contains($0) }
    let ownA = a.labels.filter { !shared.contains($0) }
    let ownB = b.labels.filter { !shared.contains($0) }
    let (k, m, n) = (a.count(of: inner), a.count(of: ownA), b.count(of: ownB))
    let sizes = batch.map { a.size(of: $0) }
    // Two axes come behind these.
    let batchSizes = sizes.count + 2 <= Shape.maximumRank ? sizes : [sizes.reduce(1, *)]
    let product: Tensor
    if inner.isEmpty {
      product =
        a.arranged([batch, ownA]).reshaped(batchSizes + [m, 1])
        * b.arranged([batch, ownB]).reshaped(batchSizes + [1, n])
    } else {
      product = matmul(
        a.arranged([batch, ownA, inner]).reshaped(batchSizes + [m, k]),
        b.arranged([batch, inner, ownB]).reshaped(batchSizes + [k, n]))
    }
    return EinsumTerm(
      tensor: product.reshaped(
        sizes + ownA.map { a.size(of: $0) } + ownB.map { b.size(of: $0) }),
      labels: batch + ownA + ownB)
  }

  /// The tensor with exactly those axes in that order; missing ones are repeated.
  func arranged(_ result: [EinsumLabel], sizes: [EinsumLabel: Int]) -> Tensor {
    let term = summed(keeping: Set(result))
    let present = result.filter(term.labels.contains)
    let tensor = term.arranged([present])
    if present.count == result.count { return tensor }
    return tensor.reshaped(result.map { present.contains($0) ? sizes[$0]! : 1 })
      .broadcast(to: result.map { sizes[$0]! }).contiguous()
  }

  private func arranged(_ groups: [[EinsumLabel]]) -> Tensor {
    let order = groups.joined().map { labels.firstIndex(of: $0)! }
    return order == Array(labels.indices) ? tensor : tensor.transposed(axes: order)
  }

  private func size(of label: EinsumLabel) -> Int { tensor.dim(labels.firstIndex(of: label)!) }

  private func count(of group: [EinsumLabel]) -> Int { group.reduce(1) { $0 * size(of: $1) } }
}

extension Tensor {
  /// The sum over axes in the same dtype: formulas do not widen integers.
  fileprivate func summed(_ axes: [Int]) -> Tensor { sum(axes: axes).asType(dtype) }
}
