import Duet

/// One block of a larger network.
func blockCases() -> Family {
  Family(
    title: "Blocks",
    cases: [
      Case(
        "resnet_block_train_b16",
        "residual block, batch norm: loss and 6 gradients, [16, 64, 28, 28]",
        cost: residualBlockCost,
        prepare: trainResidualBlock),
      Case(
        "transformer_block_infer", "attention and perceptron, [8, 128, 256]",
        cost: Cost(
          flops: transformerFlops, reading: tokens * 256 + transformerParameters,
          writing: tokens * 256)
      ) { mode in
        let (x, _, block) = transformer()
        let infer = mode.function { (x: Tensor) in noGrad { block(x) } }
        return Step { infer(x) }
      },
      Case(
        "transformer_block_train", "the same: forward, backward, Adam",
        cost: transformerTrainingCost, prepare: trainTransformerBlock),
    ])
}

// Products of the two convolutions, the first without a gradient of its input.
private let residualBlockCost: Cost = {
  let pixels = 16 * 64 * 28 * 28
  let parameters = 2 * (64 * 64 * 9 + 64 + 64)
  return Cost(
    flops: 5 * 2 * pixels * 64 * 9, reading: 2 * pixels + parameters, writing: parameters)
}()

// Products of a forward pass: four dense layers of widths 256 to 768, 256, 1024 and back, and the
// scores and mixtures of four heads of 64.
private let tokens = 8 * 128
private let transformerWeights = 256 * 768 + 256 * 256 + 2 * 256 * 1024
private let transformerParameters = transformerWeights + 768 + 256 + 1024 + 256 + 4 * 256
private let transformerFlops = 2 * tokens * transformerWeights + 2 * 2 * 8 * 4 * 128 * 128 * 64
let transformerTrainingCost = Cost.training(
  flops: 3 * transformerFlops, parameters: transformerParameters, slots: 2, batch: 2 * tokens * 256)

private func trainResidualBlock(_ mode: Mode) -> Step {
  var draw = Draws()
  let weight1 = Parameter(draw.weight(64, 64, 3, 3, fanIn: 576))
  let norm1 = Affine(&draw, 64)
  let weight2 = Parameter(draw.weight(64, 64, 3, 3, fanIn: 576))
  let norm2 = Affine(&draw, 64)
  let x = draw.normal(16, 64, 28, 28)
  let y = draw.normal(16, 64, 28, 28)
  let parameters = [weight1] + norm1.parameters + [weight2] + norm2.parameters
  let train = mode.function { (x: Tensor, y: Tensor) in
    let inner = relu(norm1.channels(conv2d(x, weight1.value, padding: 1)))
    let outer = norm2.channels(conv2d(inner, weight2.value, padding: 1))
    let loss = meanSquareError(relu(outer + x), y)
    return [loss.detached()] + gradients(of: [loss], by: parameters.map(\.value))
  }
  return Step { train(x, y) }
}

/// A transformer block with the norms first: attention of four heads without a mask, and a
/// perceptron four times as wide; both added to what they got.
private struct TransformerBlock {
  static let heads = 4
  let norm1, norm2: Affine
  let project, unite, widen, narrow: Dense

  init(_ draw: inout Draws, width: Int) {
    norm1 = Affine(&draw, width)
    project = Dense(&draw, width, 3 * width)
    unite = Dense(&draw, width, width)
    norm2 = Affine(&draw, width)
    widen = Dense(&draw, width, 4 * width)
    narrow = Dense(&draw, 4 * width, width)
  }

  var parameters: [Parameter] {
    norm1.parameters + project.parameters + unite.parameters + norm2.parameters
      + widen.parameters + narrow.parameters
  }

  func callAsFunction(_ x: Tensor) -> Tensor {
    let attended = x + unite(attention(project(norm1.rows(x))))
    return attended + narrow(gelu(widen(norm2.rows(attended)), approximate: .tanh))
  }

  /// softmax(q kᵀ / √d) v for each head; queries, keys and values lie side by side, [N, T, 3
  /// width].
  private func attention(_ qkv: Tensor) -> Tensor {
    let n = qkv.dim(0)
    let t = qkv.dim(1)
    let width = qkv.dim(2) / 3
    let parts = qkv.reshaped(n, t, 3, Self.heads, width / Self.heads).transposed(2, 0, 3, 1, 4)
    let scale = 1 / Float(width / Self.heads).squareRoot()
    let scores = matmul(parts[0] * scale, parts[1].swappedAxes(-1, -2))
    let mixed = matmul(softmax(scores, axis: -1), parts[2])
    return mixed.transposed(0, 2, 1, 3).reshaped(n, t, width)
  }
}

private func transformer() -> (x: Tensor, y: Tensor, block: TransformerBlock) {
  var draw = Draws()
  let block = TransformerBlock(&draw, width: 256)
  let x = draw.normal(8, 128, 256)
  return (x, draw.normal(8, 128, 256), block)
}

func trainTransformerBlock(_ mode: Mode) -> Step {
  let (x, y, block) = transformer()
  let optimizer = Adam(block.parameters, learningRate: 1e-3)
  let train = mode.function { (x: Tensor, y: Tensor) in
    optimizer.zeroGrad()
    let loss = meanSquareError(block(x), y)
    loss.backward()
    optimizer.step()
    return loss
  }
  return Step { train(x, y) }.changing(block.parameters)
}
