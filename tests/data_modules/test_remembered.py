"""The memory of what was read: asked in place of a large file, and never believed when the file may have changed."""

import json
import multiprocessing
import os
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from data_modules import WiderFace
from data_modules.loading import fingerprint
from data_modules.loading.fingerprint import remembered
from data_modules.loading.transforms import ResizeLongSide
from data_modules.wider_face import files as wider_face
from data_modules.wider_face.files import WiderFaceFiles


class Reading:
    """Counts how often files are read; `remember` asks as a data module does."""

    def __init__(self, *files: Path) -> None:
        self.files = files
        self.count = 0

    def remember(self, **settings: Any) -> str:
        return remembered(self.files, settings, self.read)["text"]

    def read(self) -> dict[str, Any]:
        self.count += 1
        return {"text": "".join(file.read_text() for file in self.files if file.is_file())}


class Clock:
    """Stands in for the module `time`."""

    def __init__(self) -> None:
        self.ahead = 0.0  # seconds

    def time_ns(self) -> int:
        return time.time_ns() + int(self.ahead * 1e9)


@pytest.fixture(autouse=True)
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the memory, empty, and a process that remembers nothing."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(fingerprint, "_remembered", {})
    return tmp_path / "cache" / "bench" / "fingerprints"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(fingerprint, "time", clock)
    return clock


@pytest.fixture
def later(clock: Clock) -> Clock:
    """Ten seconds after the files were written."""
    clock.ahead = 10
    return clock


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "annotations.txt"
    path.write_text("one")
    return path


def restart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process: only what is on disk is left."""
    monkeypatch.setattr(fingerprint, "_remembered", {})


@pytest.mark.usefixtures("later")
def test_a_file_is_read_once(file: Path, memory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reading = Reading(file)
    assert [reading.remember(), reading.remember()] == ["one", "one"]
    restart(monkeypatch)
    assert reading.remember() == "one"
    assert reading.count == 1
    assert len(list(memory.iterdir())) == 1


@pytest.mark.usefixtures("later")
def test_a_data_module_reads_a_file_once(wider_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []
    original = wider_face.read_wider_text
    monkeypatch.setattr(wider_face, "read_wider_text", lambda path: read.append(path) or original(path))
    summaries = []
    for _ in range(3):
        restart(monkeypatch)
        summaries.append(WiderFace(wider_root, None, ResizeLongSide(48)).summary("train"))
    assert [path.name for path in read] == ["wider_face_train_bbx_gt.txt"]
    assert summaries == [summaries[0]] * 3
    (wider_root / "WIDER_train/images/0--Parade/a_1.jpg").unlink()  # images are looked at every time
    assert WiderFace(wider_root, None, ResizeLongSide(48)).summary("train")["image_hash"] != summaries[0]["image_hash"]


def test_a_subclass_has_a_memory_of_its_own(wider_root: Path, later: Clock) -> None:
    class EverySecond(WiderFaceFiles):
        def annotated(self, split: Any) -> Any:
            return super().annotated(split)[::2]

    counts = [kind(wider_root).summary("train")["images"] for kind in (WiderFaceFiles, EverySecond)]
    assert counts == [3, 2]


@pytest.mark.usefixtures("later")
def test_every_choice_of_images_has_a_memory_of_its_own(wider_root: Path) -> None:
    def summary(split: Any, **options: Any) -> dict[str, Any]:
        return WiderFace(wider_root, None, ResizeLongSide(48), **options).summary(split)

    for _ in range(2):  # read, then from memory
        train = [summary("train", **options) for options in ({}, {"train_images": 1}, {"held_out": 1}, {"held_out": 2})]
        assert [found["images"] for found in train] == [3, 1, 2, 1]
        assert len({found["annotation_hash"] for found in train}) == 4
        held_out = [summary("held_out", held_out=number) for number in (1, 2)]
        assert [found["images"] for found in held_out] == [1, 2]
        assert [summary("val", images=images)["images"] for images in ("listed", "all")] == [2, 2]


def longer(file: Path) -> None:
    stat = file.stat()
    file.write_text("three")
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def of_another_time(file: Path) -> None:
    file.write_text("two")
    os.utime(file, (1e9, 1e9))


def of_the_same_size_and_mtime(file: Path) -> None:
    stat = file.stat()
    file.write_text("two")
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))


@pytest.mark.usefixtures("later")
@pytest.mark.parametrize("fresh", [True, False])
@pytest.mark.parametrize("change", [longer, of_another_time, of_the_same_size_and_mtime, Path.unlink])
def test_a_change_is_noticed(
    file: Path, change: Callable[[Path], None], fresh: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading = Reading(file)
    reading.remember()
    time.sleep(0.02)  # the clock of a file system ticks every 4 ms or so
    change(file)
    if fresh:
        restart(monkeypatch)
    assert reading.remember() == (file.read_text() if file.exists() else "")
    assert reading.count == 2


@pytest.mark.usefixtures("later")
@pytest.mark.parametrize("number", ["st_size", "st_mtime_ns", "st_ctime_ns"])
def test_size_and_times_count_each(file: Path, number: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One number at a time of what the file system says; no program can do so."""
    said, original = {"st_size": 3, "st_mtime_ns": 10**18, "st_ctime_ns": 10**18}, Path.stat

    def stat(path: Path, **options: Any) -> Any:
        return SimpleNamespace(**said) if path == file else original(path, **options)

    monkeypatch.setattr(Path, "stat", stat)
    count = 0

    def read() -> dict[str, Any]:
        nonlocal count
        count += 1
        return {"number": count}

    assert [remembered([file], {}, read)["number"] for _ in range(2)] == [1, 1]
    said[number] += 1
    assert [remembered([file], {}, read)["number"] for _ in range(2)] == [2, 2]


