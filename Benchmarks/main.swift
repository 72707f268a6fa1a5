import Duet
