import Duet
import DuetTestSupport
import Testing

@Suite struct ProfileTests {
  @Test func everyStepOfThePlanIsTimed() throws {
    let w = Parameter(ones([20, 30]), name: "w")
    let f = traced { (x: Tensor) -> Tensor in
      noGrad { w.value = w.value * 0.5 }
      return tanh(matmul(x, w.value) + 1).sum().detached()
    }
    let x = ones([10, 20])
    let profile = try #require(f.profile(x, runs: 5))
    let plan = f.plan(for: x)
    #expect(profile.runCount == 5 && profile.steps.count == plan.stepCount)
    #expect(profile.steps.allSatisfy { $0.microseconds >= 0 } && profile.microseconds > 0)
    #expect(profile.operations.reduce(0) { $0 + $1.stepCount } == plan.stepCount)
    #expect(profile.operations.contains { $0.name == "matmul" && $0.stepCount == 1 })
    #expect(profile.operations.contains { $0.name == "fused" })
    #expect(profile.description.contains("matmul × 1"))
    // The calls have the effects of calls: two to warm up, and those that were timed.
    expectSame(w.value, full([20, 30], Float(1) / 128))
  }

  @Test func aFunctionThatRunsItsClosureHasNoProfile() {
    let x = Tensor([1.0, 2.0], requiresGrad: true)
    let f = traced { (x: Tensor) in x * x }
    #expect(f.profile(x) == nil)
  }
}
