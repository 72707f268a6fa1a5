import DuetEager
import DuetRuntime

/// One step of an ``LSTM``: `[N, in]` and a state give the next state.
///
/// Parameters are PyTorch's: `weight_ih` `[4 hidden, in]`, `weight_hh` `[4 hidden, hidden]`, `bias_ih`, `bias_hh`.
public struct LSTMCell: Module, NamesItsParts, Sendable {
  let cell: RecurrentCell<LSTMStep>

  /// A cell whose weights are drawn from the global generator.
  public init(_ inputSize: Int, _ hiddenSize: Int, bias: Bool = true, dtype: DType = .float32) {
    cell = RecurrentCell("LSTMCell", LSTMStep(), inputSize, hiddenSize, bias, dtype)
  }

  var parts: [(name: String, part: Any)] { cell.weights.parts() }

  /// - Parameters:
  ///   - x: `[N, in]` or `[in]`.
  ///   - state: `[N, hidden]` or `[hidden]`; zeros if nil.
  public func callAsFunction(_ x: Tensor, state: LSTMState? = nil) -> LSTMState {
    let next = cell(x, state.map { [$0.hidden, $0.cell] })
    return LSTMState(hidden: next[0], cell: next[1])
  }
}

/// One step of a ``GRU``: `[N, in]` and h give the next h.
///
/// Parameters are PyTorch's: `weight_ih` `[3 hidden, in]`, `weight_hh` `[3 hidden, hidden]`, `bias_ih`, `bias_hh`.
public struct GRUCell: Module, NamesItsParts, Sendable {
  let cell: RecurrentCell<GRUStep>

  /// A cell whose weights are drawn from the global generator.
  public init(_ inputSize: Int, _ hiddenSize: Int, bias: Bool = true, dtype: DType = .float32) {
    cell = RecurrentCell("GRUCell", GRUStep(), inputSize, hiddenSize, bias, dtype)
  }

  var parts: [(name: String, part: Any)] { cell.weights.parts() }

  /// - Parameters:
  ///   - x: `[N, in]` or `[in]`.
  ///   - state: `[N, hidden]` or `[hidden]`; zeros if nil.
  public func callAsFunction(_ x: Tensor, state: Tensor? = nil) -> Tensor {
    cell(x, state.map { [$0] })[0]
  }
}

/// One step of an ``RNN``: `[N, in]` and h give the next h.
///
/// Parameters are PyTorch's: `weight_ih` `[hidden, in]`, `weight_hh` `[hidden, hidden]`, `bias_ih`, `bias_hh`.
public struct RNNCell: Module, NamesItsParts, Sendable {
  let cell: RecurrentCell<ElmanStep>

  /// A cell whose weights are drawn from the global generator.
  public init(
    _ inputSize: Int, _ hiddenSize: Int, bias: Bool = true,
    nonlinearity: RecurrentActivation = .tanh, dtype: DType = .float32
  ) {
    let step = ElmanStep(activation: nonlinearity)
    cell = RecurrentCell("RNNCell", step, inputSize, hiddenSize, bias, dtype)
  }

  var parts: [(name: String, part: Any)] { cell.weights.parts() }

  /// - Parameters:
  ///   - x: `[N, in]` or `[in]`.
  ///   - state: `[N, hidden]` or `[hidden]`; zeros if nil.
  public func callAsFunction(_ x: Tensor, state: Tensor? = nil) -> Tensor {
    cell(x, state.map { [$0] })[0]
  }
}

/// What the cells share.
struct RecurrentCell<Step: RecurrentStep>: Sendable {
  let operation: String
  let step: Step
  let inputSize: Int
  let hiddenSize: Int
  let weights: RecurrentWeights

  init(
    _ operation: String, _ step: Step, _ inputSize: Int, _ hiddenSize: Int, _ bias: Bool,
    _ dtype: DType
  ) {
    noteNegative(["inputSize": inputSize, "hiddenSize": hiddenSize], in: operation)
    self.operation = operation
    self.step = step
    self.inputSize = inputSize
    self.hiddenSize = hiddenSize
    weights = RecurrentWeights(inputSize, hiddenSize, gates: Step.gates, bias: bias, dtype)
  }

  func callAsFunction(_ x: Tensor, _ state: [Tensor]?) -> [Tensor] {
    let failed = Array(repeating: Tensor.failed, count: Step.states)
    if x.isFailed || state?.contains(where: \.isFailed) == true { return failed }
    guard x.ndim == 1 || x.ndim == 2, x.dim(-1) == inputSize, x.dtype.isFloatingPoint else {
      note(
        OpError(
          operation,
          "expects floating-point [N, \(inputSize)] or [\(inputSize)], not \(x.type)"))
      return failed
    }
    let shape = Array(x.shape.dropLast()) + [hiddenSize]
    for part in state ?? [] where part.shape != shape || !part.dtype.isFloatingPoint {
      note(
        OpError(
          operation,
          "an input of shape \(x.shape) needs a floating-point state \(shape), not \(part.type)"))
      return failed
    }
    let dtype = DType.promoted(x.dtype, weights.input.dtype)
    let isSingle = x.ndim == 1
    func rows(_ tensor: Tensor) -> Tensor {
      let wide = tensor.asType(dtype)
      return isSingle ? wide.expandedDimensions(axis: 0) : wide
    }
    let before =
      state ?? Array(repeating: zeros(shape, dtype: dtype), count: Step.states)
    let read = ReadWeights(weights)
    let next = step.next(step.projected(rows(x), read), before.map(rows), read)
    return isSingle ? next.map { $0.squeezed(axis: 0) } : next
  }
}
