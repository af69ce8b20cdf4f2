"""Per-image statistics of evaluators, written beside the run: what comparisons by image are computed from.

A safetensors file: `counts` [I] and one row a detection in the other arrays; `image_ids`, in that order, as JSON in its
metadata.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save

from bench.records.identity import file_sha256
from bench.records.record import write_bytes_atomically


def write_statistics(folder: Path, by_evaluator: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Write `<folder>/<evaluator>.safetensors` of each; evaluator -> SHA-256 of its file."""
    folder.mkdir(parents=True, exist_ok=True)
    hashes = {}
    for name, statistics in by_evaluator.items():
        arrays = {key: np.ascontiguousarray(value) for key, value in statistics.items() if key != "image_ids"}
        metadata = {"image_ids": json.dumps(list(statistics["image_ids"]))}
        path = folder / f"{name}.safetensors"
        write_bytes_atomically(path, save(arrays, metadata))
        hashes[name] = file_sha256(path)
    return hashes


def read_statistics(path: Path) -> tuple[list[Any], dict[str, NDArray[Any]]]:
    """Image ids and arrays of a file of `write_statistics`."""
    with safe_open(path, framework="np") as file:
        return json.loads(file.metadata()["image_ids"]), {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
