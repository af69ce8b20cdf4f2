"""`bench evaluate`: the JSON contract, golden predictions, and what it refuses."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pytest

from bench.config import compose, instantiate
from bench.records.record import Record
from bench.run.weights import chosen_postprocesses, evaluate_weights

Bench = Callable[..., CompletedProcess[str]]


def test_golden_predictions_of_wider_face(bench: Bench, shared: Path) -> None:
    done = bench(
        "evaluate",
        f"predictions={shared / 'reference' / 'retinaface_mnet025_wider_val.zip'}",
        "data=wider_face",
        f"data.root={shared / 'data' / 'wider_face'}",
        "data.images=all",
        "format=json",
    )
    assert done.returncode == 0, done.stderr
    (document,) = json.loads(done.stdout)
    record = Record.model_validate(document)
    rounded = {key: round(value, 4) for key, value in record.metrics.items()}
    assert rounded == {"val/AP_easy": 0.9070, "val/AP_medium": 0.8816, "val/AP_hard": 0.7383}
    assert record.dataset.images == 3226
    assert {"evaluate/read_s", "evaluate/evaluate_s"} <= set(record.speed)


def test_weights_under_three_suppressions_give_three_records(bench: Bench, drawn: Path, tmp_path: Path) -> None:
    done = bench("evaluate", *tiny(drawn), "postprocessors=[nms,soft_nms,blending]", "format=json")
    assert done.returncode == 0, done.stderr
    records = [Record.model_validate(document) for document in json.loads(done.stdout)]
    assert [record.protocol.postprocess for record in records] == ["nms", "soft_nms", "blending"]
    assert len({record.cell_id for record in records}) == 3
    assert {record.provenance.weights for record in records} == {"random"}
    assert all(record.metrics["val/AP_easy"] < 0.05 for record in records)
    assert all(record.path(tmp_path / "runs" / "results").is_file() for record in records)


def test_post_processors_see_what_was_changed() -> None:
    """A protocol changed on the command line rules them all, a changed post-processor itself alone."""
    changed = ["protocol.pre_top_k=50", "protocol.iou_threshold=0.6", "+postprocess.processor.min_height=9"]
    config = compose("evaluate", ["postprocess=nms", "postprocessors=[nms,blending]", *changed])
    nms, blending = (instantiate(chosen.processor) for chosen in chosen_postprocesses(config))
    assert nms.pre_top_k == blending.pre_top_k == 50
    assert nms.suppression.iou_threshold == blending.suppression.iou_threshold == 0.6
    assert (nms.min_height, blending.min_height) == (9, 0)
    config.postprocessors = []
    assert [chosen.name for chosen in chosen_postprocesses(config)] == ["nms"]


def test_a_checkpoint_of_another_detector_is_refused(bench: Bench, drawn: Path, tmp_path: Path) -> None:
    import torch

    from bench import create_detector

    torch.save({"state_dict": create_detector("blazeface_tiny").state_dict()}, tmp_path / "other.ckpt")
    done = bench("evaluate", *tiny(drawn), "weights=other.ckpt")
    assert done.returncode == 1
    assert "other.ckpt does not fit detector `scrfd_tiny`" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("content", "expected"),
    [("", "name and"), ("x\n1\n1 2 3 four 0.5\n", "four"), ("x\n2\n1 2 3 4 0.5\n", "2")],
    ids=["empty", "letters", "count"],
)
def test_predictions_that_are_none_are_refused(
    bench: Bench, drawn: Path, tmp_path: Path, content: str, expected: str
) -> None:
    folder = tmp_path / "predictions" / "0--Crowd"
    folder.mkdir(parents=True)
    (folder / "broken.txt").write_text(content)
    done = bench("evaluate", *tiny(drawn), "predictions=predictions")
    assert done.returncode == 1
    assert "broken.txt" in done.stderr
    assert expected in done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_root_is_refused(bench: Bench) -> None:
    done = bench("evaluate", "data=wider_face", "data.root=nowhere", "detector=scrfd_tiny")
    assert done.returncode == 1
    assert "nowhere" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unknown_override_is_refused(bench: Bench) -> None:
    done = bench("evaluate", "data.rooot=x")
    assert done.returncode != 0
    assert "rooot" in done.stderr


@pytest.fixture
def own_copy(bench: Bench, drawn: Path, tmp_path: Path) -> Path:
    """A copy of the drawn set that a test may damage, as the official layout that it is."""
    assert bench("data", "prepare", *tiny(drawn)[:4]).returncode == 0
    (source,) = drawn.glob("*-16x8")
    return Path(shutil.copytree(source, tmp_path / "copy"))


def test_a_truncated_jpeg_is_named(bench: Bench, own_copy: Path) -> None:
    image = sorted((own_copy / "WIDER_val").rglob("*.jpg"))[0]
    image.write_bytes(image.read_bytes()[:-2000])
    done = bench("evaluate", "data=wider_face", f"data.root={own_copy}", "detector=scrfd_tiny", "data.num_workers=0")
    assert done.returncode == 1
    assert image.name in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("old", "new"), [(0, "abc"), (2, "-7")], ids=["letters", "negative size"])
def test_a_bad_annotation_line_is_named(bench: Bench, own_copy: Path, old: int, new: str) -> None:
    text = own_copy / "wider_face_split" / "wider_face_val_bbx_gt.txt"
    lines = text.read_text().splitlines()
    number = next(i for i, line in enumerate(lines) if len(line.split()) == 10 and line.split()[2] != "0")
    words = lines[number].split()
    words[old] = new
    lines[number] = " ".join(words)
    text.write_text("\n".join(lines) + "\n")
    done = bench("evaluate", "data=wider_face", f"data.root={own_copy}", "detector=scrfd_tiny", "data.num_workers=0")
    assert done.returncode == 1
    assert text.name in done.stderr
    assert str(number + 1) in done.stderr
    assert new in done.stderr


def tiny(drawn: Path) -> list[str]:
    return [
        "data=synth_faces",
        f"data.root={drawn}",
        "data.train_images=16",
        "data.val_images=8",
        "data.num_workers=0",
        "detector=scrfd_tiny",
        "pictures=0",
    ]


def test_metrics_do_not_depend_on_the_batch_and_who_reads(bench: Bench, drawn: Path) -> None:
    """Images of one batch are padded together; what is found in one may not depend on its neighbors."""
    outputs = [bench("evaluate", *tiny(drawn), "format=json", f"data.eval_batch_size={n}") for n in (1, 5)]
    metrics = [json.loads(done.stdout)[0]["metrics"] for done in outputs]
    assert all(np.isclose(metrics[0][key], metrics[1][key], atol=1e-6) for key in metrics[0])
    ahead = bench("evaluate", *tiny(drawn), "format=json", "data.eval_batch_size=5", "data.num_workers=2")
    (record,) = json.loads(ahead.stdout)  # images that threads read from before torch was imported
    (plain,) = json.loads(outputs[1].stdout)
    assert (record["metrics"], record["statistics"]) == (plain["metrics"], plain["statistics"])


def evaluated(drawn: Path, folder: Path, *more: str) -> Record:
    """The record of random weights, by the command's own work without its start."""
    words = [*tiny(drawn), f"paths.runs={folder}", f"paths.results={folder / 'results'}", *more]
    (record,) = evaluate_weights(compose("evaluate", words), words)
    return record


