import Duet
import DuetTestSupport
import DuetThreadSanitizer
import Foundation
import Synchronization
import Testing

@Suite struct LockTests {
  @Test func oneThreadAtATimeUsesTheValue() {
    let state = Lock((total: 0, inside: 0, most: 0))
    onThreads(6) { _ in
      for i in 0..<20_000 {
        state.withLock { state in
          state.inside += 1
          state.most = max(state.most, state.inside)
          // Some sections last so long that the others have gone to sleep.
          if i % 10_000 == 0 { for _ in 0..<50 { sched_yield() } }
          state.total += 1
          state.inside -= 1
        }
      }
    }
    #expect(state.withLock { $0.total } == 120_000)
    #expect(state.withLock { $0.most } == 1)
  }

  /// All that wait are asleep when the lock becomes free, and each has to be woken by the one before.
  @Test func everyoneWhoWaitsGetsTheLock() {
    let waiting = Atomic<Int>(0)
    let order = Lock<[Int]>([])
    onThreads(8) { thread in
      if thread == 0 {
        order.withLock { order in
          while waiting.load(ordering: .acquiring) < 7 { sched_yield() }
          for _ in 0..<200 { sched_yield() }
          order.append(0)
        }
      } else {
        waiting.add(1, ordering: .releasing)
        order.withLock { $0.append(thread) }
      }
    }
    #expect(order.withLock { $0.sorted() } == Array(0..<8))
  }

  @Test func sectionsThatThrowReleaseTheLock() {
    struct Mistake: Error {}
    let value = Lock(1)
    #expect(throws: Mistake.self) {
      try value.withLock { value throws(Mistake) in
        value = 2
        throw Mistake()
      }
    }
    #expect(value.withLock { $0 } == 2)
  }

  @Test func aValueIsReleasedWithItsLock() {
    let object = Counted.Count()
    do {
      let lock = Lock<[Counted]>([])
      lock.withLock { $0 = [Counted(object), Counted(object)] }
      #expect(object.alive.load(ordering: .relaxed) == 2)
    }
    #expect(object.alive.load(ordering: .relaxed) == 0)
  }

  @Test func whatIsMadeOnManyThreadsIsKeptOnce() {
    let count = Counted.Count()
    do {
      final class Holder: Sendable { let made = LazyReference<Counted>() }
      let holder = Holder()
      #expect(holder.made.unretained == nil)
      let addresses = Lock<Set<ObjectIdentifier>>([])
      onThreads(6) { _ in
        let kept = holder.made.storeIfNil(Counted(count)).takeUnretainedValue()
        addresses.withLock { _ = $0.insert(ObjectIdentifier(kept)) }
      }
      #expect(addresses.withLock { $0.count } == 1)
      #expect(count.alive.load(ordering: .relaxed) == 1)
      #expect(
        holder.made.unretained.map { ObjectIdentifier($0.takeUnretainedValue()) }
          == addresses.withLock { $0.first })
    }
    // A thread lets go of what its block has captured after it has said that it is done.
    for _ in 0..<2000 where count.alive.load(ordering: .relaxed) != 0 { usleep(1000) }
    #expect(count.alive.load(ordering: .relaxed) == 0)
  }

  #if os(Linux)
    @Test func theThreadSanitizerSeesReferenceCounts() {
      #expect((duet_sees_reference_counts() != 0) == (dlsym(nil, "__tsan_acquire") != nil))
    }
  #endif
}

/// Counts how many of its kind there are.
private final class Counted: Sendable {
  final class Count: Sendable { let alive = Atomic<Int>(0) }
  private let count: Count

  init(_ count: Count) {
    self.count = count
    count.alive.add(1, ordering: .relaxed)
  }

  deinit { count.alive.subtract(1, ordering: .relaxed) }
}
