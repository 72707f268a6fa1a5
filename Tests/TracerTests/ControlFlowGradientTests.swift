import Duet
import DuetTestSupport
import Testing

/// Gradients through `cond`, `whileLoop` and `scan`: right, and alike whether Swift runs them or a plan does.
@Suite struct ControlFlowGradientTests {
  /// A program of some inputs, all of which require gradients, with one number as its result.
  private struct Program: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let shapes: [[Int]]
    let body: @Sendable ([Tensor]) -> Tensor

    init(_ name: String, _ shapes: [[Int]], _ body: @escaping @Sendable ([Tensor]) -> Tensor) {
      testDescription = name
      self.shapes = shapes
      self.body = body
    }

    func inputs(_ dtype: DType, seed: Int) -> [Tensor] {
      let random = Generator(seed: seed)
      return shapes.map { Random.normal($0, dtype: dtype, generator: random) }
    }

    /// The result, and the gradients by all inputs.
    func gradients(_ inputs: [Tensor]) -> [Tensor] {
      let leaves = inputs.map { $0.requiringGrad() }
      let result = body(leaves)
      return [result.detached()] + Duet.gradients(of: [result], by: leaves)
    }
  }

  private static let programs = [
    Program("a branch", [[3], [3]]) { x in
      cond(x[0].sum() .> 0, then: { x[0] * x[1] }, else: { x[1].exp() - x[0] }).square().sum()
    },
    Program("a branch that uses a tensor on one side", [[3], [3]]) { x in
      let y = cond(x[0][0] .> 0, then: { x[0] * x[1] }, else: { x[0].sin() })
      return (y * x[1] + x[0]).sum()
    },
    Program("several results of a branch", [[2], [2, 2]]) { x in
      let (a, b) = cond(
        x[0][0] .> x[0][1], then: { (matmul(x[1], x[0]), x[0].sum()) },
        else: { (x[0], x[1].sum() * 2) })
      return (a * b).sum() + a.square().sum()
    },
    Program("a loop of known bound", [[3], [3]]) { x in
      let (y, _) = whileLoop(
        (x[0], Tensor(0)), maximumLength: 8,
        while: { (y: Tensor, n: Tensor) -> Tensor in
          let isSmall = y.square().sum() .< 40
          return isSmall .& (n .< 5)
        },
        do: { (y: Tensor, n: Tensor) -> (Tensor, Tensor) in
          let next = y * x[1].cos() + x[0] * 0.5
          return (next, n + 1)
        })
      return (y * y * x[1]).sum()
    },
    Program("a loop that never runs", [[3], [3]]) { x in
      let y = whileLoop(x[0], maximumLength: 4, while: { _ in Tensor(false) }, do: { $0 * x[1] })
      return (y * x[1]).sum()
    },
    Program("what only a branch or a loop uses that does not run", [[3], [3], [2], [2]]) { x in
      let y = cond(
        Tensor(false), then: { (x[0] * -2).sum() + x[1].sum() }, else: { x[1].square().sum() })
      let z = whileLoop(Tensor(1.0), maximumLength: 2, while: { $0 .< 0 }) { $0 * x[2].sum() }
      return y + z.asType(x[0].dtype) * cond(Tensor(true), then: { x[3] }, else: { x[2] }).sum()
    },
    Program("a loop up to its bound", [[2, 2], [2]]) { x in
      let y = whileLoop(x[1], maximumLength: 3, while: { _ in Tensor(true) }) { y in
        matmul(x[0], y).tanh() + y
      }
      return y.square().sum()
    },
    Program("a recurrence", [[5, 2, 3], [3, 4], [4, 4], [4]]) { x in
      let (last, all) = scan(zeros([2, 4], dtype: x[0].dtype), over: x[0]) { h, x1 in
        let h = (matmul(x1, x[1]) + matmul(h, x[2]) + x[3]).tanh()
        return (h, h * x[3])
      }
      return last.square().sum() + (all * 0.25).exp().mean()
    },
    Program("a recurrence from behind", [[5, 3], [3]]) { x in
      let (state, all) = scan((x[1], x[1] * 2), over: x[0], reverse: true) { s, row in
        let next = (s.0 * row + x[1], s.1 - s.0 * 0.5)
        return (next, [next.0.sin(), next.1 * row])
      }
      return state.0.sum() + (all[0] * all[1]).sum() + state.1.square().sum()
    },
    Program("what is stacked alone", [[4, 2], [2]]) { x in
      let (_, all) = scan(x[1], over: x[0]) { s, row in (s + 1, s * row) }
      return all.square().sum()
    },
    Program("the last state alone, of two", [[4, 2], [2]]) { x in
      let (s, _) = scan((x[1], x[1]), over: x[0]) { s, row in
        ((s.1 * row, s.0 + row), row)
      }
      return s.1.square().sum()
    },
    Program("regions within regions", [[4, 3], [3], [3]]) { x in
      let (sum, all) = scan(x[1], over: x[0]) { sum, row in
        let (y, n) = whileLoop(
          (row, Tensor(0)), maximumLength: 4,
          while: { (y: Tensor, n: Tensor) -> Tensor in
            let isSmall = y.square().sum() .< 6
            return isSmall .& (n .< 3)
          },
          do: { (y: Tensor, n: Tensor) -> (Tensor, Tensor) in
            let isMore = y.sum() .> sum.sum()
            let next = cond(isMore, then: { y * x[2] + 1 }, else: { y - sum * 0.5 })
            return (next, n + 1)
          })
        return (sum * 0.5 + y, y * n.asType(x[0].dtype))
      }
      return (sum * x[2]).sum() + all.square().mean()
    },
    Program("a scan of nothing", [[0, 3], [3]]) { x in
      let (s, all) = scan(x[1], over: x[0]) { s, row in (s * row, s + row) }
      return s.square().sum() + all.sum()
    },
    Program("a matrix beside and within", [[3, 3], [2, 3]]) { x in
      var y = matmul(x[1], x[0])
      y = cond(y.sum() .> 0, then: { matmul(y, x[0]).tanh() }, else: { y * 0.5 })
      y = matmul(y + x[1], x[0])
      let (z, _) = scan(y, over: stacked([y, x[1], y])) { z, row in
        (matmul((z + row).tanh(), x[0]) + matmul(row, x[0]), row)
      }
      return (matmul(z, x[0]) + matmul(x[1], x[0])).square().sum()
    },
    Program("a slice beside and within", [[4, 2]]) { x in
      let y = cond(x[0][0].sum() .> 0, then: { x[0][1..<3] * 2 }, else: { x[0][0..<2] })
      let (z, _) = scan(y, over: x[0]) { z, row in (z * row + x[0][2..<4], row) }
      return (z * x[0][0..<2]).sum() + (x[0][3] * x[0][1]).sum()
    },
    Program("a state that only later depends on an input", [[3], [4, 3]]) { x in
      let (s, _) = scan((zeros([3], dtype: x[0].dtype), ones([3], dtype: x[0].dtype)), over: x[1]) {
        s, row in ((s.1 * 2 + s.0, s.1 * x[0]), row)
      }
      return (s.0 + s.1).square().sum()
    },
  ]

  @Test("gradients are those of finite differences", arguments: programs)
  private func gradientsAreRight(_ program: Program) {
    for seed in 0..<3 {
      let inputs = program.inputs(.float64, seed: seed)
      let found = program.gradients(inputs)
      for (i, input) in inputs.enumerated() where input.size > 0 {
        let values = input.asArray(Double.self)
        let slope = found[i + 1].asArray(Double.self)
        for k in values.indices {
          let step = 1e-6
          func result(_ sign: Double) -> Double {
            var moved = values
            moved[k] += sign * step
            var all = inputs
            all[i] = Tensor(moved, input.shape)
            return noGrad { program.body(all).item(Double.self) }
          }
          let expected = (result(1) - result(-1)) / (2 * step)
          #expect(
            abs(slope[k] - expected) <= 2e-5 * max(1, abs(expected)),
            "input \(i), element \(k), seed \(seed)")
        }
      }
    }
  }

  @Test("traced gradients have the bits of eager ones", arguments: programs)
  private func tracedIsEager(_ program: Program) {
    let f = traced { (inputs: [Tensor]) in program.gradients(inputs) }
    for round in 0..<2 {
      for seed in 0..<6 {
        let inputs = program.inputs(.float32, seed: seed)
        let results = f(inputs)
        expectSame(results, program.gradients(inputs), "seed \(seed), call \(round)")
      }
    }
    #expect(f.traceCount == 1)
    let graph = f.graph(for: program.inputs(.float32, seed: 0)).unoptimised
    #expect(throws: Never.self) { try graph.verify() }
    let read = try? Graph(parsing: graph.description, constants: graph.namedConstants)
    #expect(read?.description == graph.description)
  }

  @Test func aRecurrenceHasTheGradientsOfItsStepsWrittenOut() {
    let random = Generator(seed: 5)
    let x = Random.normal([6, 2, 3], generator: random)
    let w = Random.normal([3, 4], generator: random).requiringGrad()
    let u = Random.normal([4, 4], generator: random).requiringGrad()
    func step(_ h: Tensor, _ x: Tensor) -> Tensor { (matmul(x, w) + matmul(h, u)).tanh() }
    let (last, all) = scan(zeros([2, 4]), over: x) { h, x in
      let h = step(h, x)
      return (h, h)
    }
    var h = zeros([2, 4])
    var rows: [Tensor] = []
    for t in 0..<6 {
      h = step(h, x[t])
      rows.append(h)
    }
    expectSame(last.detached(), h.detached(), "values have the same bits")
    let a = gradients(of: [last.sum() + all.square().sum()], by: [w, u])
    let b = gradients(of: [h.sum() + stacked(rows).square().sum()], by: [w, u])
    for (a, b) in zip(a, b) {
      #expect(((a - b).abs() / (b.abs() + 1)).max().item(Float.self) < 1e-5)
    }
  }

  @Test func aTrainingStepWithScanAndCondIsAlikeToTheLastBit() {
    func train(_ isTraced: Bool) -> [Tensor] {
      let random = Generator(seed: 2)
      let input = Linear(3, 8)
      let hidden = Linear(8, 8)
      let parameters = Sequential {
        input
        hidden
      }.parameters
      for parameter in parameters {
        parameter.value = Random.normal(parameter.shape, std: 0.4, generator: random)
      }
      let optimizer = Adam(parameters, learningRate: 0.01)
      let steps = Variable(Tensor(0), name: "steps")
      let body = { (x: Tensor, y: Tensor) -> Tensor in
        optimizer.zeroGrad()
        let (h, all) = scan(zeros([4, 8]), over: x) { (h: Tensor, x: Tensor) -> (Tensor, Tensor) in
          let keep = Random.bernoulli(0.8, [4, 8], generator: random).asType(.float32)
          let h = (input(x) + hidden(h * keep)).tanh()
          steps.value = steps.value + 1
          return (h, h)
        }
        var loss = (h - y).square().mean() + all.square().mean() * 0.01
        loss = cond(loss .> 0.5, then: { loss * 2 }, else: { loss + hidden.bias!.value.sum() * 0 })
        loss.backward()
        optimizer.step()
        return loss.detached()
      }
      let step = traced(body)
      var losses: [Tensor] = []
      for _ in 0..<8 {
        let x = Random.normal([5, 4, 3], generator: random)
        let y = Random.uniform([4, 8], generator: random)
        losses.append(isTraced ? step(x, y) : body(x, y))
      }
      if isTraced { #expect(step.traceCount == 1, "\(step.explain())") }
      #expect(steps.value.item(Int.self) == 40)
      return losses + parameters.map(\.value)
    }
    expectSame(train(true), train(false))
  }

  @Test func whatIsDifferentiatedOutsideIsRunEagerly() {
    let w = Tensor([2.0, 3.0], requiresGrad: true)
    let f = traced { (x: Tensor) in
      scan(x, over: zeros([3, 2])) { s, _ in (s * w, s) }.0.sum()
    }
    for _ in 0..<3 {
      w.grad = nil
      f(Tensor([1.0, 1.0])).backward()
      #expect(w.grad!.asArray(Float.self) == [12, 27])
    }
  }

  @Test func backwardMayRunTwiceIfTheGraphIsKept() throws {
    let w = Tensor([2.0], requiresGrad: true)
    let y = whileLoop(w, while: { $0.sum() .< 20 }, do: { $0 * w })
    #expect(y.item(Float.self) == 32)
    #expect(y.gradFn?.name == "WhileLoopBackward")
    y.backward(retainGraph: true)
    #expect(w.grad!.item(Float.self) == 80)
    y.backward()
    #expect(w.grad!.item(Float.self) == 160)
    let error = #expect(throws: TensorError.self) { try checked { y.backward() } }
    #expect(error?.reason.contains("retainGraph") ?? false)
  }

  @Test func aTracedLoopWithoutABoundSaysThatItsGradientNeedsOne() {
    let f = traced { (x: Tensor) in
      let x = x.requiringGrad()
      let y = whileLoop(x, while: { $0.sum() .< 20 }, do: { $0 * 2 })
      return gradients(of: [y.sum()], by: [x])[0]
    }
    let error = #expect(throws: TensorError.self) { try checked { _ = f(Tensor([1.0])) } }
    #expect(error?.operation == "whileLoop")
    #expect(error?.reason.contains("maximumLength") ?? false)
  }

  @Test func gradientsOfGradientsAreRefused() {
    let w = Tensor([2.0], requiresGrad: true)
    let y = cond(Tensor(true), then: { w * w }, else: { w })
    let slope = gradients(of: [y], by: [w], createGraph: true)[0]
    #expect(slope.item(Float.self) == 4)
    let error = #expect(throws: TensorError.self) {
      try checked { _ = gradients(of: [slope], by: [w]) }
    }
    #expect(error?.operation == "cond" && error?.reason.contains("in turn") ?? false)
  }

  @Test func gradientsByAVariableThatTheLoopChanges() {
    func run(_ isTraced: Bool) -> [Tensor] {
      let weight = Parameter(Tensor([0.5, -1.0]), name: "weight")
      let body = { (x: Tensor) -> Tensor in
        weight.grad = nil
        let (s, _) = scan(Tensor([1.0, 1.0]), over: x) { s, row in
          let next = s * weight.value + row
          noGrad { weight.value = weight.value * 1.1 }
          return (next, row)
        }
        s.square().sum().backward()
        return weight.grad!
      }
      let f = traced(body)
      return (0..<3).flatMap { seed -> [Tensor] in
        let x = Random.normal([4, 2], generator: Generator(seed: seed))
        return [isTraced ? f(x) : body(x), weight.value]
      }
    }
    expectSame(run(true), run(false))
  }

  /// What cannot be differentiated in turn says so in every mode, instead of giving zeros.
  @Test func productsWithTangentsAreRefusedWithoutGradientsToo() throws {
    let x = Tensor([1.0, 2.0])
    let f = { (x: Tensor) in cond(x.sum() .> 0, then: { x * x }, else: { x }) }
    for isEnabled in [true, false] {
      let error = #expect(throws: TensorError.self) {
        try checked {
          if isEnabled {
            _ = jvp(f, primals: x, tangents: ones([2]))
          } else {
            _ = noGrad { jvp(f, primals: x, tangents: ones([2])) }
          }
        }
      }
      #expect(error?.reason.contains("cannot be differentiated in turn") == true)
    }
  }
}
