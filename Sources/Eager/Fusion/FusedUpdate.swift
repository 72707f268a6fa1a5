// Unsafe: overwrites the contents of cells, which their locks and their only owner keep from everybody else.

import DuetRuntime

/// Gives variables the values that a closure of elementwise operations makes of their values and of other tensors: in
/// one pass where `fused` takes one, and in the memory of the old values where nobody else has them. To be called inside
/// `noGrad`.
///
/// - Parameters:
///   - variables: Of one type, no two the same.
///   - code: Names the closure.
///   - inputs: Handed to the closure behind the variables' values; up to eight with these.
///   - body: Gives a value for each variable.
package func update(
  _ variables: [Variable], _ code: FusedCode, _ inputs: [Tensor], isShort: Bool = false,
  _ body: ([Tensor]) -> [Tensor]
) {
  let cells = variables.map { UpdatedCell(cell: $0.cell, type: $0.type, autograd: $0.autograd) }
  if updateInPlace(cells, code, inputs, isShort: isShort, body) { return }
  let results = fused(code, variables.map(\.value) + inputs, isShort: isShort, body)
  for (variable, result) in zip(variables, results) { variable.value = result! }
}

/// As the first form, for the gradient that a variable has.
package func updateGradient(
  of variable: Variable, _ code: FusedCode, _ inputs: [Tensor] = [],
  _ body: ([Tensor]) -> Tensor
) {
  guard let cell = variable.autograd?.gradientCell else { return }
  let updated = UpdatedCell(cell: cell, type: variable.type, autograd: nil)
  if updateInPlace([updated], code, inputs, isShort: true, { [body($0)] }) { return }
  guard let gradient = variable.grad else { return }
  variable.grad = fused(code, [gradient] + inputs, isShort: true) { [body($0)] }[0]
}

/// What a content has to be to be overwritten: of that type, and at that place of the autograd graph, which it keeps.
private struct UpdatedCell {
  let cell: StateCell
  let type: TensorType
  let autograd: AutogradMeta?
}

/// - Returns: Whether it is done; else nothing has changed.
private func updateInPlace(
  _ cells: [UpdatedCell], _ code: FusedCode, _ inputs: [Tensor],
  isShort: Bool, _ body: ([Tensor]) -> [Tensor]
) -> Bool {
  guard
    !ThreadContext.isGradEnabled,
    !ThreadContext.has(ThreadContext.Flags.checkpoint | ThreadContext.Flags.journal),
    let onePass = FusedPass(code, updating: cells.map(\.type), inputs, isShort: isShort, body),
    onePass.program.outputTypes == cells.map(\.type.dtype),
    cells.indices.allSatisfy({ onePass.program.mayOverwrite(input: $0, with: $0) })
  else { return false }
  let ordered = cells.sorted { $0.cell.sequence < $1.cell.sequence }
  if zip(ordered, ordered.dropFirst()).contains(where: { $0.cell === $1.cell }) { return false }
  for updated in ordered { updated.cell.lock() }
  defer { for updated in ordered { updated.cell.unlock() } }
  for updated in ordered {
    guard updated.cell.ownsContentAlone(),
      updated.cell.lockedContent(is: updated.type, at: updated.autograd)
    else { return false }
  }
  let places = cells.map { $0.cell.unretainedContent!._withUnsafeGuaranteedRef { $0.pointer } }
  onePass.run(places + places, inputs)
  return true
}
