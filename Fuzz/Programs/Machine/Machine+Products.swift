import Duet

extension Machine {
  func product(
    _ kind: Kind, _ a: Operand, _ b: Operand, _ random: inout SplitMix64
  ) -> Operand {
    switch kind {
    case .matmul: return matmul(numeric(a), numeric(b), &random)
    case .linear:
      let (rows, k, n) = (random.int(1...6), random.int(1...9), random.int(1...17))
      let x = shaped(floating(a), [rows, k])
      let weight = shaped(like(x, b), [n, k])
      if random.chance(0.5) {
        return say(Duet.linear(x.tensor, weight.tensor), "linear(\(x), \(weight))")
      }
      let bias = shaped(like(x, b), [n])
      return say(
        Duet.linear(x.tensor, weight.tensor, bias.tensor), "linear(\(x), \(weight), \(bias))")
    case .einsum:
      let (m, k, n) = (random.int(1...5), random.int(1...6), random.int(1...4))
      let x = shaped(floating(a), [m, k])
      let other = like(x, b)
      switch random.int(below: 4) {
      case 0:
        let y = shaped(other, [k, n])
        return say(
          Duet.einsum("ij,jk->ik", x.tensor, y.tensor), "einsum(\"ij,jk->ik\", \(x), \(y))")
      case 1:
        let y = shaped(other, [m, k])
        return say(Duet.einsum("ij,ij->i", x.tensor, y.tensor), "einsum(\"ij,ij->i\", \(x), \(y))")
      case 2:
        let y = shaped(other, [n])
        return say(
          Duet.einsum("ij,k->kji", x.tensor, y.tensor), "einsum(\"ij,k->kji\", \(x), \(y))")
      default: return say(Duet.einsum("ij->ji", x.tensor), "einsum(\"ij->ji\", \(x))")
      }
    case .convolution: return convolution(wide(a), b, &random)
    default:
      let (height, width) = (random.int(3...9), random.int(3...9))
      let x = shaped(floating(a), [random.int(1...2), random.int(1...3), height, width])
      let kernel = random.int(1...3)
      if random.chance(0.5) {
        let stride = random.int(1...2)
        return say(
          maxPool2d(x.tensor, kernelSize: kernel, stride: stride),
          "maxPool2d(\(x), kernelSize: \(kernel), stride: \(stride))")
      }
      return say(
        avgPool2d(x.tensor, kernelSize: kernel, padding: kernel / 2),
        "avgPool2d(\(x), kernelSize: \(kernel), padding: \(kernel / 2))")
    }
  }

  /// b in the dtype of x.
  private func like(_ x: Operand, _ b: Operand) -> Operand {
    b.dtype == x.dtype ? b : say(b.tensor.asType(x.dtype), "\(b).asType(.\(x.dtype))")
  }

  private func matmul(_ a: Operand, _ b: Operand, _ random: inout SplitMix64) -> Operand {
    if program.isSized {
      let x = matrix(a)
      let y = x.tensor.swappedAxes(-1, -2)
      return random.chance(0.5)
        ? say(Duet.matmul(x.tensor, y), "matmul(\(x), \(x).swappedAxes(-1, -2))")
        : say(Duet.matmul(y, x.tensor), "matmul(\(x).swappedAxes(-1, -2), \(x))")
    }
    let isLarge = program.sizeLimit > 10_000 && random.chance(0.5)
    func dimension(_ random: inout SplitMix64) -> Int {
      isLarge
        ? random.int(65...200)
        : random.chance(0.03) ? 0 : random.pick([1, 1, 2, 3, 5, 8, 15, 16, 17, 33])
    }
    let (m, k, n) = (dimension(&random), dimension(&random), dimension(&random))
    switch random.int(below: 6) {
    case 0:
      let x = matrix(a)
      if x.tensor.dim(-2) <= 40 {
        return say(
          Duet.matmul(x.tensor, x.tensor.swappedAxes(-1, -2)),
          "matmul(\(x), \(x).swappedAxes(-1, -2))")
      }
      return say(
        Duet.matmul(x.tensor.swappedAxes(-1, -2), x.tensor),
        "matmul(\(x).swappedAxes(-1, -2), \(x))", ifWide: x)
    case 1:
      let (x, y) = (shaped(a, [m, k]), shaped(b, [k]))
      return say(Duet.matmul(x.tensor, y.tensor), "matmul(\(x), \(y))")
    case 2:
      let (x, y) = (shaped(a, [2, m, k]), shaped(b, [k, n]))
      return say(Duet.matmul(x.tensor, y.tensor), "matmul(\(x), \(y))")
    case 3:
      let (x, y) = (shaped(a, [m]), shaped(b, [n]))
      return say(outer(x.tensor, y.tensor), "outer(\(x), \(y))")
    case 4 where a.dtype.productSums != nil:
      let (x, y) = (shaped(a, [m, k]), shaped(like(a, b), [k, n]))
      let sums = a.dtype.productSums!
      return say(
        Duet.matmul(x.tensor, y.tensor, dtype: sums), "matmul(\(x), \(y), dtype: .\(sums))")
    default:
      let (x, y) = (shaped(a, [m, k]), shaped(b, [k, n]))
      return say(Duet.matmul(x.tensor, y.tensor), "matmul(\(x), \(y))")
    }
  }

  /// As `say`, where both of x's last axes are not long.
  private func say(
    _ tensor: @autoclosure () -> Tensor, _ text: @autoclosure () -> String, ifWide x: Operand
  ) -> Operand {
    x.tensor.dim(-1) <= 400
      ? say(tensor(), text()) : say(x.tensor.sum(axis: 0), "\(x).sum(axis: 0)")
  }

  private func convolution(
    _ a: Operand, _ b: Operand, _ random: inout SplitMix64
  ) -> Operand {
    // Sometimes with enough channels to be computed in tiles.
    let isTiled = random.chance(0.2)
    let groups = isTiled ? 1 : random.pick([1, 1, 2])
    let channels = isTiled ? 16 : random.int(1...3)
    let (height, width) = (random.int(3...7), random.int(3...8))
    let kernel = isTiled ? 3 : random.int(1...3)
    let stride = isTiled ? 1 : random.int(1...2)
    let padding = random.int(0...1)
    let out = isTiled ? 16 : groups * random.int(1...3)
    let x = shaped(a, [random.int(1...2), groups * channels, height, width])
    let weight = shaped(like(x, b), [out, channels, kernel, kernel])
    return say(
      conv2d(x.tensor, weight.tensor, stride: stride, padding: padding, groups: groups),
      "conv2d(\(x), \(weight), stride: \(stride), padding: \(padding), groups: \(groups))")
  }
}
