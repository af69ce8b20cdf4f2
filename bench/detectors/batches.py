"""Which images share a forward pass: padded to the size of a neighbor, an image would give other candidates."""

from collections.abc import Sequence

from torch import Tensor

from bench.detectors.candidates import Images


def by_size(images: Images, pad_to: tuple[int, int] | None = None) -> list[list[int]]:
    """Indices of the images that come to one size when they are padded to `pad_to` or more, group by group."""
    least = pad_to or (0, 0)
    groups: dict[tuple[int, ...], list[int]] = {}
    for index, image in enumerate(images):
        size = tuple(max(side, wanted) for side, wanted in zip(image.shape[-2:], least, strict=True))
        groups.setdefault(size, []).append(index)
    return list(groups.values())


def picked(images: Images, index: Sequence[int]) -> Images:
    """The images of a group; a batch that is one group stays what it was."""
    if len(index) == len(images):
        return images
    return images[list(index)] if isinstance(images, Tensor) else [images[i] for i in index]
