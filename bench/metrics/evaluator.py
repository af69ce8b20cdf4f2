"""What an evaluator of a protocol is: a torchmetrics metric that is handed the truth and answers with a flat dict."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

ImageId = str | int


class Evaluator(Metric):
    """Built by configuration with `truth=`, what the data module says of the split (`targets`, and forms of its own).

    A subclass has `states`, its name -> (type, shape of a row): what `update` appends to, gathered from all processes.
    Among them are `images`, and for each of these its number of detections, `counts`.

    Attributes:
        image_ids: the images evaluated.
    """

    full_state_update = False
    is_differentiable = False
    higher_is_better = True

    states: ClassVar[Mapping[str, tuple[torch.dtype, tuple[int, ...]]]]
    image_ids: Sequence[Any]

    def __init__(self) -> None:
        super().__init__()
        for name in self.states:
            self.add_state(name, default=[], dist_reduce_fx="cat")

    @property
    @abstractmethod
    def metric_names(self) -> tuple[str, ...]:
        """The keys of what `compute` answers."""

    @abstractmethod
    def truth_hash(self) -> str:
        """16 hexadecimal digits of everything that is read of the truth."""

    @abstractmethod
    def per_image(self) -> dict[str, Any]:
        """All that the metrics follow from, so that they can be computed for any choice of images.

        `image_ids` of the images given, each once, in their order, `counts` [I] of their detections, and arrays with
        one row for each of all detections, in that order.
        """

    @abstractmethod
    def objects(self) -> tuple[list[NDArray[np.float64]], dict[str, list[NDArray[np.bool_]]]]:
        """The boxes xyxy [N, 4] of every one of `image_ids`, and for each setting which of them count."""

    @abstractmethod
    def read_predictions(self, path: Path) -> Mapping[Any, dict[str, Tensor]]:
        """Predictions by image id from a file in the format of this evaluation.

        Raises:
            PredictionError: not a file of this format, or one with something wrong in it.
        """

    def append(self, **values: Any) -> None:
        """Add rows to each state."""
        for name, rows in values.items():
            getattr(self, name).append(torch.as_tensor(rows, dtype=self.states[name][0]).to(self.device))

    def rows(self, name: str) -> NDArray[Any]:
        """All rows of a state so far."""
        value = getattr(self, name)
        kind, shape = self.states[name]
        return (dim_zero_cat(value).cpu() if len(value) else torch.zeros((0, *shape), dtype=kind)).numpy()

    def given(self) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Which images [I] are given for the first time, and which detections [D] are theirs.

        A sampler that pads the last batch hands some images in twice; they count once.
        """
        images, counts = self.rows("images"), self.rows("counts")
        first = np.zeros(len(images), np.bool_)
        first[np.unique(images, return_index=True)[1]] = True
        return first, np.repeat(first, counts)

    def sync(self, *args: Any, **kwargs: Any) -> None:
        """As in torchmetrics, which would gather a process without any image as float and break on int states."""
        if not self._is_synced and not getattr(self, next(iter(self.states))):
            for name, (kind, shape) in self.states.items():
                getattr(self, name).append(torch.zeros((0, *shape), dtype=kind, device=self.device))
        super().sync(*args, **kwargs)
