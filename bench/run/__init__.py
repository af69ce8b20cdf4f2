"""One training and its evaluations: identity, workspace, building, training, evaluating, provenance, loggers."""