@pytest.mark.usefixtures("later")
def test_every_file_and_every_setting_counts(file: Path, tmp_path: Path) -> None:
    other = tmp_path / "landmarks.txt"
    reading = Reading(file, other)  # the second one is not there yet
    assert [reading.remember(), reading.remember(held_out=1), reading.remember(held_out=2)] == ["one"] * 3
    other.write_text(" more")
    assert reading.remember(held_out=2) == "one more"
    assert reading.count == 4


def test_a_file_changed_lately_is_not_trusted(file: Path, memory: Path, clock: Clock) -> None:
    """A second change may leave the same size and the same times."""
    reading = Reading(file)
    assert [reading.remember(), reading.remember()] == ["one", "one"]
    assert reading.count == 2
    assert not memory.exists()
    clock.ahead = 1.5
    reading.remember()
    clock.ahead = 4
    reading.remember()
    reading.remember()
    assert reading.count == 4


def test_slow_reading_makes_no_file_older(file: Path, memory: Path, clock: Clock) -> None:
    """What counts is its age when reading began, for it may have changed just after."""
    reading = Reading(file)

    def slow() -> dict[str, Any]:
        clock.ahead += 100
        return reading.read()

    remembered([file], {}, slow)
    assert not memory.exists()


@pytest.mark.usefixtures("later")
def test_a_change_while_reading_is_noticed(file: Path) -> None:
    reading = Reading(file)

    def overtaken() -> dict[str, Any]:
        found = reading.read()
        file.write_text("another")
        return found

    assert remembered([file], {}, overtaken)["text"] == "one"
    assert reading.remember() == "another"


@pytest.mark.usefixtures("later")
@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"null", b"{}", b"\xff\xfe", b'{"key": "of another", "value": {}}']
)
def test_a_broken_memory_is_mended(file: Path, memory: Path, content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    reading = Reading(file)
    reading.remember()
    (kept,) = memory.iterdir()
    whole = kept.read_bytes()
    assert json.loads(whole)["value"] == {"text": "one"}
    kept.write_bytes(content)
    restart(monkeypatch)
    assert (reading.remember(), reading.count) == ("one", 2)
    assert kept.read_bytes() == whole


@pytest.mark.usefixtures("later")
def test_a_memory_that_cannot_be_written(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    reading = Reading(file)
    for _ in range(2):
        restart(monkeypatch)
        assert reading.remember() == "one"
    assert reading.count == 2


@pytest.mark.usefixtures("later")
def test_a_full_disk_leaves_nothing_behind(file: Path, memory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def half(path: Path, text: str) -> None:
        path.write_bytes(text[:10].encode())
        raise OSError("No space left on device")

    monkeypatch.setattr(Path, "write_text", half)
    assert Reading(file).remember() == "one"
    assert list(memory.iterdir()) == []


@pytest.mark.usefixtures("later")
@pytest.mark.parametrize("given", [None, "", "relative"])
def test_the_folder_of_the_memory(
    file: Path, tmp_path: Path, given: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As XDG asks: what is no absolute path is as if not set."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    if given is None:
        monkeypatch.delenv("XDG_CACHE_HOME")
    else:
        monkeypatch.setenv("XDG_CACHE_HOME", given)
    Reading(file).remember()
    assert len(list((tmp_path / "home/.cache/bench/fingerprints").iterdir())) == 1
    assert {path.name for path in tmp_path.iterdir()} == {"home", file.name}


@pytest.mark.usefixtures("later")
def test_a_user_without_a_home(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere(path: Path) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "expanduser", nowhere)
    assert Reading(file).remember() == "one"


def ask(file: Path, start: Any, found: Any) -> None:
    """In a process of its own: as often as the other one, at the same time."""
    for number in range(30):
        start.wait(60)
        found.put(remembered([file], {"number": number}, Reading(file).read)["text"])


@pytest.mark.usefixtures("later")
def test_two_processes_at_once(file: Path, memory: Path) -> None:
    file.write_text("x" * 100_000)
    fork = multiprocessing.get_context("fork")  # so that both have the clock of this test
    start, found = fork.Barrier(2), fork.Queue()
    processes = [fork.Process(target=ask, args=(file, start, found)) for _ in range(2)]
    for process in processes:
        process.start()
    texts = [found.get(timeout=60) for _ in range(60)]
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    assert set(texts) == {file.read_text()}
    assert len(list(memory.iterdir())) == 30  # and no unfinished one
    reading = Reading(file)
    assert all(reading.remember(number=number) == file.read_text() for number in range(30))
    assert reading.count == 0
