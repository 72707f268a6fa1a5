/// The sizes of a tensor's axes, or its strides: up to eight integers, stored in place.
@frozen public struct Shape: Sendable, Hashable {
  /// The largest number of axes that a tensor can have.
  public static let maximumRank = 8

  // Axes at and beyond `rank` are 0, so that equality is equality of all words.
  @usableFromInline var words: (Int, Int, Int, Int, Int, Int, Int, Int)
  @usableFromInline var storedRank: Int
  /// The number of axes.
  @inlinable public var rank: Int { storedRank }

  /// The shape of a scalar.
  @inlinable public init() {
    words = (0, 0, 0, 0, 0, 0, 0, 0)
    storedRank = 0
  }

  /// A shape of `rank` axes that all have the same size.
  @inlinable public init(repeating size: Int, rank: Int) {
    precondition(rank <= Shape.maximumRank, "a tensor has at most 8 axes")
    self.init()
    for _ in 0..<rank { append(size) }
  }

  /// A shape of the given sizes; at most eight.
  @inlinable public init(_ sizes: some Sequence<Int>) {
    self.init()
    for size in sizes { append(size) }
  }

  /// Adds an axis behind the others. A ninth ends the program.
  @inlinable public mutating func append(_ size: Int) {
    precondition(rank < Shape.maximumRank, "a tensor has at most 8 axes")
    storedRank += 1
    self[storedRank - 1] = size
  }

  /// An axis's size, or stride. An axis that is not in 0 ..< rank ends the program.
  @inlinable public subscript(axis: Int) -> Int {
    get {
      precondition(UInt(bitPattern: axis) < UInt(bitPattern: rank), "axis out of range")
      return withUnsafePointer(to: words) {
        UnsafeRawPointer($0).load(fromByteOffset: axis &* 8, as: Int.self)
      }
    }
    set {
      precondition(UInt(bitPattern: axis) < UInt(bitPattern: rank), "axis out of range")
      withUnsafeMutablePointer(to: &words) {
        UnsafeMutableRawPointer($0).storeBytes(of: newValue, toByteOffset: axis &* 8, as: Int.self)
      }
    }
  }

  /// The product of the sizes: 1 for a scalar.
  @inlinable public var elementCount: Int {
    var n = 1
    for axis in 0..<rank { n &*= self[axis] }
    return n
  }

  /// Whether tensors of that shape can exist: the product of all sizes but zeros is at most 2^46, so that no
  /// count of elements or bytes and no stride overflows.
  @inlinable public var isRepresentable: Bool {
    var n = 1
    for axis in 0..<rank {
      let (product, overflow) = n.multipliedReportingOverflow(by: Swift.max(self[axis], 1))
      if overflow || product > 1 << 46 { return false }
      n = product
    }
    return true
  }

  @inlinable public static func == (a: Shape, b: Shape) -> Bool {
    a.rank == b.rank && a.words.0 == b.words.0 && a.words.1 == b.words.1 && a.words.2 == b.words.2
      && a.words.3 == b.words.3 && a.words.4 == b.words.4 && a.words.5 == b.words.5
      && a.words.6 == b.words.6 && a.words.7 == b.words.7
  }

  @inlinable public func hash(into hasher: inout Hasher) {
    hasher.combine(rank)
    for axis in 0..<rank { hasher.combine(self[axis]) }
  }
}

extension Shape: RandomAccessCollection, MutableCollection {
  @inlinable public var startIndex: Int { 0 }
  @inlinable public var endIndex: Int { rank }
}

extension Shape: ExpressibleByArrayLiteral, CustomStringConvertible {
  /// At most eight sizes; `[]` is the shape of a scalar.
  public init(arrayLiteral sizes: Int...) { self.init(sizes) }
  public var description: String { "[" + map(String.init).joined(separator: ", ") + "]" }
}

extension Shape {
  /// Whether this is the other shape with axes of one element in front.
  @inlinable public func isOnes(before other: Shape) -> Bool {
    let lead = rank - other.rank
    guard lead >= 0 else { return false }
    for axis in 0..<rank where self[axis] != (axis < lead ? 1 : other[axis - lead]) { return false }
    return true
  }

  /// The shape without that axis.
  public func removing(axis: Int) -> Shape {
    var result = Shape()
    for i in 0..<rank where i != axis { result.append(self[i]) }
    return result
  }

  /// The shape with an axis of that size put in.
  public func inserting(_ size: Int, at axis: Int) -> Shape {
    var result = Shape()
    for i in 0...rank {
      if i == axis { result.append(size) }
      if i < rank { result.append(self[i]) }
    }
    return result
  }

  /// Whether broadcasting with `other` gives `other` itself.
  @inlinable public func fits(in other: Shape) -> Bool {
    let lead = other.rank - rank
    if lead < 0 { return false }
    for i in 0..<rank where self[i] != 1 && self[i] != other[lead + i] { return false }
    return true
  }

  /// The shape that both broadcast to as in NumPy, or nil if an axis differs and neither size is 1.
  @inlinable public static func broadcast(_ a: Shape, _ b: Shape) -> Shape? {
    if a == b { return a }
    let rank = Swift.max(a.rank, b.rank)
    var result = Shape(repeating: 1, rank: rank)
    for i in 0..<rank {
      let x = i < rank - a.rank ? 1 : a[i - (rank - a.rank)]
      let y = i < rank - b.rank ? 1 : b[i - (rank - b.rank)]
      if x == y || y == 1 {
        result[i] = x
      } else if x == 1 {
        result[i] = y
      } else {
        return nil
      }
    }
    return result
  }
}
