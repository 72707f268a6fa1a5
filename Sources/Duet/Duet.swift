@_exported import DuetNN
