"""Times a cascade under facenet-pytorch's weights against facenet-pytorch itself, and compares their AP, in one run.

    pip install --no-deps facenet-pytorch==2.6.0 --target DIR    (it pins an old torch: beside the environment)
    BENCH_FACENET=DIR python benchmarks/mtcnn.py FOLDER WIDER_ROOT [--count 32] [--rounds 3] [--output mtcnn.json]

FOLDER holds pnet.pt, rnet.pt and onet.pt. Both see the same pictures of WIDER FACE val, at their own size one by one;
for larger batches, since facenet-pytorch takes pictures of one size alone, cut or filled to 768x1024. They take turns,
batch by batch, after a first call that is not counted. Milliseconds are of one image; ratios are of medians of the same
run: on a machine that others use, only these mean something. Stages: P-Net with its pyramid, R-Net and O-Net with their
crops. AP is that of the pictures read, without any further suppression.
"""

import argparse
import importlib
import json
import logging
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import bench
from bench.cost.allocator import keep_freed_memory
from bench.cost.devices import device_name
from bench.metrics.wider_face import WiderFaceAP
from bench.run.provenance import git_state, package_versions
from bench.verbs.profile import fit
from data_modules.loading.collate import to_tensor
from data_modules.loading.image_folder import find_images
from data_modules.loading.images import read_image

logger = logging.getLogger("mtcnn")
STAGES = ("first", "second", "third", "total")
CANVAS = (768, 1024)
Found = dict[str, Tensor]  # boxes [n, 4] from 0, scores [n]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path, help="folder of pnet.pt, rnet.pt and onet.pt")
    parser.add_argument("root", type=Path, help="WIDER FACE in its official layout")
    parser.add_argument("--detector", default="mtcnn_facenet", choices=["mtcnn_facenet", "mtcnn"])
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--count", type=int, default=32, help="pictures, at even distances among those of val")
    parser.add_argument("--rounds", type=int, default=3, help="times that all pictures are seen")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--output", type=Path, help="JSON file for all of it")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(arguments.threads)
    keep_freed_memory()
    run(arguments)


