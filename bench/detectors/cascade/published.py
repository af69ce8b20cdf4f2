"""The weights that facenet-pytorch publishes -> the state dict of a cascade.

Its networks hand maps to the dense layer as (W, H, C), after the Matlab code that trained them; ours as (C, H, W).
"""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from bench.errors import WeightsError
from bench.weights.load import check_finite, check_fits, read_weights

NETWORKS = ("pnet", "rnet", "onet")
DENSE = {
    "rnet.dense4.weight": (64, 3, 3),
    "onet.dense5.weight": (128, 3, 3),
}  # what they read


def published_files(source: Path) -> list[Path]:
    """pnet.pt, rnet.pt and onet.pt of a folder, or the one file that holds all three."""
    return [source / f"{name}.pt" for name in NETWORKS] if source.is_dir() else [source]


def read_published(detector: nn.Module, source: Path, name: str) -> dict[str, Tensor]:
    """
    Args:
        source: a folder with three files, or a file with the names `pnet.conv1.weight`, ... of facenet-pytorch's MTCNN.

    Raises:
        WeightsError: a file that is missing, does not fit `detector`, or holds a value that is not finite.
    """
    state = read_folder(source) if source.is_dir() else read_weights(source)
    check_fits(detector, state, source, name)
    check_finite(state, source)
    return {key: reordered(value, DENSE[key]) if key in DENSE else value for key, value in state.items()}


def read_folder(folder: Path) -> dict[str, Tensor]:
    missing = [path.name for path in published_files(folder) if not path.is_file()]
    if missing:
        raise WeightsError(f"expected pnet.pt, rnet.pt and onet.pt in {folder}, found no {', '.join(missing)}")
    parts = {name: read_weights(folder / f"{name}.pt") for name in NETWORKS}
    return prefixed(parts)


def prefixed(parts: Mapping[str, Mapping[str, Tensor]]) -> dict[str, Tensor]:
    return {f"{name}.{key}": value for name, part in parts.items() for key, value in part.items()}


def reordered(weight: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """Columns of a dense layer [out, W H C] -> [out, C H W]."""
    channels, height, width = shape
    return torch.einsum("owhc->ochw", weight.view(-1, width, height, channels)).flatten(1).contiguous()
