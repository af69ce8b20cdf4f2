"""The drawn shapes as a data module: COCO's, over a folder that is drawn when it is first asked for."""

from pathlib import Path
from typing import Any

from data_modules.coco import Coco
from data_modules.synth_shapes.generate import SYNTH_SHAPES_VERSION, generate, is_complete


class SynthShapes(Coco):
    """Procedural shapes in COCO's layout.

    Args:
        root: drawn sets lie below it, one folder for each version, seed and size.
        dataset_seed: of the pictures; `seed`, as everywhere, is that of order and augmentation.
        train_images, val_images: how many to draw.
        options: what `Coco` takes.
    """

    name = "synth_shapes"

    def __init__(
        self, root: str | Path, train_images: int = 320, val_images: int = 96, dataset_seed: int = 0, **options: Any
    ) -> None:
        folder = f"v{SYNTH_SHAPES_VERSION}-seed{dataset_seed}-{train_images}x{val_images}"
        self.drawn = Path(root).expanduser() / folder
        super().__init__(self.drawn, **options)
        self.drawing = {"seed": dataset_seed, "train_images": train_images, "val_images": val_images}

    @property
    def manifest_key(self) -> str:
        """Sets of another version, seed or size have images of the same names."""
        return f"{self.name}-{self.drawn.name}"

    def prepare_data(self) -> None:
        """Draw the set unless it is complete."""
        if not is_complete(self.drawn, **self.drawing):
            generate(self.drawn, **self.drawing)
