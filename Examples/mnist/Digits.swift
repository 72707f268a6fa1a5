import Duet
import Foundation

/// Images to learn from and others to test with.
struct Digits {
  let training: Subset<MNIST>
  let test: Subset<MNIST>
  let description: String

  /// All of MNIST from a folder, or parts of the sample that comes with this package.
  init(at folder: URL?) throws {
    if let folder {
      let (training, test) = (try MNIST(.train, at: folder), try MNIST(.test, at: folder))
      self.training = Subset(training, 0..<training.count)
      self.test = Subset(test, 0..<test.count)
      description = "MNIST from \(folder.path): \(training.count) images, \(test.count) to test"
      return
    }
    let sample = try MNIST(.test, at: try Self.sampleFolder())
    let cut = sample.count * 4 / 5
    training = Subset(sample, 0..<cut)
    test = Subset(sample, cut..<sample.count)
    description =
      "the sample that comes with Duet: the first \(cut) of MNIST's test images to learn from, the last "
      + "\(sample.count - cut) to test (--data DIR takes all of MNIST)"
  }

  /// Beside the sources that this program was built from, or below the current folder.
  private static func sampleFolder() throws -> URL {
    let package = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .deletingLastPathComponent().deletingLastPathComponent()
    let here = URL(fileURLWithPath: FileManager.default.currentDirectoryPath, isDirectory: true)
    let candidates = [package, here].map { $0.appendingPathComponent("Data/mnist") }
    for folder in candidates where FileManager.default.fileExists(atPath: folder.path) {
      return folder
    }
    throw DataError(candidates[0], "the sample is not there; name a folder with MNIST: --data DIR")
  }
}
