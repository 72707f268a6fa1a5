/// How near a case comes to what the machine can do (S. Williams, A. Waterman and D. Patterson,
/// "Roofline", 2009): the least time that its operations or its bytes take, whichever is longer.
struct Roofline {
  enum Bound: String { case flops, bytes }

  let bound: Bound
  /// Seconds below which no program comes.
  let floor: Double
  let cost: Cost

  init(_ cost: Cost, _ limits: Limits, threads: Int) {
    self.cost = cost
    let arithmetic = cost.flops / limits.peak(threads: threads)
    let memory = cost.bytes / limits.bandwidth(of: cost)
    bound = arithmetic > memory ? .flops : .bytes
    floor = max(arithmetic, memory)
  }

  func share(of seconds: Double) -> Double { floor / seconds }
}
