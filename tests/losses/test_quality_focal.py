"""Quality focal loss against numbers worked out by hand."""

import math

import pytest
import torch

from bench.losses.quality_focal import QualityFocalLoss

LN2, LN3 = math.log(2), math.log(3)
ALL = torch.ones(1, 1, dtype=torch.bool)


@pytest.mark.parametrize(
    ("logit", "target", "expected"),
    [
        (0.0, 0.0, 0.25 * LN2),  # p = 1/2: -log(1 - p) p^2
        (LN3, 0.0, 0.5625 * math.log(4)),  # p = 3/4
        (0.0, 0.8, 0.09 * LN2),  # at p = 1/2 the cross-entropy is ln 2 whatever the target; |0.8 - 0.5|^2
        (LN3, 1.0, -0.0625 * math.log(0.75)),
        (LN3, 0.25, 0.25 * -(0.25 * math.log(0.75) + 0.75 * math.log(0.25))),
        (LN3, 0.75, 0.0),  # as good as promised
    ],
)
def test_one_anchor(logit: float, target: float, expected: float) -> None:
    found = QualityFocalLoss()(torch.tensor([[[logit]]]), torch.tensor([[[target]]]), ALL)
    assert float(found) == pytest.approx(expected, abs=1e-6)


def test_sum_over_valid_anchors_and_classes_weighted() -> None:
    logits, targets = torch.zeros(2, 3, 2), torch.zeros(2, 3, 2)
    targets[0, 0, 1] = 0.8
    valid = torch.tensor([[True, True, False], [True, False, False]])
    # three valid anchors of two classes: five negatives and the positive
    expected = 3.0 * (5 * 0.25 + 0.09) * LN2
    assert float(QualityFocalLoss(weight=3.0)(logits, targets, valid)) == pytest.approx(expected, rel=1e-6)


def test_gradient_flows_through_the_modulation() -> None:
    logit = torch.zeros(1, 1, 1, requires_grad=True)
    QualityFocalLoss()(logit, torch.zeros(1, 1, 1), ALL).backward()
    # d/dx [p^2 (-log(1 - p))] = 2 p p (1 - p) (-log(1 - p)) + p^2 p, at p = 1/2
    assert logit.grad is not None
    assert float(logit.grad) == pytest.approx(0.25 * LN2 + 0.125, rel=1e-6)


def test_certain_logits_stay_finite() -> None:
    logits = torch.tensor([[[100.0], [-100.0]]], requires_grad=True)
    loss = QualityFocalLoss()(logits, torch.tensor([[[0.0], [1.0]]]), torch.ones(1, 2, dtype=torch.bool))
    loss.backward()
    assert float(loss.detach()) == pytest.approx(200.0)
    assert logits.grad is not None
    assert bool(logits.grad.isfinite().all())
