"""The drawn faces as a data module: WIDER FACE's, over a folder that is drawn when it is first asked for."""

from pathlib import Path
from typing import Any

from data_modules.synth_faces.generate import SYNTH_FACES_VERSION, generate, is_complete
from data_modules.wider_face import WiderFace


class SynthFaces(WiderFace):
    """Procedural faces in WIDER FACE's layout.

    Args:
        root: drawn sets lie below it, one folder for each version, seed and size.
        dataset_seed: of the pictures; `seed`, as everywhere, is that of order and augmentation.
        train_images, val_images: how many to draw.
        options: what `WiderFace` takes.
    """

    name = "synth_faces"

    def __init__(
        self, root: str | Path, train_images: int = 320, val_images: int = 96, dataset_seed: int = 0, **options: Any
    ) -> None:
        folder = f"v{SYNTH_FACES_VERSION}-seed{dataset_seed}-{train_images}x{val_images}"
        super().__init__(Path(root) / folder, **options)
        self.drawing = {"seed": dataset_seed, "train_images": train_images, "val_images": val_images}

    @property
    def manifest_key(self) -> str:
        """Sets of another version, seed or size have images of the same names."""
        return f"{self.name}-{self.root.name}"

    def prepare_data(self) -> None:
        """Draw the set unless it is complete."""
        if not is_complete(self.root, **self.drawing):
            generate(self.root, **self.drawing)
