import Duet

/// A program as something to call: its closure as it is, or traced.
struct Subject: @unchecked Sendable {
  // Sendable: the closures capture programs, states and traced functions, which are safe from any thread; each call has a
  // machine of its own. Only a `Coverage` would not stand it, and what threads share is made without one.

  /// Takes all tensors of a call; gives all results as the closure gave them.
  /// Throws what the program throws.
  let call: ([Tensor], Program.Call) throws(Refusal) -> [Tensor]
  /// What has been traced; nil of closures.
  let explanation: () -> Explanation?
  /// Lowers what has been traced.
  var lower: ([TensorSpec]) throws -> Void = { _ in }
  let traceCount: () -> Int
  /// What has been traced, as a file has it; of closures nothing.
  var archive: () throws -> FunctionArchive = {
    throw TensorError(OpError("save", "a closure is not traced"), at: nil)
  }

  /// How a program is run.
  enum Form {
    /// Closures as they are.
    case plain
    /// The nested functions are traced, the closure that calls them is not.
    case nestedTraced
    case traced
    /// Traced, with every replay compared with the closure by the function itself.
    case verified

    /// Whether a call that throws leaves nothing changed.
    var takesBack: Bool { self == .traced || self == .verified }
  }

  init(_ program: Program, _ state: State, _ form: Form, coverage: Coverage? = nil) {
    let callees = Subject.callees(program, state, isTraced: form != .plain, coverage)
    let body = { (values: [(Int, Tensor)], mode: Int) throws(Refusal) -> [Tensor] in
      try program.run(values, state, callees, mode: mode, coverage: coverage)
    }
    let way = Way(isTraced: form == .traced || form == .verified, mayThrow: program.mayThrow)
    let verify = form == .verified
    let first = Program.firstArgument
    switch program.form {
    case .trees:
      let closure = { (arguments: Arguments) throws(Refusal) -> Results in
        var values = arguments.tensors.enumerated().map { (first + $0, $1) }
        if let named = arguments.named["extra"] {
          values.append((first + arguments.tensors.count, named))
        }
        if let optional = arguments.optional { values.append((program.optionalID, optional)) }
        return Results(try body(values, arguments.mode.value))
      }
      let function = Function(
        way, closure, { Duet.traced(verify: verify, closure) },
        {
          Duet.traced(verify: verify) { (arguments: Arguments) in
            unfailing { () throws(Refusal) in try closure(arguments) }
          }
        })
      call = { (tensors, call) throws(Refusal) in
        let arguments = Arguments(
          tensors: Array(tensors.dropLast(2)), named: ["extra": tensors[tensors.count - 2]],
          optional: call.hasOptional ? tensors[tensors.count - 1] : nil, mode: Static(call.mode))
        return try function(arguments).all
      }
      explanation = function.explanation
      traceCount = function.traceCount
    case .oneTensor:
      let closure = { (x: Tensor) throws(Refusal) -> Tensor in try body([(first, x)], 0)[0] }
      let function = Function(
        way, closure, { Duet.traced(verify: verify, closure) },
        {
          Duet.traced(verify: verify) { (x: Tensor) in
            unfailing { () throws(Refusal) in try closure(x) }
          }
        })
      call = { (tensors, _) throws(Refusal) in [try function(tensors[0])] }
      lower = { _ = try function.unfailing?.lower($0[0]) }
      if let traced = function.unfailing { archive = { try traced.archive() } }
      explanation = function.explanation
      traceCount = function.traceCount
    case .twoTensors:
      let closure = { (x: Tensor, y: Tensor) throws(Refusal) -> Tensor in
        try body([(first, x), (first + 1, y)], 0)[0]
      }
      let function = Function(
        way, closure, { Duet.traced(verify: verify, closure) },
        {
          Duet.traced(verify: verify) { (x: Tensor, y: Tensor) in
            unfailing { () throws(Refusal) in try closure(x, y) }
          }
        })
      call = { (tensors, _) throws(Refusal) in [try function(tensors[0], tensors[1])] }
      lower = { _ = try function.unfailing?.lower($0[0], $0[1]) }
      if let traced = function.unfailing { archive = { try traced.archive() } }
      explanation = function.explanation
      traceCount = function.traceCount
    case .threeTensors:
      let closure = { (x: Tensor, y: Tensor, z: Tensor) throws(Refusal) -> (Tensor, [Tensor]) in
        let results = try body([(first, x), (first + 1, y), (first + 2, z)], 0)
        return (results[0], Array(results.dropFirst()))
      }
      let function = Function(
        way, closure, { Duet.traced(verify: verify, closure) },
        {
          Duet.traced(verify: verify) { (x: Tensor, y: Tensor, z: Tensor) in
            unfailing { () throws(Refusal) in try closure(x, y, z) }
          }
        })
      call = { (tensors, _) throws(Refusal) in
        let (first, rest) = try function(tensors[0], tensors[1], tensors[2])
        return [first] + rest
      }
      lower = { _ = try function.unfailing?.lower($0[0], $0[1], $0[2]) }
      if let traced = function.unfailing { archive = { try traced.archive() } }
      explanation = function.explanation
      traceCount = function.traceCount
    case .arrayAndStatic:
      let closure = { (tensors: [Tensor], mode: Static<Int>) throws(Refusal) -> Tensor? in
        let results = try body(tensors.enumerated().map { (first + $0, $1) }, mode.value)
        return mode.value == 2 ? nil : results.last
      }
      let function = Function(
        way, closure, { Duet.traced(verify: verify, closure) },
        {
          Duet.traced(verify: verify) { (tensors: [Tensor], mode: Static<Int>) in
            unfailing { () throws(Refusal) in try closure(tensors, mode) }
          }
        })
      call = { (tensors, call) throws(Refusal) in
        try function(tensors, Static(call.mode)).map { [$0] } ?? []
      }
      explanation = function.explanation
      traceCount = function.traceCount
    case .effects:
      let closure = { (x: Tensor, y: Tensor) throws(Refusal) -> Void in
        _ = try body([(first, x), (first + 1, y)], 0)
      }
      let function = Function(
        way, closure, { Duet.traced(verify: verify, closure) },
        {
          Duet.traced(verify: verify) { (x: Tensor, y: Tensor) in
            unfailing { () throws(Refusal) in try closure(x, y) }
          }
        })
      call = { (tensors, _) throws(Refusal) in
        try function(tensors[0], tensors[1])
        return []
      }
      explanation = function.explanation
      traceCount = function.traceCount
    }
  }

