import Foundation

/// A line of JSON per case and mode, in the form that the comparison with other frameworks reads.
func jsonLines(_ outcome: Outcome, modes: [Mode], threads: Int) -> [String] {
  modes.compactMap { mode in
    var fields = [
      ("framework", quoted("duet")), ("mode", quoted(mode.rawValue)),
      ("case", quoted(outcome.name)), ("threads", String(threads)),
    ]
    if let failure = outcome.failure {
      fields += [("error", quoted(failure)), ("extra", "{}")]
    } else if let measurement = outcome.measurements[mode] {
      if let peak = measurement.peakMegabytes {
        fields += [("median_us", "null"), ("min_us", "null"), ("max_us", "null"), ("iters", "3")]
        fields.append(("extra", object([("peak_mb", String(format: "%.1f", peak))])))
      } else {
        fields += [
          ("median_us", number(measurement.median * 1e6)),
          ("min_us", number(measurement.minimum * 1e6)),
          ("max_us", number(measurement.maximum * 1e6)),
          ("iters", String(measurement.iterations)),
          ("extra", extra(measurement, outcome, mode)),
        ]
      }
    } else {
      return nil
    }
    return object(fields)
  }
}

private func extra(_ measurement: Measurement, _ outcome: Outcome, _ mode: Mode) -> String {
  var fields = [("first_us", String(Int((measurement.first * 1e6).rounded())))]
  if let check = measurement.check {
    fields.append(("check", check.isFinite ? String(format: "%.5g", check) : "null"))
  }
  if let others = measurement.others { fields.append(("others", number(others))) }
  if let equal = outcome.bitsAreEqual {
    fields.append(("bits", quoted(equal ? "equal" : "differ")))
  }
  fields.append(("flops", String(Int(outcome.cost.flops))))
  fields.append(("bytes", String(Int(outcome.cost.bytes))))
  if let roofline = outcome.roofline, let share = outcome.share(mode) {
    fields.append(("bound", quoted(roofline.bound.rawValue)))
    fields.append(("share", number(share)))
  }
  if let peer = outcome.peer, let ratio = outcome.peerRatio(mode) {
    fields.append(("peer", quoted(peer.name)))
    fields.append(("peer_ratio", number(ratio)))
  }
  return object(fields)
}

/// A line of JSON for a limit of the machine.
func jsonLine(_ rate: Limits.Rate) -> String {
  var fields = [
    ("limit", quoted(rate.name)), ("instructions", quoted(rate.instructions)),
    ("threads", String(rate.threads)),
  ]
  let unit = rate.mebibytes == nil ? "gflops" : "gbps"
  if let mebibytes = rate.mebibytes { fields.append(("mib_per_array", String(mebibytes))) }
  fields.append((unit + "_median", String(format: "%.1f", rate.median / 1e9)))
  fields.append((unit + "_max", String(format: "%.1f", rate.best / 1e9)))
  return object(fields)
}

/// A line of JSON for what many steps left behind.
func jsonLine(_ soak: Soak, _ name: String) -> String {
  object([
    ("soak", quoted(name)), ("mode", quoted(soak.mode.rawValue)), ("steps", String(soak.steps)),
    ("page_faults", String(soak.pageFaults)),
    ("system_allocations", String(soak.systemAllocations)),
    ("live_bytes_begin", String(soak.begin)), ("live_bytes_end", String(soak.end)),
    ("live_bytes_peak", String(soak.peak)),
  ])
}

private func object(_ fields: [(String, String)]) -> String {
  "{" + fields.map { "\(quoted($0.0)): \($0.1)" }.joined(separator: ", ") + "}"
}

private func number(_ value: Double) -> String { String(format: "%.3f", value) }

private func quoted(_ text: String) -> String {
  var result = "\""
  for scalar in text.unicodeScalars {
    switch scalar {
    case "\"": result += "\\\""
    case "\\": result += "\\\\"
    case "\n": result += "\\n"
    case _ where scalar.value < 32: result += String(format: "\\u%04x", scalar.value)
    default: result.unicodeScalars.append(scalar)
    }
  }
  return result + "\""
}
