"""WIDER FACE's text files of predictions: what is read, what is refused, and the way back."""

import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch

from bench.errors import PredictionError
from bench.predictions.wider_text import read_wider_predictions, write_wider_predictions

GOOD = "a\n2\n1 2 3 4 0.25 \n-5.5 6 7 8 9.5e-1\n"


def put(folder: Path, content: str, name: str = "0--Parade/a.txt") -> Path:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content.encode())
    return folder


def check_good(predictions: Mapping[str, Mapping[str, torch.Tensor]], image_id: str = "0--Parade/a") -> None:
    assert list(predictions) == [image_id]
    boxes, scores = predictions[image_id]["boxes"], predictions[image_id]["scores"]
    assert boxes.dtype == scores.dtype == torch.float32
    assert boxes.tolist() == [[-5.5, 6, 1.5, 14], [1, 2, 4, 6]]  # the higher score first
    torch.testing.assert_close(scores, torch.tensor([0.95, 0.25]))


@pytest.mark.parametrize("content", [GOOD, GOOD.replace("\n", "\r\n"), GOOD.rstrip(), GOOD + "\n \n"])
def test_folder(tmp_path: Path, content: str) -> None:
    check_good(read_wider_predictions(put(tmp_path, content)))
    check_good(read_wider_predictions(put(tmp_path / "deep", content, "x/y/0--Parade/a.txt") / "x"))


def test_zip(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "p.zip", "w") as archive:
        archive.writestr("results/0--Parade/a.txt", GOOD)
        archive.writestr("results/readme.md", "no prediction")
        archive.writestr("__MACOSX/results/0--Parade/._a.txt", b"\0\5\x16\7")
    check_good(read_wider_predictions(tmp_path / "p.zip"))


def test_name_with_dots_keeps_them(tmp_path: Path) -> None:
    check_good(read_wider_predictions(put(tmp_path, GOOD, "0--Parade/a.b.txt")), "0--Parade/a.b")


