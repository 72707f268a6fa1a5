import DuetEager
import DuetRuntime
import Testing

@Suite struct EinsumTests {
  /// The definition: a loop over all values of all labels.
  func reference(_ inputs: [String], _ result: String, _ operands: [Tensor]) -> Tensor {
    var sizes: [Character: Int] = [:]
    for (labels, operand) in zip(inputs, operands) {
      for (label, size) in zip(labels, operand.shape) {
        sizes[label] = max(sizes[label] ?? 1, size)
      }
    }
    let letters = sizes.keys.sorted()
    let shape = result.map { sizes[$0]! }
    var sums = [Double](repeating: 0, count: shape.reduce(1, *))
    let values = operands.map { $0.asArray(Double.self) }
    var place = Dictionary(uniqueKeysWithValues: letters.map { ($0, 0) })
    func offset(_ labels: String, _ shape: [Int]) -> Int {
      zip(labels, shape).reduce(0) { $0 * $1.1 + ($1.1 == 1 ? 0 : place[$1.0]!) }
    }
    func walk(_ depth: Int) {
      if depth == letters.count {
        var product = 1.0
        for (i, labels) in inputs.enumerated() {
          product *= values[i][offset(labels, operands[i].shape)]
        }
        sums[offset(result, shape)] += product
        return
      }
      for i in 0..<sizes[letters[depth]]! {
        place[letters[depth]] = i
        walk(depth + 1)
      }
    }
    walk(0)
    return Tensor(sums, shape)
  }

  @Test(arguments: [
    ("ij,jk->ik", [[2, 3], [3, 4]]), ("ij,jk->ki", [[2, 3], [3, 4]]), ("ij->ji", [[2, 3]]),
    ("ij->", [[2, 3]]), ("ij->j", [[2, 3]]), ("ii->i", [[3, 3]]), ("ii->", [[3, 3]]),
    ("iji->ij", [[2, 3, 2]]), ("iij,jk->ik", [[2, 2, 3], [3, 2]]), ("i,j->ij", [[2], [3]]),
    ("i,i->", [[3], [3]]), ("i,i->i", [[3], [3]]), ("bij,bjk->bik", [[2, 3, 4], [2, 4, 5]]),
    ("bij,bkj->bik", [[2, 3, 4], [2, 5, 4]]), ("bhqd,bhkd->bhqk", [[2, 2, 3, 4], [2, 2, 5, 4]]),
    ("ab,cd->acbd", [[2, 3], [2, 2]]), ("abc,cb->a", [[2, 3, 4], [4, 3]]),
    ("ij,jk,kl->il", [[2, 3], [3, 4], [4, 2]]), ("ij,j->i", [[2, 3], [1]]),
    ("ab,bc->b", [[2, 3], [3, 4]]), ("ijk->kji", [[2, 3, 4]]), ("iii->i", [[2, 2, 2]]),
    (",i->i", [[], [3]]),
  ])
  func explicitFormulasMatchTheLoops(_ formula: String, _ shapes: [[Int]]) {
    let operands = shapes.enumerated().map { sample($1, seed: $0) }
    let sides = formula.split(separator: ">", omittingEmptySubsequences: false).map(String.init)
    let inputs = sides[0].dropLast().split(separator: ",", omittingEmptySubsequences: false).map(
      String.init)
    expect(
      einsum(formula, operands), equals: reference(inputs, sides[1], operands), tolerance: 1e-12)
  }

  @Test func implicitResultsAreAlphabetical() {
    let a = sample([2, 3])
    let b = sample([3, 4])
    expect(einsum("ij,jk", a, b), equals: matmul(a, b), tolerance: 1e-12)
    expect(einsum("ba", a), equals: a.T)
    expect(
      einsum("ii", sample([3, 3])), equals: reference(["ii"], "", [sample([3, 3])]),
      tolerance: 1e-12)
  }

  @Test func ellipsesBroadcast() {
    let a = sample([5, 1, 2, 3])
    let b = sample([4, 3, 6])
    expect(einsum("...ij,...jk->...ik", a, b), equals: matmul(a, b), tolerance: 1e-12)
    expect(einsum("...ij,...jk", a, b), equals: matmul(a, b), tolerance: 1e-12)
    expect(einsum("...j->...", a), equals: a.sum(axis: -1), tolerance: 1e-12)
    expect(einsum("i...->...i", a), equals: a.movedAxis(from: 0, to: -1))
    expect(einsum("... , ...", a, sample([3])), equals: a * sample([3]), tolerance: 1e-12)
  }

  @Test func gradientsFlow() {
    let a = sample([2, 3]).requiringGrad()
    let b = sample([3, 3]).requiringGrad()
    einsum("ij,jj->i", a, b).sum().backward()
    expect(
      a.grad!, equals: diag(b.detached()).reshaped(1, 3).broadcast(to: [2, 3]), tolerance: 1e-12)
    expect(b.grad!, equals: diag(a.detached().sum(axis: 0)), tolerance: 1e-12)
  }

  @Test func mistakes() {
    #expect(
      message { _ = einsum("ij->k", zeros([2, 3])) }
        == "einsum: the result's label k is in no operand of \"ij->k\"")
    #expect(
      message { _ = einsum("ij->ii", zeros([2, 3])) }
        == "einsum: the result has the label i twice in \"ij->ii\"")
    #expect(
      message { _ = einsum("i?", zeros([2, 3])) }
        == "einsum: \"?\" in \"i?\" is neither a letter nor an ellipsis")
    #expect(
      message { _ = einsum("ijk", zeros([2, 3])) }
        == "einsum: a term of \"ijk\" names 3 axes, its operand has shape [2, 3]")
  }

  @Test func operandsComeInAnOrderThatKeepsToEightAxes() {
    let sizes: [Character: Int] = [
      "a": 1, "b": 2, "c": 3, "d": 2, "e": 2, "f": 3, "g": 2, "h": 2, "i": 1, "j": 2,
    ]
    let terms = ["abcde", "fghij", "cdefg"].map { $0.map { sizes[$0]! } }
    let operands = terms.enumerated().map { i, shape in
      (arange(shape.reduce(1, *)) % (3 + i) + 1).asType(.float64).reshaped(shape)
    }
    let result = einsum("abcde,fghij,cdefg->abhij", operands)
    let first = einsum("abcde,cdefg->abfg", operands[0], operands[2])
    expect(result, equals: einsum("abfg,fghij->abhij", first, operands[1]))
    let x = arange(256).reshaped(Array(repeating: 2, count: 8))
    expect(einsum("abcdefgh,abcdefgh->abcdefgh", x, x), equals: x * x)
    #expect(
      message { _ = einsum("abcde,fghij->a", ones([1, 1, 1, 1, 1]), ones([1, 1, 1, 1, 1])) } == nil)
    #expect(
      message { _ = einsum("ab,bc->ac", ones([1, 1], dtype: .bool), ones([1, 1], dtype: .bool)) }
        == "einsum: bool has no arithmetic; cast it first")
  }
}
