import Duet

extension Machine {
  func indexing(
    _ kind: Kind, _ a: Operand, _ b: Operand, _ random: inout SplitMix64
  ) -> Operand {
    let x = withAxis(nonempty(a))
    let axis = random.int(below: x.tensor.ndim)
    let count = x.tensor.dim(axis)
    switch kind {
    case .take:
      switch random.int(below: 3) {
      case 0:
        let order = say(
          argSort(numeric(x).tensor, axis: axis), "argSort(\(numeric(x)), axis: \(axis))")
        return say(
          takeAlong(x.tensor, order.tensor, axis: axis), "takeAlong(\(x), \(order), axis: \(axis))")
      case 1:
        let places = indices(b, below: x.tensor.size, 5)
        return say(take(x.tensor, places.tensor), "take(\(x), \(places))")
      default:
        let places = indices(b, below: count, random.int(1...6))
        return say(
          take(x.tensor, places.tensor, axis: axis), "take(\(x), \(places), axis: \(axis))")
      }
    case .scatter:
      let base = numeric(x)
      let places = indices(b, below: count, random.int(1...5))
      let updates = say(
        take(base.tensor, places.tensor, axis: axis), "take(\(base), \(places), axis: \(axis))")
      switch random.int(below: 3) {
      case 0:
        return say(
          scatterAdd(base.tensor, places.tensor, updates.tensor * 2, axis: axis),
          "scatterAdd(\(base), \(places), \(updates) * 2, axis: \(axis))")
      case 1:
        return say(
          scatterSet(base.tensor, places.tensor, updates.tensor + 1, axis: axis),
          "scatterSet(\(base), \(places), \(updates) + 1, axis: \(axis))")
      default:
        let order = say(argSort(base.tensor, axis: axis), "argSort(\(base), axis: \(axis))")
        return say(
          scatterAddAlong(base.tensor, order.tensor, base.tensor, axis: axis),
          "scatterAddAlong(\(base), \(order), \(base), axis: \(axis))")
      }
    case .gather:
      let places = indices(b, below: x.tensor.dim(0), 4)
      if x.tensor.ndim > 1 && random.chance(0.5) {
        let others = indices(a, below: x.tensor.dim(1), 4)
        return say(x.tensor[places.tensor, others.tensor], "\(x)[\(places), \(others)]")
      }
      return say(x.tensor[places.tensor], "\(x)[\(places)]")
    case .assignment: return assignment(x, b, &random)
    case .mask:
      let small = numeric(shaped(x, [min(5, x.tensor.size)]))
      switch random.int(below: 4) {
      case 0: return say(nonzero(small.tensor), "nonzero(\(small))")
      case 1: return say(unique(small.tensor), "unique(\(small))")
      case 2:
        return say(
          maskedSelect(small.tensor, small.tensor .> 0), "maskedSelect(\(small), \(small) .> 0)")
      default: return say(small.tensor[small.tensor .> 0], "\(small)[\(small) .> 0]")
      }
    case .oneHot:
      let places = indices(b, below: 4, 3)
      switch random.int(below: 5) {
      case 0: return say(nonzero(x.tensor, size: 3), "nonzero(\(x), size: 3)")
      case 1:
        let all = numeric(x)
        return say(
          uniqueAll(all.tensor, size: 3).inverse, "uniqueAll(\(all), size: 3).inverse")
      case 2: return say(bincount(places.tensor, length: 3), "bincount(\(places), length: 3)")
      default: return say(oneHot(places.tensor, 5), "oneHot(\(places), 5)")
      }
    default:
      // Now and then out of range, as the values tell.
      let places = integral(shaped(b, [3]))
      return say(take(x.tensor, places.tensor, axis: axis), "take(\(x), \(places), axis: \(axis))")
    }
  }

  /// That many integers from x, from 0 up to but not including `limit`.
  private func indices(_ x: Operand, below limit: Int, _ count: Int) -> Operand {
    let x = shaped(integral(x), [count])
    let bound = x.dtype == .int64 || x.dtype == .int32 ? limit : min(limit, 100)
    return say(abs(x.tensor % bound), "abs(\(x) % \(bound))")
  }

  private func assignment(
    _ x: Operand, _ other: Operand, _ random: inout SplitMix64
  ) -> Operand {
    var copy = x.tensor
    let name = "copy\(values.count)"
    listing?.add("var \(name) = \(x)")
    let place = random.int(below: x.tensor.dim(0))
    switch random.int(below: 4) {
    case 0:
      copy[place] = x.tensor[0]
      listing?.add("\(name)[\(place)] = \(x)[0]")
    case 1:
      let value = other.tensor.size > 0 ? other.tensor.flattened()[0] : Tensor(1)
      listing?.add(
        "\(name)[\(place)...] = "
          + (other.tensor.size > 0 ? "\(other).flattened()[0]" : "Tensor(1)"))
      copy[place...] = value
    case 2:
      let mask = numeric(x)
      copy[mask.tensor .> 1] = Tensor(2)
      listing?.add("\(name)[\(mask) .> 1] = Tensor(2)")
    default:
      let places = indices(other, below: x.tensor.dim(0), 2)
      copy[places.tensor] = x.tensor[place]
      listing?.add("\(name)[\(places)] = \(x)[\(place)]")
    }
    return say(copy, name)
  }
}
