import Duet

/// Products of matrices.
func productCases() -> Family {
  Family(
    title: "Matrix products",
    cases: [
      product("matmul_64", [64, 64], [64, 64]),
      product("matmul_256", [256, 256], [256, 256]),
      product("matmul_1024", [1024, 1024], [1024, 1024]),
      product("matmul_2048", [2048, 2048], [2048, 2048]),
      product("matmul_skinny_8x4096x4096", [8, 4096], [4096, 4096]),
      product("matmul_odd_511x513x517", [511, 513], [513, 517]),
      product("bmm_32x128x128", [32, 128, 128], [32, 128, 128]),
      product("matmul_64x4096x4096", [64, 4096], [4096, 4096]),
      linearLayer("linear_64x4096x4096", rows: 64, inputs: 4096, outputs: 4096),
    ])
}

private func product(_ name: String, _ left: [Int], _ right: [Int]) -> Case {
  let rank = left.count
  let cost = Cost.product(
    left[rank - 2], left[rank - 1], right[rank - 1], batch: left.dropLast(2).reduce(1, *))
  return Case(name, "\(left) times \(right)", cost: cost) { mode in
    var draw = Draws()
    let a = draw.normal(left)
    let b = draw.normal(right)
    let f = mode.function { (a: Tensor, b: Tensor) in matmul(a, b) }
    return Step { f(a, b) }
  }
}

/// A dense layer as layers keep their weights, [out, in].
private func linearLayer(_ name: String, rows: Int, inputs: Int, outputs: Int) -> Case {
  Case(
    name, "a linear layer from \(inputs) to \(outputs) features on \(rows) rows",
    cost: .product(rows, inputs, outputs)
  ) { mode in
    var draw = Draws()
    let x = draw.normal([rows, inputs])
    let weight = draw.normal([outputs, inputs])
    let f = mode.function { (x: Tensor, weight: Tensor) in linear(x, weight) }
    return Step { f(x, weight) }
  }
}
