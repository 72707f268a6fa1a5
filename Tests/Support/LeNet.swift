import Duet

/// The network of LeCun and others (1998) with rectifiers and maximum pooling: images `[N, 1, 28, 28]` to scores
/// `[N, 10]`.
public struct LeNet: UnaryLayer {
  public let conv1 = Conv2d(1, 6, kernelSize: 5), conv2 = Conv2d(6, 16, kernelSize: 5)
  public let fc1 = Linear(256, 120), fc2 = Linear(120, 84), fc3 = Linear(84, 10)

  public init() {}

  public func callAsFunction(_ x: Tensor) -> Tensor {
    var x = maxPool2d(relu(conv1(x)), kernelSize: 2)
    x = maxPool2d(relu(conv2(x)), kernelSize: 2).flattened(start: 1)
    return fc3(relu(fc2(relu(fc1(x)))))
  }
}
