"""The drawn shapes: deterministic, in COCO's layout, with what COCO has: crowds, tiny objects, empty images."""

import json
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest

from data_modules import SynthShapes
from data_modules.loading.transforms import ResizeLongSide, SquareCropAugmentation
from data_modules.synth_shapes.generate import MANIFEST, draw_image, generate, is_complete
from data_modules.synth_shapes.outlines import CLASS_NAMES, outline
from data_modules.synth_shapes.scene import CROWD_EVERY, EMPTY_EVERY, plan_scene


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("shapes")
    generate(root, seed=0, train_images=14, val_images=3)
    return root


@pytest.mark.parametrize("name", CLASS_NAMES)
def test_outlines_fill_the_unit_circle(name: str) -> None:
    radii = np.linalg.norm(outline(name), axis=1)
    assert 0.9 < radii.max() <= 1.05
    area = cv2.contourArea(outline(name).astype(np.float32))
    assert 0.5 < area <= np.pi


def test_the_kinds_of_images() -> None:
    scenes = [plan_scene(np.random.default_rng([5, index]), index) for index in range(60)]
    objects = [found for scene in scenes for found in scene.objects]
    counts = Counter(CLASS_NAMES[found.label] for found in objects if not found.crowd)
    assert set(counts) == set(CLASS_NAMES)
    assert min(counts.values()) > sum(counts.values()) / 30
    areas = np.array([found.area for found in objects if not found.crowd])
    assert (areas < 16**2).mean() > 0.15  # tiny
    assert (areas > 96**2).mean() > 0.03
    assert areas.min() >= 12
    for index, scene in enumerate(scenes):
        assert (not scene.objects) == (index % EMPTY_EVERY == EMPTY_EVERY // 2)
        crowds = [found for found in scene.objects if found.crowd]
        assert len(crowds) == (index % CROWD_EVERY == 1)
        for x, y, w, h in (found.box for found in scene.objects):
            assert x >= 0
            assert y >= 0
            assert x + w <= scene.width
            assert y + h <= scene.height


def test_a_box_holds_what_is_seen() -> None:
    """A box drawn around the difference that one shape makes to the picture is its annotated box."""
    from data_modules.synth_shapes.paint import paint

    scene = next(s for s in (plan_scene(np.random.default_rng(i), 0) for i in range(20)) if len(s.objects) > 2)
    top, truth = scene.shapes[-1], scene.objects[-1]
    without = type(scene)(scene.height, scene.width, scene.shapes[:-1], scene.objects[:-1])
    pictures = [paint(one, np.random.default_rng(1)).astype(int) for one in (scene, without)]
    clear = np.zeros(pictures[0].shape[:2], np.uint8)
    cv2.fillPoly(clear, [np.round(top.points).astype(np.int32)], 1)
    x, y, w, h = truth.box
    rows, columns = np.flatnonzero(clear.any(axis=1)), np.flatnonzero(clear.any(axis=0))
    np.testing.assert_allclose([x, y, x + w, y + h], [columns[0], rows[0], columns[-1], rows[-1]], atol=2)
    inside = np.abs(pictures[0] - pictures[1])[int(y) : int(y + h), int(x) : int(x + w)].mean()
    assert inside > 10


def test_layout_and_reading(drawn: Path) -> None:
    document = json.loads((drawn / "annotations" / "instances_train2017.json").read_text())
    assert [category["name"] for category in document["categories"]] == list(CLASS_NAMES)
    assert [row["id"] for row in document["annotations"]] == list(range(1, len(document["annotations"]) + 1))
    assert sum(row["iscrowd"] for row in document["annotations"]) == 3
    assert not any("segmentation" in row for row in document["annotations"])
    for image in document["images"]:
        assert cv2.imread(str(drawn / "train2017" / image["file_name"])).shape == (image["height"], image["width"], 3)


def test_drawing_is_deterministic_and_skipped_when_done(drawn: Path, tmp_path: Path) -> None:
    generate(tmp_path, seed=0, train_images=14, val_images=3)
    files = sorted(path.relative_to(drawn) for path in drawn.rglob("*") if path.suffix in (".jpg", ".json"))
    assert len(files) == 14 + 3 + 3
    assert all((drawn / file).read_bytes() == (tmp_path / file).read_bytes() for file in files)
    marked = tmp_path / "train2017" / "000000000001.jpg"
    marked.write_bytes(b"mine")
    generate(tmp_path, seed=0, train_images=14, val_images=3)
    assert marked.read_bytes() == b"mine"
    (tmp_path / MANIFEST).unlink()  # as after a killed run
    assert not is_complete(tmp_path, 0, 14, 3)
    generate(tmp_path, seed=0, train_images=2, val_images=1)
    assert sorted(path.name for path in (tmp_path / "train2017").iterdir()) == [f"{i:012d}.jpg" for i in (1, 2)]
    assert not np.array_equal(draw_image(0, "train", 0)[1], draw_image(0, "val", 0)[1])


def test_data_module_draws_on_first_use(tmp_path: Path) -> None:
    options = {"train_transform": SquareCropAugmentation(64), "eval_resize": ResizeLongSide(64), "num_workers": 0}
    module = SynthShapes(tmp_path, train_images=2, val_images=1, batch_size=2, num_classes=8, **options)
    module.prepare_data()
    module.setup("fit")
    assert (module.name, module.class_names, module.num_classes) == ("synth_shapes", CLASS_NAMES, 8)
    (batch,) = module.train_dataloader()
    assert batch["images"].shape == (2, 3, 64, 64)
    assert module.summary("val")["images"] == 1
