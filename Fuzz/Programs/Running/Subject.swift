import Duet

/// A program as something to call: its closure as it is, or traced.
struct Subject: @unchecked Sendable {
  // Sendable: closures over constants, traced functions and variables; a thread that shares one with others
  // shares what it may.

  /// Takes all tensors of a call; gives all results as the closure gave them.
  let call: ([Tensor], Program.Call) -> [Tensor]
  /// What has been traced; nil of closures.
  let explanation: () -> Explanation?

  /// How a program is run.
  enum Form {
    /// Closures as they are.
    case plain
    /// The nested functions are traced, the closure that calls them is not.
    case nestedTraced
    case traced
    /// Traced, with every replay compared with the closure by the function itself.
    case verified
  }

  init(_ program: Program, _ state: State, _ form: Form, coverage: Coverage? = nil) {
    let callees = Subject.callees(program, state, isTraced: form != .plain, coverage)
    let body = { (values: [(Int, Tensor)], mode: Int) -> [Tensor] in
      program.run(values, state, callees, mode: mode, coverage: coverage)
    }
    let isTraced = form == .traced || form == .verified
    let verify = form == .verified
    switch program.form {
    case .trees:
      let closure = { (arguments: Arguments) in
        var values = arguments.tensors.enumerated().map { (Program.firstArgument + $0, $1) }
        if let named = arguments.named["extra"] {
          values.append((Program.firstArgument + arguments.tensors.count, named))
        }
        if let optional = arguments.optional { values.append((program.optionalID, optional)) }
        return Results(body(values, arguments.mode.value))
      }
      let function = isTraced ? Duet.traced(verify: verify, closure) : nil
      call = { tensors, call in
        let arguments = Arguments(
          tensors: Array(tensors.dropLast(2)), named: ["extra": tensors[tensors.count - 2]],
          optional: call.hasOptional ? tensors[tensors.count - 1] : nil, mode: Static(call.mode))
        return (function?(arguments) ?? closure(arguments)).all
      }
      explanation = { function?.explain() }
    case .oneTensor:
      let closure = { (x: Tensor) in body([(Program.firstArgument, x)], 0)[0] }
      let function = isTraced ? Duet.traced(verify: verify, closure) : nil
      call = { tensors, _ in [function?(tensors[0]) ?? closure(tensors[0])] }
      explanation = { function?.explain() }
    case .twoTensors:
      let closure = { (x: Tensor, y: Tensor) in
        body([(Program.firstArgument, x), (Program.firstArgument + 1, y)], 0)[0]
      }
      let function = isTraced ? Duet.traced(verify: verify, closure) : nil
      call = { tensors, _ in
        [function?(tensors[0], tensors[1]) ?? closure(tensors[0], tensors[1])]
      }
      explanation = { function?.explain() }
    case .threeTensors:
      let closure = { (x: Tensor, y: Tensor, z: Tensor) -> (Tensor, [Tensor]) in
        let first = Program.firstArgument
        let results = body([(first, x), (first + 1, y), (first + 2, z)], 0)
        return (results[0], Array(results.dropFirst()))
      }
      let function = isTraced ? Duet.traced(verify: verify, closure) : nil
      call = { tensors, _ in
        let (first, rest) =
          function?(tensors[0], tensors[1], tensors[2])
          ?? closure(tensors[0], tensors[1], tensors[2])
        return [first] + rest
      }
      explanation = { function?.explain() }
    case .arrayAndStatic:
      let closure = { (tensors: [Tensor], mode: Static<Int>) -> Tensor? in
        let results = body(
          tensors.enumerated().map { (Program.firstArgument + $0, $1) }, mode.value)
        return mode.value == 2 ? nil : results.last
      }
      let function = isTraced ? Duet.traced(verify: verify, closure) : nil
      call = { tensors, call in
        let mode = Static(call.mode)
        let result = function.map { $0(tensors, mode) } ?? closure(tensors, mode)
        return result.map { [$0] } ?? []
      }
      explanation = { function?.explain() }
    case .effects:
      let closure = { (x: Tensor, y: Tensor) in
        _ = body([(Program.firstArgument, x), (Program.firstArgument + 1, y)], 0)
      }
      let function = isTraced ? Duet.traced(verify: verify, closure) : nil
      call = { tensors, _ in
        function?(tensors[0], tensors[1]) ?? closure(tensors[0], tensors[1])
        return []
      }
      explanation = { function?.explain() }
    }
  }

  /// The program's nested functions; each may call those before it.
  private static func callees(
    _ program: Program, _ state: State, isTraced: Bool, _ coverage: Coverage?
  ) -> Callees {
    var callees: [Callee] = []
    for block in program.functions {
      let earlier = callees
      let closure = { (a: Tensor, b: Tensor) -> Tensor in
        let machine = Machine(
          program, state, callees: earlier[...], isNested: true, coverage: coverage)
        machine.define(Program.firstParameter, a, "a")
        machine.define(Program.firstParameter + 1, b, "b")
        return machine.run(block)?.tensor ?? a
      }
      if isTraced {
        let function = Duet.traced(closure)
        callees.append { function($0, $1) }
      } else {
        callees.append(closure)
      }
    }
    return Callees(all: callees)
  }
}

/// Nested functions, for use on any thread.
struct Callees: @unchecked Sendable {
  // Sendable: as `Subject`.
  let all: [Callee]
}

extension Program {
  /// Runs the body on the values of arguments, and gives the results.
  func run(
    _ arguments: [(Int, Tensor)], _ state: State, _ callees: Callees, mode: Int,
    listing: Listing? = nil, coverage: Coverage? = nil
  ) -> [Tensor] {
    let machine = Machine(
      self, state, callees: callees.all[...], mode: mode, listing: listing, coverage: coverage)
    for (id, tensor) in arguments { machine.define(id, tensor, "x\(id - Program.firstArgument)") }
    _ = machine.run(body)
    listing?.add("return [" + results.map { machine.value($0).text }.joined(separator: ", ") + "]")
    return results.map {
      let result = machine.value($0).tensor
      return detachesResults ? result.detached() : result
    }
  }
}
