// Trains LeNet on MNIST, eagerly or traced, and says how well and how fast.

import Foundation

do {
  guard let options = try Options(CommandLine.arguments.dropFirst()) else {
    print(Options.help)
    exit(0)
  }
  try train(options)
} catch let error as Options.Mistake {
  FileHandle.standardError.write(Data("mnist: \(error.text)\n".utf8))
  exit(2)
} catch {
  FileHandle.standardError.write(Data("mnist: \(error)\n".utf8))
  exit(1)
}
