"""`bench data stats`: scales counted by hand, and the paper's rise on the real subset."""

import csv
import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import DictConfig, OmegaConf
from PIL import Image

from bench.boxes.anchors import AnchorGenerator
from bench.boxes.assigners.assignment import IGNORED, NEGATIVE, Assignment
from bench.config import CONFIG_DIR, compose
from bench.data_stats import statistics as data_stats
from bench.data_stats.scales import EDGES, EpochCounts, bin_names, box_scales, count_in_bins, fractions_below
from bench.data_stats.tables import TABLES, data_stats_tables
from bench.errors import ConfigError
from bench.metrics.wider_ground_truth import read_wider_ground_truth

OWN_CROPS = (
    "{_target_: data_modules.loading.transforms.SquareCropAugmentation, crop_scales: [1.0]}"  # not the detector's
)
RESULTS = Path(__file__).resolve().parent.parent.parent / "results" / "data_stats" / "wider_face"


def test_scale_is_the_side_of_the_square_of_equal_area() -> None:
    boxes = np.array([[10.0, 10, 14, 19], [0, 0, 8, 8], [5, 5, 5, 9], [9, 9, 3, 3]])
    assert box_scales(boxes).tolist() == [6.0, 8.0, 0.0, 0.0]  # sqrt(4 * 9); no width; sides below zero
    assert box_scales(np.zeros((0, 4))).shape == (0,)


def test_fractions_below_leave_the_limit_out() -> None:
    assert fractions_below(np.array([16.0, 4.0, 8.0, 7.9]), [4, 8, 16, 16.1]) == [0.0, 0.5, 0.75, 1.0]
    with pytest.raises(ValueError, match="at least one"):
        fractions_below(np.zeros(0), [8])


def test_bins_hold_their_lower_edge() -> None:
    counts = count_in_bins(np.array([0.0, 3.9, 4.0, 8.0, 31.9, 32.0, 512.0, 9000.0]))
    expected = {"0-4": 2, "4-8": 1, "8-16": 1, "16-32": 1, "32-64": 1, "512+": 2}
    assert dict(zip(bin_names(), counts.tolist(), strict=True)) == dict.fromkeys(bin_names(), 0) | expected
    assert len(count_in_bins(np.zeros(0))) == len(EDGES)


def test_positives_by_scale_and_by_stride() -> None:
    """On 16 x 16: four cells of stride 8 with anchors of 8 and 16 (0 to 7), one of stride 16 with 32 (8)."""
    counts = EpochCounts(AnchorGenerator((8, 16), ((8, 16), (32,)))((16, 16)))
    boxes = torch.tensor([[0.0, 0, 6, 6], [0, 0, 16, 16], [3, 3, 5, 5]])
    # Anchors 0, 4 (side 8), 3 (side 16) and 8 (side 32) are positive; no anchor learns the third box.
    learns = torch.tensor([0, NEGATIVE, NEGATIVE, 1, 1, IGNORED, NEGATIVE, NEGATIVE, 1])
    counts.add(boxes, Assignment(learns, torch.zeros(9)))
    counts.add(torch.zeros(0, 4), Assignment(torch.full((9,), NEGATIVE), torch.zeros(9)))
    counts.add(boxes[:1], Assignment(torch.where(learns == 0, 0, NEGATIVE), torch.zeros(9)))
    assert counts.positives_by_anchor_scale() == {"8": 3, "16": 1, "32": 1}
    assert counts.positives_by_stride() == {"8": 4, "16": 1}
    assert (counts.images, counts.faces, counts.faces_without_anchor) == (3, 4, 1)
    assert counts.faces_by_scale.tolist()[:4] == [1, 2, 0, 1]  # 2; 6 twice; 16


def test_anchors_of_several_ratios_count_with_their_area() -> None:
    counts = EpochCounts(AnchorGenerator((8,), ((20.0, 29.1),), ratios=(0.5, 1.0, 2.0))((8, 8)))
    counts.positives += 1
    assert counts.positives_by_anchor_scale() == {"20": 3, "29.1": 3}


def test_ratio_of_nothing_is_none() -> None:
    first, second = ({table: {"16": a, "32": 0.0} for table in TABLES} for a in (10.0, 15.0))
    found = data_stats.ratios({"off": first, "on": second})
    assert found == {"on": {table: {"16": 1.5, "32": None} for table in TABLES}}
    assert data_stats.ratios({"only": first}) == {}


def configured(folder: Path, *overrides: str) -> DictConfig:
    return compose("data", ["action=stats", f"stats.output={folder}", *overrides])


