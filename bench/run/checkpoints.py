"""Checkpoints that are whole, and the one before the last for when the last is not.

    write a temporary file in the folder of the checkpoints, and flush it to the disk
    last.ckpt -> before_last.ckpt
    temporary file -> last.ckpt

At every moment one of the two is whole. (Lightning's own writer goes over the system's folder for temporary files; from
another file system that is a copy, which a kill cuts.)
"""

import io
import logging
import zipfile
from pathlib import Path
from typing import Any

import torch
from lightning_fabric.plugins.io.torch_io import TorchCheckpointIO

from bench.errors import WeightsError
from bench.records.record import staged

LAST, BEFORE_LAST = "last.ckpt", "before_last.ckpt"
log = logging.getLogger(__name__)


class AtomicCheckpointIO(TorchCheckpointIO):
    """Lightning's checkpoints, written as above."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        buffer, place = io.BytesIO(), Path(path)
        torch.save(checkpoint, buffer)
        temporary = staged(place, buffer.getbuffer())
        if place.name == LAST and place.exists():
            place.replace(place.with_name(BEFORE_LAST))
        temporary.replace(place)


def damage(path: Path) -> str | None:
    """What is wrong with a checkpoint, which is a zip archive with a sum for every tensor; None if it is whole."""
    try:
        with zipfile.ZipFile(path) as archive:
            broken = archive.testzip()
    except (OSError, zipfile.BadZipFile, EOFError, NotImplementedError) as error:
        return str(error) or type(error).__name__
    return None if broken is None else f"{broken} does not match its sum"


def newest_whole(folder: Path) -> Path | None:
    """The checkpoint to go on from, None without one; damaged ones are removed, and that is said."""
    for leftover in folder.glob(".*.tmp"):  # of a process that was killed
        leftover.unlink()
    for name, otherwise in ((LAST, f"going back to {BEFORE_LAST}"), (BEFORE_LAST, "there is none before it")):
        path = folder / name
        problem = damage(path) if path.exists() else None
        if problem is not None:
            log.warning("%s is damaged (%s) and was removed; %s", path, problem, otherwise)
            path.unlink()
        elif path.exists():
            return path
    return None


def check_whole(path: Path) -> None:
    """Raise WeightsError unless the checkpoint that is to be evaluated can be read."""
    problem = damage(path) if path.exists() else "it is missing"
    if problem is not None:
        raise WeightsError(
            f"expected the best checkpoint of the training at {path}, found it damaged: {problem}; "
            "overwrite=always trains it again"
        )
