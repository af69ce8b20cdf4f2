"""Which settings make another training, which another evaluation, and which nothing; and the cells of a grid."""

import copy
from typing import Any

import pytest
from omegaconf import DictConfig, OmegaConf

from bench.config import compose
from bench.errors import ConfigError
from bench.grid.cells import Cell, digest, enumerate_cells, make_cell, trainings

OVERRIDES = ["detector=scrfd_tiny", "data=synth_faces", "schedule=demo"]


@pytest.fixture(scope="module")
def composed() -> DictConfig:
    return compose("_cell", OVERRIDES)


def changed(config: DictConfig, key: str, value: Any) -> Cell:
    other = copy.deepcopy(config)
    OmegaConf.update(other, key, value, force_add=True)
    return make_cell(other)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("paths.runs", "elsewhere/runs"),
        ("paths.data", "elsewhere"),
        ("paths.results", "elsewhere/results"),
        ("data.root", "elsewhere/faces"),
        ("data.num_workers", 7),
        ("seed", 3),
        ("logger.name", "none"),
        ("trainer.accelerator", "gpu"),
        ("trainer.devices", 2),
        ("trainer.threads", 1),
        ("overwrite", "always"),
        ("pictures", 0),
        ("labels", {"idea": "on"}),
    ],
)
def test_neither_hash_sees(composed: DictConfig, key: str, value: Any) -> None:
    before, after = make_cell(composed), changed(composed, key, value)
    assert (after.train_id, after.cell_id) == (before.train_id, before.cell_id)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("detector.recipe.lr", 0.5),
        ("detector.recipe.epochs", 25),
        ("detector.recipe.batch_size", 3),
        ("detector.augmentation.crop_scales", [0.3, 1.0]),
        ("detector.augmentation.clip_boxes", False),
        ("detector.model.head.channels", 16),
        ("detector.model.criterion.assigner.topk", 8),
        ("data.train_images", 10),
        ("data.module.dataset_seed", 1),
        ("validation.every_n_epochs", 1),
        ("trainer.precision", "bf16-mixed"),
        ("trainer.accumulate", 2),
    ],
)
def test_both_hashes_see_what_shapes_the_weights(composed: DictConfig, key: str, value: Any) -> None:
    before, after = make_cell(composed), changed(composed, key, value)
    assert after.train_id != before.train_id
    assert after.cell_id != before.cell_id


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("protocol.score_threshold", 0.5),
        ("protocol.version", 2),
        ("protocol.pad_to", [320, 320]),
        ("protocol.resize.size", 320),
        ("postprocess.processor.suppression.iou_threshold", 0.3),
        ("postprocess.processor.max_detections", 5),
        ("postprocess.name", "other"),
    ],
)
def test_only_the_cell_sees_what_shapes_the_evaluation(composed: DictConfig, key: str, value: Any) -> None:
    before, after = make_cell(composed), changed(composed, key, value)
    assert after.train_id == before.train_id
    assert after.cell_id != before.cell_id


@pytest.mark.parametrize("override", ["protocol=wider_original", "postprocess=blending"])
def test_choosing_another_evaluation_keeps_the_training(composed: DictConfig, override: str) -> None:
    before, after = make_cell(composed), make_cell(compose("_cell", [*OVERRIDES, override]))
    assert after.train_id == before.train_id
    assert after.cell_id != before.cell_id


def test_a_cell_names_itself(composed: DictConfig) -> None:
    cell = make_cell(composed, {"idea": "on"})
    assert (cell.detector, cell.dataset, cell.seed) == ("scrfd_tiny", "synth_faces", 0)
    assert str(cell) == "scrfd_tiny (idea=on) seed 0"
    assert str(make_cell(composed)) == "scrfd_tiny seed 0"
    assert len(cell.cell_id) == len(cell.train_id) == 10


def test_a_missing_value_is_named() -> None:
    with pytest.raises(ConfigError, match=r"data\.root"):
        make_cell(compose("_cell", ["data=wider_face"]))


