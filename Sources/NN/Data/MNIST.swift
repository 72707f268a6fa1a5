import DuetEager
import DuetRuntime
import Foundation

/// The MNIST images of handwritten digits (LeCun, Cortes and Burges): `float32[1, 28, 28]` with their digits as
/// `int64` scalars.
public struct MNIST: Dataset {
  /// The two parts that MNIST is published in.
  public enum Part: String, Sendable {
    /// 60,000 images.
    case train
    /// 10,000 images.
    case test = "t10k"
  }

  /// All images as they are in the file: `uint8[N, 1, 28, 28]`.
  public let images: Tensor
  /// All digits, `int64[N]`.
  public let labels: Tensor
  /// Whether images have mean 0 and standard deviation 1, over the whole set, rather than 0 to 1.
  public let isNormalized: Bool

  /// Reads `train-images-idx3-ubyte` and `train-labels-idx1-ubyte`, or the `t10k` pair, with or without `.gz`.
  /// - Parameter normalized: Whether images get mean 0 and standard deviation 1 rather than 0 to 1.
  /// - Throws: `DataError` if a file is missing or is not what it should be.
  public init(_ part: Part, at folder: URL, normalized: Bool = false) throws(DataError) {
    let imageFile = try Self.find("\(part.rawValue)-images-idx3-ubyte", in: folder)
    let labelFile = try Self.find("\(part.rawValue)-labels-idx1-ubyte", in: folder)
    let images = try IDXFile(contentsOf: imageFile)
    guard images.dtype == .uint8, images.shape.count == 3, Array(images.shape[1...]) == [28, 28]
    else {
      throw DataError(
        imageFile, "holds \(images.dtype)\(images.shape), not uint8 images of 28 by 28")
    }
    let labels = try IDXFile(contentsOf: labelFile)
    guard labels.dtype == .uint8, labels.shape == [images.shape[0]] else {
      throw DataError(
        labelFile, "holds \(labels.dtype)\(labels.shape), not uint8[\(images.shape[0])]")
    }
    if let odd = labels.bytes.first(where: { $0 > 9 }) {
      throw DataError(labelFile, "holds the label \(odd), which is not a digit")
    }
    self.images = images.tensor.reshaped(images.shape[0], 1, 28, 28)
    self.labels = labels.tensor.asType(.int64)
    isNormalized = normalized
  }

  /// The number of images in the file: 60,000 or 10,000 as published.
  public var count: Int { labels.size }

  /// An image `float32[1, 28, 28]` and its digit, an `int64` scalar.
  public subscript(index: Int) -> (Tensor, Tensor) {
    let place = Tensor(index)
    return (scaled(take(images, place, axis: 0)), take(labels, place, axis: 0))
  }

  /// Images `float32[n, 1, 28, 28]` and digits `int64[n]`. Only these become floats: all images stay bytes.
  public func batch(_ indices: [Int]) -> (Tensor, Tensor) {
    let places = Tensor(indices)
    return (scaled(take(images, places, axis: 0)), take(labels, places, axis: 0))
  }

  private func scaled(_ images: Tensor) -> Tensor {
    let unit = images.asType(.float32) / 255
    // The mean and standard deviation of all training images.
    return isNormalized ? (unit - 0.1307) / 0.3081 : unit
  }

  private static func find(_ name: String, in folder: URL) throws(DataError) -> URL {
    for candidate in [name + ".gz", name] {
      let url = folder.appendingPathComponent(candidate)
      if FileManager.default.fileExists(atPath: url.path) { return url }
    }
    throw DataError(folder, "holds neither \(name).gz nor \(name)")
  }
}
