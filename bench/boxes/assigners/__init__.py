"""Which ground-truth box each anchor is to learn: one assigner a file, what they answer in `assignment`."""