  private struct Way {
    let isTraced: Bool
    /// Functions that cannot throw go other ways in the tracer.
    let mayThrow: Bool
  }

  /// A closure as it is, or traced as one that throws or one that does not.
  private struct Function<Result, each Argument: TensorTree> {
    private let closure: (repeat each Argument) throws(Refusal) -> Result
    private let throwing: TracedFunction<Result, Refusal, repeat each Argument>?
    let unfailing: TracedFunction<Result, Never, repeat each Argument>?

    init(
      _ way: Way, _ closure: @escaping (repeat each Argument) throws(Refusal) -> Result,
      _ throwing: () -> TracedFunction<Result, Refusal, repeat each Argument>,
      _ unfailing: () -> TracedFunction<Result, Never, repeat each Argument>
    ) {
      self.closure = closure
      self.throwing = way.isTraced && way.mayThrow ? throwing() : nil
      self.unfailing = way.isTraced && !way.mayThrow ? unfailing() : nil
    }

    func callAsFunction(_ argument: repeat each Argument) throws(Refusal) -> Result {
      if let throwing { return try throwing(repeat each argument) }
      if let unfailing { return unfailing(repeat each argument) }
      return try closure(repeat each argument)
    }

    func traceCount() -> Int { throwing?.traceCount ?? unfailing?.traceCount ?? 0 }

    func explanation() -> Explanation? { throwing?.explain() ?? unfailing?.explain() }
  }

  /// The program's nested functions; each may call those before it.
  private static func callees(
    _ program: Program, _ state: State, isTraced: Bool, _ coverage: Coverage?
  ) -> [Callee] {
    var callees: [Callee] = []
    for block in program.functions {
      let earlier = callees
      let closure = { (a: Tensor, b: Tensor, place: Machine.Place) -> Tensor in
        let machine = Machine(
          program, state, callees: earlier[...], isNested: true, place: place, coverage: coverage)
        machine.define(Program.firstParameter, a, "a")
        machine.define(Program.firstParameter + 1, b, "b")
        return machine.run(block)?.tensor ?? a
      }
      if isTraced {
        let function = Duet.traced { (a: Tensor, b: Tensor, place: Static<Machine.Place>) in
          closure(a, b, place.value)
        }
        callees.append { function($0, $1, Static($2)) }
      } else {
        callees.append(closure)
      }
    }
    return callees
  }
}

/// What programs throw.
struct Refusal: Error {}

/// Runs a part of a program that has no statement that throws.
private func unfailing<R>(_ body: () throws(Refusal) -> R) -> R {
  do {
    return try body()
  } catch {
    preconditionFailure("a program that cannot throw has thrown")
  }
}

extension Program {
  /// Runs the body on the values of arguments, and gives the results.
  /// - Throws: Where a statement of the program does.
  func run(
    _ arguments: [(Int, Tensor)], _ state: State, _ callees: [Callee], mode: Int,
    listing: Listing? = nil, coverage: Coverage? = nil
  ) throws(Refusal) -> [Tensor] {
    let machine = Machine(
      self, state, callees: callees[...], mode: mode, listing: listing, coverage: coverage)
    for (id, tensor) in arguments { machine.define(id, tensor, "x\(id - Program.firstArgument)") }
    _ = machine.run(body)
    if machine.hasThrown { throw Refusal() }
    listing?.add("return [" + results.map { machine.value($0).text }.joined(separator: ", ") + "]")
    return results.map {
      let result = machine.value($0).tensor
      return detachesResults ? result.detached() : result
    }
  }
}
