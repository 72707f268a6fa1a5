@_exported import DuetTracer
