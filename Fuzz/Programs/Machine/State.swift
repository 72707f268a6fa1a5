import Duet

/// What a program finds outside of its closure: constants, and if it is stateful, what it reads and writes.
final class State: @unchecked Sendable {
  // Sendable: constant but for `seen`, which is locked, and the contents of generators and variables, which are safe from
  // any thread. No optimiser here has other state than variables.

  /// Never changes.
  let captured: Tensor
  let generator = Generator(seed: 3)
  /// `float32[3, 4]`, `int64[5]`, `float64[]`.
  let variables: [Variable]
  let moments: (mean: Variable, variance: Variable)
  /// `float32[4, 6]`, `float32[6]`, `float64[2]`.
  let parameters: [Parameter]
  let optimizer: any Optimizer

  /// What callbacks have seen, in their order.
  private let seen = Lock<[Bits]>([])

  func note(_ bits: Bits) { seen.withLock { $0.append(bits) } }
  var log: [Bits] { seen.withLock { $0 } }

  init(_ program: Program) {
    var random = SplitMix64(program.seed &* 7_000_003 &+ program.number)
    captured = random.tensor(.float32, [3])
    variables = [
      Variable(random.tensor(.float32, [3, 4]), name: "average"),
      Variable(random.tensor(.int64, [5]), name: "count"),
      Variable(random.tensor(.float64, []), name: "best"),
    ]
    moments = (Variable(zeros([3]), name: "mean"), Variable(ones([3]), name: "variance"))
    guard program.isStateful else {
      parameters = []
      optimizer = SGD([Parameter](), learningRate: 0.1)
      return
    }
    parameters = [
      Parameter(random.tensor(.float32, [4, 6]), name: "weight"),
      Parameter(random.tensor(.float32, [6]), name: "bias"),
      Parameter(random.tensor(.float64, [2]), name: "scale"),
    ]
    switch random.int(below: 3) {
    case 0: optimizer = SGD(parameters, learningRate: 0.05, momentum: 0.9)
    case 1: optimizer = Adam(parameters, learningRate: 0.01)
    default: optimizer = AdamW(parameters, learningRate: 0.01)
    }
  }

  /// The content of everything that a program can change, with names; nil: there is none.
  var contents: [(name: String, content: Tensor?)] {
    var contents: [(String, Tensor?)] = [("generator", generator.state.read())]
    for variable in variables + [moments.mean, moments.variance] {
      contents.append((variable.name, variable.value))
    }
    for parameter in parameters {
      contents.append((parameter.name, parameter.value.detached()))
      contents.append((parameter.name + ".grad", parameter.grad))
    }
    return contents
  }
}
