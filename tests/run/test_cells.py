"""Which settings make another training, which another evaluation, and which nothing; what a row's name tells."""

from collections.abc import Callable

import pytest

from bench.config import compose
from bench.errors import ConfigError
from bench.records.identity import difference, digest, in_words, leaves
from bench.run.cells import Cell, make_cell

Make = Callable[..., Cell]


@pytest.mark.parametrize(
    "word",
    [
        "paths.runs=elsewhere/runs",
        "paths.results=elsewhere/results",
        "data.num_workers=7",
        "data.cache=elsewhere",
        "seed=3",
        "logger=none",
        "trainer.accelerator=gpu",
        "trainer.threads=1",
        "trainer.channels_last=false",
        "overwrite=always",
        "optimize=none",
        "pictures=0",
        "+ablations.idea=on",
        "data.device_augmentation=true",
    ],
)
def test_no_identity_sees(cell: Make, word: str) -> None:
    before, after = cell(), cell(word)
    assert (after.train_id, after.cell_id) == (before.train_id, before.cell_id)
    assert after.changes == {}


@pytest.mark.parametrize(
    ("word", "changes"),
    [
        ("detector.recipe.lr=0.5", {"recipe.lr": 0.5}),
        ("detector.recipe.epochs=25", {"recipe.epochs": 25}),
        ("detector.recipe.batch_size=3", {"recipe.batch_size": 3, "effective_batch": 3}),
        ("detector.augmentation.crop_scales=[0.3,1.0]", {"augmentation.crop_scales": [0.3, 1.0]}),
        ("detector.augmentation.photometric=true", {"augmentation.photometric": True}),
        ("detector.model.head.channels=16", {"model.head.channels": 16}),
        ("validation.every_n_epochs=1", {"validation.every_n_epochs": 1}),
        ("validation.protocol.score_threshold=0.3", None),
        ("trainer.precision=bf16-mixed", {"precision": "bf16-mixed"}),
        ("trainer.accumulate=2", {"effective_batch": 16}),
        ("trainer.devices=2", {"effective_batch": 16}),
        ("+callbacks.x={_target_: pytorch_lightning.callbacks.DeviceStatsMonitor}", None),
        ("optimizer@detector.recipe.optimizer=sgd", None),
        ("data.held_out=4", {}),
        ("data.train_images=17", {}),
    ],
)
def test_both_ids_see_what_shapes_the_weights(cell: Make, word: str, changes: dict[str, object] | None) -> None:
    before, after = cell(), cell(word)
    assert after.train_id != before.train_id
    assert after.cell_id != before.cell_id
    assert after.changes == changes if changes is not None else after.changes


@pytest.mark.parametrize(
    ("word", "changes"),
    [
        ("protocol.score_threshold=0.5", {}),
        ("protocol.pad_to=[320,320]", {}),
        ("protocol.resize.size=320", {}),
        ("postprocess.processor.max_detections=5", {"postprocess.processor.max_detections": 5}),
        ("postprocess=blending", {}),
        ("protocol=wider_original", {}),
    ],
)
def test_only_the_cell_sees_what_shapes_the_evaluation(cell: Make, word: str, changes: dict[str, object]) -> None:
    before, after = cell(), cell(word)
    assert after.train_id == before.train_id
    assert after.cell_id != before.cell_id
    assert after.changes == changes


def test_inference_shapes_the_evaluation_alone(cell: Make) -> None:
    """Score fusion is no part of a training: the checkpoint is chosen under the YAML's own exponents."""
    chosen = ["detector=tinaface", "detector.inference.score_fusion.cls_exponent=0.4"]
    before, after = cell(chosen[0]), cell(*chosen)
    assert after.train_id == before.train_id
    assert after.cell_id != before.cell_id
    assert after.changes == {"inference.score_fusion.cls_exponent": 0.4}
    assert after.config["validation"]["inference"]["score_fusion"]["cls_exponent"] == 0.8


