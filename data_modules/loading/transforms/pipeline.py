"""Transforms in a row, chosen in a config:

train_transform:
  _target_: data_modules.loading.transforms.Pipeline
  steps:
    - {_target_: data_modules.loading.transforms.Expand}
    - {_target_: data_modules.loading.transforms.SSDCrop}
    - {_target_: data_modules.loading.transforms.Stretch, size: 300}
    - {_target_: data_modules.loading.transforms.HorizontalFlip}
    - {_target_: data_modules.loading.transforms.Photometric}
"""

import os
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from data_modules.loading.transforms.photometric import PhotometricDistortion
from data_modules.loading.transforms.sample import Sample

Step = Callable[[Sample, np.random.Generator], Sample]


class Pipeline:
    """Runs `steps` in order, all with the same generator. Steps are no dataclasses: OmegaConf would take them apart."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self.steps = list(steps)

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        for step in self.steps:
            sample = step(sample, rng)
        return sample


class Photometric:
    """Photometric distortion with probability `p`, as a step; see `PhotometricDistortion`."""

    def __init__(self, p: float = 1.0) -> None:
        self.p = p
        self.distortion = PhotometricDistortion()

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        if rng.random() >= self.p:
            return sample
        return replace(sample, image=self.distortion.distort(sample.image, rng))


class Pixels:
    """Any transform of albumentations that leaves boxes where they are (blur, noise, JPEG, ...), as a step.

    Args:
        transform: an albumentations transform.

    Raises:
        ValueError: `transform` moves pixels about, and boxes and keypoints would not follow.
    """

    def __init__(self, transform: Any) -> None:
        os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # otherwise its import asks the network for a newer one
        from albumentations import ImageOnlyTransform  # seconds to import, and few ask for it

        if not isinstance(transform, ImageOnlyTransform):
            raise ValueError(
                "expected an albumentations transform that changes colours only (an ImageOnlyTransform), found "
                f"{type(transform).__name__}; for geometry use the steps of data_modules.loading.transforms"
            )
        self.transform = transform

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        # The second generator decides about `p` and more: both must come from ours, or resuming would change samples.
        self.transform.set_random_state(rng, random.Random(int(rng.integers(2**63))))
        image = self.transform(image=np.ascontiguousarray(sample.image))["image"]
        return replace(sample, image=np.asarray(image, np.uint8))
