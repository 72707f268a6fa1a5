import DuetEager
import DuetRuntime

/// Scales all gradients down together so that their common Euclidean norm is at most `maxNorm` (Pascanu and
/// others, 2013). Nothing is read, so that it can be part of a traced step.
///
/// - Returns: The norm before, as a scalar tensor: of the first gradient's dtype, or `float32` where that has 16 bits.
@discardableResult
public func clipGradNorm(_ parameters: some Sequence<Parameter>, maxNorm: Double) -> Tensor {
  guard maxNorm >= 0 else {
    return fail(OpError("clipGradNorm", "maxNorm must not be below 0, but is \(maxNorm)"))
  }
  return noGrad {
    // Nobody but the parameters has their gradients when they are scaled.
    var known: Set<ObjectIdentifier> = []
    let withNorms = parameters.compactMap { parameter in
      known.insert(ObjectIdentifier(parameter)).inserted
        ? parameter.grad.map { (parameter, $0.widenedNorm()) } : nil
    }
    guard let first = withNorms.first else { return Tensor(scalar: 0.0, for: .float32) }
    let norm = stacked(withNorms.map(\.1)).norm()
    var factor = CastScalar(minimum(maxNorm / (norm + 1e-6), 1))
    for (parameter, norm) in withNorms {
      // A factor of 16 bits might vanish.
      updateGradient(of: parameter, FusedCode(.scale), [factor(norm.dtype)]) {
        ($0[0].asType($0[1].dtype) * $0[1]).asType($0[0].dtype)
      }
    }
    return norm.asType(first.1.dtype)
  }
}

/// Keeps every element of the gradients in -limit ... limit.
public func clipGradValue(_ parameters: some Sequence<Parameter>, limit: Double) {
  guard limit >= 0 else {
    return note(OpError("clipGradValue", "the limit must not be below 0, but is \(limit)"))
  }
  noGrad {
    for parameter in parameters {
      updateGradient(of: parameter, FusedCode(.clipGradient, [limit, 0, 0, 0])) {
        clip($0[0], min: -limit, max: limit)
      }
    }
  }
}
