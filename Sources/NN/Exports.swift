@_exported import DuetFormats
@_exported import DuetTracer
