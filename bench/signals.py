"""SIGTERM and Ctrl-C as one exception that says which signal it was.

Lightning ends the process itself at a `KeyboardInterrupt`, with the exit status of a failure, and takes SIGTERM for a
request to stop at the next batch. An exception of our own passes through it, and through whatever catches `Exception`.
"""

import os
import signal
from types import FrameType

ENDING = (signal.SIGINT, signal.SIGTERM)


class Interrupted(BaseException):
    """Somebody asked this process to end.

    Attributes:
        exit_status: 128 and the number of the signal, as shells have it.
        advice: what to do next, told to the person who asked.
    """

    user_facing = True

    def __init__(self, number: int) -> None:
        self.number = signal.Signals(number)
        self.exit_status = 128 + number
        self.advice = "run the same command again"
        super().__init__(f"interrupted by {self.number.name}")


def end_on_signals() -> None:
    """Raise `Interrupted` at the first SIGINT or SIGTERM; later ones are ignored, so that the ending can be recorded.

    A signal that was ignored before stays ignored, and processes forked from this one keep the ordinary handlers.
    """
    owner, asked = os.getpid(), False

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if os.getpid() != owner:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
            os.kill(os.getpid(), number)
        elif not asked:
            asked = True
            raise Interrupted(number)

    for number in ENDING:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, handle)


def name_of(number: int) -> str:
    """`signal 9 (SIGKILL)`."""
    known = number in set(signal.Signals)
    return f"signal {number} ({signal.Signals(number).name})" if known else f"signal {number}"
