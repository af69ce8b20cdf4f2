"""Where a number comes from: commit, versions, machine."""

import os
import platform
import re
import shlex
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = (
    "bench",
    "torch",
    "torchvision",
    "pytorch-lightning",
    "timm",
    "albumentations",
    "numpy",
    "opencv-python-headless",
    "onnxruntime",  # external detectors run under it; where it is not installed it says nothing
)


def git_state() -> tuple[str | None, bool | None]:
    """Commit and dirty flag of the source tree; (None, None) for an installation without one."""
    root = Path(__file__).resolve().parents[2]

    def git(*arguments: str) -> str | None:
        try:
            done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, timeout=30)
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    top = git("rev-parse", "--show-toplevel")
    if top is None or Path(top).resolve() != root:
        return None, None
    status = git("status", "--porcelain", "--untracked-files=no")
    return git("rev-parse", "HEAD"), None if status is None else bool(status)


def package_versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def command() -> str:
    """The command line without the path of the program and without absolute paths, which are nobody else's business."""
    given = os.environ.get("BENCH_COMMAND")  # the grid's, in the processes that it starts
    if given:
        return given
    program = Path(sys.argv[0] if sys.argv else "python")
    name = program.parent.name if program.stem == "__main__" else program.stem  # `python -m bench` is `bench`
    return " ".join([name, *(shlex.quote(anonymous(word)) for word in sys.argv[1:])])


# A folder that starts with a slash, with `~` or with `..`, at the start of a word or of a value within it.
FOLDERS = re.compile(r"(?<![^=,:;{}\[\]()'\"\s])(?:/|~[^/\s]*/|\.\./)(?:[^/,;{}\[\]()'\"]*/)*")


def anonymous(word: str) -> str:
    return FOLDERS.sub(".../", word)
