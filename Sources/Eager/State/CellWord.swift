/// What the word of a state cell says of its content and of who uses it.
///
/// A run that only reads the content pins it: one compare-and-swap before the run and one behind it take the place
/// of a lock and of a counted reference. Pins keep nobody waiting. Whoever replaces a pinned content counts a
/// reference to it for each pin, and its number changes, by which the runs see what they have to let go of.
///
/// The word only changes by compare-and-swap, but for the holder of the lock while there are no pins: nobody else
/// changes it then.
enum CellWord {
  /// Somebody has the content to himself, pins aside.
  static let lock: UInt64 = 1
  /// The content may have other owners than the cell. Where it has none the holder of the lock may take the mark away;
  /// it comes back as soon as anyone is given the content.
  static let shared: UInt64 = 1 << 1
  static let onePin: UInt64 = 1 << 2
  static let pins: UInt64 = 0xFFFF << 2
  /// Where that many are reached, runs count references instead.
  static let manyPins: UInt64 = 0x8000 << 2
  /// The number of the content: another one with each that is put in place.
  static let oneContent: UInt64 = 1 << 18
  static let contents: UInt64 = ~(oneContent - 1)
  /// What tells a content that may be pinned from others.
  static let pinnable = contents | lock | manyPins
  /// The number of no content: a bit that is not compared.
  static let noContent = shared
}
