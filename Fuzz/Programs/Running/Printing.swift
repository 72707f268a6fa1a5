import Duet

extension Program {
  /// The program as Swift, with the types of its first call; both ways on from values are there.
  public var text: String {
    let listing = Listing()
    let inputs = Inputs(self)
    let state = State(self)
    listing.add("// program \(number) of seed \(seed)")
    for (i, argument) in arguments.enumerated() {
      listing.add(
        "// x\(i): \(inputs.tensors[0][i].type)\(argument.requiresGrad ? ", requires gradients" : "")"
          + (argument.placement == .strided ? ", strided" : "")
          + (i + firstSpecial == arguments.count ? ", in a dictionary" : "")
          + (Program.firstArgument + i == optionalID ? ", optional" : ""))
    }
    for (i, call) in calls.enumerated() {
      listing.add(
        "// call \(i): data \(call.data), sizes \(call.sizes)"
          + (call.mode > 0 ? ", static value \(call.mode)" : "")
          + (form == .trees && !call.hasOptional ? ", optional nil" : "")
          + (call.isInsideNoGrad ? ", inside noGrad" : ""))
    }
    for variable in state.variables + state.parameters where isStateful || isAccumulating {
      listing.add("// \(variable.name): \(variable.type)")
    }
    if statements.contains(where: \.kind.isRegion) {
      listing.add("// zero(x): 0, with a gradient of 0 for x")
    }
    if isStateful { listing.add("// optimizer: \(type(of: state.optimizer))") }
    _ = try? checked {
      var callees: [Callee] = []
      for (i, block) in functions.enumerated() {
        let earlier = callees
        listing.add("let f\(i) = traced { (a: Tensor, b: Tensor) -> Tensor in")
        listing.depth += 1
        let machine = Machine(
          self, state, callees: earlier[...], isNested: true, listing: listing)
        machine.define(Program.firstParameter, inputs.tensors[0][0], "a")
        machine.define(Program.firstParameter + 1, inputs.tensors[0][arguments.count - 1], "b")
        let last = machine.run(block)
        listing.add("return \(last?.text ?? "a")")
        listing.depth -= 1
        listing.add("}")
        callees.append { a, b, place in
          let machine = Machine(
            self, state, callees: earlier[...], isNested: true, place: place)
          machine.define(Program.firstParameter, a, "a")
          machine.define(Program.firstParameter + 1, b, "b")
          return machine.run(block)?.tensor ?? a
        }
      }
      listing.add("let program = traced { (\(form)) in")
      listing.depth += 1
      var leaves = Leaves(self, inputs)
      let values = leaves.arguments(0).enumerated().map { (Program.firstArgument + $0, $1) }
      _ = try run(values, state, callees, mode: calls[0].mode, listing: listing)
      listing.depth -= 1
      listing.add("}")
    }
    return listing.lines.joined(separator: "\n")
  }

  private var firstSpecial: Int { form == .trees ? 2 : -1 }
}
