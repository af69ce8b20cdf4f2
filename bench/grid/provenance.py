"""Where a number comes from: commit, versions, machine."""

import os
import platform
import shlex
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("bench", "torch", "torchvision", "pytorch-lightning", "timm", "albumentations", "numpy", "opencv-python-headless")


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
    words = [Path(sys.argv[0]).stem, *sys.argv[1:]] if sys.argv else ["python"]
    return shlex.join(anonymous(word) for word in words)


def anonymous(word: str) -> str:
    key, separator, value = word.partition("=")
    target = value if separator else key
    if os.path.isabs(target) or target.startswith(".."):
        target = ".../" + Path(target).name
    return f"{key}{separator}{target}" if separator else target
