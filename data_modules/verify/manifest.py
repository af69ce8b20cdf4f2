"""What a dataset held when it was first verified: SHA-256 of images, of their annotations, and of annotation files.

The key is the dataset and the image, not the folder: a copy elsewhere is compared with the same memory, and a part of a
dataset with the whole.
"""

import hashlib
import json
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data_modules.errors import DataError

FORMAT = 1


@dataclass
class SplitManifest:
    """Of one split: image id -> (SHA-256 of the file, of its annotations); name -> (SHA-256, number of images)."""

    images: dict[str, tuple[str, str]] = field(default_factory=dict)
    files: dict[str, tuple[str, int]] = field(default_factory=dict)

    def readable(self) -> "SplitManifest":
        """Without the images whose file could not be read."""
        return SplitManifest({key: pair for key, pair in self.images.items() if pair[0]}, self.files)

    def merged(self, newer: "SplitManifest") -> "SplitManifest":
        return SplitManifest(self.images | newer.images, self.files | newer.files)


@dataclass
class Manifest:
    """A manifest file; `splits` is empty where there is none yet."""

    path: Path
    dataset: str
    splits: dict[str, SplitManifest]

    def save(self) -> None:
        """Atomically: a run that is killed leaves the old one."""
        splits = {
            name: {"images": dict(sorted(split.images.items())), "files": dict(sorted(split.files.items()))}
            for name, split in self.splits.items()
        }
        document = {"format": FORMAT, "dataset": self.dataset, "splits": splits}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=self.path.parent, prefix=self.path.name, suffix=".part")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(document, file, indent=0)
            Path(name).replace(self.path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


def digest(text: str) -> str:
    """16 hexadecimal digits of a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def read_manifest(path: Path, dataset: str) -> Manifest:
    """The manifest at `path`, empty where there is no file.

    Raises:
        DataError: the file is no manifest, or one of another dataset.
    """
    if not path.exists():
        return Manifest(path, dataset, {})
    try:
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        known = (document["format"], document["dataset"])
        splits = {
            name: SplitManifest(
                {key: (str(one), str(other)) for key, (one, other) in split["images"].items()},
                {key: (str(one), int(count)) for key, (one, count) in split["files"].items()},
            )
            for name, split in document["splits"].items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{path}: expected a manifest of {dataset}, found {error!r}; delete it or give another"
        ) from error
    if known != (FORMAT, dataset):
        raise DataError(f"{path}: expected a manifest of {dataset} in format {FORMAT}, found {known[1]} in {known[0]}")
    return Manifest(path, dataset, splits)
