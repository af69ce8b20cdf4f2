"""The display of a grid, whatever lies where it looks."""

import json
from pathlib import Path
from typing import Any

import pytest

from bench.grid.display import GridDisplay, fraction, note
from bench.run.workspace import Workspace


def put(folder: Path, content: Any) -> Workspace:
    text = content if isinstance(content, bytes) else json.dumps(content).encode()
    (folder / "status.json").write_bytes(text)
    return Workspace(folder)


@pytest.mark.parametrize(
    ("content", "amount", "words"),
    [
        ({"stage": "train", "epoch": 5.0, "epochs": 10, "loss": 0.25}, 0.45, "epoch 5.0 of 10, loss 0.250"),
        ({"stage": "train", "epoch": 5.0, "epochs": 10, "loss": None}, 0.45, "epoch 5.0 of 10"),
        ({"stage": "evaluate"}, 0.9, "evaluate"),
        ({"status": "done"}, 1.0, "done"),
        ({"stage": "train"}, 0.0, "train"),
        ({"stage": "train", "epoch": "five", "epochs": 10}, 0.0, "train"),
        ({"stage": "train", "epoch": True, "epochs": 0}, 0.0, "train"),
        ({"stage": "train", "epoch": 30, "epochs": 10, "loss": [1]}, 0.9, "epoch 30.0 of 10"),
        (b'{"stage": "train", "epoch": NaN, "epochs": 1e999, "loss": -Infinity}', 0.0, "train"),
        (b'{"stage": "train", "epoch": 1, "epochs": 1' + b"0" * 400 + b"}", 0.0, "train"),
        ({"stage": ["[/bold]"]}, 0.0, "['[/bold]']"),
        ([1, 2], 0.0, ""),
        ("text", 0.0, ""),
        (b"\xff\xfe", 0.0, ""),
        (b"", 0.0, ""),
        (b"[" * 100_000, 0.0, ""),
    ],
)
def test_a_status_file_of_any_content(tmp_path: Path, content: Any, amount: float, words: str) -> None:
    workspace = put(tmp_path, content)
    assert fraction(workspace) == pytest.approx(amount)
    assert note(workspace) == words


def test_a_folder_in_place_of_the_status_file(tmp_path: Path) -> None:
    (tmp_path / "status.json").mkdir()
    assert (fraction(Workspace(tmp_path)), note(Workspace(tmp_path))) == (0.0, "")
    Workspace(tmp_path).write_status(status="running")  # said, and nothing more


def test_brackets_are_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    with GridDisplay(1, 1) as display:
        display.say("scrfd (crops=[small]): failed: expected one of [/a]")
    assert capsys.readouterr().err == "scrfd (crops=[small]): failed: expected one of [/a]\n"
