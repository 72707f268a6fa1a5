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

  // MARK: In the order of a run

  /// Whether all contents have the form that the program was made for.
  package func matches() -> Bool {
    for reads in [onlyRead, readAndWritten] {
      for read in reads {
        let fits = read.cell._withUnsafeGuaranteedRef { cell in
          cell.lock()
          defer { cell.unlock() }
          return read.matches(cell)
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
  /// - Parameter held: Gets what has to stay alive during the run.
  /// - Returns: Whether the contents have the form that the program was made for.
  package func readOthers(
    into inputs: UnsafeMutablePointer<UnsafeMutableRawPointer>, _ held: inout [Tensor]
  ) -> Bool {
    for read in onlyRead {
      let fits = read.cell._withUnsafeGuaranteedRef { cell in
        cell.lock()
        guard read.matches(cell) else {
          cell.unlock()
          return false
        }
        if read.input >= 0, let content = cell.lockedContent {
          cell.unlock()
          read.hold(content, inputs, &held)
        } else {
          cell.unlock()
        }
        return true
      }
      if !fits { return false }
    }
    return true
  }

  /// Locks the cells that are written.
  package func lock() {
    for write in written { write.cell._withUnsafeGuaranteedRef { $0.lock() } }
  }

  package func unlock() {
    for write in written { write.cell._withUnsafeGuaranteedRef { $0.unlock() } }
  }

  /// Puts the addresses of the locked contents among a program's inputs.
  /// - Returns: Whether the contents have the form that the program was made for.
  package func readLocked(
    into inputs: UnsafeMutablePointer<UnsafeMutableRawPointer>, _ held: inout [Tensor]
  ) -> Bool {
    for read in readAndWritten {
      let fits = read.cell._withUnsafeGuaranteedRef { cell in
        guard read.matches(cell) else { return false }
        guard read.input >= 0 else { return true }
        if let address = cell.addressIfContiguous {
          inputs[read.input] = address
        } else if let content = cell.lockedContent {
          read.hold(content, inputs, &held)
        }
        return true
      }
      if !fits { return false }
    }
    return true
  }

  /// Puts the addresses of new contents among a program's outputs: the old content's where that may be
  /// overwritten, fresh memory elsewhere.
  package func place(
    outputs: UnsafeMutablePointer<UnsafeMutableRawPointer>, _ fresh: inout [TensorBody?]
  ) {
    for write in written where write.output >= 0 {
      let address: UnsafeMutableRawPointer? = write.cell._withUnsafeGuaranteedRef { cell in
        guard write.replacesInPlace, cell.hasAutograd(write.autograd?.toOpaque()) else {
          return nil
        }
        return cell.addressIfOwned(write.type)
      }
      if let address {
        outputs[write.output] = address
      } else {
        let body = TensorBody(
          allocating: write.type, autograd: write.autograd?.takeUnretainedValue())
        fresh[write.output] = body
        outputs[write.output] = body.pointer
      }
    }
  }

  /// Gives the locked cells their new contents, where those are in fresh memory.
  package func commit(_ fresh: [TensorBody?]) {
    for write in written where write.output >= 0 {
      if let body = fresh[write.output] {
        write.cell._withUnsafeGuaranteedRef { $0.lockedContent = Tensor(body) }
      }
    }
  }
}

extension CellTable.Read {
  /// Whether the content of the locked cell has the form that a program was made for.
  @inline(__always)
  fileprivate func matches(_ cell: StateCell) -> Bool {
    cell.matchesLocked(hasContent, dtype, shape, requiresGrad)
  }

  @inline(__always)
  fileprivate func hold(
    _ content: Tensor, _ inputs: UnsafeMutablePointer<UnsafeMutableRawPointer>,
    _ held: inout [Tensor]
  ) {
    let tensor = content.body.isContiguous ? content : noGrad { apply(.copy, content) }
    inputs[input] = tensor.body.pointer
    held.append(tensor)
  }
}
