import DuetCompiler
import DuetEager
import DuetRuntime

/// A program of a saved function, checked, and ready to be run on tensors.
struct LoadedProgram: Sendable {
  struct Argument: Sendable {
    let name: String
    let dtype: DType
    let shape: [Int?]

    var text: String {
      "\(name): \(dtype)[\(shape.map { $0.map(String.init) ?? "?" }.joined(separator: ", "))]"
    }
  }

  let arguments: [Argument]
  /// The structure of the arguments and the values of static ones, in words; nil: each is a tensor.
  let structure: String?
  /// Programs have the same number where structure and static values are the same.
  let structureNumber: Int
  /// Whether it was recorded outside of `noGrad`.
  let isGradEnabled: Bool
  let paths: [LoadedPath]
  private let sizes: SavedForm.Sizes?

  init(
    _ program: SavedForm.Program, _ state: [SavedForm.State], _ constants: [String: ConstantArray]
  ) throws(SavedFormError) {
    var arguments: [Argument] = []
    for argument in program.arguments {
      let dtype = try DType(saved: argument.dtype)
      guard argument.shape.count <= Shape.maximumRank,
        argument.shape.allSatisfy({ $0 ?? 0 >= 0 })
      else { throw SavedFormError("the argument \(argument.name) has no shape") }
      arguments.append(Argument(name: argument.name, dtype: dtype, shape: argument.shape))
    }
    self.arguments = arguments
    structure = program.structure
    structureNumber = program.structureNumber
    isGradEnabled = program.isGradEnabled
    sizes = program.sizes
    if let sizes { try Self.check(sizes, arguments) }
    guard !program.paths.isEmpty, sizes == nil || program.paths.count == 1 else {
      throw SavedFormError("a program has \(program.paths.count) paths")
    }
    var paths: [LoadedPath] = []
    for path in program.paths {
      paths.append(
        try LoadedPath(
          path, arguments, points: sizes?.points, state, constants))
    }
    self.paths = paths
  }

  private static func check(
    _ sizes: SavedForm.Sizes, _ arguments: [Argument]
  ) throws(SavedFormError) {
    let count = sizes.excluded.count
    let fits =
      1...SizedFunction.mostUnknownSizes ~= count
      && sizes.points.allSatisfy { $0.count == count && $0.allSatisfy { 1...8192 ~= $0 } }
      && sizes.points.count >= SizeFormula.products(of: count).count
      && sizes.points.count <= 64
      && sizes.differing.allSatisfy { $0.count == 2 && $0.allSatisfy { 0..<count ~= $0 } }
      && sizes.places.count == arguments.count
      && zip(sizes.places, arguments).allSatisfy { places, argument in
        places.count == argument.shape.count
          && zip(places, argument.shape).allSatisfy { place, size in
            (place == nil) == (size != nil) && 0..<count ~= place ?? 0
          }
      }
    guard fits else { throw SavedFormError("what it says of unknown sizes makes no sense") }
  }

  /// What it takes, as one line.
  var text: String {
    (arguments.map(\.text) + (structure.map { [$0] } ?? [])).joined(separator: ", ")
  }

  // MARK: Calls

  /// The unknown sizes of a call with these arguments; nil if it is not for them.
  func sizes(of tensors: [Tensor]) -> [Int]? {
    guard tensors.count == arguments.count else { return nil }
    var found = [Int](repeating: -1, count: sizes?.excluded.count ?? 0)
    for (a, (tensor, argument)) in zip(tensors, arguments).enumerated() {
      guard tensor.dtype == argument.dtype, tensor.ndim == argument.shape.count else { return nil }
      for (axis, (size, known)) in zip(tensor.shape, argument.shape).enumerated() {
        if let known, known != size { return nil }
        guard let place = sizes?.places[a][axis] else { continue }
        if found[place] >= 0 && found[place] != size { return nil }
        found[place] = size
      }
    }
    guard let sizes else { return found }
    if found.contains(where: { $0 <= 0 }) { return nil }
    for (size, excluded) in zip(found, sizes.excluded) where excluded.contains(size) { return nil }
    for pair in sizes.differing where found[pair[0]] == found[pair[1]] { return nil }
    if sizes.excludesOnes && found.allSatisfy({ $0 == 1 }) { return nil }
    return found
  }

  /// Whether the state has the form with which the program begins.
  func fits(_ cells: [StateCell]) -> Bool {
    paths[0].reads.allSatisfy { $0.after > 0 || cells[$0.state].read()?.type == $0.type }
  }

  /// Does what the recorded closure did.
  func run(_ arguments: [Tensor], sizes: [Int], _ cells: [StateCell]) -> [Tensor] {
    var run = PathRun(arguments, sizes, cells)
    var candidates = paths
    var part = 0
    do throws(OpError) {
      while true {
        let path = candidates[0]
        try run.advance(path, part)
        guard part < path.looks.count else { return try run.finish(path) }
        let look = path.looks[part]
        let bytes = try run.bytes(of: look, on: path)
        candidates.removeAll { other in
          !(part < other.looks.count && other.looks[part].bytes == bytes
            && other.values[other.looks[part].value] == path.values[look.value])
        }
        if candidates.isEmpty {
          throw OpError(
            SavedFormError.operation,
            "\(look.operation) finds \(run.text(of: look, on: path)), where no call that was recorded found that; make such a "
              + "call before the function is saved")
        }
        part += 1
      }
    } catch {
      let failed = fail(error)
      return paths[0].results.map { _ in failed }
    }
  }
}

extension SavedFormError {
  /// The name of the operation in messages.
  static let operation = "SavedFunction"
}

extension DType {
  /// The dtype that a file names.
  fileprivate init(saved name: String) throws(SavedFormError) {
    guard let dtype = DType.allCases.first(where: { "\($0)" == name }) else {
      throw SavedFormError("\(name) is not a dtype")
    }
    self = dtype
  }
}

extension TensorType {
  /// The type that a file names; nil where it says that there is nothing.
  static func saved(_ dtype: String?, _ shape: [Int]?) throws(SavedFormError) -> TensorType? {
    guard let dtype, let shape else { return nil }
    guard shape.count <= Shape.maximumRank, shape.allSatisfy({ $0 >= 0 }) else {
      throw SavedFormError("\(shape) is not a shape")
    }
    let type = TensorType(try DType(saved: dtype), Shape(shape))
    guard type.shape.isRepresentable else { throw SavedFormError("\(shape) is not a shape") }
    return type
  }
}
