// Unsafe: hands a C task and its context to other threads. The caller of `run` keeps the context alive until
// `run` returns, and `run` returns only when no worker can touch the context any more.

import DuetKernels
import Foundation
import Synchronization

/// Worker threads that share the tasks of one kernel at a time. Workers spin for a moment after a job, since the
/// next kernel is usually close, and then sleep.
package final class ThreadPool: @unchecked Sendable {
  // Sendable: job fields are atomics, published by `ticket`; the rest is guarded by `gate` or `condition`.

  package static let shared = ThreadPool()
  static let maximumThreads = 256

  // A job is its epoch in the upper half of `ticket` and the next task in the lower half. A worker claims a task
  // by incrementing the lower half; a stale worker's claim fails because the epoch has moved on.
  private let ticket = Atomic<UInt64>(0)
  private let taskCount = Atomic<Int>(0)
  private let body = Atomic<UInt>(0)
  private let context = Atomic<UInt>(0)
  private let completed = Atomic<Int>(0)
  private let sleepers = Atomic<Int>(0)
  private let wanted = Atomic<Int>(1)

  /// Held by the thread whose job is running. Others do their tasks themselves meanwhile.
  private let gate = Atomic<Bool>(false)
  private let condition = NSCondition()
  private var workers = 0  // guarded by `condition`

  private init() {
    let text = ProcessInfo.processInfo.environment["DUET_NUM_THREADS"]
    let count = text.flatMap { Int($0) }.map { max(1, min($0, Self.maximumThreads)) }
    wanted.store(count ?? min(ProcessorCount.available, Self.maximumThreads), ordering: .relaxed)
    duet_set_parallel_for { tasks, body, context in
      ThreadPool.shared.run(tasks: Int(tasks), body!, context)
    }
  }

  /// Makes kernels use this pool. Called before the first kernel runs.
  package static func install() { _ = shared }

  package var threadCount: Int { wanted.load(ordering: .relaxed) }

  /// - Parameter count: At least 1.
  package func resize(to count: Int) {
    wanted.store(min(count, Self.maximumThreads), ordering: .relaxed)
    // Workers beyond the number stay asleep or find no task; missing ones are started by the next job.
  }

  /// Runs body(context, i) for all i in 0 ..< tasks and returns when all are done.
  private func run(
    tasks: Int, _ body: @convention(c) (UnsafeMutableRawPointer?, Int64) -> Void,
    _ context: UnsafeMutableRawPointer?
  ) {
    let thread = duet_thread()!
    let helpers = min(wanted.load(ordering: .relaxed), tasks) - 1
    guard helpers > 0, thread.pointee.in_parallel == 0,
      gate.compareExchange(expected: false, desired: true, ordering: .acquiring).exchanged
    else {
      for i in 0..<tasks { body(context, Int64(i)) }
      return
    }
    start(workers: helpers)
    thread.pointee.in_parallel = 1
    // Closes the last job: a worker that looked at its ticket before and sees the new number of tasks from here on
    // would claim a task that neither job has.
    let last = ticket.load(ordering: .relaxed) >> 32
    ticket.store(last << 32 | 0xFFFF_FFFF, ordering: .relaxed)
    taskCount.store(tasks, ordering: .releasing)
    // A C function's address as a number, which can be atomic.
    self.body.store(UInt(bitPattern: unsafeBitCast(body, to: Int.self)), ordering: .relaxed)
    self.context.store(UInt(bitPattern: context), ordering: .relaxed)
    completed.store(0, ordering: .relaxed)
    let epoch = last &+ 1
    ticket.store(epoch << 32, ordering: .sequentiallyConsistent)
    if sleepers.load(ordering: .sequentiallyConsistent) > 0 {
      condition.lock()
      condition.broadcast()
      condition.unlock()
    }
    work(on: epoch & 0xFFFF_FFFF)
    // The caller's own tasks are done; those that workers claimed are about to be.
    var spins = 0
    while completed.load(ordering: .acquiring) < tasks {
      spins &+= 1
      if spins & 1023 == 0 { sched_yield() } else { Self.pause() }
    }
    thread.pointee.in_parallel = 0
    gate.store(false, ordering: .releasing)
  }

  /// Claims and does tasks of the job with that epoch until none is left.
  private func work(on epoch: UInt64) {
    while true {
      let current = ticket.load(ordering: .acquiring)
      guard current >> 32 == epoch else { return }
      let index = Int(current & 0xFFFF_FFFF)
      guard index < taskCount.load(ordering: .acquiring) else { return }
      // A number that `run` has made of a function of this type.
      let task = unsafeBitCast(
        Int(bitPattern: body.load(ordering: .relaxed)),
        to: (@convention(c) (UnsafeMutableRawPointer?, Int64) -> Void).self)
      let argument = UnsafeMutableRawPointer(bitPattern: context.load(ordering: .relaxed))
      // Success proves that the epoch, and with it the fields just read, has not changed.
      guard
        ticket.compareExchange(
          expected: current, desired: current + 1, ordering: .acquiringAndReleasing
        ).exchanged
      else { continue }
      task(argument, Int64(index))
      completed.add(1, ordering: .releasing)
    }
  }

  private func start(workers count: Int) {
    condition.lock()
    defer { condition.unlock() }
    while workers < count {
      workers += 1
      let index = workers
      let thread = Thread { [self] in serve(as: index) }
      thread.name = "duet-worker-\(index)"
      thread.stackSize = 1 << 20
      thread.start()
    }
  }

  private func serve(as index: Int) {
    duet_thread().pointee.in_parallel = 1
    var seen: UInt64 = 0
    while true {
      var current = ticket.load(ordering: .acquiring) >> 32
      var spins = 0
      while current == seen && spins < 4000 {
        Self.pause()
        spins += 1
        current = ticket.load(ordering: .acquiring) >> 32
      }
      if current == seen {
        condition.lock()
        sleepers.add(1, ordering: .sequentiallyConsistent)
        while ticket.load(ordering: .sequentiallyConsistent) >> 32 == seen { condition.wait() }
        sleepers.subtract(1, ordering: .sequentiallyConsistent)
        condition.unlock()
        continue
      }
      seen = current
      if index < wanted.load(ordering: .relaxed) { work(on: current) }
    }
  }

  @inline(__always)
  private static func pause() {
    duet_pause()
  }
}
