import Foundation

/// Makes numbered elements ahead on threads of its own and hands them out in order.
///
/// At most two elements per worker are ready or in the making at once. The threads end when all elements are made
/// or the prefetcher goes away, which waits for them.
final class Prefetcher<Element: Sendable>: Sendable {
  private let queue: Queue

  init(count: Int, workers: Int, _ make: @escaping @Sendable (Int) -> Element) {
    queue = Queue(count: count, workers: min(workers, count), capacity: 2 * min(workers, count))
    for _ in 0..<min(workers, count) {
      // Holds the queue, not the prefetcher.
      let thread = Thread { [queue] in queue.work(make) }
      thread.name = "duet-data"
      thread.start()
    }
  }

  deinit { queue.cancel() }

  /// The next element, or nil after the last.
  func next() -> Element? { queue.next() }

  private final class Queue: @unchecked Sendable {
    // Sendable: everything that changes is guarded by `condition`. An element goes from the thread that has made it to the
    // one that takes it, and to no other.
    private let count: Int
    private let capacity: Int
    private let condition = NSCondition()
    private var claimed = 0
    private var delivered = 0
    private var ready: [Int: Element] = [:]
    private var isCancelled = false
    private var running: Int

    init(count: Int, workers: Int, capacity: Int) {
      self.count = count
      self.capacity = capacity
      running = workers
    }

    /// What each thread does.
    func work(_ make: (Int) -> Element) {
      while let index = claim() {
        let element = make(index)
        condition.lock()
        if !isCancelled { ready[index] = element }
        condition.broadcast()
        condition.unlock()
      }
    }

    /// The next element to make, once there is room for it; nil if there is nothing left to do.
    private func claim() -> Int? {
      condition.lock()
      defer { condition.unlock() }
      while !isCancelled && claimed < count && claimed >= delivered + capacity { condition.wait() }
      guard !isCancelled, claimed < count else {
        running -= 1
        condition.broadcast()
        return nil
      }
      claimed += 1
      return claimed - 1
    }

    func next() -> Element? {
      condition.lock()
      defer { condition.unlock() }
      guard delivered < count else { return nil }
      while true {
        if let element = ready.removeValue(forKey: delivered) {
          delivered += 1
          condition.broadcast()
          return element
        }
        condition.wait()
      }
    }

    func cancel() {
      condition.lock()
      defer { condition.unlock() }
      isCancelled = true
      condition.broadcast()
      while running > 0 { condition.wait() }
      ready.removeAll()
    }
  }
}
