import Duet

/// The arguments of a program's calls.
struct Inputs: Sendable {
  struct Key: Hashable {
    let data: Int
    let sizes: [Int]
    let argument: Int
  }

  /// Per call, all tensors; those that require gradients are cut off from any graph here.
  let tensors: [[Tensor]]
  /// What they held at first.
  private let bits: [[Bits]]

  init(_ program: Program) {
    var known: [Key: Tensor] = [:]
    tensors = program.calls.map { call in
      program.arguments.indices.map { i in
        let key = Key(data: call.data, sizes: call.sizes, argument: i)
        if let tensor = known[key] { return tensor }
        let argument = program.arguments[i]
        var random = SplitMix64(
          (program.seed &* 31 &+ program.number) &* 1_000_033 &+ call.data &* 101 &+ i)
        let tensor = random.tensor(
          argument.dtype, argument.axes.map { call.sizes[$0] }, argument.values,
          argument.placement)
        known[key] = tensor
        return tensor
      }
    }
    bits = tensors.map { $0.map(Bits.init) }
  }

  /// What has changed in the elements, which nothing may change.
  var difference: String? {
    for (call, row) in tensors.enumerated() {
      for (i, tensor) in row.enumerated() {
        if let difference = Bits(tensor).difference(from: bits[call][i]) {
          return "argument \(i) of call \(call) was changed: \(difference)"
        }
      }
    }
    return nil
  }
}

/// The arguments as one run of a program sees them: leaves of its own, which come again with the same data.
struct Leaves {
  private let program: Program
  private let inputs: Inputs
  private var known: [Inputs.Key: Tensor] = [:]

  init(_ program: Program, _ inputs: Inputs) {
    self.program = program
    self.inputs = inputs
  }

  mutating func arguments(_ call: Int) -> [Tensor] {
    inputs.tensors[call].enumerated().map { i, tensor in
      guard program.arguments[i].requiresGrad else { return tensor }
      let key = Inputs.Key(
        data: program.calls[call].data, sizes: program.calls[call].sizes, argument: i)
      if let leaf = known[key] { return leaf }
      let leaf = tensor.requiringGrad()
      known[key] = leaf
      return leaf
    }
  }
}
