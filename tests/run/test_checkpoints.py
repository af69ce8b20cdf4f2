"""Checkpoints: whole at every moment, and what is done with one that is not."""

import logging
from pathlib import Path

import pytest
import torch

from bench.errors import WeightsError
from bench.run.checkpoints import BEFORE_LAST, LAST, AtomicCheckpointIO, check_whole, damage, newest_whole


def save(folder: Path, value: int, name: str = LAST) -> Path:
    AtomicCheckpointIO().save_checkpoint({"epoch": value, "weights": torch.full((100,), value)}, folder / name)
    return folder / name


def epoch(path: Path | None) -> int:
    assert path is not None
    return int(torch.load(path, weights_only=True)["epoch"])


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def test_the_one_before_the_last_is_kept(tmp_path: Path) -> None:
    for value in (1, 2, 3):
        save(tmp_path, value)
    assert sorted(path.name for path in tmp_path.iterdir()) == [BEFORE_LAST, LAST]
    assert (epoch(tmp_path / LAST), epoch(tmp_path / BEFORE_LAST)) == (3, 2)
    save(tmp_path, 4, "best.ckpt")
    save(tmp_path, 5, "best.ckpt")
    assert len(list(tmp_path.iterdir())) == 3  # of the best there is one


@pytest.mark.parametrize("how", ["cut", "empty", "flipped", "text"])
def test_a_damaged_one_is_told_and_left_for_the_one_before(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    save(tmp_path, 1)
    last = save(tmp_path, 2)
    content = bytearray(last.read_bytes())
    if how == "flipped":
        content[content.index(torch.full((100,), 2).numpy().tobytes()) + 5] ^= 1
    else:
        content = {"cut": content[: len(content) // 2], "empty": bytearray(), "text": bytearray(b"no zip")}[how]
    last.write_bytes(content)
    with caplog.at_level(logging.WARNING):
        assert epoch(newest_whole(tmp_path)) == 1
    assert f"{last} is damaged" in caplog.text
    assert f"going back to {BEFORE_LAST}" in caplog.text
    save(tmp_path, 3)
    assert epoch(tmp_path / BEFORE_LAST) == 1  # the damaged one has not taken its place


def test_without_a_whole_one_the_training_starts_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert newest_whole(tmp_path) is None
    save(tmp_path, 1)
    save(tmp_path, 2)
    for name in (LAST, BEFORE_LAST):
        cut(tmp_path / name)
    with caplog.at_level(logging.WARNING):
        assert newest_whole(tmp_path) is None
    assert "there is none before it" in caplog.text


def test_a_kill_between_the_two_moves_loses_one_epoch(tmp_path: Path) -> None:
    """Only the one before the last is there then, and the temporary file, which is cleared away."""
    save(tmp_path, 1)
    (tmp_path / LAST).rename(tmp_path / BEFORE_LAST)
    (tmp_path / f".{LAST}.abc.tmp").write_bytes(b"half")
    assert epoch(newest_whole(tmp_path)) == 1
    assert [path.name for path in tmp_path.iterdir()] == [BEFORE_LAST]


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path, 1)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        save(tmp_path, 2)
    assert [path.name for path in tmp_path.iterdir()] == [LAST]
    assert epoch(tmp_path / LAST) == 1


def test_a_damaged_best_checkpoint_says_how_to_get_another(tmp_path: Path) -> None:
    best = save(tmp_path, 1, "best.ckpt")
    check_whole(best)
    assert damage(best) is None
    cut(best)
    with pytest.raises(WeightsError, match="overwrite=always"):
        check_whole(best)
