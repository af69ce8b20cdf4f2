"""`bench data` through the real command."""

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

Bench = Callable[..., CompletedProcess[str]]
TINY = ["data=synth_faces", "data.train_images=16", "data.val_images=8"]


def test_prepare_verify_and_a_flipped_byte(bench: Bench, tmp_path: Path) -> None:
    words = [*TINY, "data.root=drawn"]
    assert bench("data", "prepare", *words).returncode == 0
    done = bench("data", "verify", *words)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "nothing wrong" in done.stdout
    image = sorted((tmp_path / "drawn").rglob("WIDER_val/images/*/*.jpg"))[0]
    content = bytearray(image.read_bytes())
    content[len(content) // 2] ^= 0xFF
    image.write_bytes(content)
    done = bench("data", "verify", *words, "format=json")
    assert done.returncode == 1
    report = json.loads(done.stdout)
    subjects = {found["subject"] for found in report["splits"][1]["problems"]}
    assert subjects == {f"{image.parent.name}/{image.stem}"}
    done = bench("data", "verify", *words)
    assert done.returncode == 1
    assert f"PROBLEM, val: changed: {image.parent.name}/{image.stem}" in done.stdout
    done = bench("data", "verify", *words, "accept=true")
    assert "accepted" in done.stdout


def test_prepare_from_local_archives(bench: Bench, drawn: Path, tmp_path: Path) -> None:
    """A drawn set, packed as the official archives are, becomes a WIDER FACE."""
    assert bench("data", "prepare", *TINY, f"data.root={drawn}").returncode == 0
    (source,) = drawn.glob("*-16x8")
    parts = {"WIDER_train": "WIDER_train", "WIDER_val": "WIDER_val", "wider_face_split": "wider_face_split"}
    (tmp_path / "archives").mkdir()
    for name in (*parts, "eval_tools"):
        with zipfile.ZipFile(tmp_path / "archives" / f"{name}.zip", "w") as archive:
            for path in (source / name).rglob("*"):
                archive.write(path, path.relative_to(source))
    words = ["data", "prepare", "data=wider_face", "data.root=made", "archives=archives"]
    refused = bench(*words)
    assert refused.returncode == 1
    assert "expected SHA-256" in refused.stderr
    unchecked = [f"data.prepare.archives.{name}.sha256=null" for name in (*parts, "eval_tools")]
    done = bench(*words, *unchecked)
    assert done.returncode == 0, done.stderr
    assert "unpacked as it is" in done.stderr
    shutil.rmtree(tmp_path / "archives")
    done = bench("data", "verify", "data=wider_face", "data.root=made", "format=json")
    assert done.returncode == 0, done.stdout
    assert [split["images"] for split in json.loads(done.stdout)["splits"]] == [16, 8]


def test_convert(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "label.txt").write_text("# e/a.jpg 10 20\n1 2 3 4\n")
    done = bench("data", "convert", "from=label.txt", "to=out/faces.json", "format=json")
    assert json.loads(done.stdout)["faces"] == 1, done.stderr
    assert json.loads((tmp_path / "out" / "faces.json").read_text())["annotations"][0]["bbox"] == [1, 2, 2, 2]
    done = bench("data", "convert", "to=x.json")
    assert done.returncode == 1
    assert "from=FILE to=FILE" in done.stderr


def test_an_unknown_action(bench: Bench) -> None:
    done = bench("data", "destroy", "data=synth_faces")
    assert done.returncode == 1
    assert "prepare, verify, stats, summary, convert" in done.stderr
