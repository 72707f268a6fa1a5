import DuetEager
import DuetRuntime

/// Connectionist temporal classification: the negative of the log-probability of label sequences, whatever the steps
/// at which labels and blanks come (Graves and others, 2006).
///
/// The forward recursion of section 4.1 in logarithms, for a batch at once; gradients go back through it. Time and memory
/// are O(T N S).
///
/// - Parameters:
///   - logProbabilities: `[T, N, C]`, floating point: the logarithms of each step's probabilities.
///   - labels: Classes other than `blank`, `[N, S]`; what is behind a sequence's end does not count.
///   - inputLengths: The steps of each element of the batch, `[N]`, up to T.
///   - labelLengths: The labels of each, `[N]`, up to S. Lengths that are negative or too large are an error; not so in
///     traced functions and in deferred mode, where numbers are not there to be looked at.
///   - blank: The class that stands for no label.
///   - reduction: A mean is that of each loss over its number of labels, at least 1, as in PyTorch.
///   - zeroInfinity: Whether losses of sequences for which there are too few steps are 0, without a gradient, instead
///     of infinite.
public func ctcLoss(
  _ logProbabilities: Tensor, _ labels: Tensor, inputLengths: Tensor, labelLengths: Tensor,
  blank: Int = 0, reduction: Reduction = .mean, zeroInfinity: Bool = false
) -> Tensor {
  let name = "ctcLoss"
  let x = logProbabilities
  if let failed = mistake(name, x, ranks: [3], "log-probabilities [T, N, C]") { return failed }
  if let failed = firstFailed(labels, inputLengths, labelLengths) { return failed }
  let n = x.dim(1)
  guard labels.ndim == 2, labels.dim(0) == n, inputLengths.shape == [n], labelLengths.shape == [n],
    [labels, inputLengths, labelLengths].allSatisfy({ $0.dtype.isInteger })
  else {
    return fail(
      OpError(
        name,
        "log-probabilities \(x.shape) need integer labels [N, S] and lengths [N], not "
          + "\(labels.type), \(inputLengths.type) and \(labelLengths.type)"))
  }
  guard 0..<x.dim(2) ~= blank, x.dim(0) > 0 else {
    return fail(
      OpError(
        name,
        "the blank \(blank) is no class of log-probabilities \(x.shape), or there are no steps"))
  }
  if !ThreadContext.isRecordingOrDeferred {
    for (lengths, limit, what) in [
      (inputLengths, x.dim(0), "inputLengths"), (labelLengths, labels.dim(1), "labelLengths"),
    ] {
      let wrong = lengths.asType(.int64).asArray(Int.self).first { !(0...limit ~= $0) }
      if let wrong {
        return fail(OpError(name, "\(what) must be in 0 ... \(limit), but one is \(wrong)"))
      }
    }
  }
  let lattice = CTCLattice(labels.asType(.int64), labelLengths.asType(.int64), blank: blank)
  // 16 bits do not hold sums of many logarithms.
  let wide = x.dtype.isHalf ? x.asType(.float32) : x
  let losses = lattice.losses(wide, inputLengths.asType(.int64)).asType(x.dtype)
  let isFinite = losses .< Double.infinity
  let kept = zeroInfinity ? which(isFinite, losses, 0) : losses
  switch reduction {
  case .none: return kept
  case .sum: return kept.sum()
  case .mean: return (kept / maximum(labelLengths, 1).asType(x.dtype)).mean()
  }
}

/// Labels with a blank before, between and behind them: 2 S + 1 places for each element of a batch.
private struct CTCLattice {
  /// The classes of the places, `[N, 2 S + 1]`.
  let classes: Tensor
  /// Whether a path may come from two places before: over a blank, to another label.
  let maySkip: Tensor
  /// Whether a path may end at a place: at the last label, or the blank behind it.
  let isEnd: Tensor
  /// Whether there is no label.
  let isEmpty: Tensor

  init(_ given: Tensor, _ lengths: Tensor, blank: Int) {
    let (n, s) = (given.dim(0), given.dim(1))
    // What is behind the end may be no class.
    let labels = which(arange(s) .< lengths.expandedDimensions(axis: 1), given, blank)
    isEmpty = logicalNot(lengths .> 0)
    let blanks = full([n, s + 1, 1], blank, dtype: .int64)
    let pairs = concatenated(
      [blanks[0..., 0..<s], labels.expandedDimensions(axis: 2)], axis: 2)
    classes = concatenated([pairs.reshaped([n, 2 * s]), blanks[0..., s]], axis: 1)
    let places = arange(2 * s + 1)
    let before = concatenated(
      [full([n, min(2, 2 * s + 1)], blank, dtype: .int64), classes], axis: 1)
    maySkip = logicalAnd(classes .!= blank, classes .!= before[0..., 0..<(2 * s + 1)])
    let ends = lengths.expandedDimensions(axis: 1) * 2
    isEnd = logicalOr(places .== ends, places .== ends - 1)
  }

  /// - Parameter x: `[T, N, C]`.
  func losses(_ x: Tensor, _ lengths: Tensor) -> Tensor {
    let (n, places) = (classes.dim(0), classes.dim(1))
    // A large number instead of infinity, whose differences would be none. No sum of real logarithms gets there.
    let never = -1e30
    let dtype = x.dtype
    let all =
      x.dim(0) == 0
      ? x : takeAlong(x, tiled(classes.expandedDimensions(axis: 0), [x.dim(0), 1, 1]), axis: 2)
    let steps = all.split(parts: x.dim(0), axis: 0).map { maximum($0.squeezed(axis: 0), never) }
    let starts = (arange(places) .< 2).broadcast(to: [n, places])
    var alpha = which(starts, steps[0], never)
    func shifted(_ x: Tensor, _ count: Int) -> Tensor {
      let some = min(count, places)
      return concatenated(
        [full([n, some], never, dtype: dtype), x[0..., 0..<(places - some)]], axis: 1)
    }
    for (t, step) in steps.enumerated().dropFirst() {
      let skipped = which(maySkip, shifted(alpha, 2), never)
      let next = stacked([alpha, shifted(alpha, 1), skipped]).logSumExp(axis: 0) + step
      let isRunning = (lengths .> t).expandedDimensions(axis: 1)
      alpha = which(isRunning, maximum(next, never), alpha)
    }
    let ended = which(isEnd, alpha, never).logSumExp(axis: 1)
    // Without steps there are no labels.
    let total = which(lengths .> 0, ended, which(isEmpty, zeros(like: ended), never))
    return which(total .> never / 2, -total, Double.infinity)
  }
}
