"""Drawing in processes of their own: `python -m data_modules.synth_faces.worker root seed split first step count`.

Plain subprocesses rather than a multiprocessing pool: a fork is unsafe beside PyTorch's threads, and a spawn runs the
caller's script again, which breaks scripts without a `__main__` guard and those read from standard input.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2

from data_modules.errors import DataError

from .draw import save_image
from .labels import AnnotatedImage


def draw_in_processes(root: Path, seed: int, split: str, count: int, workers: int) -> list[AnnotatedImage]:
    """Draw images 0..count-1 of a split in `workers` processes; their annotations in order.

    Raises DataError with the worker's last words when one of them fails.
    """
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path or str(Path.cwd()) for path in sys.path)}
    images: dict[int, AnnotatedImage] = {}
    with tempfile.TemporaryFile() as errors:
        running = []
        for first in range(workers):
            words = [sys.executable, "-m", __name__, root.absolute(), seed, split, first, workers, count]
            command = [str(word) for word in words]
            running.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, env=environment))
        outputs = [process.communicate()[0] for process in running]
        if any(process.returncode for process in running):
            errors.seek(0)
            last_words = errors.read().decode(errors="replace")[-2000:]
            raise DataError(f"a process that draws synth_faces below {root} failed; free disk and memory? {last_words}")
    for output in outputs:
        images.update(pickle.loads(output))
    return [images[index] for index in range(count)]


def main() -> None:
    """Draw every `step`-th image and hand the annotations back on standard output, pickled."""
    root, seed, split, first, step, count = sys.argv[1:]
    cv2.setNumThreads(1)
    indices = range(int(first), int(count), int(step))
    drawn = {index: save_image(Path(root), int(seed), split, index) for index in indices}
    sys.stdout.buffer.write(pickle.dumps(drawn))


if __name__ == "__main__":
    main()
