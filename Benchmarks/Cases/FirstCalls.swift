import Duet

/// What the first call of a traced function costs: it records, compiles and runs.
func firstCallCases() -> Family {
  Family(
    title: "First calls",
    cases: [
      Case(
        "trace_compile_mlp_train", "the first call of mlp_train_b128", kind: .firstCall,
        cost: perceptronTrainingCost(), prepare: trainPerceptron),
      Case(
        "trace_compile_lenet_train_b8", "the first call of lenet_train_b8", kind: .firstCall,
        cost: leNetCost(batch: 8)
      ) { trainLeNet(batch: 8, $0) },
      Case(
        "trace_compile_transformer_train", "the first call of transformer_block_train",
        kind: .firstCall, cost: transformerTrainingCost, prepare: trainTransformerBlock),
    ])
}
