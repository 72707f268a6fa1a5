import DuetEager
import DuetRuntime

/// What decides whether two calls can share a trace: the arguments' structure, the tensors' types and how
/// gradients flow.
struct Signature: Hashable {
  struct Leaf: Hashable {
    let type: TensorType
    let requiresGrad: Bool
  }

  let leaves: [Leaf]
  let structure: [StructureToken]
  let isGradEnabled: Bool

  init(_ visitor: TensorVisitor) {
    leaves = visitor.tensors.map { Leaf(type: $0.body.type, requiresGrad: $0.requiresGrad) }
    structure = visitor.structure
    isGradEnabled = DuetEager.isGradEnabled
  }

  /// Of arguments each of which is a tensor of that type, without gradients.
  init(types: [TensorType], isGradEnabled: Bool = DuetEager.isGradEnabled) {
    leaves = types.map { Leaf(type: $0, requiresGrad: false) }
    structure = []
    self.isGradEnabled = isGradEnabled
  }

  /// Whether a call with these arguments has this signature. Allocates nothing.
  func matches(_ tensors: [Tensor], _ structure: [StructureToken]) -> Bool {
    guard leaves.count == tensors.count, self.structure == structure,
      isGradEnabled == DuetEager.isGradEnabled
    else { return false }
    return leaves.withUnsafeBufferPointer { leaves in
      tensors.withUnsafeBufferPointer { tensors in
        for i in leaves.indices {
          let body = tensors[i].body
          guard body.dtype == leaves[i].type.dtype, body.layout.shape == leaves[i].type.shape,
            (body.autograd != nil) == leaves[i].requiresGrad
          else { return false }
        }
        return true
      }
    }
  }

  /// How this signature differs from another, in words; empty if it does not.
  func differences(from other: Signature, paths: [String]) -> [String] {
    var result: [String] = []
    func path(_ i: Int) -> String { i < paths.count ? paths[i] : "tensor \(i)" }
    if leaves.count != other.leaves.count {
      result.append("\(leaves.count) tensors instead of \(other.leaves.count)")
    } else {
      for (i, (new, old)) in zip(leaves, other.leaves).enumerated() where new != old {
        if new.type.dtype != old.type.dtype {
          result.append("\(path(i)): dtype \(new.type.dtype) instead of \(old.type.dtype)")
        }
        if new.type.shape != old.type.shape {
          result.append("\(path(i)): shape \(new.type.shape) instead of \(old.type.shape)")
        }
        if new.requiresGrad != old.requiresGrad {
          result.append(
            "\(path(i)): \(new.requiresGrad ? "requires gradients now" : "requires no gradients now")"
          )
        }
      }
    }
    if structure != other.structure {
      result.append(
        "static values or structure: \(describe(structure)) instead of \(describe(other.structure))"
      )
    }
    if isGradEnabled != other.isGradEnabled {
      result.append(isGradEnabled ? "outside of noGrad" : "inside noGrad")
    }
    return result
  }

  /// The structure and the static values, in words; nil: each argument is a tensor.
  var structureText: String? { structure.isEmpty ? nil : describe(structure) }

  private func describe(_ tokens: [StructureToken]) -> String {
    "("
      + tokens.map { token in
        switch token {
        case .count(let count): "\(count) elements"
        case .isPresent(let present): present ? "present" : "nil"
        case .key(let key), .value(let key): "\(key.base)"
        case .double(let bits): "\(Double(bitPattern: bits))"
        case .float(let bits): "\(Float(bitPattern: bits))"
        }
      }.joined(separator: ", ") + ")"
  }
}

/// A tensor's type without a tensor: what a function can be traced with. Sizes may be left open:
/// `TensorSpec([nil, 784], .float32)`.
public struct TensorSpec: Sendable, Hashable {
  /// The size of each axis; nil where it is unknown.
  public let shape: [Int?]
  /// The elements' type; `float32` unless given.
  public let dtype: DType

  /// - Parameter shape: Sizes of the axes, at most eight; nil for a size that is to be whatever a call's is.
  public init(_ shape: [Int?], _ dtype: DType = .float32) {
    let isShape =
      shape.count <= Shape.maximumRank && shape.allSatisfy { $0 ?? 0 >= 0 }
    if !isShape {
      let text = shape.map { $0.map(String.init) ?? "nil" }.joined(separator: ", ")
      note(
        OpError(
          "TensorSpec",
          "[\(text)] is not a shape: at most \(Shape.maximumRank) axes, sizes from 0 up"))
    }
    self.shape = isShape ? shape : []
    self.dtype = dtype
  }

  /// The type, if all sizes are known.
  public var type: TensorType? {
    shape.contains(nil) ? nil : TensorType(dtype, Shape(shape.compactMap { $0 }))
  }
}
