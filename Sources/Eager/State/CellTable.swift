// Unsafe: gives out addresses of cells' contents. What is only read is held by the caller, what is written is
// locked, until the addresses are no longer used. References to cells are kept without counting; the
// table holds the cells.

import DuetRuntime
import Synchronization

/// The state cells that a compiled program reads and writes, with what it needs to know of each: one call asks
/// all of them for addresses, and changes all of them, without counting references or allocating anything.
///
/// What a run has found out about a content holds for the next one if the content has the same number then:
/// most cells are looked at no closer than that.
package final class CellTable: @unchecked Sendable {
  // Sendable: constant after init, raw memory included, but for what is known of contents. That of cells that are only
  // read is atomic, and used by whoever has then pinned the content that it belongs to; that of cells that are written
  // is for the holder of the cell's lock, as contents are.

  /// A cell whose content the program depends on.
  package struct Read {
    fileprivate let cell: Unmanaged<StateCell>
    fileprivate let dtype: DType
    fileprivate let shape: Shape
    fileprivate let hasContent: Bool
    fileprivate let requiresGrad: Bool
    /// The program's input that the content is; -1: its form alone matters.
    fileprivate let input: Int

    /// - Parameter type: What the content has to be; nil: there must be none.
    package init(_ cell: StateCell, type: TensorType?, requiresGrad: Bool, input: Int?) {
      self.cell = .passUnretained(cell)
      dtype = type?.dtype ?? .float32
      shape = type?.shape ?? []
      hasContent = type != nil
      self.requiresGrad = requiresGrad
      self.input = input ?? -1
    }
  }

  /// A cell that gets a new content.
  package struct Write {
    fileprivate let cell: Unmanaged<StateCell>
    fileprivate var form: TensorForm
    fileprivate let autograd: Unmanaged<AutogradMeta>?
    /// The program's output that the content is; -1: it comes from elsewhere.
    fileprivate let output: Int
    /// Whether the program may compute the new content where the old one is.
    fileprivate let replacesInPlace: Bool

    package init(
      _ cell: StateCell, type: TensorType, autograd: AutogradMeta?, output: Int?,
      replacesInPlace: Bool
    ) {
      self.cell = .passUnretained(cell)
      form = TensorForm(type)
      self.autograd = autograd.map { .passUnretained($0) }
      self.output = output ?? -1
      self.replacesInPlace = replacesInPlace
    }
  }

  /// A cell that is only read, and what is known of its content with that number. Written under the cell's lock; read
  /// by whoever then pins just that content.
  private struct Reading: ~Copyable {
    let cell: Unmanaged<StateCell>
    let input: Int
    let number = Atomic<UInt64>(CellWord.noContent)
    let address = Atomic<UInt>(0)
    /// 0: the form alone matters.
    let body = Atomic<UInt>(0)

    init(_ read: Read) {
      cell = read.cell
      input = read.input
    }
  }

  /// A cell that is written, and what is known of its content with that number. For the holder of the cell's lock.
  private struct Writing {
    let cell: Unmanaged<StateCell>
    /// The program's input that the old content is; -1: none.
    let input: Int
    let output: Int
    /// Where the cell is among those that are read, too; -1: it is none of them.
    let read: Int
    var number = CellWord.noContent
    var address = UnsafeMutableRawPointer(bitPattern: 64)!
    /// Whether the new content may be computed where this one is, if nobody but the cell has it.
    var canStay = false
  }

  private let reads: UnsafeMutableBufferPointer<Read>
  private let readings: UnsafeMutablePointer<Reading>
  private let readsOfWritten: UnsafeMutableBufferPointer<Read>
  private let writes: UnsafeMutableBufferPointer<Write>
  private let writings: UnsafeMutableBufferPointer<Writing>
  private let owners: [AnyObject]

  /// - Parameters:
  ///   - onlyRead: Cells that are not written.
  ///   - readAndWritten: Cells that are also among `written`.
  ///   - written: In the order of the cells' making, which is the order of their locks.
  package init(onlyRead: [Read], readAndWritten: [Read], written: [Write]) {
    func copy<T>(_ array: [T]) -> UnsafeMutableBufferPointer<T> {
      let buffer = UnsafeMutableBufferPointer<T>.allocate(capacity: array.count)
      _ = buffer.initialize(from: array)
      return buffer
    }
    reads = copy(onlyRead)
    readings = .allocate(capacity: onlyRead.count)
    for (i, read) in onlyRead.enumerated() { (readings + i).initialize(to: Reading(read)) }
    readsOfWritten = copy(readAndWritten)
    writes = copy(written)
    writings = copy(
      written.map { write in
        let cell = write.cell.toOpaque()
        let read = readAndWritten.firstIndex { $0.cell.toOpaque() == cell }
        return Writing(
          cell: write.cell, input: read.map { readAndWritten[$0].input } ?? -1,
          output: write.output, read: read ?? -1)
      })
    owners =
      onlyRead.map { $0.cell.takeUnretainedValue() as AnyObject }
      + written.map { $0.cell.takeUnretainedValue() }
      + written.compactMap { $0.autograd?.takeUnretainedValue() }
  }

  deinit {
    reads.deallocate()
    readings.deinitialize(count: reads.count)
    readings.deallocate()
    readsOfWritten.deallocate()
    writes.deallocate()
    writings.deallocate()
  }

  /// The cells that are written.
  package var writtenCells: [StateCell] { writes.map { $0.cell.takeUnretainedValue() } }

  /// Evaluates contents that are pending.
  /// - Returns: Whether there were any.
  package func settle() -> Bool {
    var didSettle = false
    for reads in [reads, readsOfWritten] {
      for read in reads where read.cell._withUnsafeGuaranteedRef({ $0.settle() }) {
        didSettle = true
      }
    }
    return didSettle
  }

  /// Whether all contents have the form that the program was made for.
  package func matches() -> Bool {
    for reads in [reads, readsOfWritten] {
      for read in reads {
        let fits = read.cell._withUnsafeGuaranteedRef { cell in
          cell.lock()
          defer { cell.unlock() }
          return withUnsafePointer(to: read) { cell.matchesLocked($0) }
        }
        if !fits { return false }
      }
    }
    return true
  }

  // MARK: In the order of a run

  /// Puts the addresses of contents that are only read among a program's inputs.
  ///
  /// These cells are pinned, or locked for a moment each, and before any other, so that programs cannot wait for
  /// each other in a circle.
  /// - Parameter held: What has to stay alive during the run.
  /// - Returns: Whether the contents have the form that the program was made for.
  package func readOthers(
    into inputs: UnsafeMutablePointer<UnsafeMutableRawPointer>, _ held: inout HeldBodies
  ) -> Bool {
    readOthers(&held, marking: 0) { input, address, _ in inputs[input] = address }
  }

  /// As `readOthers(into:_:)`, for a program that also gives the tensors away.
  package func readOthers(
    into values: UnsafeMutablePointer<HeldValue>, _ held: inout HeldBodies
  ) -> Bool {
    readOthers(&held, marking: CellWord.shared) { values[$0] = HeldValue(address: $1, body: $2) }
  }

  @inline(__always)
  private func readOthers(
    _ held: inout HeldBodies, marking marks: UInt64,
    _ place: (Int, UnsafeMutableRawPointer, Unmanaged<TensorBody>?) -> Void
  ) -> Bool {
    let readings = readings
    for i in 0..<reads.count {
      let reading = readings + i
      let cell = reading.pointee.cell
      let word = cell._withUnsafeGuaranteedRef { $0.currentWord }
      let number = reading.pointee.number.load(ordering: .acquiring)
      if word & CellWord.pinnable == number {
        let body = UnsafeRawPointer(bitPattern: reading.pointee.body.load(ordering: .acquiring))
        let address = reading.pointee.address.load(ordering: .acquiring)
        guard let body else { continue }
        if cell._withUnsafeGuaranteedRef({ $0.pin(word, marking: marks) }) {
          // What was read before belongs to that number: nobody can have written what belongs to another one while
          // the cell had this one.
          held.notePin(cell, .fromOpaque(body), number: number)
          place(
            reading.pointee.input, UnsafeMutableRawPointer(bitPattern: address)!, .fromOpaque(body))
          continue
        }
      }
      guard let value = readClosely(i, &held, marks) else { return false }
      if reading.pointee.input >= 0 { place(reading.pointee.input, value.address, value.body) }
    }
    return true
  }

  /// The content of a cell that is only read, held; of no address where its form alone matters. Nil if it has another
  /// form.
  @inline(never)
  private func readClosely(_ i: Int, _ held: inout HeldBodies, _ marks: UInt64) -> HeldValue? {
    let read = reads.baseAddress! + i
    let reading = readings + i
    return read.pointee.cell._withUnsafeGuaranteedRef { cell in
      let number = cell.lockAndLook() & CellWord.contents
      guard cell.matchesLocked(read) else {
        cell.unlock()
        return nil
      }
      func know(_ body: Unmanaged<TensorBody>?, at address: UnsafeMutableRawPointer) {
        reading.pointee.body.store(UInt(bitPattern: body?.toOpaque()), ordering: .releasing)
        reading.pointee.address.store(UInt(bitPattern: address), ordering: .releasing)
        reading.pointee.number.store(number, ordering: .releasing)
      }
      guard read.pointee.input >= 0, let content = cell.unretainedContent else {
        let nowhere = UnsafeMutableRawPointer(bitPattern: 64)!
        know(nil, at: nowhere)
        cell.unlock()
        return HeldValue(address: nowhere, body: nil)
      }
      return content._withUnsafeGuaranteedRef { body in
        if body.isContiguous, cell.currentWord & CellWord.manyPins == 0 {
          know(content, at: body.pointer)
          held.notePin(read.pointee.cell, content, number: number)
          cell.pinAndUnlock(marking: marks)
          return HeldValue(address: body.pointer, body: content)
        }
        held.hold(content)
        cell.unlock(marking: CellWord.shared)
        return HeldValue(address: body.contiguousAddress(&held), body: content)
      }
    }
  }

  /// Locks the cells that are written, and puts the addresses of their contents among a program's inputs, those of
  /// their new contents among its outputs: the old content's where that may be overwritten, fresh memory elsewhere.
  /// - Parameters:
  ///   - fresh: By output; gets the fresh memory.
  ///   - held: What has to stay alive during the run.
  /// - Returns: How many cells get fresh memory; nil, and nothing is locked, if a content has another form than
  ///   the program was made for.
  package func lock(
    inputs: UnsafeMutablePointer<UnsafeMutableRawPointer>,
    outputs: UnsafeMutablePointer<UnsafeMutableRawPointer>,
    _ fresh: UnsafeMutablePointer<Unmanaged<TensorBody>?>, _ held: inout HeldBodies
  ) -> Int? {
    var freshCount = 0
    for i in 0..<writings.count {
      let writing = writings.baseAddress! + i
      let word = writing.pointee.cell._withUnsafeGuaranteedRef { $0.lockAndLook() }
      if word & CellWord.contents == writing.pointee.number {
        let input = writing.pointee.input
        if input >= 0 { inputs[input] = writing.pointee.address }
        if writing.pointee.canStay && word & (CellWord.pins | CellWord.shared) == 0 {
          outputs[writing.pointee.output] = writing.pointee.address
          continue
        }
      } else if !lookClosely(i, inputs, &held) {
        for j in 0...i { writings[j].cell._withUnsafeGuaranteedRef { $0.unlock() } }
        return nil
      }
      let output = writing.pointee.output
      if output < 0 { continue }
      if writing.pointee.canStay,
        writing.pointee.cell._withUnsafeGuaranteedRef({ $0.ownsContentAlone() })
      {
        outputs[output] = writing.pointee.address
      } else {
        let body = Unmanaged.passRetained(
          TensorBody(
            allocating: &writes.baseAddress![i].form,
            autograd: writes[i].autograd?.takeUnretainedValue()))
        fresh[output] = body
        outputs[output] = body._withUnsafeGuaranteedRef { $0.pointer }
        freshCount += 1
      }
    }
    return freshCount
  }

  /// Finds out about the content of a locked cell.
  /// - Returns: Whether it has the form that the program was made for.
  @inline(never)
  private func lookClosely(
    _ i: Int, _ inputs: UnsafeMutablePointer<UnsafeMutableRawPointer>, _ held: inout HeldBodies
  ) -> Bool {
    let writing = writings.baseAddress! + i
    return writing.pointee.cell._withUnsafeGuaranteedRef { cell in
      if writing.pointee.read >= 0,
        !cell.matchesLocked(readsOfWritten.baseAddress! + writing.pointee.read)
      {
        return false
      }
      writing.pointee.number = cell.currentWord & CellWord.contents
      writing.pointee.canStay = false
      guard let content = cell.unretainedContent else { return true }
      let input = writing.pointee.input
      content._withUnsafeGuaranteedRef { body in
        if input >= 0 { inputs[input] = body.contiguousAddress(&held) }
        if body.isContiguous {
          writing.pointee.address = body.pointer
          writing.pointee.canStay =
            writes[i].output >= 0 && writes[i].replacesInPlace
            && body.hasForm(of: writes.baseAddress! + i)
        } else {
          // The next run needs a copy of its own.
          writing.pointee.number = CellWord.noContent
        }
      }
      return true
    }
  }

  /// Ends what `lock` has begun.
  package func unlock() {
    for i in 0..<writings.count {
      (writings.baseAddress! + i).pointee.cell._withUnsafeGuaranteedRef { $0.unlock() }
    }
  }

  /// Gives the locked cells their new contents, where those are in fresh memory, and forgets that memory.
  package func commit(_ fresh: UnsafeMutablePointer<Unmanaged<TensorBody>?>) {
    for i in 0..<writings.count where writings[i].output >= 0 {
      let output = writings[i].output
      guard let body = fresh[output] else { continue }
      fresh[output] = nil
      writings[i].cell._withUnsafeGuaranteedRef { cell in
        var content: Tensor? = Tensor(body.takeRetainedValue())
        cell.exchangeLocked(&content, isShared: false)
      }
      know(body, as: i)
    }
  }

  /// The next run need not look at what this one has made, if it has the form that the program asks for.
  private func know(_ body: Unmanaged<TensorBody>, as i: Int) {
    let writing = writings.baseAddress! + i
    body._withUnsafeGuaranteedRef { body in
      if writing.pointee.read >= 0,
        !body.hasForm(of: readsOfWritten.baseAddress! + writing.pointee.read)
      {
        return
      }
      writing.pointee.number =
        writing.pointee.cell._withUnsafeGuaranteedRef { $0.currentWord } & CellWord.contents
      writing.pointee.address = body.pointer
      writing.pointee.canStay = writes[i].replacesInPlace
    }
  }
}

extension StateCell {
  /// Whether the content of the locked cell has the form that a program was made for.
  @inline(__always)
  fileprivate func matchesLocked(_ read: UnsafePointer<CellTable.Read>) -> Bool {
    guard let content = unretainedContent else { return !read.pointee.hasContent }
    return content._withUnsafeGuaranteedRef { $0.hasForm(of: read) }
  }
}

extension TensorBody {
  /// Whether a content has the form that a program was made for.
  fileprivate func hasForm(of read: UnsafePointer<CellTable.Read>) -> Bool {
    read.pointee.hasContent && storage != nil && dtype == read.pointee.dtype
      && layout.shape == read.pointee.shape && (autograd != nil) == read.pointee.requiresGrad
  }

  /// Whether a content has the type and the place in the autograd graph of what is written.
  fileprivate func hasForm(of write: UnsafePointer<CellTable.Write>) -> Bool {
    guard storage != nil, dtype == write.pointee.form.dtype,
      layout.shape == write.pointee.form.layout.shape
    else { return false }
    let own = autograd.map { Unmanaged.passUnretained($0).toOpaque() }
    return own == write.pointee.autograd?.toOpaque()
  }
}
