import DuetEager
import DuetRuntime

/// Whether layers behave as in training: the switch that `train()` and `eval()` set.
///
/// Layers of one's own that tell training from use keep one as a stored property and ask it. Traced functions
/// notice when it changes, and keep a trace for each position.
public final class TrainingMode: Sendable {
  // Traces depend on whether a cell has content, so content stands for training and none for use.
  private let cell: StateCell

  /// A switch that stands on training, as models begin in PyTorch, unless told otherwise.
  public init(isTraining: Bool = true) {
    cell = StateCell(isTraining ? Self.present : nil, label: "training")
  }

  /// Whether layers behave as in training. Safe from any thread.
  public var isTraining: Bool {
    get { cell.read() != nil }
    set { cell.write(newValue ? Self.present : nil) }
  }

  private static let present = Tensor(scalar: true, for: .bool)
}
