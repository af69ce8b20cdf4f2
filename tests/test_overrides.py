"""Added keys that nobody reads are refused; those that something reads are not."""

import pytest

from bench.config import compose
from bench.errors import ConfigError
from bench.overrides import refuse_unread


@pytest.mark.parametrize(
    "word",
    [
        "+detector.model.head.new=1",
        "+detector.recipe.grad_clip=1",
        "+data.pin_memory=true",
        "+postprocess.processor.min_height=9",
        "+ablations.idea=on",
        "+callbacks.x={_target_: pytorch_lightning.callbacks.Timer}",
        "+protocol.resize.x=1",
        "detector.recipe.lr=0.1",
        "++detector.recipe.lr=0.1",
        "~data.cache",
    ],
)
def test_read(word: str) -> None:
    refuse_unread([word], compose("train", ["data.root=x"]))


@pytest.mark.parametrize("word", ["+weight=x", "+trainer.gpus=1", "+validation.x=1", "+protocol.extra=1", "++seeds=1"])
def test_unread(word: str) -> None:
    with pytest.raises(ConfigError, match=r"expected a setting that is read, found \+.*nothing reads"):
        refuse_unread([word], compose("train", ["data.root=x"]))