def test_folded_and_eager_find_the_same(drawn: Path, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    from bench import create_detector

    save_file(dict(create_detector("scrfd_tiny").state_dict()), tmp_path / "w.safetensors")
    weights = f"weights={tmp_path / 'w.safetensors'}"
    folded, eager = (evaluated(drawn, tmp_path, weights, f"optimize={how}") for how in ("folded", "none"))
    assert folded.cell_id == eager.cell_id
    assert folded.metrics == pytest.approx(eager.metrics, abs=1e-6)


def test_weights_with_nan_give_no_record(bench: Bench, drawn: Path, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    from bench import create_detector

    for number, value in enumerate((float("nan"), float("inf"))):
        state = {key: tensor.clone() for key, tensor in create_detector("scrfd_tiny").state_dict().items()}
        state["backbone.stem.0.weight"][0, 0, 0, 0] = value
        save_file(state, tmp_path / f"{number}.safetensors")
        done = bench("evaluate", *tiny(drawn), f"weights={number}.safetensors")
        assert done.returncode == 1
        assert "found NaN or infinity in backbone.stem.0.weight" in done.stderr
    assert not list(tmp_path.rglob("seed*.json"))


def test_a_changed_protocol_never_ranks_among_the_original(drawn: Path, tmp_path: Path) -> None:
    plain, changed = evaluated(drawn, tmp_path), evaluated(drawn, tmp_path, "protocol.score_threshold=0.3")
    assert plain.protocol.name == "synth_vga"
    assert changed.protocol.name.startswith("synth_vga+")
    assert (changed.protocol.base, changed.protocol.changes) == ("synth_vga", {"score_threshold": 0.3})
    assert changed.train_id == plain.train_id


def test_train_and_held_out_can_be_evaluated(drawn: Path, tmp_path: Path) -> None:
    for split, count in (("train", 12), ("held_out", 4)):
        record = evaluated(drawn, tmp_path, "data.held_out=4", f"data.split={split}")
        assert (record.dataset.split, record.dataset.images) == (split, count)
        assert set(record.metrics) == {"val/AP_all"}
