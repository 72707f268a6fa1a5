// Unsafe: fills argument blocks with addresses, as Op+Kernel.swift does.

import DuetKernels

extension KernelEncoder {
  func rowNorm(
    _ kernel: duet_kernel, _ norm: RowNorm, _ output: TensorView,
    _ inputs: UnsafeBufferPointer<TensorView>
  ) {
    let shape = inputs[0].shape
    var block = duet_row_norm_call()
    block.norm = duet_row_norm(rawValue: norm.kind.rawValue)
    block.dtype = inputs[0].code
    block.rows = Int64(shape.dropLast(norm.axes).reduce(1, *))
    block.columns = Int64(shape.suffix(norm.axes).reduce(1, *))
    block.eps = norm.eps
    emit(kernel, block, output, inputs)
  }

  func channelNorm(
    _ kernel: duet_kernel, eps: Double, _ output: TensorView,
    _ inputs: UnsafeBufferPointer<TensorView>
  ) {
    var block = duet_channel_norm_call()
    block.dtype = inputs[0].code
    (block.batch, block.channels, block.inner) = inputs[0].shape.split(at: 1)
    block.eps = eps
    emit(kernel, block, output, inputs)
  }

  func crossEntropy(
    _ kernel: duet_kernel, _ loss: CrossEntropy, _ output: TensorView,
    _ inputs: UnsafeBufferPointer<TensorView>
  ) {
    let shape = inputs[0].shape
    var block = duet_cross_entropy_call()
    block.dtype = inputs[0].code
    block.label_dtype = inputs[1].code
    block.reduction =
      switch loss.reduction {
      case .each: DUET_EACH_LOSS
      case .mean: DUET_MEAN_LOSS
      case .sum: DUET_SUMMED_LOSS
      }
    block.are_log_probabilities = loss.areLogProbabilities ? 1 : 0
    block.has_weights = loss.hasWeights ? 1 : 0
    block.ignores = loss.ignored == nil ? 0 : 1
    block.ignored = Int64(loss.ignored ?? 0)
    (block.outer, block.classes, block.inner) = shape.split(at: CrossEntropy.axis(of: shape))
    block.smoothing = loss.smoothing
    emit(kernel, block, output, inputs)
  }
}
