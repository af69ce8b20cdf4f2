"""The cache of decoded images: never a wrong picture, whatever is changed, damaged, killed or written twice."""

import errno
import multiprocessing
import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np
import pytest

from data_modules.errors import DataError
from data_modules.loading.cache import decoded as cache_module
from data_modules.loading.cache.decoded import DecodedCache
from data_modules.loading.cache.entry import write_entry
from data_modules.loading.cache.room import Room
from data_modules.loading.images import decode_image, read_image

ENTRY = 64 + 40 * 60 * 3  # bytes of one entry of `pictures`
PLENTY = 2**30
fork = multiprocessing.get_context("fork")


def write_picture(path: Path, seed: int, size: int | None = None) -> None:
    """A JPEG of 40 x 60 pixels of noise, filled up to `size` bytes after its end marker."""
    noise = np.random.default_rng(seed).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    content = cv2.imencode(".jpg", noise)[1].tobytes()
    path.write_bytes(content.ljust(size or 0, b"\0"))


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{number}.jpg" for number in range(6)]
    for number, path in enumerate(paths):
        write_picture(path, number, 10_000)
    return paths


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "below" / "cache"


@pytest.fixture
def trusting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hashes are remembered for files changed just now too."""
    monkeypatch.setattr(cache_module, "_SETTLED", -(10**18))


@pytest.fixture
def no_decoding() -> Callable[[bytes, Path], np.ndarray]:
    def refuse(content: bytes, path: Path) -> np.ndarray:
        raise AssertionError(f"{path} was decoded again")

    return refuse


def entries(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if len(path.name) == 32)


def assert_right(cache: DecodedCache, paths: list[Path]) -> None:
    for path in paths:
        np.testing.assert_array_equal(cache.get(path, decode_image), read_image(path))


def test_decodes_once(folder: Path, pictures: list[Path], no_decoding: Callable) -> None:
    assert_right(DecodedCache(folder, PLENTY), pictures)
    assert [path.stat().st_size for path in entries(folder)] == [ENTRY] * 6
    cache = DecodedCache(folder, PLENTY)
    for _ in range(2):
        for path in pictures:
            np.testing.assert_array_equal(cache.get(path, no_decoding), read_image(path))
    write_picture(pictures[0], 1, 10_000)  # the content of another picture: found by content, not by name
    np.testing.assert_array_equal(cache.get(pictures[0], no_decoding), read_image(pictures[1]))


def test_read_only(folder: Path, pictures: list[Path]) -> None:
    cache = DecodedCache(folder, PLENTY)
    fresh, mapped = (cache.get(pictures[0], decode_image) for _ in range(2))
    for pixels in (fresh, mapped, mapped[3:9, 4:8]):
        with pytest.raises(ValueError, match="read-only"):
            pixels[0, 0, 0] = 1
    with pytest.raises(ValueError, match="WRITEABLE"):
        mapped.flags.writeable = True
    shutil.rmtree(folder)
    np.testing.assert_array_equal(mapped, fresh)  # a map outlives its file


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="counts open files in /proc")
def test_leaves_no_file_open(folder: Path, pictures: list[Path]) -> None:
    cache = DecodedCache(folder, PLENTY)
    assert_right(cache, pictures)
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    for _ in range(20):
        assert_right(cache, pictures)
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


def change_behind_its_back(path: Path, seed: int) -> None:
    """Other content, with the inode, size and mtime of before."""
    before = path.stat()
    write_picture(path, seed, before.st_size)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = path.stat()
    assert (after.st_ino, after.st_size, after.st_mtime_ns) == (before.st_ino, before.st_size, before.st_mtime_ns)


def test_changed_at_once(folder: Path, pictures: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Within one tick of the file system's clock, where no time tells: a file that new is hashed every time."""
    times = (0, 0, 0, 0, time.time_ns())
    monkeypatch.setattr(cache_module, "_times", lambda path: times)
    cache = DecodedCache(folder, PLENTY)
    for seed in (100, 101, 102):
        change_behind_its_back(pictures[0], seed)
        assert_right(cache, pictures[:1])


