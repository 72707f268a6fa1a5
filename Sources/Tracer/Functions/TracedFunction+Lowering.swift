import DuetCompiler
import DuetEager
import DuetRuntime

extension TracedFunction {
  /// Traces and compiles the closure for tensors of these types, without data and without touching any state.
  ///
  /// Where a size is nil the trace is one for every size: a call compiles it for the sizes of its arguments, and keeps
  /// that as it keeps traces, but does not run the closure. The closure is run here, some dozens of times, with
  /// several numbers in the place of each unknown size; those of two arguments may be independent unless the program
  /// needs them equal. Numbers taken from shapes are followed where they are sums and products of sizes, or simple
  /// functions of such; anything else, a Swift loop or `if` among them, is an error. A condition that all numbers
  /// tried agree on, such as `n < 100_000`, is not noticed. Calls of no elements, and of sizes for which broadcasting
  /// makes another program, are recorded as always. The numbers tried go up to 4,099: shapes that would have more
  /// elements than any memory then, as `[n, n, n, n, n, n]` would, are an error.
  ///
  /// - Parameter specs: One per argument; every argument must be a tensor. At most three independent unknown sizes.
  /// - Returns: What a call runs; for unknown sizes an example.
  /// - Throws: `TensorError` if the closure needs values, its operations do not fit the types, or it uses the number of
  ///   an unknown size, with the line; what the closure throws.
  @discardableResult
  public func lower(_ specs: TensorSpec...) throws -> LoweredFunction {
    var count = 0
    var takesTensors = true
    func look<Part: TensorTree>(at type: Part.Type) {
      count += 1
      if type != Tensor.self { takesTensors = false }
    }
    repeat look(at: (each Argument).self)
    return try checked {
      guard takesTensors, count == specs.count else {
        throw TensorError(
          OpError("lower", "takes one TensorSpec per argument, and tensors as arguments"),
          at: CallSite())
      }
      let types = specs.compactMap(\.type)
      if types.count < specs.count {
        return LoweredFunction(try core.lower { try lowered(specs) })
      }
      var run = Run()
      let trace = try core.lower(
        Signature(types: types), types.indices.map { "argument \($0)" },
        form: { self.emptied(run.result!) }, { tensors in self.tensors(of: &run, from: tensors) },
        replace: { run.result = self.form.rebuilt(run.result!, $0[...]) })
      guard let trace else { throw run.error! }
      return LoweredFunction(trace)
    }
  }

  /// Runs the closure with these tensors as its arguments, each of which is one.
  /// - Returns: The tensors of its result; nil if it has thrown.
  private func tensors(of run: inout Run, from tensors: [Tensor]) -> [Tensor]? {
    var rest = tensors[...]
    func taken<Part: TensorTree>(_ type: Part.Type) -> Part { rest.removeFirst() as! Part }
    do throws(Failure) {
      let result = try body(repeat taken((each Argument).self))
      run.result = result
      return form.tensors(result)
    } catch {
      run.error = error
      return nil
    }
  }

  // MARK: Unknown sizes

  private func lowered(_ specs: [TensorSpec]) throws -> SizedFunction {
    let symbols = try self.symbols(specs)
    return try SizedFunction(symbols) { try probe(symbols, $0, notesCallSites: $1) }
  }

  /// Finds out which unknown sizes are the same: as few as possible.
  private func symbols(_ specs: [TensorSpec]) throws -> SizeSymbols {
    let unknown = SizeSymbols.unknown(in: specs)
    /// Whether the closure takes arguments whose sizes are the same where the keys are.
    func attempt(_ key: (Int, Int) -> [Int]) throws -> SizeSymbols {
      let symbols = SizeSymbols(specs, key: key)
      guard symbols.count <= SizedFunction.mostUnknownSizes else {
        throw TensorError(
          OpError(
            "lower",
            "\(symbols.count) independent sizes are unknown; at most \(SizedFunction.mostUnknownSizes) can be"
          ),
          at: CallSite())
      }
      _ = try probe(symbols, SizedFunction.firstSizes(symbols.count), notesCallSites: false)
      return symbols
    }
    if let all = try? attempt({ [$0, $1] }) { return all }
    // The first axis of one argument is likely that of another: a batch of inputs and of labels.
    var separate: Set<[Int]> = []
    func byAxis(_ argument: Int, _ axis: Int) -> [Int] {
      separate.contains([argument, axis]) ? [argument, axis] : [axis]
    }
    let best: SizeSymbols
    do {
      best = try attempt(byAxis)
    } catch {
      if let one = try? attempt({ _, _ in [] }) { return one }
      throw error
    }
    var symbols = best
    for (argument, axis) in unknown {
      separate.insert([argument, axis])
      if let finer = try? attempt(byAxis) {
        symbols = finer
      } else {
        separate.remove([argument, axis])
      }
    }
    return symbols
  }

  /// Records the closure from types with these sizes.
  private func probe(
    _ symbols: SizeSymbols, _ sizes: [Int], notesCallSites: Bool
  ) throws -> SizeProbe {
    try checked {
      let recorder = GraphRecorder(isSymbolic: true)
      recorder.notesCallSites = notesCallSites
      let arguments = symbols.types(sizes).enumerated().map { i, type in
        recorder.addArgument(Tensor(TensorBody(withoutElements: type)), name: "argument \(i)")
      }
      var run = Run()
      let results = ThreadContext.forAnySizes {
        ThreadContext.withRecorder(recorder) { tensors(of: &run, from: arguments) }
      }
      guard var results else { throw run.error! }
      if let failure = recorder.failure { throw TensorError(failure, at: CallSite()) }
      guard !recorder.sawFailure, !results.contains(where: \.isFailed) else {
        // The mistake itself has been noted, and is what `checked` throws.
        throw TensorError(OpError("lower", "the closure made a mistake"), at: nil)
      }
      do throws(OpError) {
        try recorder.checkOwnCells(&results) {
          run.result = self.form.rebuilt(run.result!, $0[...])
        }
      } catch {
        throw TensorError(error, at: CallSite())
      }
      return SizeProbe(
        sizes, recorder, arguments: arguments, results: results, form: emptied(run.result!))
    }
  }
}
