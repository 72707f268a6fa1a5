import DuetRuntime

/// A whole number of a program as a polynomial of its unknown sizes, of degree two at most: `n`, `2n + 1`, `n · m`.
struct SizeFormula: Sendable, Hashable {
  /// A product of unknown sizes, by their places; of none for 1.
  struct Term: Sendable, Hashable {
    let factor: Int
    let sizes: [Int]
  }

  let terms: [Term]

  func callAsFunction(_ sizes: [Int]) -> Int {
    terms.reduce(0) { sum, term in
      sum &+ term.sizes.reduce(term.factor) { $0 &* sizes[$1] }
    }
  }

  /// The products that formulas of so many sizes are made of.
  static func products(of count: Int) -> [[Int]] {
    [[]] + (0..<count).map { [$0] } + (0..<count).flatMap { i in (i..<count).map { [i, $0] } }
  }

  /// The polynomial with whole coefficients that has these values at these sizes, if there is one.
  ///
  /// - Parameter points: At least as many as there are products, in general position; the values of the rest must
  ///   fit what the first ones tell.
  init?(_ values: [Int], at points: [[Int]]) {
    if values.allSatisfy({ $0 == values[0] }) {
      terms = values[0] == 0 ? [] : [Term(factor: values[0], sizes: [])]
      return
    }
    let products = Self.products(of: points[0].count)
    let count = products.count
    guard points.count >= count else { return nil }
    // Gauss's elimination with the largest pivot of each column.
    var rows = (0..<count).map { p in
      products.map { product in product.reduce(1.0) { $0 * Double(points[p][$1]) } }
        + [Double(values[p])]
    }
    for column in 0..<count {
      let pivot = (column..<count).max { abs(rows[$0][column]) < abs(rows[$1][column]) }!
      guard abs(rows[pivot][column]) > 1e-6 else { return nil }
      rows.swapAt(column, pivot)
      for row in 0..<count where row != column {
        let factor = rows[row][column] / rows[column][column]
        if factor == 0 { continue }
        for i in column...count { rows[row][i] -= factor * rows[column][i] }
      }
    }
    terms = (0..<count).compactMap { i in
      let factor = (rows[i][count] / rows[i][i]).rounded()
      guard factor != 0, abs(factor) < 1e15 else { return nil }
      return Term(factor: Int(factor), sizes: products[i])
    }
    for (point, value) in zip(points, values) where self(point) != value { return nil }
  }
}

/// A number of a program that depends on its unknown sizes.
struct NumberFormula: Sendable {
  /// What is done with a whole number.
  enum Form: Sendable, CaseIterable {
    case itself, reciprocal, negativeReciprocal, overOneLess, oneLessOver, reciprocalOfOneLess,
      double, half
    case twoOver, squareRoot, reciprocalSquareRoot

    func callAsFunction(_ count: Int) -> Double {
      let n = Double(count)
      switch self {
      case .itself: return n
      case .reciprocal: return 1 / n
      case .negativeReciprocal: return -1 / n
      case .overOneLess: return n / (n - 1)
      case .oneLessOver: return (n - 1) / n
      case .reciprocalOfOneLess: return 1 / (n - 1)
      case .double: return 2 * n
      case .half: return n / 2
      case .twoOver: return 2 / n
      case .squareRoot: return n.squareRoot()
      case .reciprocalSquareRoot: return 1 / n.squareRoot()
      }
    }
  }

  let dtype: DType
  let form: Form
  let count: SizeFormula

  func callAsFunction(_ sizes: [Int]) -> Element { Self.element(form, count(sizes), dtype) }

  private static func element(_ form: Form, _ count: Int, _ dtype: DType) -> Element {
    form == .itself ? Element(integer: count, dtype) : Element(form(count), dtype)
  }

  /// A formula for these elements, if one of the forms of a whole number has their very bits.
  /// - Parameter counts: Whole numbers that occur in the program beside the elements themselves.
  init?(
    _ elements: [Element], _ dtype: DType, at points: [[Int]], counts: Set<SizeFormula>
  ) {
    self.dtype = dtype
    let values = elements.map { $0.value(dtype) }
    if values.allSatisfy({ $0 == $0.rounded() && abs($0) < 1e15 }),
      let count = SizeFormula(values.map { Int($0) }, at: points),
      zip(points, elements).allSatisfy({ Self.element(.itself, count($0), dtype) == $1 })
    {
      (form, self.count) = (.itself, count)
      return
    }
    for form in Form.allCases {
      for count in counts
      where zip(points, elements).allSatisfy({ Self.element(form, count($0), dtype) == $1 }) {
        (self.form, self.count) = (form, count)
        return
      }
    }
    return nil
  }
}
