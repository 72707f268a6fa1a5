import DuetEager

extension Module {
  /// Keeps all parameters as they are: they get no gradients, forget those that they have, and optimisers leave them
  /// alone. Traced functions notice, and keep a trace for each. Not to be called inside them.
  ///
  ///     model.backbone.freeze()
  ///
  /// One parameter is frozen by `parameter.requiresGrad = false`.
  @discardableResult
  public func freeze() -> Self {
    for parameter in parameters { parameter.requiresGrad = false }
    return self
  }

  /// Lets all parameters change again.
  @discardableResult
  public func unfreeze() -> Self {
    for parameter in parameters { parameter.requiresGrad = true }
    return self
  }

  /// The parameters that are not frozen, as `parameters` lists them.
  public var trainableParameters: ParameterList {
    ParameterList(parameters.named.filter { $0.parameter.requiresGrad })
  }
}
