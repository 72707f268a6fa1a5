@_exported import DuetCompiler
@_exported import DuetEager
@_exported import DuetRuntime
