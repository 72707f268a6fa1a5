import DuetRuntime

/// The types of elements by NumPy's names: `<f4`.
enum NPYDType {
  /// A dtype and the order of bytes, or why there is none for a name.
  enum Reading {
    case dtype(DType, isBigEndian: Bool)
    case unknown(because: String)
  }

  /// The dtype that a name says: a mark for the order of bytes, a letter, and a number of bytes.
  static func named(_ name: String) -> Reading {
    let mark = name.first.map { "<>|=".contains($0) } == true ? name.first! : "="
    let rest = name.first == mark ? String(name.dropFirst()) : name
    if let dtype = DType.allCases.first(where: { code(of: $0) == rest }) {
      return .dtype(dtype, isBigEndian: mark == ">")
    }
    if rest == "?" { return .dtype(.bool, isBigEndian: false) }
    return .unknown(because: reason(rest))
  }

  /// NumPy's name of a dtype in this machine's order of bytes; nil: it has none.
  static func name(of dtype: DType) -> String? {
    code(of: dtype).map { (dtype.size == 1 ? "|" : "<") + $0 }
  }

  private static func code(of dtype: DType) -> String? {
    switch dtype {
    case .bool: "b1"
    case .uint8: "u1"
    case .int8: "i1"
    case .int16: "i2"
    case .int32: "i4"
    case .int64: "i8"
    case .float16: "f2"
    case .bfloat16: nil
    case .float32: "f4"
    case .float64: "f8"
    }
  }

  private static func reason(_ code: String) -> String {
    switch code.first {
    case "O": "Python objects, which only Python can read"
    case "S", "a", "U": "strings"
    case "V" where code == "V2":
      "raw elements of two bytes; bfloat16 numbers are written so, "
        + "but nothing says that these are some"
    case "V": "raw bytes"
    case "M", "m": "dates or times"
    case "c": "complex numbers"
    case "u": "unsigned integers of more than one byte"
    case "f", "g": "floating-point numbers of a size that tensors do not have"
    default: "elements of an unknown type"
    }
  }
}