def test_no_detections(tmp_path: Path) -> None:
    found = read_wider_predictions(put(tmp_path, "a\n0\n"))["0--Parade/a"]
    assert found["boxes"].shape == (0, 4)
    assert found["scores"].shape == (0,)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", r"a\.txt: expected name and count on the first two lines, found 0"),
        ("\n\n", r"a\.txt: expected name and count on the first two lines, found 0"),
        ("a\n", r"a\.txt: expected name and count on the first two lines, found 1"),
        ("a\nb\n1 2 3 4 5\n", r"line 2: expected the number of boxes, found 'b'"),
        ("1 2 3 4 0.5\n1 2 3 4 0.5\n", r"line 2: expected the number of boxes, found '1 2 3 4 0.5'"),
        ("a\n-1\n", r"line 2: expected the number of boxes, found '-1'"),
        ("a\n" + "1" * 5000, r"line 2: expected the number of boxes"),
        ("a\n2\n1 2 3 4 0.5\n", r"line 2: expected 2 lines .* found 1"),
        ("a\n0\n1 2 3 4 0.5\n", r"line 2: expected 0 lines .* found 1"),
        ("a\n2\n1 2 3 4 0.5\n1 2 x 4 0.5\n", r"line 4: expected five finite numbers .* '1 2 x 4 0.5'"),
        ("a\n2\n1 2 3 4 0.5 9\n1 2 3 4\n", r"line 3: expected five finite numbers"),
        ("a\n2\n1 2 3 4 0.5\n\n1 2 3 4 0.5\n", r"line 2: expected 2 lines .* found 3"),
        ("a\n1\n1 2 3 4 nan\n", r"line 3: expected five finite numbers"),
        ("a\n1\n1 2 3 inf 0.5\n", r"line 3: expected five finite numbers"),
        ("a\n1\n1 2 3 1e39 0.5\n", r"line 3: expected five finite numbers"),
        ("a\n1\n1 2 3 1_0 0.5\n", r"line 3: expected five finite numbers"),
    ],
)
def test_bad_file_names_file_and_line(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(PredictionError, match=message):
        read_wider_predictions(put(tmp_path, content))


@pytest.mark.parametrize("value", ["nan", "NaN", "inf", "-inf", "Infinity", "1e400"])
@pytest.mark.parametrize("column", range(5))
def test_what_is_not_finite_names_file_and_line(tmp_path: Path, column: int, value: str) -> None:
    """In any of the five columns, of the second of three boxes; in a zip file too."""
    row = ["1", "2", "3", "4", "0.5"]
    row[column] = value
    content = "a\n3\n1 2 3 4 0.5\n" + " ".join(row) + "\n1 2 3 4 0.5\n"
    told = rf"0--Parade/a\.txt, line 4: expected five finite numbers `x y w h score`, found '{' '.join(row)}'"
    with pytest.raises(PredictionError, match=told):
        read_wider_predictions(put(tmp_path, content))
    with zipfile.ZipFile(tmp_path / "p.zip", "w") as archive:
        archive.writestr("0--Parade/a.txt", content)
    with pytest.raises(PredictionError, match=rf"p\.zip: {told}"):
        read_wider_predictions(tmp_path / "p.zip")


def test_nothing_to_read(tmp_path: Path) -> None:
    with pytest.raises(PredictionError, match=r"found no \.txt file"):
        read_wider_predictions(tmp_path)
    with pytest.raises(PredictionError, match="found none"):
        read_wider_predictions(tmp_path / "nowhere.zip")
    (tmp_path / "broken.zip").write_bytes(b"PK\3\4 cut short")
    with pytest.raises(PredictionError, match="expected a readable zip file"):
        read_wider_predictions(tmp_path / "broken.zip")


def test_damaged_member(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "p.zip", "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("0--Parade/a.txt", GOOD)
    content = (tmp_path / "p.zip").read_bytes()
    (tmp_path / "p.zip").write_bytes(content.replace(b"9.5e-1", b"9.5e-2"))
    with pytest.raises(PredictionError, match="expected a readable zip file"):
        read_wider_predictions(tmp_path / "p.zip")


def test_one_image_twice_and_file_without_event(tmp_path: Path) -> None:
    put(put(tmp_path, GOOD, "x/0--Parade/a.txt"), GOOD, "y/0--Parade/a.txt")
    with pytest.raises(PredictionError, match=r"x/0--Parade/a\.txt and y/0--Parade/a\.txt"):
        read_wider_predictions(tmp_path)
    with pytest.raises(PredictionError, match=r"found readme\.txt beside the events"):
        read_wider_predictions(put(tmp_path / "z", "hello", "readme.txt"))


def test_round_trip(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    corners = torch.rand(50, 2, generator=generator) * 1000 - 20
    boxes = torch.cat([corners, corners + torch.rand(50, 2, generator=generator) * 300], dim=1)
    scores = (torch.rand(50, generator=generator) ** 8).sort(descending=True).values
    assert scores.min() < 1e-6  # what five decimals would lose
    empty = {"boxes": torch.zeros(0, 4), "scores": torch.zeros(0)}
    written = {"0--Parade/a.b": {"boxes": boxes, "scores": scores}, "1--Handshaking/c": empty}
    write_wider_predictions(tmp_path, written)
    found = read_wider_predictions(tmp_path)
    assert found.keys() == written.keys()
    torch.testing.assert_close(found["0--Parade/a.b"]["boxes"], boxes, rtol=1e-7, atol=2e-5)
    assert torch.equal(found["0--Parade/a.b"]["scores"], scores)
    assert found["1--Handshaking/c"]["boxes"].shape == (0, 4)


def test_written_form(tmp_path: Path) -> None:
    write_wider_predictions(
        tmp_path, {"0--Parade/a": {"boxes": torch.tensor([[1.5, 2, 4, 6]]), "scores": torch.tensor([0.5])}}
    )
    assert (tmp_path / "0--Parade" / "a.txt").read_text() == "a\n1\n1.50000 2.00000 2.50000 4.00000 0.5\n"


@pytest.mark.parametrize("image_id", ["a", "../a", "0--Parade/", "0--Parade/b/c", "/a"])
def test_bad_image_id(tmp_path: Path, image_id: str) -> None:
    with pytest.raises(PredictionError, match="expected image ids like"):
        write_wider_predictions(tmp_path, {image_id: {"boxes": torch.zeros(0, 4), "scores": torch.zeros(0)}})


def test_published_result_reads(shared: Path) -> None:
    found = read_wider_predictions(shared / "reference" / "retinaface_mnet025_wider_val.zip")
    assert len(found) == 3226
    assert sum(len(one["scores"]) for one in found.values()) == 297333
