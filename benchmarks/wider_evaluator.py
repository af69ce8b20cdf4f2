"""Times reading and evaluating a file of WIDER FACE predictions, and plain loops beside it in the same run.

    python benchmarks/wider_evaluator.py PREDICTIONS.zip WIDER_ROOT/eval_tools/ground_truth --loop-images 200

The loops (`wider_reference.py`) are timed on the first images of the file only, and both evaluate the same images for
the comparison, so that their results can be held against each other.
"""

import argparse
import logging
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor
from wider_reference import reference_ap

from bench.metrics.wider_face import WiderFaceAP
from bench.predictions.wider_text import read_wider_predictions

logger = logging.getLogger("wider_evaluator")

Predictions = dict[str, dict[str, Tensor]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("predictions", type=Path, help="zip file or folder of <event>/<image>.txt")
    parser.add_argument("ground_truth", type=Path, help="folder of the four official .mat files")
    parser.add_argument("--repeats", type=int, default=5, help="runs of which the median is given")
    parser.add_argument("--loop-images", type=int, default=200, help="images that the plain loops evaluate")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(1)

    seconds, predictions = timed(lambda: read_wider_predictions(arguments.predictions), arguments.repeats)
    boxes = sum(len(prediction["scores"]) for prediction in predictions.values())
    logger.info("read predictions     %8.3f s  %d images, %d boxes", seconds, len(predictions), boxes)
    seconds, metric = timed(lambda: WiderFaceAP(arguments.ground_truth), arguments.repeats)
    logger.info("read ground truth    %8.3f s  %d images", seconds, len(metric.image_ids))
    seconds, result = timed(lambda: evaluate(metric, predictions), arguments.repeats)
    logger.info("evaluate             %8.3f s  %s", seconds, show(result))

    few = {image: predictions[image] for image in list(predictions)[: arguments.loop_images]}
    metric = WiderFaceAP(arguments.ground_truth, images=list(few))
    seconds, result = timed(lambda: evaluate(metric, few), arguments.repeats)
    logger.info("evaluate, subset     %8.3f s  %d images, %s", seconds, len(few), show(result))
    loops, result = timed(lambda: loop(metric, few), 1)
    logger.info("plain loops, subset  %8.3f s  %d images, %s", loops, len(few), show(result))
    logger.info("faster by            %8.0f x", loops / seconds)


def timed(function: Callable[[], Any], repeats: int) -> tuple[float, Any]:
    """Median wall-clock seconds, and the last result."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        result = function()
        seconds.append(time.perf_counter() - start)
    return median(seconds), result


def evaluate(metric: WiderFaceAP, predictions: Predictions) -> dict[str, float]:
    metric.reset()
    metric.update(list(predictions.values()), [{"image_id": image_id} for image_id in predictions])
    return metric.compute()


def loop(metric: WiderFaceAP, predictions: Predictions) -> dict[str, float]:
    boxes, counted = metric.objects()
    return reference_ap(
        {image: xywh(faces) for image, faces in zip(metric.image_ids, boxes, strict=True)},
        {
            name: {image: (mask.nonzero()[0] + 1).tolist() for image, mask in zip(metric.image_ids, masks, strict=True)}
            for name, masks in counted.items()
        },
        {
            image: list(zip(xywh(found["boxes"]), found["scores"].tolist(), strict=True))
            for image, found in predictions.items()
        },
    )


def xywh(boxes: Any) -> list[list[float]]:
    """Corners [N, 4], an array or a tensor, as the plain loops take boxes."""
    return [[x1, y1, x2 - x1, y2 - y1] for x1, y1, x2, y2 in boxes.tolist()]


def show(result: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.6f}" for name, value in result.items())


if __name__ == "__main__":
    main()
