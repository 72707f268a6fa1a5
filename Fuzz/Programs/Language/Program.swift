import Duet

/// A random program as a value: what is run in every mode, printed, and made smaller after a difference.
///
/// Every statement has a meaning whatever it finds: operands are brought to a dtype and shape that it takes, and
/// an operand that is gone is replaced by another. So a program can be called with arguments of other shapes, and
/// any statement can be left out.
public struct Program: Sendable {
  /// Statements one after the other; the last one's value is the block's.
  typealias Block = [Statement]

  struct Statement: Sendable {
    /// Names the value that it makes; unique in the program.
    let id: Int
    let kind: Kind
    /// The values that it takes.
    let operands: [Int]
    /// Decides about attributes: axes, sizes, which of a family of functions.
    let choices: UInt64
    var blocks: [Block] = []
  }

  /// How the program is called: the types of the closure's arguments and results.
  enum Form: Sendable, CaseIterable {
    /// A struct of tensors, an optional, a dictionary and a static value; the same for results.
    case trees
    case oneTensor
    case twoTensors
    /// Three tensors; gives a tensor and an array.
    case threeTensors
    /// An array and a static value; gives an optional.
    case arrayAndStatic
    /// Gives nothing.
    case effects
  }

  struct Argument: Sendable {
    let dtype: DType
    /// Which sizes the axes have: indices into the sizes of a call.
    let axes: [Int]
    let values: Values
    let placement: Placement
    let requiresGrad: Bool
  }

  struct Call: Sendable, Hashable {
    /// Calls with the same number get the same elements.
    var data: Int
    /// The sizes that axes are made of.
    var sizes: [Int]
    var mode: Int
    var hasOptional: Bool
    var isInsideNoGrad: Bool
  }

  public let seed: Int
  public let number: Int
  var form: Form
  var arguments: [Argument]
  /// The last argument stands in an optional, the one before in a dictionary, where the form has them.
  var calls: [Call]
  var functions: [Block]
  var body: Block
  var results: [Int]
  var detachesResults: Bool
  /// Whether it reads and writes variables, parameters and a generator.
  var isStateful: Bool
  /// Whether it only adds to a shared counter, so that the order of calls does not matter.
  var isAccumulating: Bool
  /// Whether a call may throw.
  var mayThrow: Bool
  /// Whether it is made for arguments whose first size is unknown: `n`.
  var isSized: Bool
  /// Whether gradients of later statements go through branches and loops. Those cannot be differentiated twice.
  var hasOpenRegions: Bool
  /// How many elements a value may have.
  var sizeLimit: Int

  init(seed: Int, number: Int) {
    self.seed = seed
    self.number = number
    form = .trees
    arguments = []
    calls = []
    functions = []
    body = []
    results = []
    detachesResults = true
    isStateful = false
    isAccumulating = false
    mayThrow = false
    isSized = false
    hasOpenRegions = false
    sizeLimit = 2000
  }
}

extension Program {
  /// The value of the optional argument, where the form has one.
  var optionalID: Int { form == .trees ? Program.firstArgument + arguments.count - 1 : -1 }

  /// Whether it can be built once, with placeholders for its arguments, and then be run.
  var fitsSessions: Bool {
    let takesTensors = form == .oneTensor || form == .twoTensors || form == .threeTensors
    return takesTensors && detachesResults && !isAccumulating
      && !arguments.contains(where: \.requiresGrad)
      && !statements.contains(where: \.kind.needsValues)
  }

  /// Whether all that it does is decided by the form of its arguments, and recorded once for each.
  var isPlain: Bool {
    !isStateful && !isAccumulating && !mayThrow && detachesResults
      && !arguments.contains(where: \.requiresGrad)
      && !statements.contains { $0.kind.needsValues && $0.kind != .localVariable }
  }

  /// All statements, those of blocks included, in the order of the text.
  var statements: [Statement] { functions.flatMap { flat($0) } + flat(body) }

  private func flat(_ block: Block) -> [Statement] {
    block.flatMap { [$0] + $0.blocks.flatMap { flat($0) } }
  }

  /// The program without those statements.
  public func without(_ ids: Set<Int>) -> Program {
    func kept(_ block: Block) -> Block {
      block.filter { !ids.contains($0.id) }.map { statement in
        var statement = statement
        statement.blocks = statement.blocks.map { kept($0) }
        return statement
      }
    }
    var copy = self
    copy.body = kept(body)
    copy.functions = functions.map { kept($0) }
    return copy
  }

  /// The program with only its first calls.
  public func calling(first count: Int) -> Program {
    var copy = self
    copy.calls = Array(calls.prefix(count))
    return copy
  }

  public var callCount: Int { calls.count }
  public var statementCount: Int { statements.count }
  public var statementIDs: [Int] { statements.map(\.id) }
}