def test_changed_when_remembered(
    folder: Path, pictures: list[Path], trusting: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = DecodedCache(folder, PLENTY)
    reads: list[Path] = []
    monkeypatch.setattr(cache_module, "read_content", lambda path: reads.append(path) or path.read_bytes())
    assert_right(cache, pictures[:1])
    assert_right(cache, pictures[:1])
    assert len(reads) == 1  # remembered, or this test shows nothing
    time.sleep(0.05)  # a tick of the clock of the file system
    change_behind_its_back(pictures[0], 100)
    assert_right(cache, pictures[:1])
    assert len(reads) == 2


def test_entry_gone_when_remembered(folder: Path, pictures: list[Path], trusting: None) -> None:
    cache = DecodedCache(folder, PLENTY)
    assert_right(cache, pictures)
    for path in entries(folder):
        path.unlink()
    assert_right(cache, pictures)
    assert len(entries(folder)) == 6


def test_changed_while_its_entry_is_gone(
    folder: Path, pictures: list[Path], trusting: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A change after the look at the times: what is decoded then is kept under its own key, not the one remembered."""
    monkeypatch.setattr(cache_module, "_times", lambda path: (0, 0, 0, 0, 0))
    cache = DecodedCache(folder, PLENTY)
    assert_right(cache, pictures[:1])
    entries(folder)[0].unlink()
    shutil.copy(pictures[0], pictures[1])
    change_behind_its_back(pictures[0], 100)
    assert_right(cache, pictures[:1])
    assert_right(DecodedCache(folder, PLENTY), pictures[:2])


def truncate(path: Path, other: Path) -> None:
    os.truncate(path, ENTRY - 1)


def empty(path: Path, other: Path) -> None:
    path.write_bytes(b"")


def lengthen(path: Path, other: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0")


def punch_hole(path: Path, other: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:1000] + bytes(4000) + content[5000:])


def replace_by_zeros(path: Path, other: Path) -> None:
    path.write_bytes(bytes(ENTRY))


def replace_by_other(path: Path, other: Path) -> None:
    shutil.copy(other, path)


def swap_sides(path: Path, other: Path) -> None:
    content = bytearray(path.read_bytes())
    content[24:28] = (41).to_bytes(4, "little")
    path.write_bytes(content)


@pytest.mark.parametrize(
    "damage", [truncate, empty, lengthen, punch_hole, replace_by_zeros, replace_by_other, swap_sides]
)
def test_damaged_entry(
    folder: Path, pictures: list[Path], damage: Callable[[Path, Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    assert_right(DecodedCache(folder, PLENTY), pictures)
    first, second = entries(folder)[:2]
    damage(first, second)
    assert_right(DecodedCache(folder, PLENTY), pictures)
    assert [record.getMessage().startswith(str(first)) for record in caplog.records] == [True]
    assert [path.stat().st_size for path in entries(folder)] == [ENTRY] * 6
    caplog.clear()
    assert_right(DecodedCache(folder, PLENTY), pictures)
    assert not caplog.records


def test_limit(folder: Path, pictures: list[Path], caplog: pytest.LogCaptureFixture) -> None:
    for cache in (DecodedCache(folder, 3 * ENTRY + 5), DecodedCache(folder, 3 * ENTRY + 5)):
        caplog.clear()
        for _ in range(3):
            assert_right(cache, pictures)
            assert len(entries(folder)) == 3
        assert ["limit" in record.getMessage() for record in caplog.records] == [True]  # said once
    (folder / "used").write_text(f"{PLENTY:020d}")  # of writers killed since: a new process counts the files
    assert_right(DecodedCache(folder, 4 * ENTRY), pictures)
    assert len(entries(folder)) == 4
    (folder / "used").unlink()
    assert_right(DecodedCache(folder, 5 * ENTRY), pictures)
    assert len(entries(folder)) == 5
    pixels = DecodedCache(folder.with_name("none"), 0).get(pictures[0], decode_image)
    assert not pixels.flags.writeable
    assert entries(folder.with_name("none")) == []


def test_full_disk(
    folder: Path, pictures: list[Path], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def half(file: BinaryIO, key: bytes, pixels: np.ndarray) -> None:
        file.write(bytes(100))
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(cache_module, "write_entry", half)
    assert_right(DecodedCache(folder, PLENTY), pictures)
    assert ["No space left" in record.getMessage() for record in caplog.records] == [True]
    assert sorted(path.name for path in folder.iterdir()) == ["lock", "used"]
    assert int((folder / "used").read_text()) == 0


def test_old_leavings_are_removed(folder: Path, pictures: list[Path]) -> None:
    folder.mkdir(parents=True)
    old, young = folder / "a.tmp", folder / "b.tmp"
    for path in (old, young):
        path.write_bytes(bytes(ENTRY))
    os.utime(old, (time.time() - 7200,) * 2)
    assert_right(DecodedCache(folder, 3 * ENTRY), pictures)
    assert not old.exists()
    assert young.exists()  # somebody may be writing it, so it counts
    assert len(entries(folder)) == 2


def hang_in_the_middle(file: BinaryIO, key: bytes, pixels: np.ndarray) -> None:
    write_entry(file, key, pixels)
    file.seek(ENTRY // 2)
    file.truncate()
    file.flush()
    Path(f"{file.name}.here").touch()
    time.sleep(60)


def test_writer_killed_in_the_middle(folder: Path, pictures: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_module, "write_entry", hang_in_the_middle)
    cache = DecodedCache(folder, 2 * ENTRY)
    writer = fork.Process(target=cache.get, args=(pictures[0], decode_image))
    writer.start()
    wait_for(lambda: list(folder.glob("*.here")))
    os.kill(writer.pid or 0, signal.SIGKILL)
    writer.join()
    monkeypatch.undo()
    (half,) = folder.glob("*.tmp")
    assert half.stat().st_size == ENTRY // 2
    assert entries(folder) == []
    assert_right(cache, pictures[:1])
    assert len(entries(folder)) == 1


def wait_for(condition: Callable[[], object]) -> None:
    limit = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < limit, "waited for 30 seconds in vain"
        time.sleep(0.001)


def fill(cache: DecodedCache, paths: list[Path], seed: int) -> None:
    order = np.random.default_rng(seed).permutation(len(paths))
    for index in np.concatenate([order, order[::-1]]):
        assert_right(cache, [paths[index]])


@pytest.mark.parametrize("room", [4, 600])
def test_concurrent_writers(folder: Path, pictures: list[Path], room: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four processes decode the same images at once; the limit holds at every moment, and all see right pictures."""
    write = Room._write
    monkeypatch.setattr(Room, "_write", lambda self, used: (time.sleep(0.002), write(self, used)))
    cache = DecodedCache(folder, room * ENTRY)
    writers = [fork.Process(target=fill, args=(cache, pictures, seed)) for seed in range(4)]
    for writer in writers:
        writer.start()
    most = 0
    while any(writer.is_alive() for writer in writers):
        most = max(most, len(entries(folder)) + len(list(folder.glob("*.tmp"))))
    assert [writer.exitcode for writer in writers] == [0] * 4
    assert 0 < most <= room
    assert len(entries(folder)) <= min(room, 6)
    assert list(folder.glob("*.tmp")) == []
    assert_right(DecodedCache(folder, 0), pictures)
    if room > 6:
        assert len(entries(folder)) == 6


def test_errors(folder: Path, pictures: list[Path]) -> None:
    cache = DecodedCache(folder, PLENTY)
    with pytest.raises(DataError, match=r"expected the image .*none.jpg"):
        cache.get(folder / "none.jpg", decode_image)
    pictures[0].write_bytes(pictures[0].read_bytes()[:900])
    for _ in range(2):
        with pytest.raises(DataError, match=r"0.jpg: expected a whole JPEG, found a truncated one of 900 bytes"):
            cache.get(pictures[0], decode_image)
    assert entries(folder) == []
    with pytest.raises(DataError, match="expected to make the folder"):
        DecodedCache(pictures[0] / "cache", PLENTY)
    with pytest.raises(DataError, match="found -1 bytes"):
        DecodedCache(folder, -1)
