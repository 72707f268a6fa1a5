import DuetEager
import DuetRuntime

/// Layers of a recurrent network, in one direction or both: what `RNN`, `LSTM` and `GRU` share.
struct RecurrentNetwork<Step: RecurrentStep>: Sendable {
  let operation: String
  let step: Step
  let inputSize: Int
  let hiddenSize: Int
  let layers: Int
  let batchFirst: Bool
  let isBidirectional: Bool
  /// Between layers.
  let dropout: Dropout
  /// In the order of PyTorch's state dicts: layer by layer, forward before reverse.
  let weights: [RecurrentWeights]

  init(
    _ operation: String, _ step: Step, _ inputSize: Int, _ hiddenSize: Int, layers: Int,
    bias: Bool, batchFirst: Bool, dropout: Double, bidirectional: Bool, _ dtype: DType
  ) {
    noteNegative(["inputSize": inputSize], in: operation)
    for (count, name) in [(hiddenSize, "hiddenSize"), (layers, "numLayers")] where count < 1 {
      note(OpError(operation, "\(name) must be at least 1, not \(count)"))
    }
    noteImprobable(dropout, "dropout", in: operation)
    self.operation = operation
    self.step = step
    self.inputSize = inputSize
    self.hiddenSize = hiddenSize
    self.layers = max(layers, 1)
    self.batchFirst = batchFirst
    isBidirectional = bidirectional
    self.dropout = Dropout(0...1 ~= dropout ? dropout : 0)
    let directions = bidirectional ? 2 : 1
    let hidden = boundedSize(hiddenSize, atLeast: 1)
    weights = (0..<self.layers * directions).map { i in
      RecurrentWeights(
        i < directions ? inputSize : hidden * directions, hidden,
        gates: Step.gates, bias: bias, dtype, suffix: Self.suffix(i, directions))
    }
  }

  private static func suffix(_ i: Int, _ directions: Int) -> String {
    "_l\(i / directions)" + (i % directions == 1 ? "_reverse" : "")
  }

  /// Layers times directions: the first size of a state.
  private var depth: Int { weights.count }

  /// The names that PyTorch's state dicts have.
  var parts: [(name: String, part: Any)] {
    let directions = isBidirectional ? 2 : 1
    return weights.enumerated().flatMap { i, weights in
      weights.parts(suffix: Self.suffix(i, directions))
    } + [("dropout", dropout)]
  }

  /// - Parameters:
  ///   - x: `[T, N, in]`, with `batchFirst` `[N, T, in]`, or `[T, in]`.
  ///   - initial: `[layers · directions, N, hidden]` each, or without N; zeros if nil.
  /// - Returns: The last layer's outputs `[T, N, directions · hidden]`, with axes as those of `x`, and the last state
  ///   of each layer and direction, of the form of `initial`.
  func callAsFunction(_ x: Tensor, _ initial: [Tensor]?) -> (output: Tensor, state: [Tensor]) {
    let failed = (Tensor.failed, Array(repeating: Tensor.failed, count: Step.states))
    if x.isFailed || initial?.contains(where: \.isFailed) == true { return failed }
    guard x.ndim == 2 || x.ndim == 3, x.dim(-1) == inputSize, x.dtype.isFloatingPoint else {
      let form = batchFirst ? "[N, T, \(inputSize)]" : "[T, N, \(inputSize)]"
      note(
        OpError(
          operation, "expects floating-point \(form) or [T, \(inputSize)], not \(x.type)"))
      return failed
    }
    let isSingle = x.ndim == 2
    let timeAxis = batchFirst || isSingle ? 1 : 0
    let batched = isSingle ? x.expandedDimensions(axis: 0) : x
    guard batched.dim(timeAxis) > 0 else {
      note(OpError(operation, "needs at least one step, not \(x.shape)"))
      return failed
    }
    let stateShape = [depth, batched.dim(1 - timeAxis), hiddenSize]
    let givenShape = isSingle ? [depth, hiddenSize] : stateShape
    for state in initial ?? [] where state.shape != givenShape || !state.dtype.isFloatingPoint {
      note(
        OpError(
          operation,
          "an input of shape \(x.shape) needs floating-point initial states \(givenShape), not "
            + "\(state.type)"))
      return failed
    }
    let dtype = DType.promoted(x.dtype, weights[0].input.dtype)
    let first = (initial ?? []).map { $0.reshaped(stateShape).asType(dtype) }
    let (output, state) = run(
      batched.asType(dtype), timeAxis,
      initial == nil ? Array(repeating: zeros(stateShape, dtype: dtype), count: Step.states) : first
    )
    if output.isFailed { return failed }
    return (
      isSingle ? output.squeezed(axis: 0) : output,
      isSingle ? state.map { $0.squeezed(axis: 1) } : state
    )
  }

  private func run(
    _ x: Tensor, _ timeAxis: Int, _ initial: [Tensor]
  ) -> (output: Tensor, state: [Tensor]) {
    let directions = isBidirectional ? 2 : 1
    let starts = initial.map { $0.split(parts: depth, axis: 0).map { $0.squeezed(axis: 0) } }
    var ends = Array(repeating: [Tensor](), count: Step.states)
    var sequence = x
    for layer in 0..<layers {
      if layer > 0 { sequence = dropout(sequence) }
      var outputs: [Tensor] = []
      for direction in 0..<directions {
        let i = layer * directions + direction
        let (output, state) = pass(
          sequence, timeAxis, starts.map { $0[i] }, ReadWeights(weights[i]),
          isReversed: direction == 1)
        outputs.append(output)
        for (s, tensor) in state.enumerated() { ends[s].append(tensor) }
      }
      sequence = concatenated(outputs, axis: 2)
    }
    return (sequence, ends.map { stacked($0, axis: 0) })
  }

  /// One layer in one direction. The inputs of all steps meet their weights in one product.
  private func pass(
    _ x: Tensor, _ timeAxis: Int, _ initial: [Tensor], _ weights: ReadWeights, isReversed: Bool
  ) -> (output: Tensor, state: [Tensor]) {
    let projected = step.projected(x, weights)
    let inputs = projected.split(parts: x.dim(timeAxis), axis: timeAxis)
    var state = initial
    var outputs: [Tensor] = []
    outputs.reserveCapacity(inputs.count)
    for input in isReversed ? inputs.reversed() : inputs {
      state = step.next(input.squeezed(axis: timeAxis), state, weights)
      outputs.append(state[0])
    }
    return (stacked(isReversed ? outputs.reversed() : outputs, axis: timeAxis), state)
  }
}