@torch.inference_mode()
def run(arguments: argparse.Namespace) -> None:
    paths = find_images(arguments.root / "WIDER_val" / "images")
    count = min(arguments.count, len(paths))
    chosen = [paths[index * len(paths) // count] for index in range(count)]
    images = [to_tensor(read_image(path)) for path in chosen]
    sides = {"bench": Ours(arguments.detector, arguments.weights), "facenet-pytorch": Theirs()}
    facts: dict[str, Any] = {
        "device": device_name("cpu"),
        "threads": arguments.threads,
        "pictures": count,
        "detector": arguments.detector,
        "versions": package_versions(),
        "git": git_state(),
        "load_average": [os.getloadavg()],
    }
    for size in arguments.batches:
        facts[f"batch {size}"] = timed(sides, images, size, arguments.rounds)
        logger.info("batch %d\n%s", size, table(facts[f"batch {size}"]))
    facts["load_average"].append(os.getloadavg())
    facts["ap"] = {name: ap_of(side, images, chosen, arguments.root) for name, side in sides.items()}
    for name, values in facts["ap"].items():
        logger.info("%s: %s", name, ", ".join(f"{key} {100 * value:.2f}" for key, value in values.items()))
    logger.info("load average %.1f before, %.1f after", *(load[0] for load in facts["load_average"]))
    if arguments.output:
        arguments.output.write_text(json.dumps(facts, indent=1) + "\n")


class Clock:
    """Seconds between marks, of one call."""

    def __init__(self) -> None:
        self.marks: list[float] = []

    def mark(self) -> None:
        self.marks.append(time.perf_counter())

    def marked(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """`call`, with a mark before it."""

        def with_mark(*words: Any, **named: Any) -> Any:
            self.mark()
            return call(*words, **named)

        return with_mark

    def stages(self) -> dict[str, float]:
        """Of begin, the second and third stages' beginnings and the end; a stage that was not reached took nothing."""
        begin, *inner, end = self.marks
        second, third = [*inner, end, end][:2]
        return dict(zip(STAGES, (second - begin, third - second, end - third, end - begin), strict=True))


class Ours:
    def __init__(self, name: str, weights: Path) -> None:
        self.clock = Clock()
        detector: Any = bench.create_detector(name)
        detector.load_state_dict(detector.published(weights, name))
        self.detector = detector.folded()
        for stage in ("second_stage", "third_stage"):
            setattr(self.detector, stage, self.clock.marked(getattr(self.detector, stage)))

    def prepared(self, images: Sequence[Tensor]) -> list[Tensor]:
        return list(images)

    def __call__(self, images: list[Tensor]) -> list[Found]:
        found = self.detector.raw(images)
        rows = [found.image == index for index in range(len(images))]
        return [{"boxes": found.boxes[row], "scores": found.scores[row, 0]} for row in rows]


class Theirs:
    def __init__(self) -> None:
        if os.environ.get("BENCH_FACENET"):
            sys.path.append(os.environ["BENCH_FACENET"])
        try:
            package = importlib.import_module("facenet_pytorch")
        except ImportError:
            sys.exit("error: no facenet-pytorch; install it as the docstring says and name the folder in BENCH_FACENET")
        self.clock = Clock()
        self.detector = package.MTCNN(keep_all=True, select_largest=False).eval()
        module: Any = importlib.import_module("facenet_pytorch.models.utils.detect_face")
        module.pad = self.clock.marked(module.pad)  # the second and third stages begin with it

    def prepared(self, images: Sequence[Tensor]) -> list[Any]:
        return [np.ascontiguousarray(image.permute(1, 2, 0).numpy()) for image in images]

    def __call__(self, images: list[Any]) -> list[Found]:
        boxes, scores = self.detector.detect(np.stack(images))
        return [
            {"boxes": torch.zeros(0, 4), "scores": torch.zeros(0)}
            if one is None
            else {
                "boxes": torch.from_numpy(one.astype(np.float32)) - torch.tensor([1.0, 1.0, 0.0, 0.0]),
                "scores": torch.from_numpy(score.astype(np.float32)),
            }
            for one, score in zip(boxes, scores, strict=True)
        ]


def timed(sides: dict[str, Any], images: Sequence[Tensor], size: int, rounds: int) -> dict[str, Any]:
    """Median milliseconds of one image by side and stage, and ratios of these."""
    shown = images if size == 1 else [fit(image, CANVAS) for image in images]
    batches = [list(shown[begin : begin + size]) for begin in range(0, len(shown) - size + 1, size)]
    samples: dict[str, list[dict[str, float]]] = {name: [] for name in sides}
    fed = {name: [side.prepared(batch) for batch in batches] for name, side in sides.items()}
    for turn in range(rounds + 1):
        for index in range(len(batches) if turn else 1):
            for name, side in sides.items():
                side.clock.marks = []
                side.clock.mark()
                side(fed[name][index])
                side.clock.mark()
                samples[name] += [side.clock.stages()] if turn else []
    medians = {
        name: {stage: 1e3 * float(np.median([one[stage] for one in rows])) / size for stage in STAGES}
        for name, rows in samples.items()
    }
    ours, theirs = medians.values()
    return {**medians, "ratio": {stage: ours[stage] / theirs[stage] for stage in STAGES}}


def table(rows: dict[str, dict[str, float]]) -> str:
    lines = ["| ms an image | first | second | third | total |", "| --- | ---: | ---: | ---: | ---: |"]
    for name, values in rows.items():
        form = "{:.2f}" if name == "ratio" else "{:.1f}"
        lines.append(f"| {name} | {' | '.join(form.format(values[stage]) for stage in STAGES)} |")
    return "\n".join(lines)


def ap_of(side: Any, images: Sequence[Tensor], paths: Sequence[Path], root: Path) -> dict[str, float]:
    ids = [f"{path.parent.name}/{path.stem}" for path in paths]
    evaluator = WiderFaceAP(root / "eval_tools" / "ground_truth", ids)
    for image, image_id in zip(images, ids, strict=True):
        evaluator.update(side(side.prepared([image])), [{"image_id": image_id}])
    return {key: float(value) for key, value in evaluator.compute().items()}


if __name__ == "__main__":
    main()
