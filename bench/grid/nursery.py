"""A process that has imported what others need, and forks these: `python -m bench.grid.nursery FD MODULE...`.

Importing torch and Lightning takes longer than many a small training. A launcher starts one nursery, with which it
talks over a pair of sockets; each message is one JSON document:

    launcher -> {"id", "call", "words", "folder", "environment"} and three open files: standard input, output and error
    nursery  -> {"id", "pid"} when the process is there, {"id", "code"} when it has ended

The nursery itself uses no threads and no device and ends when the launcher does.
"""

import json
import logging
import os
import signal
import socket
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import IO, Any

MESSAGE = 65536  # bytes
WAIT_S = 0.05  # between looks at ended processes
log = logging.getLogger(__name__)


@dataclass
class Forked:
    """A process forked by the nursery, with what a launcher asks of `subprocess.Popen`.

    Attributes:
        stdout: the other end of its standard output, where that was to be read.
    """

    nursery: "Nursery"
    stdout: IO[bytes] | None = None
    pid: int | None = None
    returncode: int | None = None

    def poll(self) -> int | None:
        self.nursery.listen(0.0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """
        Raises:
            TimeoutExpired: it has not ended within `timeout` seconds.
        """
        self.nursery.listen_until(lambda: self.returncode is not None, timeout)
        assert self.returncode is not None
        return self.returncode

    def terminate(self) -> None:
        self.send(signal.SIGTERM)

    def kill(self) -> None:
        self.send(signal.SIGKILL)

    def send(self, number: signal.Signals) -> None:
        self.nursery.listen(0.0)
        if self.pid is None:
            self.nursery.hurry(self)
        if self.returncode is None and self.pid is not None:
            os.kill(self.pid, number)


@dataclass
class Nursery:
    """The launcher's end.

    Args:
        modules: to import.
        environment: of the nursery and of all that it forks, beside this process's own.
    """

    modules: Sequence[str]
    environment: Mapping[str, str]
    forked: dict[int, Forked] = field(default_factory=dict)
    server: "subprocess.Popen[bytes] | None" = None
    line: socket.socket | None = None

    def start(self, call: str, files: Sequence[IO[bytes] | int], words: Sequence[str] = (), **more: Any) -> Forked:
        """A process that calls a function and exits with what it returns.

        Args:
            call: `module:function`, without arguments.
            files: standard input, output and error; `subprocess.PIPE` for the output gives it to be read.
            words: its command line.
            more: `folder` to work in, and `environment`, all of it.

        Raises:
            OSError: no process can be had.
        """
        line, number = self.reached(), len(self.forked)
        self.forked[number] = process = Forked(self)
        message = json.dumps({"id": number, "call": call, "words": list(words), **more}).encode()
        handed = [file if isinstance(file, int) else file.fileno() for file in files]
        end = None
        if handed[1] == subprocess.PIPE:
            begin, end = os.pipe()
            handed[1], process.stdout = end, os.fdopen(begin, "rb")
        try:
            socket.send_fds(line, [message], handed)
        finally:
            if end is not None:
                os.close(end)
        return process

    def reached(self) -> socket.socket:
        """The line to a nursery that runs; a new one where there is none."""
        if self.server is None or self.line is None or self.server.poll() is not None:
            self.close()
            self.line, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with other:
                self.server = subprocess.Popen(
                    [sys.executable, "-m", "bench.grid.nursery", str(other.fileno()), *self.modules],
                    pass_fds=[other.fileno()],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    env={**os.environ, **self.environment, "PYTORCH_NVML_BASED_CUDA_CHECK": "1"},  # asks no device
                )
        return self.line

    def listen(self, wait_s: float) -> None:
        """Take note of what the nursery says; of one that is gone, that its workers are gone too."""
        while self.line is not None:
            self.line.settimeout(wait_s or 1e-6)
            try:
                message = self.line.recv(MESSAGE)
            except TimeoutError:
                return
            except OSError:
                message = b""
            if not message:
                self.lost()
                return
            told = json.loads(message)
            process = self.forked[told["id"]]
            process.pid, process.returncode = told.get("pid", process.pid), told.get("code", process.returncode)
            wait_s = 0.0

    def hurry(self, process: Forked) -> None:
        """Have a process that can be ended: forked by now, or never, where the nursery is still importing."""
        if self.server is not None and all(other.pid is None for other in self.forked.values()):
            self.server.kill()
        self.listen_until(lambda: process.pid is not None or process.returncode is not None, None)

    def listen_until(self, done: Callable[[], bool], timeout: float | None) -> None:
        end = None if timeout is None else time.monotonic() + timeout
        while not done():
            if end is not None and time.monotonic() > end:
                raise subprocess.TimeoutExpired("worker", timeout or 0.0)
            self.listen(WAIT_S)

    def lost(self) -> None:
        """Its workers end with the nursery, at once: as if killed."""
        for process in self.forked.values():
            if process.returncode is None:
                process.returncode = -int(signal.SIGKILL)
        self.line = None

    def close(self) -> None:
        """End the nursery, and with it what it forked."""
        if self.line is not None:
            self.line.close()
            self.line = None
        if self.server is not None:
            self.server.wait()
            self.server = None


def serve(line: socket.socket, modules: Sequence[str]) -> int:
    """Fork a process for each request until the launcher is gone; in such a process, its exit status."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for module in modules:
            import_module(module)
    running: dict[int, int] = {}
    line.settimeout(WAIT_S)
    while True:
        for pid in list(running):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                line.send(json.dumps({"id": running.pop(pid), "code": os.waitstatus_to_exitcode(status)}).encode())
        try:
            message, files, _, _ = socket.recv_fds(line, MESSAGE, 3)
        except TimeoutError:
            continue
        if not message:
            return 0
        asked = json.loads(message)
        pid = os.fork()
        if pid == 0:
            line.close()
            return become(asked, files)
        for file in files:
            os.close(file)
        running[pid] = asked["id"]
        line.send(json.dumps({"id": asked["id"], "pid": pid}).encode())


def become(asked: Mapping[str, Any], files: Sequence[int]) -> int:
    """In a forked process: go on as the process that was asked for."""
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    if "environment" in asked:
        os.environ.clear()
        os.environ.update(asked["environment"])
    if "folder" in asked:
        os.chdir(asked["folder"])
        sys.path.insert(0, asked["folder"])  # as `python -m` has it
    os.environ["BENCH_PARENT"] = str(os.getppid())
    module, _, function = asked["call"].partition(":")
    sys.argv = [module, *asked["words"]]
    return int(getattr(import_module(module), function)() or 0)


def main() -> int:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the launcher ends its workers
    with socket.socket(fileno=int(sys.argv[1])) as line:
        return serve(line, sys.argv[2:])


if __name__ == "__main__":
    sys.exit(main())
