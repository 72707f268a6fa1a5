import DuetCompiler
import DuetEager
import DuetRuntime
import DuetTracer
import Foundation

/// A traced function from a file, without its closure.
///
///     let classify = try SavedFunction(contentsOf: URL(fileURLWithPath: "classifier.duet"))
///     let probabilities = classify([images])[0]
///
/// It gives the bits that the traced function would give. Each first call with a new signature compiles the graph for it,
/// and later ones replay the plan, as with `traced`. State that the function reads or writes (parameters, optimiser
/// slots, running statistics, generators) is its own, and begins as it was when the function was saved; draws from the
/// generator that is used where none is named are those of this process. A training step that was saved trains, but
/// nothing outside can be differentiated through a call: arguments that require gradients are an error outside of
/// `noGrad`.
///
/// Calls may come from many threads at once. Inside other traced functions, and in deferred mode, it is a part of
/// what is recorded there.
public final class SavedFunction: Sendable {
  private let function: LoadedFunction

  /// Reads what `TracedFunction.save(to:)` wrote.
  ///
  /// Nothing in a file ends the process, or takes more memory than the file's size justifies. What the graphs then
  /// compute is another matter: run functions only from whom you trust.
  /// - Throws: `DataError` if the file is missing, damaged, or holds no function.
  public init(contentsOf url: URL) throws(DataError) {
    let file = try SafetensorsFile(url)
    guard let text = file.metadata[functionKey] else {
      throw DataError(url, "holds no function: its metadata have no \(functionKey)")
    }
    let form: SavedForm
    do { form = try JSONDecoder().decode(SavedForm.self, from: Data(text.utf8)) } catch {
      throw DataError(url, "holds a function whose form cannot be read: \(error)")
    }
    let arrays = try file.tensors()
    do throws(SavedFormError) { function = try LoadedFunction(form, arrays: arrays) } catch {
      throw DataError(url, "holds a function that cannot be used: \(error)")
    }
  }

  /// Does what the saved closure did.
  ///
  /// A mistake, such as shapes that no trace takes or a value that leads where no recorded call went, is one of the
  /// caller: it ends the process, or is thrown by `checked`.
  /// - Parameters:
  ///   - arguments: The tensors of all arguments, in order; those of trees one after the other.
  ///   - trace: Which of ``signatures`` is meant, by its place, where several take the same tensors: those of calls with
  ///     other static values. Nil: the only one.
  /// - Returns: The tensors of the result, in order.
  @discardableResult
  public func callAsFunction(_ arguments: [Tensor], trace: Int? = nil) -> [Tensor] {
    function(arguments, program: trace)
  }

  // MARK: Looking inside

  /// What the function takes, one line per trace: `x: float32[?, 784]`, where `?` is a size that may be any.
  public var signatures: [String] { function.signatures }

  /// What the function's state holds now, by name; nil: nothing.
  public var state: [(name: String, value: Tensor?)] { function.state }

  /// What was compiled so far, and why.
  public func explain() -> Explanation { function.function.explain() }

  /// The graph that a call with these arguments runs.
  public func graph(for arguments: [Tensor], trace: Int? = nil) -> TracedGraph {
    function.function.graph(for: arguments, Static(trace ?? -1))
  }

  /// The plan that a call with these arguments runs.
  public func plan(for arguments: [Tensor], trace: Int? = nil) -> Plan {
    function.function.plan(for: arguments, Static(trace ?? -1))
  }

  /// Writes the function with its state as it is now.
  /// - Throws: `DataError` if the file cannot be written.
  public func save(to url: URL) throws { try write(function.archive, to: url) }
}
