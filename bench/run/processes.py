"""The processes of one run: this one, which leads, and a follower for each further device.

1. The leader starts `python -m bench.run.follow` for each further device and hands it the job on standard input.
2. All build the same data and detector and meet in the process group that Lightning makes.
3. The leader alone holds the lock and writes. Followers say nothing but errors, which the leader passes on.
4. Who ends early ends all: followers end with the leader, and the leader when it finds one ended, wherever it waits.

Lightning's own launcher is not used: it repeats the command line, with the lock, the records and the logs.
"""

import json
import logging
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import IO, Any

from bench.errors import BenchError, ConfigError
from bench.run.identity import devices_of

FOLLOW = (sys.executable, "-m", "bench.run.follow")
LONGEST_END_S = 30.0  # that processes are waited for at the end of a run
log = logging.getLogger(__name__)


class ProcessError(BenchError):
    """One of the processes of a run ended before the others."""


@contextmanager
def followed(
    config: Mapping[str, Any], job: Mapping[str, Any], give_up: Callable[[ProcessError], None]
) -> Iterator[None]:
    """With a follower for each device beyond the first at work on `job`, as long as the block runs.

    Args:
        config: resolved.
        job: what `bench.run.follow` is told, as JSON.
        give_up: called, in another thread, where a follower is gone and this process still waits for it; ends then.

    Raises:
        ProcessError: a follower ended early.
        ConfigError: several nodes, or a strategy that starts processes by itself.
    """
    count = process_count(config["trainer"])
    if count == 1:
        yield
        return
    with fewer_threads(count) as threads, own_environment(meeting_point()):
        followers = Followers(FOLLOW, count, job, {"OMP_NUM_THREADS": str(threads)})
        try:
            with followers.watched(give_up):
                yield
                leave_group()
                followers.wait()
        except Exception as error:
            if isinstance(error, RuntimeError) and (lost := followers.lost(wait_s=5.0)):
                raise lost from error  # the other end of a broken connection
            raise
        finally:
            followers.end()


def process_count(trainer: Mapping[str, Any]) -> int:
    """How many processes a run has.

    Raises:
        ConfigError: several nodes, or a strategy that starts processes by itself.
    """
    count, strategy = devices_of(trainer), str(trainer["strategy"])
    if int(trainer["num_nodes"]) != 1:
        raise ConfigError(f"expected trainer.num_nodes=1, found {trainer['num_nodes']}: one machine runs a training")
    if count > 1 and any(word in strategy for word in ("spawn", "fork", "notebook")):
        raise ConfigError(f"expected a trainer.strategy such as ddp, found {strategy}: processes are started by bench")
    return count


class Followers:
    """The processes that follow, ranks 1 .. count - 1.

    Args:
        command: of each.
        count: of all processes.
        job: handed to each on its standard input, as JSON.
        environment: beside this process's own, LOCAL_RANK and BENCH_PARENT.
    """

    def __init__(
        self, command: Sequence[str], count: int, job: Mapping[str, Any], environment: Mapping[str, str]
    ) -> None:
        self.count = count
        self.ended = False
        self.processes: list[subprocess.Popen[bytes]] = []
        self.errors: list[IO[bytes]] = []
        text = json.dumps(job).encode()
        for rank in range(1, count):
            own = {"LOCAL_RANK": str(rank), "BENCH_PARENT": str(os.getpid())}
            errors = tempfile.TemporaryFile()  # noqa: SIM115  read after the process ended
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                env={**os.environ, **environment, **own},
            )
            self.processes.append(process)
            self.errors.append(errors)
            assert process.stdin is not None
            with suppress(BrokenPipeError), process.stdin as pipe:  # it is gone already: `lost` tells
                pipe.write(text)

    def lost(self, wait_s: float = 0.0) -> ProcessError | None:
        """The error of the first follower that ended otherwise than well, by now or within `wait_s`."""
        until = time.monotonic() + wait_s
        while True:
            for rank, process in enumerate(self.processes, start=1):
                if process.poll():
                    return ProcessError(self.told(rank, process.returncode))
            if time.monotonic() >= until:
                return None
            time.sleep(0.05)

    def told(self, rank: int, code: int) -> str:
        """How a follower ended, and the last that it said."""
        self.errors[rank - 1].seek(0)
        text = self.errors[rank - 1].read().decode(errors="replace").strip()
        if "Traceback" in text:
            log.error("process %d of %d:\n%s", rank + 1, self.count, text)
        last = f": {text.splitlines()[-1].removeprefix('error: ')}" if text else ""
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}"
        return f"process {rank + 1} of {self.count} {how}{last}"

    @contextmanager
    def watched(self, give_up: Callable[[ProcessError], None], grace_s: float = 15.0) -> Iterator[None]:
        """Give up and end where a follower is lost and the block, which waits for it, goes on for `grace_s` more."""
        over = threading.Event()

        def watch() -> None:
            while not over.wait(0.2):
                error = self.lost()
                if error is not None and not over.wait(grace_s):
                    give_up(error)
                    self.end()
                    sys.stderr.write(f"error: {error}\n")
                    sys.stderr.flush()
                    os._exit(1)

        thread = threading.Thread(target=watch, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()

    def wait(self) -> None:
        """For their regular end.

        Raises:
            ProcessError: one ended otherwise, or not at all.
        """
        until = time.monotonic() + LONGEST_END_S
        for rank, process in enumerate(self.processes, start=1):
            try:
                process.wait(max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                raise ProcessError(f"process {rank + 1} of {self.count} did not end with the others") from None
        if error := self.lost():
            raise error

    def end(self) -> None:
        """End those that still run; none writes anything, so at once."""
        for process in self.processes:
            if process.poll() is None:
                process.kill()
        for process, errors in zip(self.processes, self.errors, strict=True):
            process.wait()
            errors.close()


def meeting_point() -> dict[str, str]:
    """What Lightning reads: the place where the processes find each other, and that nobody else starts them."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    return {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "NODE_RANK": "0", "LOCAL_RANK": "0"}


@contextmanager
def own_environment(values: Mapping[str, str]) -> Iterator[None]:
    """`values` in the environment, and afterwards what was there."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def fewer_threads(count: int) -> Iterator[int]:
    """This process's threads divided among `count` processes."""
    import torch

    before = torch.get_num_threads()
    threads = max(1, before // count)
    torch.set_num_threads(threads)
    try:
        yield threads
    finally:
        torch.set_num_threads(before)


def leave_group() -> None:
    """Leave the process group, so that the next run of this process finds none."""
    import torch.distributed as dist

    if dist.is_available() and dist.is_initialized():
        dist.destroy_process_group()
