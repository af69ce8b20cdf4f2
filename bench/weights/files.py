"""Writing weights: whole or not at all."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor


def write_safetensors(state: Mapping[str, Tensor], path: Path, facts: Mapping[str, str]) -> None:
    """Tensors by name, and `facts` (detector, source) in the header."""
    with whole(path) as temporary:
        save_file(
            {key: value.detach().cpu().contiguous().clone() for key, value in state.items()}, temporary, dict(facts)
        )


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A name beside `path` to write under; it takes the place of `path` once everything went well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
