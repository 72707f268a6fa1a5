// Unsafe: overwrites elements that nobody but the operation has.

import DuetKernels
import DuetRuntime

/// Does an operation whose result is its first input but for some elements. Where that input was handed over by the
/// only one who had it (fresh zeros, as a rule), and there is nothing to differentiate and nobody to tell, the others
/// are written into it; else a copy is made first.
func apply(_ op: Op, onto base: consuming Tensor, _ inputs: Tensor...) -> Tensor {
  let flags = ThreadContext.state.pointee.flags
  guard flags & ~harmlessFlags == 0, base.body.isUnwatched(flags),
    inputs.allSatisfy({ $0.body.isUnwatched(flags) }), base.mayBeOverwritten(),
    let type = try? op.resultType(for: [base.body.type] + inputs.map(\.body.type)),
    type == base.body.type
  else { return apply(op, [base] + inputs) }
  let views = [base.body.view] + inputs.map(\.body.view)
  do throws(OpError) {
    // Kernels that find the first input in the result's place do not copy it.
    try views.withUnsafeBufferPointer { views throws(OpError) in
      try op.execute(output: views[0], inputs: views)
    }
  } catch {
    return fail(error)
  }
  withExtendedLifetime(inputs) {}
  return base
}
