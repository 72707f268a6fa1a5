import DuetKernels

/// The instruction set that the kernels use: `avx512`, `avx2`, `neon` or `scalar`. Results do not depend on it.
///
/// The best that the processor has, unless the environment variable `DUET_ISA` names another.
public var instructionSet: String { String(cString: duet_isa_name(duet_current_isa())) }
