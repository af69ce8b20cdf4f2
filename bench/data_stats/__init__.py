"""What sets of training crops do to the faces and the positive anchors of an epoch."""
