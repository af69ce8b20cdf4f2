"""Looking at images, post-processing what a detector proposes, several evaluators over one pass."""
