import Duet
import Testing

/// Arguments of losses, optimizers and layers that cannot be right are named.
@Suite struct ArgumentTests {
  @Test func mistakesInArguments() {
    func message(_ body: () -> Void) -> String? {
      do { try checked(body) } catch let error as TensorError {
        return "\(error.operation): \(error.reason)"
      } catch {}
      return nil
    }
    let p = Parameter(ones([2]))
    p.grad = ones([2])
    #expect(
      message { _ = klDivergence(zeros([2, 1]), ones([3])) }
        == "klDivergence: predictions [2, 1] need targets of the same shape, not [3]")
    #expect(
      message { _ = mseLoss(Tensor([1]), Tensor([2])) }
        == "mseLoss: needs floating-point predictions, not int64; cast them first")
    #expect(
      message { _ = huberLoss(ones([1]), ones([1]), delta: -1) }
        == "huberLoss: delta must be above 0, not -1.0")
    #expect(
      message { _ = smoothL1Loss(ones([1]), ones([1]), beta: -1) }
        == "smoothL1Loss: beta must not be below 0, but is -1.0")
    #expect(
      message { clipGradNorm([p], maxNorm: -1) }
        == "clipGradNorm: maxNorm must not be below 0, but is -1.0")
    #expect(
      message { clipGradValue([p], limit: .nan) }
        == "clipGradValue: the limit must not be below 0, but is nan")
    #expect(
      message { _ = SGD([p], learningRate: -1) }
        == "SGD: learningRate must not be below 0, but is -1.0")
    #expect(
      message { _ = AdamW([p], betas: (0.9, 1)) }
        == "AdamW: betas must be at least 0 and below 1, not 1.0")
    #expect(
      message { _ = accuracy(ones([3, 2]), zeros([3, 1], dtype: .int64)) }
        == "accuracy: scores [3, 2] need a label for each row, not labels [3, 1]")
    #expect(p.grad!.asArray(Float.self) == [1, 1])
    let layers: [(String, () -> Void)] = [
      ("Linear: inFeatures", { _ = Linear(-4, 2) }),
      ("Embedding: count", { _ = Embedding(-1, 2) }),
      ("Conv2d: outChannels", { _ = Conv2d(3, -1, kernelSize: 3) }),
      ("LayerNorm: a size", { _ = LayerNorm([2, -1]) }), ("RMSNorm: a size", { _ = RMSNorm(-1) }),
      ("BatchNorm: channels", { _ = BatchNorm2d(-1) }),
    ]
    for (start, make) in layers {
      #expect(message(make)?.hasPrefix(start + " must not be below 0") == true, "\(start)")
    }
    #expect(message { _ = Conv2d(.max, 1, kernelSize: 3) } != nil)
  }
}
