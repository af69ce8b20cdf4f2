"""Many configurations composed at little cost, each exactly what Hydra's `compose` returns.

1. `sources`: every file is read and parsed once a process.
2. `shared`: compositions with the same choices of groups share one composed base; values are set on a copy of it.

Words that one of these is not sure of take the way above it, and in the end Hydra's own.
"""
