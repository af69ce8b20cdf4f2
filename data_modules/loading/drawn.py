"""Sets that are drawn when they are first asked for, before the files of their layout are read."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar


class Drawn:
    """To be derived from together with the layout's `DatasetFiles`, in front of it.

    A subclass has a `name`, the `version` of its pictures, `draw`, which draws a set into a folder, and `is_drawn`,
    which tells whether the folder has all of it; both are called with folder, seed, train_images and val_images.

    Args:
        root: drawn sets lie below it, one folder for each version, seed and size.
        dataset_seed: of the pictures; `seed`, as everywhere, is that of order and augmentation.
        train_images, val_images: how many to draw.
        options: what the layout's files take.
    """

    name: str
    version: ClassVar[int]
    draw: ClassVar[Callable[..., Any]]
    is_drawn: ClassVar[Callable[..., bool]]

    def __init__(
        self, root: str | Path, train_images: int = 320, val_images: int = 96, dataset_seed: int = 0, **options: Any
    ) -> None:
        folder = f"v{self.version}-seed{dataset_seed}-{train_images}x{val_images}"
        self.drawn = Path(root).expanduser() / folder
        self.drawing = {"seed": dataset_seed, "train_images": train_images, "val_images": val_images}
        super().__init__(self.drawn, **options)  # type: ignore[call-arg]

    @property
    def manifest_key(self) -> str:
        """Sets of another version, seed or size have images of the same names."""
        return f"{self.name}-{self.drawn.name}"

    @property
    def is_prepared(self) -> bool:
        """Whether the set is drawn."""
        return bool(self.is_drawn(self.drawn, **self.drawing))

    def prepare(self) -> None:
        """Draw the set unless it is complete."""
        if not self.is_prepared:
            self.draw(self.drawn, **self.drawing)
