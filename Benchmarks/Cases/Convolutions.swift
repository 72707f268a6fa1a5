import Duet

/// A 3×3 convolution of 8 images of 64 channels, 56×56, to 64 channels: 1.85 GFLOP, three times
/// that with gradients.
func convolutionCases() -> Family {
  Family(
    title: "Convolutions",
    cases: [
      Case(
        "conv3x3_fwd", "3×3, padding 1, [8, 64, 56, 56]",
        cost: Cost(flops: products, reading: pixels + weights, writing: pixels)
      ) { mode in
        let (x, weight, _) = images()
        let f = mode.function { (x: Tensor, weight: Tensor) in conv2d(x, weight, padding: 1) }
        return Step { f(x, weight) }
      },
      Case(
        "conv3x3_fwd_bwd", "that, and the gradients of input and weight",
        cost: Cost(
          flops: 3 * products, reading: 2 * pixels + weights, writing: 2 * pixels + weights)
      ) { mode in
        let (x, weight, cotangent) = images()
        let f = mode.function { (x: Tensor, weight: Tensor, cotangent: Tensor) in
          let y = conv2d(x, weight, padding: 1)
          return [y.detached()] + gradients(of: [y], by: [x, weight], cotangents: [cotangent])
        }
        let leaves = (x.requiringGrad(), weight.requiringGrad())
        return Step { f(leaves.0, leaves.1, cotangent) }
      },
    ])
}

// Elements of the input, which are as many as of the output, and of the weight; operations of the
// direct form, taps on the padding included.
private let pixels = 8 * 64 * 56 * 56
private let weights = 64 * 64 * 9
private let products = 2 * pixels * 64 * 9

private func images() -> (x: Tensor, weight: Tensor, cotangent: Tensor) {
  var draw = Draws()
  let x = draw.normal(8, 64, 56, 56)
  let weight = draw.weight(64, 64, 3, 3, fanIn: 576)
  return (x, weight, draw.normal(8, 64, 56, 56))
}
