extension Program {
  /// A smaller program that fails as well: with fewer calls, and without statements that do not matter.
  /// - Returns: The program, and the numbers of the statements that were left out.
  public func shrunk(while fails: (Program) -> Bool) -> (program: Program, without: Set<Int>) {
    var smallest = self
    var removed: Set<Int> = []
    func attempt(_ candidate: Program) -> Bool {
      guard fails(candidate) else { return false }
      smallest = candidate
      return true
    }
    func reduceCalls() {
      var count = 1
      while count < smallest.calls.count {
        if attempt(smallest.calling(first: count)) { return }
        count += 1
      }
    }
    reduceCalls()
    var size = max(1, smallest.statementCount / 2)
    while true {
      var progress = false
      var start = 0
      while start < smallest.statementCount {
        let ids = smallest.statementIDs
        let part = Set(ids[start..<min(start + size, ids.count)])
        if attempt(smallest.without(part)) {
          removed.formUnion(part)
          progress = true
        } else {
          start += size
        }
      }
      if size > 1 {
        size /= 2
      } else if !progress {
        break
      }
    }
    reduceCalls()
    return (smallest, removed)
  }
}
