import Foundation

/// What the command line asks for.
struct Options {
  enum Action: Equatable {
    case run, list, help
    /// Many steps of each case, for what they leave behind.
    case soak(steps: Int)
    /// What this program asks of itself in a process of its own: to print how far its memory grows
    /// in the case, and to end.
    case resident, end
  }

  var action = Action.run
  /// The named cases in the order given; nil for all.
  var cases: [String]?
  var modes = Mode.allCases
  var threads: Int?
  var printsJSON = false
  var page: String?
  var isQuick = false
  var measuresLimits = false
  /// A file with others' figures.
  var peers: String?

  /// Reads the arguments after the program's name.
  init(_ arguments: [String]) throws(UsageError) {
    var rest = arguments[...]
    func value(of option: String, _ inline: String?) throws(UsageError) -> String {
      if let inline { return inline }
      guard let next = rest.popFirst(), !next.hasPrefix("--") else {
        throw UsageError("\(option) needs a value")
      }
      return next
    }
    while let argument = rest.popFirst() {
      let parts = argument.split(separator: "=", maxSplits: 1).map(String.init)
      let option = argument.hasPrefix("--") ? parts[0] : argument
      let inline = argument.hasPrefix("--") && parts.count == 2 ? parts[1] : nil
      switch option {
      case "--cases": cases = try Self.names(value(of: option, inline), option)
      case "--modes": modes = try Self.modes(Self.names(value(of: option, inline), option))
      case "--threads": threads = try Self.count(value(of: option, inline), option)
      case "--html": page = try value(of: option, inline)
      case "--limits": measuresLimits = true
      case "--compare": peers = try value(of: option, inline)
      case "--soak": action = .soak(steps: try Self.count(value(of: option, inline), option))
      case "--resident":
        action = .resident
        cases = [try value(of: option, inline)]
      case "--end": action = .end
      case "--json": printsJSON = true
      case "--quick": isQuick = true
      case "--list": action = .list
      case "--help", "-h": action = .help
      default: throw UsageError("unknown option \(argument)")
      }
      if inline != nil,
        ["--json", "--quick", "--limits", "--list", "--help", "--end"].contains(option)
      {
        throw UsageError("\(option) takes no value")
      }
    }
    if case .soak = action, page != nil || isQuick || measuresLimits || peers != nil {
      throw UsageError(
        "--soak takes no times: --html, --quick, --limits and --compare do not go with it")
    }
  }

  private static func names(_ text: String, _ option: String) throws(UsageError) -> [String] {
    let names = text.split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) }
    if names.isEmpty { throw UsageError("\(option) needs at least one name") }
    return names
  }

  private static func modes(_ names: [String]) throws(UsageError) -> [Mode] {
    var modes: [Mode] = []
    for name in names {
      guard let mode = Mode(rawValue: name) else {
        throw UsageError("unknown mode \(name); there are eager and traced")
      }
      if !modes.contains(mode) { modes.append(mode) }
    }
    return modes
  }

  private static func count(_ text: String, _ option: String) throws(UsageError) -> Int {
    guard let count = Int(text), count >= 1 else {
      throw UsageError("\(option) needs a number of at least 1, not \(text)")
    }
    return count
  }

  /// The cases asked for, each with its family's title.
  func selection(from families: [Family]) throws(UsageError) -> [(family: String, item: Case)] {
    let all = families.flatMap { family in family.cases.map { (family: family.title, item: $0) } }
    guard let cases = cases ?? defaultCases(families), cases != ["all"] else { return all }
    var chosen: [(family: String, item: Case)] = []
    for name in cases {
      guard let found = all.first(where: { $0.item.name == name }) else {
        throw UsageError("unknown case \(name); --list shows what there is")
      }
      chosen.append(found)
    }
    return chosen
  }

  /// Without a choice: the kernels under their limits, one training step soaked, or everything.
  private func defaultCases(_ families: [Family]) -> [String]? {
    if case .soak = action { return ["lenet_train_b8"] }
    guard measuresLimits else { return nil }
    let kernels = ["Elementwise", "Reductions", "Matrix products", "Convolutions"]
    return families.filter { kernels.contains($0.title) }.flatMap(\.cases).map(\.name)
  }

  static let help = """
    duet-bench: times Duet's eager operations against its traced functions.

    usage: duet-bench [options]

      --list            the names of the cases, one per line
      --cases A,B       only these cases (all)
      --modes A,B       eager, traced (both)
      --threads N       how many threads a kernel may use (all processors)
      --limits          measures the machine's limits first and shows each case's share of them
                        (without --cases: the kernels)
      --compare FILE    shows how the fastest of the others in FILE does, lines as of --json
      --soak STEPS      does so many steps and shows page faults and live memory (lenet_train_b8)
      --json            one line of JSON per case and mode, sampled for longer
      --html FILE       also writes the report as a page with charts
      --quick           short samples, for a first look
      --help            this text

    Times are medians in microseconds per iteration; the modes take turns, sample by sample. A ratio
    above 1 means that the traced form is faster. `bits` says whether both modes gave the same
    results, bit for bit.
    The exit status is 1 if some did not, a case failed or soaking left memory behind, and 2 if the command line is wrong.
    """
}

/// A mistake on the command line.
struct UsageError: Error {
  let message: String

  init(_ message: String) { self.message = message }
}
