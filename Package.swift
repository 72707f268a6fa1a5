// swift-tools-version: 6.0
import PackageDescription

let package = Package(
  name: "Duet",
  platforms: [.macOS(.v15)],
  products: [
    .library(name: "Duet", targets: ["Duet"]),
    .executable(name: "duet-bench", targets: ["duet-bench"]),
    .executable(name: "duet-fuzz", targets: ["duet-fuzz"]),
    .executable(name: "mnist", targets: ["mnist"]),
  ],
  targets: [
    .target(name: "DuetKernels", path: "Sources/Kernels"),
    .target(name: "DuetRuntime", dependencies: ["DuetKernels"], path: "Sources/Runtime"),
    .target(name: "DuetEager", dependencies: ["DuetRuntime"], path: "Sources/Eager"),
    .target(name: "DuetCompiler", dependencies: ["DuetRuntime"], path: "Sources/Compiler"),
    .target(
      name: "DuetTracer", dependencies: ["DuetEager", "DuetCompiler"], path: "Sources/Tracer"),
    .target(name: "DuetFormats", dependencies: ["DuetTracer"], path: "Sources/Formats"),
    .target(name: "DuetNN", dependencies: ["DuetTracer", "DuetFormats"], path: "Sources/NN"),
    .target(name: "Duet", dependencies: ["DuetNN"], path: "Sources/Duet"),
    .executableTarget(
      name: "duet-bench", dependencies: ["Duet", "DuetKernels"], path: "Benchmarks"),
    .target(
      name: "DuetPrograms", dependencies: ["Duet", "DuetKernels"], path: "Fuzz/Programs"),
    .executableTarget(
      name: "duet-fuzz", dependencies: ["DuetPrograms"], path: "Fuzz/Command"),
    .executableTarget(name: "mnist", dependencies: ["Duet"], path: "Examples/mnist"),
    .testTarget(
      name: "CompilerTests", dependencies: ["DuetCompiler", "DuetKernels", "DuetTestSupport"],
      path: "Tests/CompilerTests"),
    .testTarget(name: "EagerTests", dependencies: ["DuetEager"], path: "Tests/EagerTests"),
    .target(
      name: "DuetTestSupport",
      dependencies: ["Duet", "DuetKernels", "DuetPrograms", "DuetThreadSanitizer"],
      path: "Tests/Support"),
    .target(name: "DuetThreadSanitizer", path: "Tests/ThreadSanitizer"),
    .testTarget(
      name: "RuntimeTests",
      dependencies: ["Duet", "DuetKernels", "DuetTestSupport", "DuetThreadSanitizer"],
      path: "Tests/RuntimeTests", exclude: ["make_fixtures.py"], resources: [.copy("Fixtures")]),
    .testTarget(
      name: "TracerTests", dependencies: ["Duet", "DuetTestSupport"], path: "Tests/TracerTests"),
    .testTarget(
      name: "EquivalenceTests", dependencies: ["Duet", "DuetTestSupport"],
      path: "Tests/EquivalenceTests"),
    .target(
      name: "DuetKernelCalls", dependencies: ["DuetKernels"], path: "Tests/KernelCalls",
      exclude: ["check.c", "emulated.sh"]),
    .testTarget(
      name: "KernelTests", dependencies: ["DuetKernelCalls", "DuetTestSupport"],
      path: "Tests/KernelTests"),
    .target(name: "DuetAllocationCounter", path: "Tests/AllocationCounter"),
    .testTarget(
      name: "AllocationTests", dependencies: ["Duet", "DuetAllocationCounter", "DuetTestSupport"],
      path: "Tests/AllocationTests"),
    .testTarget(
      name: "ReferenceTests", dependencies: ["Duet", "DuetTestSupport"],
      path: "Tests/ReferenceTests",
      exclude: [
        "make_fixtures.py", "make_composed_fixtures.py", "make_convolution_fixtures.py",
        "make_transform_fixtures.py", "make_vmap_fixtures.py",
      ],
      resources: [.copy("Fixtures")]),
    .testTarget(
      name: "NNTests", dependencies: ["Duet", "DuetTestSupport"], path: "Tests/NNTests",
      exclude: ["make_fixtures.py", "make_layer_fixtures.py"], resources: [.copy("Fixtures")]),
    .testTarget(
      name: "FormatsTests", dependencies: ["Duet", "DuetTestSupport"], path: "Tests/FormatsTests",
      exclude: ["make_fixtures.py"], resources: [.copy("Fixtures")]),
  ]
)
