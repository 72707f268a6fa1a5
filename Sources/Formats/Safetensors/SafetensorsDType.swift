import DuetRuntime

/// The dtypes of the safetensors format by their names there.
enum SafetensorsDType {
  /// The dtype of that name, if Duet has it.
  static func named(_ name: String) -> DType? { ordered.first { $0.name == name }?.dtype }

  /// The name of a dtype.
  static func name(of dtype: DType) -> String { ordered.first { $0.dtype == dtype }!.name }

  /// Where tensors of a dtype lie in a file among those of others, from 0.
  static func rank(of dtype: DType) -> Int { ordered.firstIndex { $0.dtype == dtype }! }

  /// The bits of an element, also of the dtypes that Duet has not; nil: the format does not know the name.
  static func bits(of name: String) -> Int? {
    if let dtype = named(name) { return dtype.size * 8 }
    switch name {
    case "F4": return 4
    case "F6_E2M3", "F6_E3M2": return 6
    case "F8_E5M2", "F8_E4M3", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ": return 8
    case "U16": return 16
    case "U32": return 32
    case "C64", "U64": return 64
    default: return nil
    }
  }

  /// As the reference implementation orders tensors: the widest first, so that all are aligned.
  private static let ordered: [(dtype: DType, name: String)] = [
    (.int64, "I64"), (.float64, "F64"), (.float32, "F32"), (.int32, "I32"), (.bfloat16, "BF16"),
    (.float16, "F16"), (.int16, "I16"), (.int8, "I8"), (.uint8, "U8"), (.bool, "BOOL"),
  ]
}
