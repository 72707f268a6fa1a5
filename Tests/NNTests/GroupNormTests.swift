import Duet
import DuetTestSupport
import Testing

@Suite struct GroupNormTests {
  static let layers: [String: @Sendable (DType) -> any UnaryLayer] = [
    "group_norm": { GroupNorm(2, 4, dtype: $0) },
    "group_norm_one": { GroupNorm(1, 4, eps: 1e-3, dtype: $0) },
    "group_norm_each": { GroupNorm(4, 4, dtype: $0) },
    "group_norm_plain": { GroupNorm(2, 6, affine: false, dtype: $0) },
    "instance_norm2d": { InstanceNorm2d(4, dtype: $0) },
    "instance_norm2d_affine": {
      InstanceNorm2d(4, affine: true, trackRunningStats: true, dtype: $0)
    },
    "instance_norm1d": {
      InstanceNorm1d(4, momentum: 0.3, affine: true, trackRunningStats: true, dtype: $0)
    },
    "instance_norm1d_single": { InstanceNorm1d(4, affine: true, dtype: $0) },
    "instance_norm2d_in_use": {
      InstanceNorm2d(4, affine: true, trackRunningStats: true, dtype: $0).eval()
    },
  ]

  @Test("A layer and its gradients are PyTorch's", arguments: layers.keys.sorted())
  func agrees(_ name: String) throws {
    try ModuleCase.check(name) { ModuleCase.Subject(Self.layers[name]!($0)) }
  }

  @Test func functionsAreTheLayers() {
    let x = Random.normal([2, 6, 5], generator: Generator(seed: 1))
    expectSame(groupNorm(x, groups: 3), GroupNorm(3, 6, affine: false)(x))
    expectSame(instanceNorm(x), InstanceNorm1d(6)(x))
    expectSame(groupNorm(x, groups: 6), instanceNorm(x))
  }

  @Test("gradients of gradients are those of the formula", arguments: [1, 2])
  func gradientsOfGradients(_ groups: Int) {
    let g = Generator(seed: 4)
    func draw(_ shape: [Int]) -> Tensor { Random.normal(shape, dtype: .float64, generator: g) }
    let (x, w, b) = (draw([2, 4, 3]), draw([4]), draw([4]))
    func formula(_ x: Tensor, _ w: Tensor, _ b: Tensor) -> Tensor {
      let rows = x.reshaped(2, groups, -1)
      let centred = rows - rows.mean(axis: 2, keepDims: true)
      let variance = centred.square().mean(axis: 2, keepDims: true)
      let normal = (centred / (variance + 1e-5).sqrt()).reshaped(2, 4, 3)
      return normal * w.reshaped(4, 1) + b.reshaped(4, 1)
    }
    func penalty(_ function: @escaping (Tensor, Tensor, Tensor) -> Tensor) -> [Tensor] {
      grad { (v: [Tensor]) in
        let d = grad { (v: [Tensor]) in function(v[0], v[1], b).square().square().sum() }(v)
        return d[0].square().sum() + d[1].square().sum()
      }([x, w])
    }
    let found = penalty { groupNorm($0, groups: groups, weight: $1, bias: $2) }
    let expected = penalty(formula)
    expectClose(found[0], expected[0], "by x", tolerance: 1e-9)
    expectClose(found[1], expected[1], "by the weight", tolerance: 1e-9)
  }

  @Test func weightsOfAnotherDtypeAreWidened() {
    let x = ones([2, 4, 3], dtype: .float16)
    #expect(groupNorm(x, groups: 2, weight: ones([4])).dtype == .float32)
  }

  @Test func emptyBatchesAreEmpty() {
    #expect(GroupNorm(2, 4)(zeros([0, 4, 3])).shape == [0, 4, 3])
    #expect(InstanceNorm1d(4)(zeros([0, 4, 3])).shape == [0, 4, 3])
  }

  @Test func mistakesAreNamed() {
    func expect(_ parts: String..., from body: () -> Void) {
      let found = mistake(body)
      for part in parts { #expect(found.contains(part), "\(found)") }
    }
    expect("GroupNorm", "5 channels", "2 groups") { _ = GroupNorm(2, 5) }
    expect("GroupNorm", "C = 4", "[2, 3, 5]") { _ = GroupNorm(2, 4)(ones([2, 3, 5])) }
    expect("GroupNorm", "floating-point") { _ = GroupNorm(2, 4)(Tensor([[1, 2, 3, 4]])) }
    expect("groupNorm", "3 groups", "[2, 4]") { _ = groupNorm(ones([2, 4]), groups: 3) }
    expect("groupNorm", "weight", "4 channels") {
      _ = groupNorm(ones([2, 4]), groups: 2, weight: ones([2]))
    }
    expect("InstanceNorm2d", "C = 3", "[2, 3, 5]") { _ = InstanceNorm2d(3)(ones([2, 3, 5])) }
    expect("InstanceNorm1d", "more than one value") { _ = InstanceNorm1d(3)(ones([2, 3, 1])) }
    expect("instanceNorm", "running mean and variance") {
      _ = instanceNorm(ones([2, 3, 2]), usesInputStatistics: false)
    }
    expect("instanceNorm", "running statistics of shape [2]") {
      _ = instanceNorm(ones([2, 3, 2]), runningMean: Variable(ones([2])))
    }
  }

  @Test func mistakesNameTheUsersLine() {
    func expect(_ line: Int, _ error: any Error) {
      let location = (error as? TensorError)?.location
      #expect(location?.file == "GroupNormTests.swift" && location?.line == line, "\(error)")
    }
    do {
      try checked { GroupNorm(2, 4)(ones([2, 3, 5])) }
      Issue.record("no error")
    } catch { expect(#line - 2, error) }
    do {
      try checked { LSTM(3, 4)(ones([2, 4])) }
      Issue.record("no error")
    } catch { expect(#line - 2, error) }
    do {
      try checked { MultiheadAttention(4, 2)(ones([3]), ones([3]), ones([3])) }
      Issue.record("no error")
    } catch { expect(#line - 2, error) }
  }
}
