"""Processes forked from one that has imported what they need: their files, their ends, the nursery's own end."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

import pytest

from bench.grid.nursery import Forked, Nursery

PLAIN = """
import os, sys, time

def talk():
    print(sys.argv[1:], os.getcwd(), os.environ.get("COLOUR"), sys.stdin.read())
    sys.stderr.write("a warning")
    return 3

def fail():
    raise ValueError("broken")

def sleep():
    time.sleep(60)
"""


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[Nursery]:
    """A nursery of a module that imports nothing heavy."""
    (tmp_path / "plain.py").write_text(PLAIN)
    nursery = Nursery(["plain"], {"PYTHONPATH": f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"})
    yield nursery
    nursery.close()


@pytest.fixture
def files() -> Iterator[list[IO[bytes]]]:
    with TemporaryFile() as one, TemporaryFile() as two, TemporaryFile() as three:
        one.write(b"the job")
        one.seek(0)
        yield [one, two, three]


def forked(process: Forked) -> Forked:
    process.nursery.listen_until(lambda: process.pid is not None, 60)
    return process


def test_a_process_has_its_files_words_folder_and_environment(
    plain: Nursery, files: list[IO[bytes]], tmp_path: Path
) -> None:
    own = {**os.environ, "COLOUR": "blue"}
    process = plain.start("plain:talk", files, ["a", "b=c"], folder=str(tmp_path), environment=own)
    assert process.wait(60) == 3
    files[1].seek(0)
    assert files[1].read().decode() == f"['a', 'b=c'] {tmp_path} blue the job\n"
    files[2].seek(0)
    assert files[2].read() == b"a warning"


def test_what_is_answered_can_be_read(plain: Nursery, files: list[IO[bytes]]) -> None:
    process = plain.start("plain:talk", [files[0], subprocess.PIPE, files[2]])
    assert process.stdout is not None
    with process.stdout as answer:
        assert answer.read().endswith(b"the job\n")
    assert process.wait(60) == 3


def test_an_error_is_an_exit_status(plain: Nursery, files: list[IO[bytes]]) -> None:
    assert plain.start("plain:fail", files).wait(60) == 1
    files[2].seek(0)
    assert b"ValueError: broken" in files[2].read()


def test_one_that_is_killed_leaves_the_others_alone(plain: Nursery, files: list[IO[bytes]]) -> None:
    first, second = (forked(plain.start("plain:sleep", files)) for _ in range(2))
    with pytest.raises(subprocess.TimeoutExpired):
        first.wait(0.1)
    first.kill()
    second.terminate()
    assert (first.wait(10), second.wait(10)) == (-signal.SIGKILL, -signal.SIGTERM)
    assert plain.start("plain:fail", files).wait(60) == 1


def test_a_nursery_that_is_gone_counts_as_a_kill_and_is_replaced(plain: Nursery, files: list[IO[bytes]]) -> None:
    process = forked(plain.start("plain:sleep", files))
    assert plain.server is not None
    plain.server.kill()
    assert process.wait(10) == -signal.SIGKILL
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)  # a worker would end by itself (`end_with_parent`)
    assert plain.start("plain:fail", files).wait(60) == 1


def test_a_process_may_be_ended_before_there_is_one(tmp_path: Path, files: list[IO[bytes]]) -> None:
    (tmp_path / "slow.py").write_text("import time\ntime.sleep(60)\n")
    nursery = Nursery(["slow"], {"PYTHONPATH": str(tmp_path)})
    clock = time.monotonic()
    process = nursery.start("slow:any", files)
    process.terminate()
    assert process.wait(10) == -signal.SIGKILL
    nursery.close()
    assert time.monotonic() - clock < 30
