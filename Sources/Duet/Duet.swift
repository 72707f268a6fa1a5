// Everything that a program needs: `import Duet`.
@_exported import DuetNN
