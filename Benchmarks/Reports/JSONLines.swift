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
      fields += [
        ("median_us", number(measurement.median * 1e6)),
        ("min_us", number(measurement.minimum * 1e6)),
        ("max_us", number(measurement.maximum * 1e6)),
        ("iters", String(measurement.iterations)), ("extra", extra(measurement, outcome)),
      ]
    } else {
      return nil
    }
    return object(fields)
  }
}

private func extra(_ measurement: Measurement, _ outcome: Outcome) -> String {
  var fields = [("first_us", String(Int((measurement.first * 1e6).rounded())))]
  if let check = measurement.check {
    fields.append(("check", check.isFinite ? String(format: "%.5g", check) : "null"))
  }
  if let others = measurement.others { fields.append(("others", number(others))) }
  if let equal = outcome.bitsAreEqual {
    fields.append(("bits", quoted(equal ? "equal" : "differ")))
  }
  return object(fields)
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
