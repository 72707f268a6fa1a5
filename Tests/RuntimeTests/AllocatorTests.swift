import Duet
import DuetTestSupport
import Testing

/// The caching allocator. Each test has a process of its own, so that its figures are its own.
@Suite struct AllocatorTests {
  @Test func blocksAreUsedAgain() async {
    await #expect(processExitsWith: .success) {
      let size = 3_000_000
      var first: Storage? = Storage.allocate(byteCount: size)
      let (base, before) = (first!.base, Allocator.statistics)
      first = nil
      #expect(Allocator.statistics.cachedBytes >= size)
      let second = Storage.allocate(byteCount: size - 1000)
      #expect(second.base == base)
      #expect(Allocator.statistics.systemAllocations == before.systemAllocations)
      #expect(Allocator.statistics.liveBytes == before.liveBytes)
    }
  }

  @Test func blocksAreAlignedAndLargeEnough() async {
    await #expect(processExitsWith: .success) {
      var held: [Storage] = []
      for size in [
        0, 1, 63, 64, 960, 961, 1023, 1024, 1025, 1280, 1281, 4095, 4097, 100_000, 5_000_001,
      ] {
        let storage = Storage.allocate(byteCount: size)
        #expect(storage.byteCount == size)
        if size > 960 { #expect(UInt(bitPattern: storage.base) % 64 == 0) }
        storage.base.initializeMemory(as: UInt8.self, repeating: 0xA5, count: size)
        held.append(storage)
      }
      for storage in held {
        for i in 0..<storage.byteCount
        where storage.base.load(fromByteOffset: i, as: UInt8.self) != 0xA5 {
          Issue.record("blocks overlap")
          return
        }
      }
    }
  }

  @Test func statisticsCountWhatIsLiveAndWhatWasAtMost() async {
    await #expect(processExitsWith: .success) {
      let start = Allocator.statistics.liveBytes
      Allocator.resetPeak()
      var x: Tensor? = zeros([1 << 20])
      #expect(Allocator.statistics.liveBytes - start >= 4 << 20)
      var y: Tensor? = x! + 1
      let both = Allocator.statistics
      #expect(both.liveBytes - start >= 8 << 20)
      #expect(both.peakBytes >= both.liveBytes)
      x = nil
      y = nil
      _ = y
      #expect(Allocator.statistics.liveBytes == start)
      #expect(Allocator.statistics.peakBytes == both.peakBytes)
      Allocator.resetPeak()
      #expect(Allocator.statistics.peakBytes == start)
    }
  }

  @Test func trimmingGivesEverythingBack() async {
    await #expect(processExitsWith: .success) {
      for size in [2_000, 50_000, 7_000_000] { _ = Storage.allocate(byteCount: size) }
      #expect(Allocator.statistics.cachedBytes >= 7_052_000)
      Allocator.trim()
      #expect(Allocator.statistics.cachedBytes == 0)
      expectSame(ones([100_000]).sum(), Tensor(100_000.0))
    }
  }

  @Test func nothingIsKeptBeyondTheLimit() async {
    await #expect(processExitsWith: .success) {
      Allocator.trim()
      Allocator.cacheLimit = 1_000_000
      for _ in 0..<3 {
        let blocks = (0..<10).map { _ in Storage.allocate(byteCount: 300_000) }
        withExtendedLifetime(blocks) {}
      }
      #expect(Allocator.statistics.cachedBytes <= 1_000_000)
      Allocator.cacheLimit = 0
      #expect(Allocator.statistics.cachedBytes == 0)
      _ = Storage.allocate(byteCount: 300_000)
      #expect(Allocator.statistics.cachedBytes == 0)
    }
  }

  @Test func aPageGoesBackOnceNothingOnItIsInUse() async {
    await #expect(processExitsWith: .success) {
      Allocator.trim()
      var held: Storage? = Storage.allocate(byteCount: 5_000)
      for _ in 0..<2 { withExtendedLifetime(Storage.allocate(byteCount: 700_000)) {} }
      let cached = Allocator.statistics.cachedBytes
      #expect(cached >= 700_000)
      Allocator.trim()
      #expect(Allocator.statistics.cachedBytes == cached)
      let base = held!.base
      held = nil
      let again = Storage.allocate(byteCount: 5_000)
      #expect(again.base == base)
      withExtendedLifetime(again) {}
    }
    await #expect(processExitsWith: .success) {
      var held: [Storage] = (0..<40).map { Storage.allocate(byteCount: 1_000 + 30_000 * $0) }
      #expect(Allocator.statistics.systemAllocations < 40)
      while !held.isEmpty { held.removeLast() }
      Allocator.trim()
      #expect(Allocator.statistics.cachedBytes == 0)
      #expect(Allocator.statistics.liveBytes == 0)
    }
  }

  @Test func threadsGetBlocksOfTheirOwn() async {
    await #expect(processExitsWith: .success) {
      await withTaskGroup(of: Void.self) { group in
        for thread in 0..<4 {
          group.addTask {
            var draw = SplitMix64(UInt64(thread))
            var held: [(storage: Storage, mark: UInt8)] = []
            for i in 0..<3000 {
              if i % 500 == 499 { Allocator.trim() }
              if held.count < 20 || draw.int(0...1) == 0 {
                let storage = Storage.allocate(
                  byteCount: draw.int(961...(1 << draw.int(10...21))))
                let mark = UInt8(truncatingIfNeeded: i &* 4 &+ thread)
                storage.base.initializeMemory(
                  as: UInt8.self, repeating: mark, count: storage.byteCount)
                held.append((storage, mark))
              } else {
                let (storage, mark) = held.remove(at: draw.int(0...held.count - 1))
                let bytes = UnsafeRawBufferPointer(
                  start: storage.base, count: storage.byteCount)
                if bytes.contains(where: { $0 != mark }) { Issue.record("blocks overlap") }
              }
            }
          }
        }
      }
    }
  }

  @Test func aTrainedModelNeedsNoMoreMemoryAsItGoesOn() async {
    await #expect(processExitsWith: .success) {
      let w = Parameter(ones([64, 64]), name: "w")
      func step(_ x: Tensor) {
        w.grad = nil
        matmul(x, w.value).tanh().sum().backward()
        noGrad { w.value = w.value - w.grad! * 0.01 }
      }
      let f = traced { (x: Tensor) in step(x) }
      let x = ones([32, 64])
      for _ in 0..<5 {
        step(x)
        f(x)
      }
      let before = Allocator.statistics
      for _ in 0..<50 {
        step(x)
        f(x)
      }
      #expect(Allocator.statistics.liveBytes == before.liveBytes)
      #expect(Allocator.statistics.systemAllocations == before.systemAllocations)
      withExtendedLifetime(x) {}
    }
  }
}
