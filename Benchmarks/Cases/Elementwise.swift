import Duet

/// Arithmetic and functions element by element: bound by memory, unless the operations are fused.
func elementwiseCases() -> Family {
  Family(
    title: "Elementwise",
    cases: [
      Case(
        "elementwise_chain_1m", "tanh(x·a + b)·c − x/d + relu(x), 1 048 576 numbers",
        cost: elementwiseChainCost(1 << 20)
      ) { elementwiseChainStep(1 << 20, $0) },
      Case(
        "elementwise_cheap_16m", "(x + a)·b − c, 16 777 216 numbers",
        cost: .elementwise(1 << 24, flops: 3, arrays: 4)
      ) { mode in
        var draw = Draws()
        let n = 1 << 24
        let x = draw.normal(n)
        let a = draw.normal(n)
        let b = draw.normal(n)
        let c = draw.normal(n)
        let chain = mode.function { (x: Tensor, a: Tensor, b: Tensor, c: Tensor) in (x + a) * b - c
        }
        return Step { chain(x, a, b, c) }
      },
      Case(
        "gelu_4m", "GELU in its tanh form, 4 194 304 numbers",
        cost: .elementwise(1 << 22, flops: 9, arrays: 1)
      ) { mode in
        var draw = Draws()
        let x = draw.normal(1 << 22)
        let f = mode.function { (x: Tensor) in gelu(x, approximate: .tanh) }
        return Step { f(x) }
      },
    ])
}

func elementwiseChainCost(_ n: Int) -> Cost { .elementwise(n, flops: 8, arrays: 5) }

func elementwiseChainStep(_ n: Int, _ mode: Mode) -> Step {
  var draw = Draws()
  let x = draw.normal(n)
  let a = draw.normal(n)
  let b = draw.normal(n)
  let c = draw.normal(n)
  let d = draw.uniform(n, low: 0.5, high: 1.5)
  let chain = mode.function(elementwiseChain)
  return Step { chain(x, a, b, c, d) }
}

private func elementwiseChain(
  _ x: Tensor, _ a: Tensor, _ b: Tensor, _ c: Tensor, _ d: Tensor
) -> Tensor {
  tanh(x * a + b) * c - x / d + relu(x)
}
