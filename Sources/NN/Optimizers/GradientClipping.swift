import DuetEager
import DuetRuntime

/// Scales all gradients down together so that their common Euclidean norm is at most `maxNorm` (Pascanu and
/// others, 2013). Nothing is read, so that it can be part of a traced step.
///
/// - Returns: The norm before, as a scalar tensor.
@discardableResult
public func clipGradNorm(_ parameters: some Sequence<Parameter>, maxNorm: Double) -> Tensor {
  noGrad {
    let withGradient = parameters.compactMap { parameter in
      parameter.grad.map { (parameter, $0) }
    }
    guard let first = withGradient.first else { return Tensor(scalar: 0.0, for: .float32) }
    let norm = stacked(withGradient.map { $0.1.norm() }).norm()
    let factor = minimum(maxNorm / (norm + 1e-6), 1)
    for (parameter, gradient) in withGradient {
      parameter.grad = gradient * factor.asType(gradient.dtype)
    }
    return norm.asType(first.1.dtype)
  }
}

/// Keeps every element of the gradients in -limit ... limit.
public func clipGradValue(_ parameters: some Sequence<Parameter>, limit: Double) {
  noGrad {
    for parameter in parameters {
      if let gradient = parameter.grad { parameter.grad = clip(gradient, min: -limit, max: limit) }
    }
  }
}