def test_a_protocol_with_values_of_its_own_is_another_one(cell: Make) -> None:
    assert cell().protocol == "synth_vga"
    changed, other = cell("protocol.score_threshold=0.5"), cell("protocol.score_threshold=0.6")
    assert changed.protocol_changes == {"score_threshold": 0.5}
    assert changed.protocol.startswith("synth_vga+")
    assert changed.protocol != other.protocol
    with pytest.raises(ConfigError, match=r"expected protocol `mine` to be the file conf/protocol/mine\.yaml"):
        cell("protocol.name=mine")


def test_names_of_a_grid_are_no_changes(composed: Callable[..., object], words: list[str]) -> None:
    """What the axes tell is in the labels; what else is set is told beside them."""
    lr, depth = "detector.recipe.lr=0.5", "detector.model.head.depth=2"
    config = compose("_cell", [*words, lr, depth])
    cell = make_cell(config, [*words, lr, depth], {"rate": "high"}, told_by_axes=[lr])
    assert (cell.ablations, cell.changes) == ({"rate": "high"}, {"model.head.depth": 2})


def test_files_of_values_name_a_row(cell: Make) -> None:
    assert cell("debug=fast").ablations == {"debug": "fast"}
    assert cell("ablation=sample_redistribution_on").ablations == {"sample_redistribution": "on"}


def test_paths_and_secrets_stay_outside(cell: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "hunter2")
    changed = cell("+detector.model.checkpoint=/home/someone/w.ckpt", "+detector.model.token='x-${oc.env:TOKEN}'")
    assert changed.changes == {"model.checkpoint": ".../w.ckpt", "model.token": "x-${oc.env:TOKEN}"}
    told = str((changed.training, changed.evaluation, changed.changes, changed.shown_config["detector"]))
    assert "hunter2" not in told
    assert "/home" not in str((changed.training, changed.changes))
    assert changed.config["detector"]["model"]["token"] == "x-hunter2"


def test_where_code_lies_is_no_identity(cell: Make) -> None:
    assert cell().training["model"]["backbone"]["_target_"] == "ResNetV1e"
    assert leaves(cell().training)["recipe.optimizer._target_"] == "torch.optim.AdamW"


def test_a_cell_names_itself(composed: Callable[..., object], words: list[str]) -> None:
    cell = make_cell(compose("_cell", words), words, {"idea": "on"})
    assert (cell.detector, cell.dataset, cell.seed) == ("scrfd_tiny", "synth_faces", 0)
    assert str(cell) == "scrfd_tiny (idea=on) seed 0"
    assert len(cell.cell_id) == len(cell.train_id) == 10
    other = cell.with_seed(5)
    assert (other.seed, other.config["seed"], other.config["data"]["seed"]) == (5, 5, 5)
    assert other.cell_id == cell.cell_id


def test_a_missing_value_is_named() -> None:
    with pytest.raises(ConfigError, match=r"data\.root"):
        make_cell(compose("_cell", ["data=wider_face"]))


def test_a_detector_without_a_recipe_is_not_trained(cell: Make) -> None:
    with pytest.raises(ConfigError, match="has no recipe: it cannot be trained here"):
        cell("detector=external/torchvision_face")


def test_digests_and_differences() -> None:
    assert digest({"a": 1, "b": [2, 3]}) == digest({"b": [2, 3], "a": 1})
    assert digest({"a": [2, 3]}) != digest({"a": [3, 2]})
    one, other = {"a": {"b": 1, "c": [1, 2]}, "d": None, "e": {}}, {"a": {"b": 2}, "d": None, "f": 0}
    assert leaves(one) == {"a.b": 1, "a.c": [1, 2], "d": None, "e": {}}
    assert difference(one, other) == {"a.b": 1, "a.c": [1, 2], "e": {}, "f": None}
    assert in_words({"a.b": 1, "c": "text", "d": [1, 2.5], "e": None}) == "a.b=1, c=text, d=[1,2.5], e=null"