@pytest.fixture
def drawn_words(drawn: Path) -> Sequence[str]:
    return f"data.root={drawn}", "data.train_images=6", "data.val_images=4", "detector=scrfd_0.5g"


def test_crop_sets_are_those_of_the_ablation() -> None:
    sets = compose("data", ["action=stats"]).stats.crop_sets
    assert list(sets) == ["off", "on"]
    for name, scales in sets.items():
        ablation = OmegaConf.load(CONFIG_DIR / "ablation" / f"sample_redistribution_{name}.yaml")
        assert list(scales) == list(ablation.detector.augmentation.crop_scales)


def test_crop_sets_reach_the_data_without_colours(tmp_path: Path) -> None:
    config = configured(tmp_path, "detector=scrfd_0.5g")
    rule = data_stats.with_crops(config, [0.5, 2.0]).data.train_transform
    assert (list(rule.crop_scales), rule.photometric) == ([0.5, 2.0], False)
    assert config.data.train_transform.photometric


def test_document_and_files(tmp_path: Path, drawn_words: Sequence[str]) -> None:
    once, again = tmp_path / "once", tmp_path / "again"
    words = (*drawn_words, "stats.epochs=2")
    document = data_stats.run(configured(once, *words))
    assert json.loads((once / "scrfd_0.5g.json").read_text()) == document
    assert document["data"]["train"]["images"] == 6
    for counts in document["crop_sets"].values():
        assert counts["images"] == 6
        assert sum(counts["faces_by_scale"].values()) == pytest.approx(counts["faces"])
        by_scale, by_stride = counts["positives_by_anchor_scale"], counts["positives_by_stride"]
        assert list(by_scale) == ["16", "32", "64", "128", "256", "512"]
        assert by_scale["16"] + by_scale["32"] == by_stride["8"] > 0
        assert by_scale["256"] + by_scale["512"] == by_stride["32"]

    rows = list(csv.DictReader((once / "scrfd_0.5g.csv").open()))
    kept = {(row["statistic"], row["set"], row["key"]): float(row["value"]) for row in rows}
    assert len(kept) == len(rows)
    assert kept["positives_by_stride", "on", "8"] == document["crop_sets"]["on"]["positives_by_stride"]["8"]

    data_stats.run(configured(again, *words))
    names = sorted(path.name for path in once.iterdir())
    stems = ("face_scale", "scrfd_0.5g_by_scale", "scrfd_0.5g_by_stride")
    figures = [f"{stem}.{suffix}" for stem in stems for suffix in ("png", "svg")]
    assert names == sorted([*figures, "scrfd_0.5g.csv", "scrfd_0.5g.json"])
    assert all((once / name).read_bytes() == (again / name).read_bytes() for name in names)
    assert not any(str(tmp_path).encode() in (once / name).read_bytes() for name in names)


def test_cumulative_face_scale_agrees_with_a_plain_loop(tmp_path: Path, drawn_words: Sequence[str]) -> None:
    config = configured(tmp_path, *drawn_words)
    face_scale = data_stats.run(config)["face_scale"]
    root = next(Path(config.data.root).glob("v*-seed0-6x4"))
    truth = read_wider_ground_truth(root / "eval_tools" / "ground_truth")
    place = face_scale["scales"].index(32.0)
    for name, counted in truth.counted.items():
        small = total = 0
        for i, image_id in enumerate(truth.image_ids):
            with Image.open(root / "WIDER_val" / "images" / f"{image_id}.jpg") as image:
                long_side = max(image.size)
            for face in range(truth.offsets[i], truth.offsets[i + 1]):
                x1, y1, x2, y2 = truth.boxes[face].tolist()
                total += bool(counted[face])
                small += bool(counted[face]) and math.sqrt((x2 - x1) * (y2 - y1)) * 640 / long_side < 32
        assert face_scale["curves"][name]["faces"] == total > 0
        assert face_scale["curves"][name]["below"][place] == pytest.approx(small / total)


class OneImage:
    """Stands in for a data module: an image of 100 x 200 with an object of 8 x 8 and one of 100 x 100 not counted."""

    def __init__(self, class_names: tuple[str, ...], truth: dict[str, Any]) -> None:
        self.class_names = class_names
        self.truth_of_val = truth

    def truth(self, split: str | None = None) -> dict[str, Any]:
        assert split is None  # of the evaluated split, whose targets are counted
        return self.truth_of_val


def coco_truth(folder: Path) -> dict[str, Any]:
    boxes = [{"bbox": [0, 0, 8, 8], "iscrowd": 0}, {"bbox": [0, 0, 100, 100], "iscrowd": 1}]
    annotations = [{"id": number, "image_id": 7, "category_id": 1} | box for number, box in enumerate(boxes)]
    images, categories = [{"id": 7, "file_name": "7.jpg"}], [{"id": 1, "name": "thing"}]
    path = folder / "instances.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    return {"coco": {"annotations": path}}


