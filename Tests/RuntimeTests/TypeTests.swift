import Duet
import DuetTestSupport
import Foundation
import Testing

/// DTypes, and the numbers that elements stand for.
@Suite struct TypeTests {
  private struct Conversions: Decodable {
    /// A float64's bits, and the bits of the nearest float16 and bfloat16.
    let fromDouble: [[String]]
    let halfStep: Int
    /// The float64's bits of every `halfStep`-th positive float16.
    let halfValues: [String]
    let promotions: [[String]]
  }

  private static let conversions: Conversions = {
    let url = Bundle.module.url(
      forResource: "conversions", withExtension: "json", subdirectory: "Fixtures")!
    return try! JSONDecoder().decode(Conversions.self, from: Data(contentsOf: url))
  }()

  @Test func promotionAgreesWithPyTorch() {
    for row in Self.conversions.promotions {
      let (a, b) = (DType(name: row[0])!, DType(name: row[1])!)
      #expect(DType.promoted(a, b) == DType(name: row[2])!, "\(a) and \(b)")
    }
  }

  @Test func promotionIsSymmetricAndKeepsEqualDTypes() {
    for a in DType.allCases {
      #expect(DType.promoted(a, a) == a)
      for b in DType.allCases { #expect(DType.promoted(a, b) == DType.promoted(b, a)) }
    }
  }

  @Test func namesReadBack() {
    for dtype in DType.allCases { #expect(DType(name: dtype.description) == dtype) }
    #expect(DType(name: "float8") == nil)
  }

  @Test func conversionsToHalvesRoundOnceToNearestEven() {
    for row in Self.conversions.fromDouble {
      let value = Double(bitPattern: UInt64(row[0])!)
      #expect(Element(value, .float16).bits == UInt64(row[1])!, "float16 of \(value)")
      #expect(Element(value, .bfloat16).bits == UInt64(row[2])!, "bfloat16 of \(value)")
      #expect(Half.bits(of: value) == UInt16(row[1])!)
      #expect(BFloat16(tensorValue: value).bitPattern == UInt16(row[2])!)
    }
  }

  @Test func everyFloat16StandsForItsNumber() {
    for (i, text) in Self.conversions.halfValues.enumerated() {
      let bits = UInt16(i * Self.conversions.halfStep)
      #expect(Half.value(of: bits).bitPattern == UInt64(text)!)
      #expect(Half.value(of: bits | 0x8000).bitPattern == UInt64(text)! | 1 << 63)
    }
  }

  @Test func every16BitNumberSurvivesAWayThroughDouble() {
    for bits in UInt16.min...UInt16.max {
      let half = Half.value(of: bits)
      if half.isNaN {
        #expect(bits & 0x7FFF > 0x7C00)
        #expect(Half.bits(of: half) & 0x7FFF > 0x7C00)
      } else if Half.bits(of: half) != bits {
        Issue.record("float16 \(bits) came back as \(Half.bits(of: half))")
        return
      }
      let wide = BFloat16(bitPattern: bits)
      if wide.float.isNaN {
        #expect(BFloat16(wide.float).float.isNaN)
      } else if BFloat16(tensorValue: wide.tensorValue).bitPattern != bits {
        Issue.record("bfloat16 \(bits) came back changed")
        return
      }
    }
  }

  @Test func kernelCastsAgreeWithElements() {
    let values = Self.conversions.fromDouble.map { Double(bitPattern: UInt64($0[0])!) } + [.nan]
    for target in DType.allCases where target.isFloatingPoint {
      let cast = Bits(Tensor(values, [values.count]).asType(target))
      let elements = values.map { Element($0, target).bits }
      for i in values.indices where !values[i].isNaN {
        #expect(cast.elements[i] == elements[i], "\(values[i]) as \(target)")
      }
    }
  }

  @Test func integersFromNumbersSaturate() {
    #expect(Int8(tensorValue: 1000) == 127)
    #expect(Int8(tensorValue: -1000) == -128)
    #expect(UInt8(tensorValue: -1) == 0)
    #expect(Int32(tensorValue: 1e30) == .max)
    #expect(Int64(tensorValue: .infinity) == .max)
    #expect(Int64(tensorValue: -.infinity) == .min)
    #expect(Int16(tensorValue: .nan) == 0)
    #expect(Int32(tensorValue: -2.9) == -2)
    #expect(Bool(tensorValue: 0.1))
    #expect(!Bool(tensorValue: -0.0))
  }

  @Test func elementsReadBackAsTheNumberThatTheyAre() {
    for dtype in DType.allCases {
      for value in [0.0, 1.0] + (dtype == .bool ? [] : [2.0, 100.0]) {
        #expect(Element(value, dtype).value(dtype) == value)
        #expect(Element(integer: Int(value), dtype) == Element(value, dtype))
      }
    }
    #expect(Element(integer: -1, .int64).value(.int64) == -1)
    #expect(Element(-2.5, .float32).value(.float32) == -2.5)
  }

  @Test func shapesHoldUpToEightSizes() {
    var shape: Shape = []
    #expect(shape.elementCount == 1)
    for i in 1...8 {
      shape.append(i)
      #expect(shape.rank == i)
      #expect(Array(shape) == Array(1...i))
    }
    #expect(shape.elementCount == 40_320)
    #expect(shape.removing(axis: 3).inserting(4, at: 3) == shape)
    #expect(shape.description == "[1, 2, 3, 4, 5, 6, 7, 8]")
    #expect(Shape([2, 3]) == [2, 3])
    #expect(Shape([2, 3]) != [2, 3, 1])
  }

  @Test(
    arguments: [
      ([2, 3], [3], [2, 3]), ([2, 1], [1, 5], [2, 5]), ([], [4], [4]), ([0, 3], [1, 3], [0, 3]),
      ([5, 1, 7], [6, 1], [5, 6, 7]), ([1], [0], [0]),
    ] as [([Int], [Int], [Int])])
  func shapesBroadcastAsInNumPy(_ a: [Int], _ b: [Int], _ expected: [Int]) {
    #expect(Shape.broadcast(Shape(a), Shape(b)) == Shape(expected))
    #expect(Shape.broadcast(Shape(b), Shape(a)) == Shape(expected))
  }

  @Test func shapesThatDifferDoNotBroadcast() {
    #expect(Shape.broadcast([2], [3]) == nil)
    #expect(Shape.broadcast([0], [2]) == nil)
    #expect(Shape.broadcast([2, 3], [2]) == nil)
  }
}
