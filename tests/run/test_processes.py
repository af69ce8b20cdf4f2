"""The processes of a run, with followers of a line each in place of `bench.run.follow`."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from bench.errors import ConfigError
from bench.run import processes
from bench.run.processes import Followers, ProcessError, followed, process_count

TRAINER = {"accelerator": "cpu", "devices": 2, "num_nodes": 1, "strategy": "auto"}
Follow = Callable[[str], None]


@pytest.fixture
def follow(monkeypatch: pytest.MonkeyPatch) -> Follow:
    """Lets followers run a piece of Python."""
    return lambda code: monkeypatch.setattr(processes, "FOLLOW", (sys.executable, "-c", code))


def give_up(error: ProcessError) -> None:
    raise AssertionError(f"given up: {error}")


def test_a_follower_for_each_further_device_is_told_the_job_and_its_rank(follow: Follow, tmp_path: Path) -> None:
    follow(
        "import json, os, sys, pathlib; job = json.load(sys.stdin); "
        "names = 'LOCAL_RANK', 'NODE_RANK', 'MASTER_ADDR', 'BENCH_PARENT', 'OMP_NUM_THREADS'; "
        "text = json.dumps([job['cells'], *(os.environ[name] for name in names)]); "
        "pathlib.Path(job['folder'], os.environ['LOCAL_RANK']).write_text(text)"
    )
    before = torch.get_num_threads()
    torch.set_num_threads(7)
    try:
        with followed({"trainer": {**TRAINER, "devices": 3}}, {"cells": [5], "folder": str(tmp_path)}, give_up):
            assert os.environ["LOCAL_RANK"] == "0"
            assert torch.get_num_threads() == 2  # 7 threads of 3 processes
        assert torch.get_num_threads() == 7
    finally:
        torch.set_num_threads(before)
    assert "LOCAL_RANK" not in os.environ
    told = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert told == {rank: f'[[5], "{rank}", "0", "127.0.0.1", "{os.getpid()}", "2"]' for rank in ("1", "2")}


def test_one_device_starts_nothing(follow: Follow) -> None:
    follow("raise SystemExit(3)")
    with followed({"trainer": {**TRAINER, "devices": 1}}, {}, give_up):
        assert "LOCAL_RANK" not in os.environ


def run_with_followers(error: Exception) -> None:
    """A run whose leader finds an error."""
    with followed({"trainer": TRAINER}, {}, give_up):
        time.sleep(0.2)
        raise error


def test_a_follower_that_fails_fails_the_run_in_its_words(follow: Follow) -> None:
    follow("import sys; sys.stderr.write('a warning\\nerror: image 7 is broken\\n'); sys.exit(4)")
    with pytest.raises(ProcessError, match="process 2 of 2 ended with status 4: image 7 is broken") as caught:
        run_with_followers(RuntimeError("Connection closed by peer"))  # what the process group says
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_an_error_of_the_leader_stays_and_ends_the_followers(follow: Follow) -> None:
    follow("import time; time.sleep(600)")
    clock = time.monotonic()
    with pytest.raises(ConfigError, match="of the leader"):
        run_with_followers(ConfigError("of the leader"))
    assert time.monotonic() - clock < 60


def test_a_follower_killed_while_the_leader_waits_for_it_ends_the_leader() -> None:
    """The leader sleeps as in a collective that never returns: the watching thread gives up and ends the process."""
    leader = (
        "import sys, time; from bench.run.processes import Followers\n"
        "followers = Followers([sys.executable, '-c', 'import os; os.kill(os.getpid(), 9)'], 2, {}, {})\n"
        "with followers.watched(lambda error: print('given up', error, flush=True), grace_s=0.5): time.sleep(600)"
    )
    done = subprocess.run([sys.executable, "-c", leader], capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert done.stdout == "given up process 2 of 2 was ended by SIGKILL\n"
    assert done.stderr == "error: process 2 of 2 was ended by SIGKILL\n"


def test_followers_end_with_a_killed_leader(tmp_path: Path) -> None:
    follower = (
        "import os, time; from bench.run.parent import end_with_parent\n"
        f"open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))\n"
        "end_with_parent(int(os.environ['BENCH_PARENT'])); time.sleep(600)"
    )
    leader = (
        "import sys, time; from bench.run.processes import Followers\n"
        f"Followers([sys.executable, '-c', {follower!r}], 2, {{}}, {{}}); time.sleep(600)"
    )
    process = subprocess.Popen([sys.executable, "-c", leader])
    assert reached(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text() != "")
    pid = int((tmp_path / "pid").read_text())
    assert not gone(pid)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert reached(lambda: gone(pid))


def reached(condition: Callable[[], bool], within_s: float = 60.0) -> bool:
    until = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.1)
    return True


def gone(pid: int) -> bool:
    """Whether a process has ended; one that nobody has waited for yet is a zombie."""
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def test_a_job_that_nobody_reads_is_no_error_of_its_own() -> None:
    followers = Followers([sys.executable, "-c", "raise SystemExit(2)"], 2, {"long": "x" * 10**6}, {})
    try:
        assert "ended with status 2" in str(followers.lost(wait_s=60.0))
    finally:
        followers.end()


@pytest.mark.parametrize(
    ("change", "told"),
    [({"num_nodes": 2}, "expected trainer.num_nodes=1, found 2"), ({"strategy": "ddp_spawn"}, "found ddp_spawn")],
)
def test_what_cannot_be_led_is_refused(change: dict[str, object], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        process_count({**TRAINER, **change})
