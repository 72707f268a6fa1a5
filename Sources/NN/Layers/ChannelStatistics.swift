import DuetEager
import DuetRuntime

/// What normalisations of channels keep: learned amounts, running statistics, and whether these are used.
struct ChannelStatistics {
  let weight: Parameter?
  let bias: Parameter?
  let runningMean: Variable?
  let runningVariance: Variable?
  let batchCount: Variable?
  let channels: Int
  let mode = TrainingMode()

  init(_ operation: String, _ channels: Int, affine: Bool, tracks: Bool, _ dtype: DType) {
    noteNegative(["channels": channels], in: operation)
    weight = affine ? Parameter(ones([channels], dtype: dtype), name: "weight") : nil
    bias = affine ? Parameter(zeros([channels], dtype: dtype), name: "bias") : nil
    runningMean = tracks ? Variable(zeros([channels], dtype: dtype), name: "running_mean") : nil
    runningVariance = tracks ? Variable(ones([channels], dtype: dtype), name: "running_var") : nil
    batchCount = tracks ? Variable(zeros([], dtype: .int64), name: "num_batches_tracked") : nil
    self.channels = channels
  }

  /// Whether what comes in is normalised by its own statistics.
  var usesInputStatistics: Bool { mode.isTraining || runningMean == nil }

  /// The names that PyTorch's state dicts have.
  var parts: [(name: String, part: Any)] {
    let variables: [(String, Variable?)] = [
      ("weight", weight), ("bias", bias), ("running_mean", runningMean),
      ("running_var", runningVariance), ("num_batches_tracked", batchCount),
    ]
    var parts = variables.compactMap { name, variable in variable.map { (name, $0 as Any) } }
    parts.append(("mode", mode))
    return parts
  }
}
