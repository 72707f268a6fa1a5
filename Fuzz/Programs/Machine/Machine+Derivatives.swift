import Duet

/// Derivatives of closures that are drawn.
extension Machine {
  func derivative(
    _ statement: Program.Statement, _ x: Operand, _ other: Operand, _ random: inout SplitMix64
  ) -> Operand {
    coverage?.gradients += 1
    let before = place
    place.isDifferentiated = true
    defer { place = before }
    let way = random.int(below: 4)
    let wantsValue = random.chance(0.3)
    let name = "v\(statement.id)"
    /// The number that the block ends with.
    func number(_ x: Tensor) -> Tensor {
      let x = say(x, name)
      let last = run(nested: statement.blocks[0], given: [(statement.id, x)], otherwise: x)
      let sum = last.tensor.asType(.float32).tanh().sum()
      let own = x.tensor.asType(.float32).sin().sum()
      listing?.add(
        "  return \(last).asType(.float32).tanh().sum() + \(x).asType(.float32).sin().sum()")
      return sum + own
    }
    /// The number, perhaps of a closure of which nothing is kept for the gradient.
    let isCheckpointed = random.chance(0.3)
    let f = isCheckpointed ? checkpointed(number) : number
    let call = ["grad", "valueAndGrad", "vjp", "jvp"][way]
    if listing != nil {
      listing?.add(
        "let d\(statement.id) = \(call) { (\(name): Tensor) in"
          + (isCheckpointed ? "  // checkpointed" : ""))
      _ = number(x.tensor.detached())
      listing?.add(
        way == 2
          ? "}, primals: \(x), cotangents: Tensor(Float(0.5))"
          : way == 3 ? "}, primals: \(x), tangents: \(x).cos()" : "}(\(x))")
      let isNumber = way == 3 || way > 0 && wantsValue
      return say(
        isNumber ? Tensor(Float(0)) : x.tensor.detached(),
        "d\(statement.id).\(isNumber ? "value" : "derivative")")
    }
    switch way {
    case 0: return say(grad(f)(x.tensor), "")
    case 1:
      let (value, gradient) = valueAndGrad(f)(x.tensor)
      return say(wantsValue ? value : gradient, "")
    case 2:
      let (value, product) = vjp(f, primals: x.tensor, cotangents: Tensor(Float(0.5)))
      return say(wantsValue ? value : product, "")
    default:
      let (value, product) = jvp(f, primals: x.tensor, tangents: x.tensor.cos())
      return say(wantsValue ? value : product, "")
    }
  }
}
