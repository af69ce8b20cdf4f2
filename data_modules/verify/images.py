"""Image files checked one by one, in processes of their own: digest, whole decoding, what the decoder complains about.

libjpeg decodes damaged data with a warning on standard error and nothing else, so each process listens there while it
decodes. That finds data that ends too early or too late; a flipped byte whose Huffman codes fall back into step (about
three of four) decodes without a complaint, and only a remembered digest (`manifest.py`) tells it.
"""

import hashlib
import multiprocessing
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from data_modules.errors import DataError
from data_modules.loading.images import decode_image, read_content

_COMPLAINTS = ("corrupt", "premature", "extraneous", "huffman", "invalid", "crc error")
_FEW = 64  # images, below which starting processes costs more than it saves


@dataclass(frozen=True)
class ImageFile:
    """What a file holds; `fault` says what is wrong with it, `sha256` is None where it cannot be read."""

    sha256: str | None
    size: tuple[int, int] | None  # W, H
    fault: str | None


def check_images(paths: Sequence[Path], workers: int | None, title: str) -> Iterator[ImageFile]:
    """One `ImageFile` a path, in their order, with a progress bar on a terminal; `workers` None: one a core."""
    wanted = workers or os.cpu_count() or 1
    count = max(1, min(wanted, len(paths) // _FEW))
    console = Console(stderr=True)
    if count == 1:
        yield from map(check_image, paths)
        return
    # Spawned, not forked: the parent may hold the threads of torch and OpenCV.
    pool = ProcessPoolExecutor(count, mp_context=multiprocessing.get_context("spawn"))
    with pool, Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        yield from progress.track(pool.map(check_image, paths, chunksize=8), total=len(paths), description=title)


def check_image(path: Path) -> ImageFile:
    """Read, digest and decode one file."""
    try:
        content = read_content(path)
    except DataError as error:
        return ImageFile(None, None, str(error))
    digest = hashlib.sha256(content).hexdigest()
    sys.stderr.flush()
    ears, mouth = tempfile.TemporaryFile(), os.dup(2)  # noqa: SIM115
    try:
        os.dup2(ears.fileno(), 2)
        pixels = decode_image(content, path)
    except DataError as error:
        return ImageFile(digest, None, str(error))
    finally:
        os.dup2(mouth, 2)
        os.close(mouth)
        ears.seek(0)
        heard = ears.read().decode(errors="replace").splitlines()
        ears.close()
    complaints = [line.strip() for line in heard if any(word in line.lower() for word in _COMPLAINTS)]
    fault = f"{path}: expected an undamaged image, found `{complaints[0]}`; fetch it again" if complaints else None
    return ImageFile(digest, (pixels.shape[1], pixels.shape[0]), fault)
