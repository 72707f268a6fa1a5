import DuetPrograms
import Foundation

/// The command line.
struct Options {
  var seed = 1
  var count = 500
  var first = 0
  var only: Int?
  var calls: Int?
  var without: Set<Int> = []
  var modes = Checker.Mode.allCases
  var prints = false
  var shrinks = true
  var isIsolated = false
  var keepsGoing = false

  static let help = """
    duet-fuzz: runs random programs eagerly and in every other mode, and compares all bits.

      --seed S        which programs (1)
      --count N       how many (500)
      --first N       the number of the first one (0)
      --only N        that one alone
      --modes A,B     of \(Checker.Mode.allCases.map(\.rawValue).joined(separator: ", ")); all if left out
      --print         prints each program
      --keep-going    goes on after a difference
      --no-shrink     prints a program that fails as it is, and not the smallest part of it that does
      --isolated      with --only: makes a program smaller that ends the process, in processes of its own
      --calls N       with --only: the first calls alone
      --without A,B   with --only: leaves those statements out

    The exit status is 1 if any program has shown a difference.
    """

  init(_ arguments: [String]) throws(Mistake) {
    var rest = arguments[...]
    func next(_ option: String) throws(Mistake) -> String {
      guard let value = rest.popFirst() else { throw Mistake("\(option) needs a value") }
      return value
    }
    func number(_ option: String) throws(Mistake) -> Int {
      let value = try next(option)
      guard let number = Int(value), number >= 0 else {
        throw Mistake("\(option) needs a number, not \(value)")
      }
      return number
    }
    while let option = rest.popFirst() {
      switch option {
      case "--seed": seed = try number(option)
      case "--count": count = try number(option)
      case "--first": first = try number(option)
      case "--only": only = try number(option)
      case "--calls": calls = max(1, try number(option))
      case "--print": prints = true
      case "--keep-going": keepsGoing = true
      case "--no-shrink": shrinks = false
      case "--isolated": isIsolated = true
      case "--without":
        for part in try next(option).split(separator: ",") {
          guard let id = Int(part) else { throw Mistake("--without needs numbers, not \(part)") }
          without.insert(id)
        }
      case "--modes":
        modes = []
        for part in try next(option).split(separator: ",") {
          guard let mode = Checker.Mode(rawValue: String(part)) else {
            throw Mistake("there is no mode \(part)")
          }
          modes.append(mode)
        }
      case "--help", "-h":
        print(Self.help)
        exit(0)
      default: throw Mistake("unknown option \(option); --help lists them")
      }
    }
  }

  struct Mistake: Error {
    let text: String
    init(_ text: String) { self.text = text }
  }

  /// The numbers of the programs to run.
  var numbers: Range<Int> { only.map { $0..<($0 + 1) } ?? first..<(first + count) }

  /// A program with what the options leave out left out.
  func program(_ number: Int) -> Program {
    let program = Program.drawn(seed: seed, number: number)
    guard only != nil else { return program }
    return program.calling(first: calls ?? program.callCount).without(without)
  }

  /// The command that runs such a program again.
  func command(_ number: Int, calls: Int? = nil, without: Set<Int> = []) -> [String] {
    var words = ["--seed", "\(seed)", "--only", "\(number)"]
    if modes != Checker.Mode.allCases {
      words += ["--modes", modes.map(\.rawValue).joined(separator: ",")]
    }
    if let calls { words += ["--calls", "\(calls)"] }
    if !without.isEmpty {
      words += ["--without", without.sorted().map(String.init).joined(separator: ",")]
    }
    return words
  }
}
