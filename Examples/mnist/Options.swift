import Foundation

/// What the command line asks for.
struct Options {
  enum Mode: String, CaseIterable {
    case eager, traced
  }

  /// Something on the command line that cannot be meant.
  struct Mistake: Error {
    let text: String
  }

  var data: URL?
  var epochs = 2
  var batchSize = 32
  var learningRate = 0.01
  var momentum = 0.9
  var mode = Mode.eager
  var threads: Int?
  var seed = 1
  var workers = 0
  var load: URL?
  var save: URL?
  var export: URL?

  static let help = """
    Trains LeNet on the MNIST digits and prints its accuracy, the time per step and a hash of all parameters.

    usage: mnist [options]
      --data DIR        the four IDX files of MNIST; without it a sample of 10,000 images is used
      --epochs N        passes over the training images (2)
      --batch-size N    images per step (32)
      --lr X            learning rate (0.01)
      --momentum X      momentum (0.9)
      --mode MODE       eager or traced (eager)
      --threads N       threads per operation (all processors)
      --seed N          seed of the weights and the order of images (1)
      --workers N       threads that prepare batches ahead (0)
      --load FILE       begins with weights from a .safetensors or .npz file
      --save FILE       writes the weights in the end
      --export FILE     writes the trained model as a function that runs without this program, and tests it
      --help            this text
    """

  /// Reads the arguments; nil if help is asked for.
  init?(_ arguments: some Sequence<String>) throws {
    var rest = Array(arguments)[...]
    while let argument = rest.popFirst() {
      // Both "--lr 0.1" and "--lr=0.1".
      let parts = argument.split(separator: "=", maxSplits: 1).map(String.init)
      let name = parts.first ?? argument
      if name == "--help" || name == "-h" { return nil }
      func value() throws -> String {
        if parts.count == 2 { return parts[1] }
        guard let value = rest.popFirst() else { throw Mistake(text: "\(name) needs a value") }
        return value
      }
      switch name {
      case "--data": data = URL(fileURLWithPath: try value(), isDirectory: true)
      case "--epochs": epochs = try Self.whole(try value(), name, from: 0)
      case "--batch-size": batchSize = try Self.whole(try value(), name, from: 1)
      case "--lr": learningRate = try Self.number(try value(), name)
      case "--momentum": momentum = try Self.number(try value(), name)
      case "--threads": threads = try Self.whole(try value(), name, from: 1)
      case "--seed": seed = try Self.whole(try value(), name, from: 0)
      case "--workers": workers = try Self.whole(try value(), name, from: 0)
      case "--load": load = URL(fileURLWithPath: try value())
      case "--save": save = URL(fileURLWithPath: try value())
      case "--export": export = URL(fileURLWithPath: try value())
      case "--mode":
        let text = try value()
        guard let mode = Mode(rawValue: text) else {
          throw Mistake(text: "--mode is eager or traced, not \(text)")
        }
        self.mode = mode
      default: throw Mistake(text: "unknown option \(argument); --help lists the options")
      }
    }
  }

  private static func whole(_ text: String, _ name: String, from minimum: Int) throws -> Int {
    guard let value = Int(text), value >= minimum else {
      throw Mistake(text: "\(name) needs a whole number from \(minimum) up, not \(text)")
    }
    return value
  }

  private static func number(_ text: String, _ name: String) throws -> Double {
    guard let value = Double(text), value.isFinite, value >= 0 else {
      throw Mistake(text: "\(name) needs a number from 0 up, not \(text)")
    }
    return value
  }
}
