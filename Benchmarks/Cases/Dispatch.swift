import Duet

/// Work so small that what remains is the cost of doing an operation at all.
func dispatchCases() -> Family {
  Family(
    title: "Dispatch",
    cases: [
      Case(
        "dispatch_scalar_add", "a + b, one number each",
        cost: .elementwise(1, flops: 1, arrays: 2)
      ) { mode in
        let a = Tensor(Float(1.5))
        let b = Tensor(Float(2.25))
        let add = mode.function { (a: Tensor, b: Tensor) in a + b }
        return Step { add(a, b) }
      },
      Case(
        "dispatch_add_64", "a + b, 64 numbers each",
        cost: .elementwise(64, flops: 1, arrays: 2)
      ) { mode in
        var draw = Draws()
        let a = draw.normal(64)
        let b = draw.normal(64)
        let add = mode.function { (a: Tensor, b: Tensor) in a + b }
        return Step { add(a, b) }
      },
      Case(
        "dispatch_chain20_64", "20 dependent operations on 64 numbers",
        cost: .elementwise(64, flops: 20, arrays: 4)
      ) { mode in
        var draw = Draws()
        let x = draw.normal(64)
        let a = draw.normal(64)
        let b = draw.uniform(64, low: 0.5, high: 1)
        let c = draw.normal(64)
        let chain = mode.function(chain20)
        return Step { chain(x, a, b, c) }
      },
      Case(
        "dispatch_read_50", "the sum of four numbers and 50 variables",
        cost: .elementwise(1, flops: 53, arrays: 54)
      ) { mode in
        onFourNumbers(mode) { sum, variables in variables.reduce(sum) { $0 + $1.value } }
      },
      Case(
        "dispatch_update_50", "the sum of four numbers is added to each of 50 variables",
        cost: .elementwise(50, flops: 1, arrays: 1)
      ) { mode in
        onFourNumbers(mode) { sum, variables in
          for variable in variables { variable.value = variable.value + sum }
          return sum
        }
      },
      Case(
        "dispatch_look_4", "four steps on one number, each behind an if on the one before",
        cost: .elementwise(1, flops: 12, arrays: 2)
      ) { mode in
        let (a, b, _, _) = fourNumbers
        let decide = mode.function { (a: Tensor, b: Tensor) in
          var x = a
          for _ in 0..<4 { x = (x .> 0).item() ? x * b : x + b }
          return x
        }
        return Step { decide(a, b) }
      },
      Case(
        "while_loop_1000", "1000 iterations of a loop on two numbers",
        cost: .elementwise(1, flops: 3000, arrays: 3)
      ) { mode in
        let loop = mode.function { (first: Tensor, second: Tensor) in
          let (first, second) = whileLoop(
            (first, second), while: { first, second in first .< second },
            do: { first, second in (first + 2, second + 1) })
          return [first, second]
        }
        let zero = Tensor(Float(0))
        let thousand = Tensor(Float(1000))
        return Step { loop(zero, thousand) }
      },
      Case(
        "grad_scalar_chain", "100 dependent operations on one number, and their gradient",
        cost: .elementwise(1, flops: 150, arrays: 3)
      ) { mode in
        let x = Tensor(Float(0.7), requiresGrad: true)
        let a = Tensor(Float(1.01))
        let b = Tensor(Float(0.01))
        let slope = mode.function { (x: Tensor, a: Tensor, b: Tensor) in
          gradients(of: [chain100(x, a, b)], by: [x])[0]
        }
        return Step { slope(x, a, b) }
      },
    ])
}

private var fourNumbers: (Tensor, Tensor, Tensor, Tensor) {
  (Tensor(Float(0.5)), Tensor(Float(-0.25)), Tensor(Float(1.5)), Tensor(Float(-1.25)))
}

/// A step on the sum of four numbers and 50 variables.
private func onFourNumbers(
  _ mode: Mode, _ body: @escaping (_ sum: Tensor, _ variables: [Variable]) -> Tensor
) -> Step {
  let (a, b, c, d) = fourNumbers
  let variables = (0..<50).map { Variable(Tensor(Float($0)), name: "variable \($0)") }
  let function = mode.function { (a: Tensor, b: Tensor, c: Tensor, d: Tensor) in
    body(a + b + c + d, variables)
  }
  return Step { function(a, b, c, d) }.changing(variables)
}

private func chain20(_ x: Tensor, _ a: Tensor, _ b: Tensor, _ c: Tensor) -> Tensor {
  var x = x
  for i in 0..<20 {
    switch i % 3 {
    case 0: x = x + a
    case 1: x = x * b
    default: x = x - c
    }
  }
  return x
}

private func chain100(_ x: Tensor, _ a: Tensor, _ b: Tensor) -> Tensor {
  var x = x
  for i in 0..<100 { x = i % 2 == 0 ? x * a : x + b }
  return x
}
