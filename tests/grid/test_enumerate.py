"""The cells of a grid: its axes, seeds and parts, and grids that make no sense."""

from pathlib import Path
from typing import Any

import pytest
from omegaconf import DictConfig, OmegaConf

from bench.errors import ConfigError
from bench.grid.enumerate import enumerate_cells, trainings
from bench.run.data import NotPreparedError

SMALL = ["data.train_images=16", "data.val_images=8", "data.num_workers=0"]


@pytest.fixture
def grid(drawn: Path) -> Any:
    def build(**changes: Any) -> DictConfig:
        described = {
            "name": "small",
            "overrides": ["data=synth_faces", "schedule=demo", f"data.root={drawn}", *SMALL],
            "axes": {
                "detector": ["scrfd_tiny", "blazeface_tiny"],
                "crops": {"large": None, "small": "detector.augmentation.crop_scales=[0.3,1.0]"},
                "postprocess": ["nms", "blending"],
            },
            "seeds": [0, 1],
            "cell_overrides": [],
        }
        return OmegaConf.create(described | changes)

    return build


def test_enumeration(grid: Any) -> None:
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
    assert [cells[1].config["seed"], cells[1].config["data"]["seed"]] == [1, 1]
    assert {str(cell.changes) for cell in cells} == {"{}"}  # the labels tell what the axes do
    # suppressions share a training, crops and seeds do not
    groups = trainings(cells)
    assert len(groups) == 2 * 2 * 2
    assert next(iter(groups.values())) == [cells[0], cells[2]]
    assert cells[0].cell_id == cells[1].cell_id


def test_a_value_that_follows_the_seed_is_composed_for_every_seed(grid: Any) -> None:
    axes = {"detector": {"own": ["detector=scrfd_tiny", r"detector.recipe.warmup_iterations=\${seed}"]}}
    cells = enumerate_cells(grid(axes=axes, seeds=[3, 4]))
    assert [cell.config["detector"]["recipe"]["warmup_iterations"] for cell in cells] == [3, 4]
    assert cells[0].train_id != cells[1].train_id


def test_overrides_of_the_command_line_come_last(grid: Any) -> None:
    axes = {"detector": ["scrfd_tiny"]}
    cells = enumerate_cells(grid(axes=axes, seeds=[4], cell_overrides=["detector.recipe.lr=0.5"]))
    assert [cell.config["detector"]["recipe"]["lr"] for cell in cells] == [0.5]
    assert (cells[0].ablations, cells[0].changes) == ({}, {"recipe.lr": 0.5})


def test_the_axis_that_stands_for_the_detector_is_declared(grid: Any) -> None:
    axes = {"detector": {"a": ["detector=scrfd_tiny", "+ablations.size='small'"]}}
    (cell,) = enumerate_cells(grid(axes=axes, seeds=[0], detector_axis="size"))
    assert (cell.detector_axis, cell.ablations) == ("size", {"size": "small"})


def test_a_part_of_a_grid(grid: Any) -> None:
    cells = enumerate_cells(grid(only={"detector": ["blazeface_tiny"], "postprocess": "nms"}, seeds=[1]))
    whole = {(cell.cell_id, cell.seed) for cell in enumerate_cells(grid())}
    assert [str(cell) for cell in cells] == [
        f"blazeface_tiny (crops={crops}, postprocess=nms) seed 1" for crops in ("large", "small")
    ]
    assert {(cell.cell_id, cell.seed) for cell in cells} < whole


def test_data_that_is_not_drawn_is_waited_for_only_on_demand(grid: Any, tmp_path: Path) -> None:
    with pytest.raises(NotPreparedError, match="data=synth_faces is not drawn yet"):
        enumerate_cells(grid(cell_overrides=[f"data.root={tmp_path}"]), prepare=False)
    assert not list(tmp_path.iterdir())


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
        ({"cell_overrides": ["+nobody.reads=1"]}, r"nothing reads `nobody.reads`"),
    ],
)
def test_grids_that_make_no_sense(grid: Any, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        enumerate_cells(grid(**changes))
