import Duet

/// What takes a fresh process to find out: memory, and starting.
func processCases() -> Family {
  Family(
    title: "Memory and start",
    cases: [
      Case(
        "mem_transformer_train", "peak growth of the resident memory in transformer_block_train",
        kind: .memory, cost: transformerTrainingCost, prepare: trainTransformerBlock),
      Case(
        "mem_elementwise_chain_16m",
        "the same for elementwise_chain, 16 777 216 numbers; the inputs take 320 MB",
        kind: .memory, cost: elementwiseChainCost(1 << 24)
      ) { elementwiseChainStep(1 << 24, $0) },
      Case(
        "import_time", "a process that imports Duet and ends", kind: .processStart,
        cost: Cost(flops: 0, reading: 0, writing: 0)
      ) { _ in Step { [Tensor]() } },
    ])
}