def test_digest_does_not_depend_on_order() -> None:
    assert digest({"a": 1, "b": [2, 3]}) == digest({"b": [2, 3], "a": 1})
    assert digest({"a": [2, 3]}) != digest({"a": [3, 2]})


def grid(**changes: Any) -> DictConfig:
    described = {
        "name": "small",
        "overrides": ["data=synth_faces", "schedule=demo"],
        "axes": {
            "detector": ["scrfd_tiny", "blazeface_tiny"],
            "crops": {"large": None, "small": "detector.augmentation.crop_scales=[0.3,1.0]"},
            "postprocess": ["nms", "blending"],
        },
        "seeds": [0, 1],
        "cell_overrides": [],
    }
    return OmegaConf.create(described | changes)


def test_enumeration() -> None:
    cells = enumerate_cells(grid())
    assert len(cells) == 2 * 2 * 2 * 2
    assert len({(cell.cell_id, cell.seed) for cell in cells}) == 16
    assert [str(cell) for cell in cells[:5]] == [
        "scrfd_tiny (crops=large, postprocess=nms) seed 0",
        "scrfd_tiny (crops=large, postprocess=nms) seed 1",
        "scrfd_tiny (crops=large, postprocess=blending) seed 0",
        "scrfd_tiny (crops=large, postprocess=blending) seed 1",
        "scrfd_tiny (crops=small, postprocess=nms) seed 0",
    ]
    assert cells[4].config["detector"]["augmentation"]["crop_scales"] == [0.3, 1.0]
    assert cells[1].config["seed"] == 1
    # suppressions share a training, crops and seeds do not
    groups = trainings(cells)
    assert len(groups) == 2 * 2 * 2
    assert next(iter(groups.values())) == [cells[0], cells[2]]
    assert cells[0].cell_id == cells[1].cell_id


def test_overrides_of_the_command_line_come_last() -> None:
    axes = {"detector": ["scrfd_tiny"]}
    cells = enumerate_cells(grid(axes=axes, seeds=[4], cell_overrides=["detector.recipe.lr=0.5"]))
    assert [cell.config["detector"]["recipe"]["lr"] for cell in cells] == [0.5]
    assert cells[0].labels == {}


def test_a_part_of_a_grid() -> None:
    cells = enumerate_cells(grid(only={"detector": ["blazeface_tiny"], "postprocess": "nms"}, seeds=[1]))
    whole = {(cell.cell_id, cell.seed) for cell in enumerate_cells(grid())}
    assert [str(cell) for cell in cells] == [
        f"blazeface_tiny (crops={crops}, postprocess=nms) seed 1" for crops in ("large", "small")
    ]
    assert {(cell.cell_id, cell.seed) for cell in cells} < whole


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"axes": {"crops": {"one": [], "two": "detector.name=scrfd_tiny"}}},
            r"crops=two\) seed 0 and .*the same cell",
        ),
        ({"axes": {"detector": ["scrfd_tiny"]}, "seeds": [0, 0]}, "same cell"),
        ({"axes": {"detector": ["scrfd_tiny", "scrfd_tiny"]}}, "axis `detector` names a choice twice"),
        ({"axes": {"detector": []}}, "axis `detector` has no choices"),
        ({"axes": {"detector": "scrfd_tiny"}}, "axis `detector` has no choices"),
        ({"axes": {"detector": ["scrfd_9000"]}}, "scrfd_9000"),
        ({"axes": {"color": ["red"]}}, "color"),
        ({"only": {"color": ["red"]}}, "name axes of the grid, detector, crops, postprocess; found `color`"),
        ({"only": {"crops": ["large", "huge"]}}, r"only.crops to be some of large, small; found \['huge'\]"),
        ({"only": {"crops": []}}, "only.crops to be some of large, small"),
    ],
)
def test_grids_that_make_no_sense(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        enumerate_cells(grid(**changes))
