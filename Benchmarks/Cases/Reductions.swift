import Duet

/// Sums, softmax and normalisation.
func reductionCases() -> Family {
  Family(
    title: "Reductions",
    cases: [
      Case(
        "sum_16m", "the sum of 16 777 216 numbers",
        cost: Cost(flops: 1 << 24, reading: 1 << 24, writing: 1)
      ) { mode in
        var draw = Draws()
        let x = draw.uniform(1 << 24)
        let f = mode.function { (x: Tensor) in x.sum() }
        return Step { f(x) }
      },
      Case("sum_axis0_4096x4096", "sums of columns, [4096, 4096]", cost: sumCost) {
        sum(axis: 0, $0)
      },
      Case("sum_axis1_4096x4096", "sums of rows, [4096, 4096]", cost: sumCost) {
        sum(axis: 1, $0)
      },
      Case(
        "softmax_4096x1024", "softmax of each row, [4096, 1024]",
        cost: .elementwise(1 << 22, flops: 5, arrays: 1)
      ) { mode in
        var draw = Draws()
        let x = draw.normal(4096, 1024)
        let f = mode.function { (x: Tensor) in softmax(x, axis: -1) }
        return Step { f(x) }
      },
      Case(
        "layernorm_4096x1024", "layer norm of each row, scale and offset, [4096, 1024]",
        cost: .elementwise(1 << 22, flops: 7, arrays: 1)
      ) { mode in
        var draw = Draws()
        let x = draw.normal(4096, 1024)
        let scale = draw.uniform(1024)
        let offset = draw.normal(1024)
        let f = mode.function(normalizedRows)
        return Step { f(x, scale, offset) }
      },
    ])
}

private let sumCost = Cost(flops: 1 << 24, reading: 1 << 24, writing: 4096)

private func sum(axis: Int, _ mode: Mode) -> Step {
  var draw = Draws()
  let x = draw.uniform(4096, 4096)
  let f = mode.function { (x: Tensor) in x.sum(axis: axis) }
  return Step { f(x) }
}
