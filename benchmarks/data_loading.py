"""Images a second of the published training pipeline and of ours: decoding, filling the cache, reading it, on a device.

    python benchmarks/data_loading.py --root WIDER_ROOT --images 200 --size 640 --device cuda

"plain" does per image what the released pipelines do: decode, float32, square crop, resize, flip, distort, normalise,
channels first. Ours is `SquareCropAugmentation` on uint8, timed step by step (and held against the data module's own
samples); normalising belongs to the detector there, so the plain pipeline is compared with and without it. Both draw
the same crops. Times are those of the processor, so that other programs disturb little; a mapped image is read from
memory when it is cropped and resized. "On the device" is `DeviceTrainLoader` on `--device`, in batches; its first epoch
decodes. On another device than the processor its times are those of the clock, for the processor does not do the work.
"""

import argparse
import logging
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from plain_pipeline import plain_stages

from data_modules import WiderFace
from data_modules.loading.collate import to_tensor
from data_modules.loading.dataset import TrainImages, target_of
from data_modules.loading.device import DeviceTrainLoader
from data_modules.loading.sampling import EpochSampler
from data_modules.loading.transforms import ResizeLongSide, Sample, SquareCropAugmentation
from data_modules.loading.transforms.flip import mirrored
from data_modules.loading.transforms.photometric import distort
from data_modules.loading.transforms.pixels import resized
from data_modules.loading.transforms.sample import as_planes

Stages = list[tuple[str, Callable[[Any], Any]]]
logger = logging.getLogger("data_loading")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True, help="WIDER FACE in its official layout")
    parser.add_argument("--images", type=int, default=200, help="the first so many of the training images")
    parser.add_argument("--size", type=int, default=640, help="side of the training image in pixels")
    parser.add_argument("--threads", type=int, default=1, help="threads of OpenCV and torch")
    parser.add_argument("--device", default="cpu", help="where the images of the last rows are kept and worked on")
    parser.add_argument("--batch-size", type=int, default=8, help="of those rows")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    cv2.setNumThreads(arguments.threads)
    torch.set_num_threads(arguments.threads)

    with tempfile.TemporaryDirectory() as folder:
        without, cached = (dataset(arguments, cache) for cache in (None, folder))
        logger.info("%d images, %d x %d", len(without), arguments.size, arguments.size)
        for index in range(min(8, len(without))):  # files into memory, code and its tables loaded
            check(without, index)
        runs = [
            ("plain", plain_stages, without, 1),
            ("ours, no cache", our_stages, without, 1),
            ("ours, fills the cache", our_stages, cached, 1),
            ("ours, cached, epoch 2", our_stages, cached, 2),
            ("ours, cached, epoch 3", our_stages, cached, 3),
        ]
        times = {name: measure(name, stages, data, epoch) for name, stages, data, epoch in runs}
        times |= measure_device(without, arguments)
        plain, normalising = sum(times["plain"].values()), times["plain"]["normalise"]
        for name, seconds in times.items():
            own = sum(seconds.values())
            against = plain / own, (plain - normalising) / own
            logger.info("%-22s %6.1f images/s: plain x %.2f, x %.2f without normalising", name, 1 / own, *against)
        first, second = (sum(times[f"ours, {epoch}"].values()) for epoch in ("fills the cache", "cached, epoch 2"))
        logger.info("the second epoch with a cache takes %.2f of the time of the first", second / first)


def dataset(arguments: argparse.Namespace, cache: str | None) -> TrainImages:
    """The training images; the cache may grow to what it needs."""
    transforms = SquareCropAugmentation(arguments.size), ResizeLongSide(arguments.size)
    options: dict[str, Any] = {"train_images": arguments.images, "num_workers": 0, "cache": cache, "cache_gib": 64.0}
    data: Any = WiderFace(arguments.root, *transforms, **options).train_dataloader().dataset
    return data


def our_stages(data: TrainImages, epoch: int, index: int) -> Stages:
    """What `data[epoch, index]` does, from the index on; `check` proves it."""
    rule: Any = data.transform
    size = rule.size
    found: dict[str, Any] = {}

    def draw(sample: Sample) -> Any:
        found["draws"] = rule.draw(sample, np.random.default_rng([data.seed, epoch, index]))
        found["sample"] = rule.objects(sample, found["draws"])
        return sample.image

    return [
        ("read", data._load),
        ("draw and boxes", draw),
        ("crop", lambda image: rule.crop.pixels(image, found["draws"].square)),
        ("resize", lambda image: resized(image, size, size)),
        ("planes", lambda image: as_planes(image).transpose(1, 2, 0)),
        ("flip", lambda image: mirrored(image) if found["draws"].mirrored else image),
        ("distort", lambda image: distort(image, found["draws"].distortion)),
        ("tensors", lambda image: (to_tensor(image), target_of(data.images[index], found["sample"]))),
    ]


def check(data: TrainImages, index: int) -> None:
    """Ours step by step is ours as a whole; the plain pipeline is run once, to have all it needs in memory too."""
    value, (image, _) = index, data[1, index]
    for _, stage in our_stages(data, 1, index):
        value = stage(value)
    if not torch.equal(value[0], image):
        raise AssertionError(f"the steps timed here give another image {index} than the data module does")
    plain: Any = index
    for _, stage in plain_stages(data, 1, index):
        plain = stage(plain)
    difference = (plain[0] * 128.0 + 127.5 - image).abs()
    logger.debug("image %d: mean difference of plain and ours %.2f", index, difference.mean())


def measure(
    name: str, stages: Callable[[TrainImages, int, int], Stages], data: TrainImages, epoch: int
) -> dict[str, float]:
    """Seconds of processor time an image, stage by stage, over one epoch."""
    seconds: defaultdict[str, float] = defaultdict(float)
    begin_wall = time.perf_counter()
    for index in range(len(data)):
        value: Any = index
        for stage, run in stages(data, epoch, index):
            begin = time.process_time()
            value = run(value)
            seconds[stage] += (time.process_time() - begin) / len(data)
    wall = (time.perf_counter() - begin_wall) / len(data)
    split = "  ".join(f"{stage} {spent * 1e3:.2f}" for stage, spent in seconds.items())
    logger.info("%-22s %6.2f ms (wall clock %.2f):  %s", name, sum(seconds.values()) * 1e3, wall * 1e3, split)
    return seconds


def measure_device(data: TrainImages, arguments: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Seconds an image, as `measure`, of two epochs of the loader that keeps images on the device."""
    on_processor = torch.device(arguments.device).type == "cpu"
    clock = time.process_time if on_processor else time.perf_counter
    sampler = EpochSampler(len(data), data.seed, batch_size=arguments.batch_size)
    loader = DeviceTrainLoader(data, sampler, arguments.batch_size, arguments.device, 64 * 2**30, arguments.threads)
    times = {}
    for epoch in (1, 2, 3):
        sampler.set_epoch(epoch)
        begin, images = clock(), 0
        for batch in loader:
            images += len(batch["images"])
            last = batch["images"]
        last[0, 0, 0, 0].item()  # waits for the device
        times[f"on {arguments.device}, epoch {epoch}"] = {"everything": (clock() - begin) / images}
    return times


if __name__ == "__main__":
    main()
