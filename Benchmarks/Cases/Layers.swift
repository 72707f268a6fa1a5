import Duet

/// A dense layer's parameters, weight [out, in].
struct Dense {
  let weight: Parameter
  let bias: Parameter

  init(_ draw: inout Draws, _ inputs: Int, _ outputs: Int) {
    weight = Parameter(draw.denseWeight(inputs, outputs))
    bias = Parameter(draw.weight(outputs, fanIn: inputs))
  }

  var parameters: [Parameter] { [weight, bias] }

  func callAsFunction(_ x: Tensor) -> Tensor { linear(x, weight.value, bias.value) }
}

/// Dense layers with relu between them.
struct Perceptron {
  let layers: [Dense]

  init(_ draw: inout Draws, _ sizes: Int...) {
    var layers: [Dense] = []
    for (inputs, outputs) in zip(sizes, sizes.dropFirst()) {
      layers.append(Dense(&draw, inputs, outputs))
    }
    self.layers = layers
  }

  var parameters: [Parameter] { layers.flatMap(\.parameters) }

  func callAsFunction(_ x: Tensor) -> Tensor {
    layers.dropFirst().reduce(layers[0](x)) { x, layer in layer(relu(x)) }
  }
}

/// A scale and an offset per channel.
struct Affine {
  let scale: Parameter
  let offset: Parameter

  init(_ draw: inout Draws, _ channels: Int) {
    scale = Parameter(draw.uniform(channels, low: 0.5, high: 1.5))
    offset = Parameter(draw.normal(channels, scale: 0.1))
  }

  var parameters: [Parameter] { [scale, offset] }

  /// Layer norm over the last axis.
  func rows(_ x: Tensor) -> Tensor { normalizedRows(x, scale.value, offset.value) }

  /// Batch norm of images [N, C, H, W] with the batch's own statistics.
  func channels(_ x: Tensor) -> Tensor {
    batchNorm(x, weight: scale.value, bias: offset.value)
  }
}

/// Layer norm over the last axis: zero mean and unit variance, then a scale and an offset.
func normalizedRows(_ x: Tensor, _ scale: Tensor, _ offset: Tensor) -> Tensor {
  layerNorm(x, weight: scale, bias: offset)
}

/// The mean of the squared differences.
func meanSquareError(_ x: Tensor, _ y: Tensor) -> Tensor { square(x - y).mean() }
