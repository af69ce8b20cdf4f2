"""Peak memory of one forward pass, by the one method that is honest on each device.

CUDA: what torch's allocator peaks at, cuDNN workspaces included. CPU: no allocator keeps a peak, so the tensors alive
are added up op by op over a run on the meta device: exact for tensors, blind to the scratch memory inside a kernel. The
result says which method gave it; the two are not to be compared.
"""

import weakref
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from bench.cost.devices import measured_device, synchronize
from bench.cost.isolation import CostError, check_input_size, meta_copy, run_on_meta
from bench.cost.latency import placed

Method = Literal["cuda_allocator", "live_tensors"]


@dataclass(frozen=True)
class Memory:
    """Bytes at float32. `activation_bytes`: the peak of all tensors but the weights, the input images included."""

    method: Method
    input_size: tuple[int, int]  # (H, W)
    batch_size: int
    weight_bytes: int  # parameters and buffers
    activation_bytes: int

    @property
    def peak_bytes(self) -> int:
        return self.weight_bytes + self.activation_bytes


def measure_memory(
    detector: nn.Module, input_size: tuple[int, int], device: str | torch.device = "cpu", batch_size: int = 1
) -> Memory:
    """Peak memory of `detector(images [batch_size, 3, H, W])` in eval mode without gradients, detector unchanged.

    Raises CostError if the device is absent or, for the CPU, if forward reads values (it runs on the meta device).
    """
    target = measured_device(device)
    size = check_input_size(input_size)
    if batch_size < 1:
        raise CostError(f"expected batch_size of at least 1, found {batch_size}")
    shape = (batch_size, 3, *size)
    weights = _weight_bytes(detector)
    if target.type == "cuda":
        return Memory("cuda_allocator", size, batch_size, weights, _cuda_peak(detector, shape, target))
    return Memory("live_tensors", size, batch_size, weights, _live_peak(detector, shape))


def _weight_bytes(module: nn.Module) -> int:
    return sum(tensor.nbytes for tensor in [*module.parameters(), *module.buffers()])


def _cuda_peak(detector: nn.Module, shape: tuple[int, ...], device: torch.device) -> int:
    with placed(detector, device), torch.inference_mode():
        synchronize(device)
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        detector(torch.zeros(shape, device=device))
        synchronize(device)
        return torch.cuda.max_memory_allocated(device) - before


def _live_peak(detector: nn.Module, shape: tuple[int, ...]) -> int:
    copied = meta_copy(detector)
    with _LiveBytes([*copied.parameters(), *copied.buffers()]) as live:
        run_on_meta(copied, torch.empty(shape, device="meta"))
    return live.peak


class _LiveBytes(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Bytes of all storages made inside the context and still alive, and their peak; views and in-place add nothing."""

    def __init__(self, ignored: Iterable[Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.live = 0
        self.peak = 0
        self._known = {_key(tensor) for tensor in ignored}

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                self._watch(leaf)
        self.peak = max(self.peak, self.live)  # the op's inputs are still alive here, as they are inside its kernel
        return result

    def _watch(self, tensor: Tensor) -> None:
        key = _key(tensor)
        if key in self._known:
            return
        storage = tensor.untyped_storage()
        self._known.add(key)
        self.live += storage.nbytes()
        weakref.finalize(storage, self._release, key, storage.nbytes())

    def _release(self, key: int, nbytes: int) -> None:
        self._known.discard(key)
        self.live -= nbytes


def _key(tensor: Tensor) -> int:
    """Identity of the memory behind a tensor; the address of the data would not do, as on meta it is always null."""
    return tensor.untyped_storage()._cdata
