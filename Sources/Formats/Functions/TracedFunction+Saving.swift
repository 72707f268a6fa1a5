import DuetEager
import DuetTracer
import Foundation

extension TracedFunction {
  /// Writes everything that the function has recorded to a file, from which ``SavedFunction`` runs it without the
  /// closure: the graphs of all signatures that it keeps (`maximumTraces` at most) and of all paths, functions lowered
  /// for unknown sizes, what they captured, and the state that they read, as it is now. What was recorded for state of
  /// another form, such as that of a model in training where it is in use now, is left out.
  ///
  ///     let f = traced { (x: Tensor) in noGrad { softmax(model(x), axis: 1) } }
  ///     try f.lower(TensorSpec([nil, 784]))
  ///     try f.save(to: URL(fileURLWithPath: "classifier.duet"))
  ///
  /// The file is one of the safetensors format, whatever its extension: other programs can read the arrays, and the
  /// graphs as text in the metadata. It is replaced as a whole: if writing fails, an old one is still there.
  /// - Throws: `DataError` if the file cannot be written. `TensorError` if nothing has been recorded, or something that
  ///   no file can hold: callbacks into Swift, gradients that go to what is outside, mistakes that it catches, a new
  ///   variable on every call, values that keep leading elsewhere. Also inside a traced function, and in deferred mode.
  public func save(to url: URL) throws { try write(try archive(), to: url) }
}

/// Where the form of a function stands in a file's metadata.
let functionKey = "duet.function"

func write(_ archive: FunctionArchive, to url: URL) throws {
  try requireNoRecording("save", adviceForSaving)
  let encoder = JSONEncoder()
  // Equal functions make equal bytes.
  encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
  let form = String(decoding: try encoder.encode(archive.form), as: UTF8.self)
  try SafetensorsWriter.write(archive.arrays, metadata: [functionKey: form], to: url)
}
