"""The bias a classifier starts from (Focal Loss, arXiv 1708.02002, section 4.1)."""

import math


def prior_bias(prior: float) -> float:
    """The logit of `prior`, the score in (0, 1) that every anchor has before training."""
    return -math.log((1 - prior) / prior)
