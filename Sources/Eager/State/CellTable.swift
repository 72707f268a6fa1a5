// Unsafe: gives out addresses of cells' contents. What is only read is held by the caller, what is written is
// locked, until the addresses are no longer used. References to cells are kept without counting; the
// table holds the cells.

import DuetRuntime

/// The state cells that a compiled program reads and writes, with what it needs to know of each: one call asks
/// all of them for addresses, and changes all of them, without counting references or allocating anything.
package final class CellTable: @unchecked Sendable {
  // Sendable: constant after init; contents are touched under the cells' locks.

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
    fileprivate let type: TensorType
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
      self.type = type
      self.autograd = autograd.map { .passUnretained($0) }
      self.output = output ?? -1
      self.replacesInPlace = replacesInPlace
    }
  }

  private let onlyRead: UnsafeMutableBufferPointer<Read>
  private let readAndWritten: UnsafeMutableBufferPointer<Read>
  private let written: UnsafeMutableBufferPointer<Write>
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
    self.onlyRead = copy(onlyRead)
    self.readAndWritten = copy(readAndWritten)
    self.written = copy(written)
    owners =
      onlyRead.map { $0.cell.takeUnretainedValue() as AnyObject }
      + written.map { $0.cell.takeUnretainedValue() }
      + written.compactMap { $0.autograd?.takeUnretainedValue() }
  }

  deinit {
    onlyRead.deallocate()
    readAndWritten.deallocate()
    written.deallocate()
  }

  /// The number of cells that are read and not written.
  package var onlyReadCount: Int { onlyRead.count }

  /// The cells that are written.
  package var writtenCells: [StateCell] { written.map { $0.cell.takeUnretainedValue() } }

  /// Evaluates contents that are pending.
  /// - Returns: Whether there were any.
  package func settle() -> Bool {
    var didSettle = false
    for reads in [onlyRead, readAndWritten] {
      for read in reads where read.cell._withUnsafeGuaranteedRef({ $0.settle() }) {
        didSettle = true
      }
    }
    return didSettle
  }

  // MARK: In the order of a run

  /// Whether all contents have the form that the program was made for.
  package func matches() -> Bool {
    for reads in [onlyRead, readAndWritten] {
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

  /// Puts the addresses of contents that are only read among a program's inputs.
  ///
  /// These cells are locked for a moment each and before any other, so that programs cannot wait for each other
  /// in a circle.
  /// - Parameter held: Where to put, counted, what has to stay alive during the run; moves on.
  /// - Returns: Whether the contents have the form that the program was made for.
  package func readOthers(
    into inputs: UnsafeMutablePointer<UnsafeMutableRawPointer>, _ held: inout HeldBodies
  ) -> Bool {
    for i in onlyRead.indices {
      guard let body = Self.content(onlyRead.baseAddress! + i, &held) else { return false }
      let input = onlyRead[i].input
      if input >= 0 { inputs[input] = body.address }
    }
    return true
  }

  /// As `readOthers(into:_:)`, for a program that also wants to know the tensors.
  package func readOthers(
    into values: UnsafeMutablePointer<HeldValue>, _ held: inout HeldBodies
  ) -> Bool {
    for i in onlyRead.indices {
      guard let value = Self.content(onlyRead.baseAddress! + i, &held) else { return false }
      let input = onlyRead[i].input
      if input >= 0 { values[input] = value }
    }
    return true
  }

  /// The content of a cell, held; of no address where its form alone matters. Nil if it has another form.
  @inline(__always)
  private static func content(
    _ read: UnsafePointer<Read>, _ held: inout HeldBodies
  ) -> HeldValue? {
    read.pointee.cell._withUnsafeGuaranteedRef { cell in
      cell.lock()
      guard cell.matchesLocked(read) else {
        cell.unlock()
        return nil
      }
      guard read.pointee.input >= 0, let content = cell.unretainedContent else {
        cell.unlock()
        return HeldValue(address: UnsafeMutableRawPointer(bitPattern: 64)!, body: nil)
      }
      held.hold(content)
      cell.unlock()
      return HeldValue(
        address: content._withUnsafeGuaranteedRef { $0.contiguousAddress(&held) }, body: content)
    }
  }

  /// Locks the cells that are written.
  package func lock() {
    for i in written.indices { written[i].cell._withUnsafeGuaranteedRef { $0.lock() } }
  }

  package func unlock() {
    for i in written.indices { written[i].cell._withUnsafeGuaranteedRef { $0.unlock() } }
  }

  /// Puts the addresses of the locked contents among a program's inputs.
  /// - Returns: Whether the contents have the form that the program was made for.
  package func readLocked(
    into inputs: UnsafeMutablePointer<UnsafeMutableRawPointer>, _ held: inout HeldBodies
  ) -> Bool {
    for i in readAndWritten.indices {
      let read = readAndWritten.baseAddress! + i
      let fits = read.pointee.cell._withUnsafeGuaranteedRef { cell in
        guard cell.matchesLocked(read) else { return false }
        guard read.pointee.input >= 0, let content = cell.unretainedContent else { return true }
        inputs[read.pointee.input] = content._withUnsafeGuaranteedRef {
          $0.contiguousAddress(&held)
        }
        return true
      }
      if !fits { return false }
    }
    return true
  }

  /// Puts the addresses of new contents among a program's outputs: the old content's where that may be
  /// overwritten, fresh memory elsewhere.
  /// - Parameter fresh: By output; nil where the memory is the old content's.
  package func place(
    outputs: UnsafeMutablePointer<UnsafeMutableRawPointer>,
    _ fresh: UnsafeMutablePointer<Unmanaged<TensorBody>?>
  ) {
    for i in written.indices {
      let write = written.baseAddress! + i
      let output = write.pointee.output
      if output < 0 { continue }
      let address: UnsafeMutableRawPointer? = write.pointee.cell._withUnsafeGuaranteedRef { cell in
        guard write.pointee.replacesInPlace, cell.hasForm(of: write) else { return nil }
        return cell.addressIfOwned
      }
      if let address {
        outputs[output] = address
      } else {
        let body = TensorBody(
          allocating: write.pointee.type, autograd: write.pointee.autograd?.takeUnretainedValue())
        fresh[output] = .passRetained(body)
        outputs[output] = body.pointer
      }
    }
  }

  /// Gives the locked cells their new contents, where those are in fresh memory, and forgets that memory.
  package func commit(_ fresh: UnsafeMutablePointer<Unmanaged<TensorBody>?>) {
    for i in written.indices where written[i].output >= 0 {
      let output = written[i].output
      guard let body = fresh[output] else { continue }
      fresh[output] = nil
      written[i].cell._withUnsafeGuaranteedRef {
        $0.lockedContent = Tensor(body.takeRetainedValue())
      }
    }
  }
}

/// What a running program knows of one of its values.
package struct HeldValue {
  package let address: UnsafeMutableRawPointer
  /// The tensor, unless the value only exists within the call.
  package let body: Unmanaged<TensorBody>?

  @inline(__always)
  package init(address: UnsafeMutableRawPointer, body: Unmanaged<TensorBody>?) {
    self.address = address
    self.body = body
  }
}

/// Tensors that have to stay alive during a run, counted, in memory that is kept from run to run.
package struct HeldBodies {
  private var bodies: UnsafeMutablePointer<Unmanaged<TensorBody>>
  private var count = 0
  private var capacity = 64

  package init() { bodies = .allocate(capacity: capacity) }

  @inline(__always)
  package mutating func hold(_ body: Unmanaged<TensorBody>) {
    if count == capacity { grow() }
    bodies[count] = body.retain()
    count += 1
  }

  /// As `hold`, for one that is counted already.
  @inline(__always)
  package mutating func keep(_ body: consuming TensorBody) {
    if count == capacity { grow() }
    bodies[count] = .passRetained(body)
    count += 1
  }

  @inline(never)
  private mutating func grow() {
    let more = UnsafeMutablePointer<Unmanaged<TensorBody>>.allocate(capacity: 2 * capacity)
    more.moveInitialize(from: bodies, count: count)
    bodies.deallocate()
    (bodies, capacity) = (more, 2 * capacity)
  }

  /// Lets go of them.
  @inline(__always)
  package mutating func releaseAll() {
    for i in 0..<count { bodies[i].release() }
    count = 0
  }

  /// Ends the use of the memory. Nothing is held any more.
  package func deallocate() { bodies.deallocate() }
}

extension TensorBody {
  /// The address of the elements, one behind the other; of a copy if they do not lie so.
  @inline(__always)
  package func contiguousAddress(_ held: inout HeldBodies) -> UnsafeMutableRawPointer {
    isContiguous ? pointer : copiedAddress(&held)
  }

  @inline(never)
  private func copiedAddress(_ held: inout HeldBodies) -> UnsafeMutableRawPointer {
    let copy = ThreadContext.withRecorder(nil) { noGrad { apply(.copy, Tensor(self)) } }
    held.hold(.passUnretained(copy.body))
    return copy.body.pointer
  }
}

extension StateCell {
  /// Whether the content of the locked cell has the form that a program was made for.
  @inline(__always)
  fileprivate func matchesLocked(_ read: UnsafePointer<CellTable.Read>) -> Bool {
    guard let content = unretainedContent else { return !read.pointee.hasContent }
    return content._withUnsafeGuaranteedRef { body in
      read.pointee.hasContent && body.storage != nil && body.dtype == read.pointee.dtype
        && body.layout.shape == read.pointee.shape
        && (body.autograd != nil) == read.pointee.requiresGrad
    }
  }

  /// Whether the content of the locked cell has the type and the place in the autograd graph of what is written.
  @inline(__always)
  fileprivate func hasForm(of write: UnsafePointer<CellTable.Write>) -> Bool {
    guard let content = unretainedContent else { return false }
    return content._withUnsafeGuaranteedRef { body in
      guard body.dtype == write.pointee.type.dtype, body.layout.shape == write.pointee.type.shape
      else { return false }
      guard let own = body.autograd else { return write.pointee.autograd == nil }
      return Unmanaged.passUnretained(own).toOpaque() == write.pointee.autograd?.toOpaque()
    }
  }
}
