import DuetEager
import DuetRuntime

/// What the tensors that a mapped function works on stand for.
final class BatchTable: @unchecked Sendable {
  // Sendable: belongs to the thread that records. What gradients look up later does not change any more, see `seal`.

  /// What was known before, to a recording that this one goes on with.
  private let earlier: BatchTable?
  private var values: [ObjectIdentifier: Batched] = [:]
  private var places: [ObjectIdentifier: Batched] = [:]
  private var regions: [ObjectIdentifier: [Batched]] = [:]
  // Hold what has a value, so that nothing else can get its identity.
  private var alive: [Tensor] = []
  private var alivePlaces: [AutogradMeta] = []
  /// How many tensors, and bytes behind them, were left when those that nobody else knows were let go of last.
  private var (keptCount, keptBytes) = (0, 0)
  private var newBytes = 0

  init(after earlier: BatchTable? = nil) { self.earlier = earlier }

  /// What a tensor stands for; nil for those of the surroundings.
  subscript(_ tensor: Tensor) -> Batched? {
    values[ObjectIdentifier(tensor.body)] ?? earlier?[tensor]
  }

  /// What the tensor at a place in the autograd graph stands for.
  func value(at place: AutogradMeta) -> Batched? {
    places[ObjectIdentifier(place)] ?? earlier?.value(at: place)
  }

  /// The results of a region.
  func results(of region: Tensor) -> [Batched]? { regions[ObjectIdentifier(region.body)] }

  func assign(_ value: Batched, to tensor: Tensor) {
    values[ObjectIdentifier(tensor.body)] = value
    alive.append(tensor)
    if let place = tensor.autograd,
      places.updateValue(value, forKey: ObjectIdentifier(place)) == nil
    {
      alivePlaces.append(place)
    }
    newBytes += Self.byteCount(value)
    if alive.count > 2 * keptCount + 64 || newBytes > max(keptBytes / 8, 1 << 20) { letGo() }
  }

  func assign(_ results: [Batched], toRegion region: Tensor) {
    regions[ObjectIdentifier(region.body)] = results
    alive.append(region)
  }

  private static func byteCount(_ value: Batched) -> Int {
    value.tensor.hasElements ? value.tensor.type.byteCount : 0
  }

  /// Lets go of the tensors that the function has let go of: mapping shall not need more memory than running.
  private func letGo() {
    var kept = 0
    (keptBytes, newBytes) = (0, 0)
    for i in alive.indices {
      if isKnownUniquelyReferenced(&alive[i].body) {
        let id = ObjectIdentifier(alive[i].body)
        (values[id], regions[id]) = (nil, nil)
      } else {
        keptBytes += values[ObjectIdentifier(alive[i].body)].map(Self.byteCount) ?? 0
        alive.swapAt(kept, i)
        kept += 1
      }
    }
    alive.removeLast(alive.count - kept)
    keptCount = kept
    kept = 0
    for i in alivePlaces.indices {
      if isKnownUniquelyReferenced(&alivePlaces[i]) {
        places[ObjectIdentifier(alivePlaces[i])] = nil
      } else {
        alivePlaces.swapAt(kept, i)
        kept += 1
      }
    }
    alivePlaces.removeLast(alivePlaces.count - kept)
  }

  /// Ends the recording. What is left is what gradients will ask for, as constants: places in the graph around would
  /// hold the functions that hold this table.
  /// - Parameter detached: Cuts a tensor off from the surroundings' graph.
  func seal(_ detached: (Tensor) -> Tensor) {
    (places, alivePlaces, regions) = ([:], [], [:])
    letGo()
    for (id, value) in values {
      values[id] = Batched(detached(value.tensor), isMapped: value.isMapped)
    }
  }
}
