import DuetEager
import DuetRuntime

/// Notes arguments below 0, and those that are not a number.
func noteNegative<Number: Comparable & ExpressibleByIntegerLiteral>(
  _ arguments: KeyValuePairs<String, Number>, in operation: String
) {
  for (name, value) in arguments where !(value >= 0) {
    note(OpError(operation, "\(name) must not be below 0, but is \(value)"))
  }
}
