"""The official release names its folders `0--Parade`; a set of one's own may name them as it likes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from bench.metrics.wider_face import WiderFaceAP
from data_modules import WiderFace
from data_modules.convert import convert
from data_modules.loading.transforms import ResizeLongSide, SquareCropAugmentation
from data_modules.verify import verify

FACE = (30, 20, 24, 30, 0)
FOLDERS = [
    ("0--Parade", "1--Handshaking"),
    ("parade", "street"),
    ("17", "18"),
    ("a b", "c_d.e"),
    ("--", "x--y--z"),
    ("É", "人"),
]


def in_folders(first: str, second: str) -> dict[str, dict[str, list[tuple[int, ...]]]]:
    """Two images for each split."""
    return {
        "train": {f"{first}/a_1.jpg": [FACE], f"{second}/b_2.jpg": [FACE, (5, 5, 10, 12, 1)]},
        "val": {f"{first}/v_1.jpg": [FACE], f"{second}/v_2.jpg": [FACE]},
    }


@pytest.mark.parametrize(("first", "second"), FOLDERS)
@pytest.mark.parametrize("options", [{"annotations": "text"}, {"annotations": "mat"}, {"images": "all"}])
def test_folders_of_any_name(
    tmp_path: Path, wider_set: Callable[..., None], first: str, second: str, options: dict[str, str]
) -> None:
    root = tmp_path / "wider"
    wider_set(root, **in_folders(first, second))
    rules: Any = {"train_transform": SquareCropAugmentation(64), "eval_resize": ResizeLongSide(48), "num_workers": 0}
    module = WiderFace(root, **rules, **options)
    module.setup("fit")
    assert [image.image_id for image in module.files.annotated("train")] == [f"{first}/a_1", f"{second}/b_2"]
    assert next(iter(module.train_dataloader()))["images"].shape == (2, 3, 64, 64)
    (batch,) = module.val_dataloader()
    found = [{"boxes": torch.tensor([[30.0, 20, 54, 50]]), "scores": torch.tensor([0.9])}] * 2
    for split, held_out in (("val", 0), ("train", 0), ("held_out", 1)):
        chosen = WiderFace(root, **rules, **options, split=split, held_out=held_out)
        evaluator = WiderFaceAP(chosen.truth())
        targets = [{"image_id": image.image_id} for image in chosen.files.annotated(split)]
        evaluator.update(found[: len(targets)], targets)
        assert list(evaluator.compute().values()) == pytest.approx([1.0] * len(evaluator.ground_truth.counted))
    assert [target["image_id"] for target in batch["targets"]] == [f"{first}/v_1", f"{second}/v_2"]
    report = verify(module.files, tmp_path / "memory")
    assert [split["problems"] for split in report["splits"]] == [[], []]
    assert [split["images"] for split in report["splits"]] == [2, 2]


def test_names_make_the_fingerprint_and_nothing_else_of_them(tmp_path: Path, wider_set: Callable[..., None]) -> None:
    hashes = []
    for folders in (("0--Parade", "1--Hand"), ("parade", "hand")):
        root = tmp_path / folders[0]
        wider_set(root, **in_folders(*folders))
        hashes.append(WiderFace(root, None, ResizeLongSide(48)).summary("train"))
    for key in ("annotation_hash", "image_hash"):
        assert hashes[0][key] != hashes[1][key]


def test_conversion(tmp_path: Path, wider_set: Callable[..., None]) -> None:
    root = tmp_path / "wider"
    wider_set(root, **in_folders("parade", "street"))
    text = root / "wider_face_split" / "wider_face_train_bbx_gt.txt"
    there, back = tmp_path / "faces.json", tmp_path / "back.txt"
    convert(text, there, images=root / "WIDER_train" / "images")
    convert(there, back, output_format="wider")
    assert back.read_text().split() == text.read_text().split()
