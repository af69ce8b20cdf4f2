"""What an evaluator of a protocol is: a torchmetrics metric that is handed the truth and answers with a flat dict."""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
import torch.distributed as dist
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
        ground_truth: what is read of the truth: its `image_ids`, and a `content_hash` of everything in it.
        image_ids: the images evaluated.
    """

    full_state_update = False
    is_differentiable = False
    higher_is_better = True

    states: ClassVar[Mapping[str, tuple[torch.dtype, tuple[int, ...]]]]
    ground_truth: Any
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
    def per_image(self) -> dict[str, Any]:
        """All that the metrics follow from, so that they can be computed for any choice of images.

        `image_ids` of the images given to any process, each once, in the order of the truth, `counts` [I] of
        their detections, and arrays with one row for each of all detections, in that order. To be asked in every
        process, as `compute`.
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

    def taken(self) -> dict[str, NDArray[Any]]:
        """All rows of every state in the order of `images`, whichever process saw them and when.

        A sampler that pads the last batch hands some images in twice; they count once, as first given.
        """
        values = {name: self.rows(name) for name in self.states}
        images, counts = values["images"], values["counts"]
        first = np.unique(images, return_index=True)[1]  # [I] places of the images, in their order
        ends = np.cumsum(counts)
        spans = [np.arange(ends[i] - counts[i], ends[i]) for i in first]
        own = np.concatenate(spans) if spans else np.zeros(0, np.int64)  # [D] places of their detections
        return {name: rows[first if name in ("images", "counts") else own] for name, rows in values.items()}

    def sync(
        self,
        dist_sync_fn: Callable[..., Any] | None = None,
        process_group: Any = None,
        should_sync: bool = True,
        distributed_available: Callable[[], bool] | None = None,
    ) -> None:
        """As in torchmetrics, which would gather a process without any image as float and break on int states.

        States lie on the processor, so they are gathered there, whatever connects the devices.
        """
        if not self._is_synced and not getattr(self, next(iter(self.states))):
            for name, (kind, shape) in self.states.items():
                getattr(self, name).append(torch.zeros((0, *shape), dtype=kind, device=self.device))
        group = process_group or group_of_processors()
        super().sync(dist_sync_fn, group, should_sync, distributed_available)


def group_of_processors() -> Any:
    """The group in which tensors on the processor are gathered: the default one where it can, or one of its own.

    To be asked by all processes at the same point, since they make that group together.
    """
    if not (dist.is_available() and dist.is_initialized()) or dist.get_backend() == "gloo":
        return None
    default = dist.group.WORLD
    if default not in _groups:
        _groups.clear()
        _groups[default] = dist.new_group(backend="gloo")
    return _groups[default]


_groups: dict[Any, Any] = {}  # of the process group in force
