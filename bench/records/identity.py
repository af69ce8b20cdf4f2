"""Identities: readable trees of what shaped weights and numbers, their digests, and how two of them differ.

`train_id` is the digest of the training tree, `cell_id` of both: digest([train_id, evaluation tree]).
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from bench.errors import WeightsError

Tree = Mapping[str, Any]


def digest(value: Any) -> str:
    """Ten hex digits of a canonical JSON form."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def train_id_of(training: Tree) -> str:
    return digest(training)


def cell_id_of(training: Tree, evaluation: Tree) -> str:
    return digest([train_id_of(training), evaluation])


def leaves(tree: Tree, prefix: str = "") -> dict[str, Any]:
    """Every value of a tree under its dotted path; lists and empty mappings are values."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping) and value:
            flat |= leaves(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def difference(tree: Tree, reference: Tree) -> dict[str, Any]:
    """Path -> value of `tree` for every leaf that is otherwise in `reference`; None for one that only that has."""
    own, other = (
        {path: json.dumps(value, sort_keys=True) for path, value in leaves(one).items()} for one in (tree, reference)
    )
    changed = [path for path in sorted({*own, *other}) if own.get(path) != other.get(path)]
    return {path: leaves(tree).get(path) for path in changed}


def in_words(changes: Mapping[str, Any]) -> str:
    """`recipe.lr=0.02, model.head.depth=3`: values as JSON, text without its quotes."""
    words = []
    for path, value in changes.items():
        text = value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
        words.append(f"{path}={text}")
    return ", ".join(words)


def file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_of_files(paths: Iterable[Path]) -> str:
    """SHA-256 of the SHA-256 of several files, by name: "HASH  NAME" lines as sha256sum writes them."""
    lines = "".join(f"{file_sha256(path)}  {path.name}\n" for path in paths)
    return hashlib.sha256(lines.encode()).hexdigest()


def sha256_of_weights(path: Path) -> str:
    """
    Raises:
        WeightsError: there is no such file.
    """
    check_is_file(path)
    return file_sha256(path)


def check_is_file(path: Path) -> None:
    """Raise WeightsError unless there is a file of weights."""
    if not path.is_file():
        raise WeightsError(f"expected weights at {path}, found no file; give a .safetensors file or a Lightning .ckpt")
