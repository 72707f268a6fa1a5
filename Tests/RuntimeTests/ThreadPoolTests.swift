// Unsafe: hands tasks to the pool the way kernels do, as C functions with a context pointer.

import Duet
@preconcurrency import DuetKernels
import DuetTestSupport
import Foundation
import Synchronization
import Testing

/// The pool runs every task exactly once, whoever asks and however many threads there are.
@Suite(.serialized) struct ThreadPoolTests {
  /// How often each task ran.
  private final class Counts: Sendable {
    let ran: [Count]
    final class Count: Sendable { let value = Atomic<Int>(0) }
    init(_ tasks: Int) { ran = (0..<tasks).map { _ in Count() } }
    var all: [Int] { ran.map { $0.value.load(ordering: .relaxed) } }
  }

  /// Runs so many tasks on the pool and counts how often each ran.
  private static func run(_ tasks: Int) -> [Int] {
    let counts = Counts(tasks)
    duet_parallel_for(
      Int64(tasks),
      { context, index in
        let counts = Unmanaged<Counts>.fromOpaque(context!).takeUnretainedValue()
        counts.ran[Int(index)].value.add(1, ordering: .relaxed)
      }, Unmanaged.passUnretained(counts).toOpaque())
    return withExtendedLifetime(counts) { counts.all }
  }

  init() { ThreadPool.install() }

  @Test("every task runs exactly once", arguments: 1...8)
  func everyTaskRunsOnce(_ threads: Int) {
    ProcessSettings.with(threads: threads) {
      #expect(threadCount == threads)
      for tasks in [0, 1, 2, 3, 7, 8, 9, 64, 1000] {
        #expect(Self.run(tasks) == Array(repeating: 1, count: tasks), "\(tasks) tasks")
      }
      for _ in 0..<300 { #expect(Self.run(5) == [1, 1, 1, 1, 1]) }
    }
  }

  /// A worker that is late for one job must not take a task of the next, which may have more.
  @Test func jobsOfDifferentSizesDoNotMix() {
    let sizes = [2, 9, 3, 64, 5, 17, 4, 33]
    ProcessSettings.with(threads: 4) {
      var wrong = 0
      for _ in 0..<5000 {
        for tasks in sizes where Self.run(tasks).contains(where: { $0 != 1 }) { wrong += 1 }
      }
      #expect(wrong == 0)
    }
  }

  @Test func tasksMayAskForTasks() {
    final class Outer: Sendable { let inner = (0..<8).map { _ in Counts(20) } }
    ProcessSettings.with(threads: 4) {
      let outer = Outer()
      duet_parallel_for(
        8,
        { context, index in
          let outer = Unmanaged<Outer>.fromOpaque(context!).takeUnretainedValue()
          let counts = outer.inner[Int(index)]
          duet_parallel_for(
            20,
            { context, index in
              let counts = Unmanaged<Counts>.fromOpaque(context!).takeUnretainedValue()
              counts.ran[Int(index)].value.add(1, ordering: .relaxed)
            }, Unmanaged.passUnretained(counts).toOpaque())
        }, Unmanaged.passUnretained(outer).toOpaque())
      for counts in outer.inner { #expect(counts.all == Array(repeating: 1, count: 20)) }
    }
  }

  @Test func severalThreadsMayAskAtOnce() {
    ProcessSettings.with(threads: 3) {
      let wrong = Atomic<Int>(0)
      DispatchQueue.concurrentPerform(iterations: 4) { _ in
        for i in 0..<200 where Self.run(1 + i % 17) != Array(repeating: 1, count: 1 + i % 17) {
          wrong.add(1, ordering: .relaxed)
        }
      }
      #expect(wrong.load(ordering: .relaxed) == 0)
    }
  }

  @Test func theNumberOfThreadsMayChangeAnyTime() {
    for threads in [1, 4, 2, 8, 1, 3] {
      ProcessSettings.with(threads: threads) {
        #expect(threadCount == threads)
        #expect(Self.run(100) == Array(repeating: 1, count: 100))
      }
    }
  }

  @Test func resultsOfKernelsOnManyThreadsAreComplete() {
    ProcessSettings.with(threads: 8) {
      let x = arange(300_000).asType(.float64)
      for _ in 0..<20 { #expect((x + 1).sum().item(Double.self) == 300_000 * 300_001 / 2) }
    }
  }
}
