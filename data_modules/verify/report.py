"""`bench data verify`: is a dataset whole, and is it what it was?

A problem is an error: a file missing, damaged or changed, a box outside its image, two annotation files that disagree.
An oddity is reported and no error: what the official releases are known to hold (boxes without width or height, images
without objects). What nothing inside a dataset can tell, one byte of an image that decodes to other pixels, is told by
memory: the first verification without a problem writes a manifest, later ones compare with it.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from data_modules.errors import DataError
from data_modules.loading.files import DatasetFiles, Split
from data_modules.verify.content import Finding, SplitContent, VerificationItem
from data_modules.verify.images import ImageFile, check_images
from data_modules.verify.manifest import Manifest, SplitManifest, digest, read_manifest

OUTSIDE = 1.0  # pixels by which an annotated box may leave its image: annotators' rounding
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png")


def verify(
    files: DatasetFiles,
    memory: str | Path,
    manifest: str | Path | None = None,
    accept: bool = False,
    workers: int | None = None,
    splits: Iterable[Split] = ("train", "val"),
) -> dict[str, Any]:
    """Check every file of a dataset.

    Args:
        memory: the folder where manifests are remembered.
        manifest: a manifest file to compare with instead; it has to exist unless `accept`.
        accept: take what is there as right from now on.
        workers: processes; None: one a core.

    Returns:
        `ok`, `manifest`, and for each of `splits` its counts, facts, oddities and problems.
    """
    name, root, key = files.name, files.root, files.manifest_key
    if root is None or not root.is_dir():
        raise DataError(f"expected the dataset {name} in {root}, found no such folder; set data.root")
    path = Path(memory) / f"{key}.json" if manifest is None else Path(manifest).expanduser()
    if manifest is not None and not path.is_file() and not accept:
        raise DataError(f"expected the manifest {path}, found none; accept=true writes it from what is there")
    known = read_manifest(path, key)
    first = not known.splits
    reports: list[dict[str, Any]] = []
    found: dict[str, SplitManifest] = {}
    for split in splits:
        before = SplitManifest() if accept else known.splits.get(split)
        report, found[split] = _verify_split(files, split, before, workers)
        reports.append(report)
    ok = not any(report["problems"] for report in reports)
    if ok or accept:
        _remember(known, found, accept)
    state = "accepted" if accept else "not written" if first and not ok else "written" if first else "compared"
    return {"dataset": name, "ok": ok, "manifest": str(path), "manifest_state": state, "splits": reports}


def _verify_split(
    files: DatasetFiles, split: Split, known: SplitManifest | None, workers: int | None
) -> tuple[dict[str, Any], SplitManifest]:
    try:
        content = files.verification(split)
    except DataError as error:
        unread = SplitContent([], Path(), {}, problems=[Finding("annotations", split, str(error))])
        return _report(split, unread), SplitManifest()
    paths = [item.path for item in content.items]
    found = SplitManifest()
    for item, file in zip(content.items, check_images(paths, workers, f"{files.name} {split}"), strict=True):
        _check_item(item, file, content)
        found.images[item.image_id] = (file.sha256 or "", digest(item.record))
    content.problems += _unlisted(content.folder, paths)
    for name, path in content.files.items():
        found.files[name] = (hashlib.sha256(path.read_bytes()).hexdigest(), len(paths))
    if known is not None:
        _compare(known, found, content)
    return _report(split, content), found


def _check_item(item: VerificationItem, file: ImageFile, content: SplitContent) -> None:
    if file.fault:
        content.problems.append(Finding("missing" if file.sha256 is None else "damaged", item.image_id, file.fault))
    if not len(item.boxes):
        content.oddities.append(Finding("image without objects", item.image_id, ""))
    for number, box in enumerate(item.boxes, 1):
        corners = " ".join(f"{value:g}" for value in box)
        if (box[2:] <= box[:2]).any():
            content.oddities.append(Finding("box without width or height", item.image_id, f"box {number}: {corners}"))
    if file.size is None:
        return
    if item.size is not None and item.size != file.size:
        detail = f"expected {item.size[0]} x {item.size[1]} pixels as annotated, found {file.size[0]} x {file.size[1]}"
        content.problems.append(Finding("size", item.image_id, detail))
    limit = np.array([*file.size, *file.size])
    for outside in np.flatnonzero(((item.boxes < -OUTSIDE) | (item.boxes > limit + OUTSIDE)).any(axis=1)):
        corners = " ".join(f"{value:g}" for value in item.boxes[outside])
        detail = f"box {outside + 1}: {corners} in an image of {file.size[0]} x {file.size[1]}"
        (content.oddities if item.confirmed else content.problems).append(
            Finding("box outside the image", item.image_id, detail)
        )


def _unlisted(folder: Path, listed: Iterable[Path]) -> list[Finding]:
    """Images on disk that no annotation names: a line or an entry may have been lost."""
    known = set(listed)
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES and path not in known)
    return [
        Finding("unlisted", path.relative_to(folder).as_posix(), "the image is on disk, the annotations do not list it")
        for path in files
    ]


def _compare(known: SplitManifest, found: SplitManifest, content: SplitContent) -> None:
    """Differences from the manifest; images it does not know are new, those that are absent belong to a larger set."""
    problems = content.problems
    edited = False
    for image_id, (image, annotations) in found.images.items():
        before = known.images.get(image_id)
        if before is None:
            continue
        if image and image != before[0]:
            detail = f"the file's SHA-256 is {image[:12]}..., it was {before[0][:12]}... when first verified"
            problems.append(Finding("changed", image_id, detail))
        if annotations != before[1]:
            edited = True
            problems.append(Finding("annotations changed", image_id, "they differ from when they were first verified"))
    for name, (sha256, images) in found.files.items():
        before_file = known.files.get(name)
        if before_file is not None and sha256 != before_file[0] and images == before_file[1] and not edited:
            detail = "the file differs from when it was first verified, though no image's annotations do"
            problems.append(Finding("annotation file changed", name, detail))
    content.facts["images_compared"] = len(found.images.keys() & known.images.keys())
    absent = len(known.images.keys() - found.images.keys())
    if absent:
        content.facts["images_of_the_manifest_absent"] = absent


def _remember(known: Manifest, found: Mapping[str, SplitManifest], accept: bool) -> None:
    """Adds what is new; under `accept` also replaces what differs."""
    before = {split: known.splits.get(split, SplitManifest()) for split in found}
    merged = {split: before[split].merged(new.readable()) for split, new in found.items() if new.images}
    if accept or any(merged[split] != before[split] for split in merged):
        known.splits.update(merged)
        known.save()


def _report(split: str, content: SplitContent) -> dict[str, Any]:
    return {
        "split": split,
        "images": len(content.items),
        "boxes": sum(len(item.boxes) for item in content.items),
        "ignored": sum(int(item.ignore.sum()) for item in content.items),
        "facts": content.facts,
        "oddities": [asdict(finding) for finding in content.oddities],
        "problems": [asdict(finding) for finding in content.problems],
    }
