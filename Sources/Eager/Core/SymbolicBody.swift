import DuetRuntime

/// A tensor of which only the type is known: a value of a function that is traced from types, or of a part of one.
package final class SymbolicBody: TensorBody, @unchecked Sendable {
  // Sendable: as its superclass; what it adds is constant.

  /// What made the value, by the name in messages: `add`, `argument 0`.
  let maker: String
  private let callSite: CallSite
  let origin: RecordingOrigin

  package init(
    _ type: TensorType, autograd: AutogradMeta? = nil, madeBy maker: String,
    in origin: RecordingOrigin
  ) {
    self.maker = maker
    self.origin = origin
    callSite = CallSite()
    super.init(withoutElements: type, autograd: autograd)
  }

  private init(_ source: SymbolicBody, autograd: AutogradMeta?) {
    maker = source.maker
    origin = source.origin
    callSite = source.callSite
    super.init(withoutElements: source.type, autograd: autograd)
  }

  override func attachedWithoutElements(to autograd: AutogradMeta?) -> TensorBody {
    SymbolicBody(self, autograd: autograd)
  }

  /// Where the value comes from, in words.
  var story: String {
    let place = callSite.location.map { " at \($0)" } ?? ""
    let function = origin.callSite?.location.map { " traced at \($0)" } ?? ""
    return "the result of \(maker)\(place), in the function\(function)"
  }
}

/// What a recorder records, for messages.
package final class RecordingOrigin: Sendable {
  /// Where the recording was asked for; nil where tensors have elements, which may leave it.
  let callSite: CallSite?

  init(isSymbolic: Bool) { callSite = isSymbolic ? CallSite() : nil }
}

extension Tensor {
  /// Why a symbolic tensor cannot be used here.
  package var reasonForHavingNoElements: String {
    guard let symbolic = body as? SymbolicBody else {
      return "a symbolic tensor was used outside the function whose tracing made it"
    }
    return "a symbolic tensor was used outside the function whose tracing made it: it is "
      + symbolic.story + "; return it from the function instead"
  }
}
