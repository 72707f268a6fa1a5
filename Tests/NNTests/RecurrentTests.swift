import Duet
import DuetTestSupport
import Testing

@Suite struct RecurrentTests {
  static let names = ((try? ModuleCase.all.get()) ?? [:]).keys.sorted().filter {
    $0.hasPrefix("lstm") || $0.hasPrefix("gru") || $0.hasPrefix("rnn")
  }

  /// A network of a case, called with input and state.
  private static func subject(_ name: String, _ dtype: DType) -> ModuleCase.Subject? {
    let parts = name.split(separator: "_", maxSplits: 1).map(String.init)
    let kind = parts.count > 1 ? parts[1] : ""
    let hidden = kind == "single" ? 2 : 4
    let (layers, bias) = (kind == "deep" || kind == "relu" ? 2 : 1, kind != "plain")
    let (first, both) = (kind == "plain" || kind == "deep", kind == "deep" || kind == "single")
    func state(_ x: [Tensor]) -> LSTMState? {
      x.count > 1 ? LSTMState(hidden: x[1], cell: x[2]) : nil
    }
    switch (parts[0], kind) {
    case ("lstm", "cell"), ("lstm", "cell_single"):
      let cell = LSTMCell(3, 4, bias: kind == "cell", dtype: dtype)
      return .init(cell) { x in
        let next = cell(x[0], state: state(x))
        return [next.hidden, next.cell]
      }
    case ("gru", "cell"):
      let cell = GRUCell(3, 4, dtype: dtype)
      return .init(cell) { [cell($0[0], state: $0[1])] }
    case ("rnn", "cell"):
      let cell = RNNCell(3, 4, dtype: dtype)
      return .init(cell) { [cell($0[0], state: $0[1])] }
    case ("lstm", _):
      let network = LSTM(
        3, hidden, numLayers: layers, bias: bias, batchFirst: first, bidirectional: both,
        dtype: dtype)
      return .init(network) { x in
        let (y, last) = network(x[0], state: state(x))
        return [y, last.hidden, last.cell]
      }
    case ("gru", _):
      let network = GRU(
        3, hidden, numLayers: layers, bias: bias, batchFirst: first, bidirectional: both,
        dtype: dtype)
      return .init(network) { x in
        let (y, last) = network(x[0], state: x.count > 1 ? x[1] : nil)
        return [y, last]
      }
    case ("rnn", _):
      let network = RNN(
        3, hidden, numLayers: layers, nonlinearity: kind == "relu" ? .relu : .tanh, bias: bias,
        batchFirst: first, bidirectional: both, dtype: dtype)
      return .init(network) { x in
        let (y, last) = network(x[0], state: x.count > 1 ? x[1] : nil)
        return [y, last]
      }
    default: return nil
    }
  }

  @Test("A network and its gradients are PyTorch's", arguments: names)
  func agrees(_ name: String) throws {
    #expect(Self.names.count == 17)
    try ModuleCase.check(name) { Self.subject(name, $0)! }
  }

  @Test func aSequenceIsItsPartsInTurn() {
    let lstm = LSTM(5, 7, numLayers: 2)
    let x = Random.normal([6, 3, 5], generator: Generator(seed: 1))
    let (whole, end) = lstm(x)
    let (first, middle) = lstm(x[0..<4])
    let (second, last) = lstm(x[4..<6], state: middle)
    expectClose(concatenated([first, second]), whole, "outputs")
    expectClose(last.cell, end.cell, "cell")
  }

  @Test func cellsAreStepsOfNetworks() {
    let (gru, cell) = (GRU(5, 7), GRUCell(5, 7))
    for (from, to) in zip(gru.parameters, cell.parameters) { to.value = from.value }
    let x = Random.normal([4, 3, 5], generator: Generator(seed: 1))
    var h: Tensor?
    for t in 0..<4 { h = cell(x[t], state: h) }
    expectClose(h!, gru(x).state[0], "state")
  }

  @Test func weightsBeginWithinPyTorchsBounds() {
    Random.seed(3)
    let network = LSTM(30, 64, numLayers: 2, bidirectional: true)
    #expect(network.parameters.count == 16)
    for parameter in network.parameters {
      let largest = parameter.value.abs().max().item(Double.self)
      #expect(largest <= 0.125 + 1e-7 && largest > 0.1)
    }
    #expect(network.parameters["weight_ih_l1_reverse"]?.shape == [256, 128])
  }

  @Test func dropoutIsBetweenLayersInTraining() {
    let network = RNN(4, 64, numLayers: 2, dropout: 0.5)
    let single = RNN(4, 64, dropout: 0.5)
    let x = Random.normal([3, 2, 4], generator: Generator(seed: 1))
    #expect(network(x).output.asArray(Float.self) != network(x).output.asArray(Float.self))
    expectSame(single(x).output, single(x).output)
    network.eval()
    expectSame(network(x).output, network(x).output)
  }

  @Test func statesAreTreesOfTracedFunctions() {
    let lstm = LSTM(3, 4, batchFirst: true)
    let step = traced { (x: Tensor, state: LSTMState) in
      let (y, next) = lstm(x, state: state)
      return (y, next)
    }
    let x = Random.normal([2, 1, 3], generator: Generator(seed: 1))
    var state = LSTMState(hidden: zeros([1, 2, 4]), cell: zeros([1, 2, 4]))
    var expected = state
    for _ in 0..<3 {
      let (y, next) = noGrad { step(x, state) }
      let (z, own) = lstm(x, state: expected)
      expectSame([y, next.hidden, next.cell], [z, own.hidden, own.cell])
      (state, expected) = (next, own)
    }
    #expect(step.traceCount == 1)
  }

  @Test func mistakesAreNamed() {
    func expect(_ parts: String..., from body: () -> Void) {
      let found = mistake(body)
      for part in parts { #expect(found.contains(part), "\(found)") }
    }
    expect("LSTM", "[T, N, 3]", "[2, 4]") { _ = LSTM(3, 4)(ones([2, 4])) }
    expect("GRU", "[N, T, 3]") { _ = GRU(3, 4, batchFirst: true)(ones([2, 4, 5])) }
    expect("RNN", "floating-point") { _ = RNN(1, 4)(Tensor([[1]])) }
    expect("RNN", "at least one step") { _ = RNN(3, 4)(ones([0, 2, 3])) }
    expect("GRU", "[1, 2, 4]", "[2, 4]") { _ = GRU(3, 4)(ones([5, 2, 3]), state: ones([2, 4])) }
    expect("LSTM", "numLayers") { _ = LSTM(3, 4, numLayers: 0) }
    let x = ones([5, 2, 3])
    expect("LSTM", "numLayers") { _ = LSTM(3, 4, numLayers: -1)(x) }
    expect("GRU", "numLayers") { _ = GRU(3, 4, numLayers: -1)(x) }
    expect("RNN", "numLayers") { _ = RNN(3, 4, numLayers: -1, bidirectional: true)(x) }
    expect("LSTM", "hiddenSize") { _ = LSTM(3, -4)(x) }
    expect("not a shape") { _ = LSTM(3, .max, bidirectional: true) }
    expect("LSTM", "dropout") { _ = LSTM(3, 4, numLayers: 2, dropout: 2) }
    expect("LSTMCell", "[N, 3]", "[2, 4]") { _ = LSTMCell(3, 4)(ones([2, 4])) }
    expect("GRUCell", "[2, 4]", "[2, 3]") { _ = GRUCell(3, 4)(ones([2, 3]), state: ones([2, 3])) }
  }
}