def wider_truth(folder: Path) -> dict[str, Any]:
    boxes, counted = np.array([[0, 0, 8, 8], [0, 0, 100, 100]]), np.array([True, False])
    return {"wider_face": {"image_ids": [7], "boxes": [boxes], "counted": {"all": [counted]}}}


@pytest.mark.parametrize(
    ("evaluator", "class_names", "truth", "noun"),
    [
        ("bench.metrics.coco.CocoAP", ("thing",), coco_truth, "objects"),
        ("bench.metrics.wider_face.WiderFaceAP", ("face",), wider_truth, "faces"),
    ],
)
def test_without_difficulties_there_is_one_curve(
    tmp_path: Path, evaluator: str, class_names: tuple[str, ...], truth: Callable[[Path], dict[str, Any]], noun: str
) -> None:
    """Of a longer side of 200, shown at 400: the object of 8 has 16, the other one is not counted."""
    config = configured(tmp_path, "stats.long_side=400")
    config.protocol.evaluators = {"only": {"_target_": evaluator}}
    target = {"image_id": 7, "size": torch.tensor([100, 200])}
    found = data_stats.face_scale_curves(config, OneImage(class_names, truth(tmp_path)), lambda data, split: [target])
    assert (found["of"], list(found["curves"])) == (noun, ["all"])
    below = dict(zip(found["scales"], found["curves"]["all"]["below"], strict=True))
    assert found["curves"]["all"]["faces"] == 1
    assert below[16.0] == 0.0
    assert below[2**4.125] == 1.0


def test_own_crop_sets_and_tables(tmp_path: Path, drawn_words: Sequence[str]) -> None:
    words = ("detector=blazeface", "~stats.crop_sets.off", "+stats.crop_sets.far=[1.6,2.0]")
    document = data_stats.run(configured(tmp_path, *drawn_words[:3], *words))
    assert document["crop_sets"]["far"]["faces"] >= document["crop_sets"]["on"]["faces"]
    titles = [title for title, _, _ in data_stats_tables(document)]
    assert len(titles) == 4
    _, columns, rows = data_stats_tables(document)[2]
    assert columns == ["px", "on", "far", "far / on"]
    assert [row[0] for row in rows] == ["19", "29.1", "44.7", "56", "70.3", "82.2", "96", "110.9"]


def test_what_cannot_be_counted_is_refused(
    tmp_path: Path, drawn_words: Sequence[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match=r"epochs >= 1.*found 0 epochs"):
        data_stats.run(configured(tmp_path, *drawn_words, "stats.epochs=0"))
    with pytest.raises(ConfigError, match=r"does not use detector\.augmentation\.crop_scales"):
        data_stats.run(configured(tmp_path, *drawn_words, f"data.train_transform={OWN_CROPS}"))
    monkeypatch.setattr(data_stats, "build_detector", lambda config: torch.nn.Identity())
    with pytest.raises(ConfigError, match=r"detector=scrfd_0\.5g has no anchors"):
        data_stats.run(configured(tmp_path, *drawn_words))


def test_redistribution_on_the_real_subset(shared: Path, tmp_path: Path) -> None:
    """The paper: 72.3 K to 118.3 K positives an epoch at anchor scale 16 (x 1.64), 95.9 K to 115.1 K at 32 (x 1.20)."""
    root = shared / "data" / "wider_face"
    document = data_stats.run(configured(tmp_path, "data=wider_face", f"data.root={root}", "detector=scrfd_0.5g"))
    rise = document["ratio"]["on"]["positives_by_anchor_scale"]
    assert 1.5 <= rise["16"] <= 2.0
    assert 1.0 <= rise["32"] <= 1.4
    assert rise["512"] < rise["256"] < 1.0
    assert document["face_scale"]["curves"]["hard"]["faces"] == 4248


def test_published_numbers() -> None:
    document = json.loads((RESULTS / "scrfd_0.5g.json").read_text())
    assert document["ratio"] == data_stats.ratios(document["crop_sets"])
    assert document["ratio"]["on"]["positives_by_anchor_scale"]["16"] >= 1.5
    assert document["data"]["train"]["images"] == 710
    for stem in ("face_scale", "scrfd_0.5g_by_scale", "scrfd_0.5g_by_stride"):
        assert (RESULTS / f"{stem}.png").is_file()
        assert (RESULTS / f"{stem}.svg").is_file()
