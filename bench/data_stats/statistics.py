"""`bench data stats`: what sample redistribution does to the faces and the positive anchors of an epoch.

After SCRFD (arXiv 2105.04714): the cumulative scale of the evaluated faces (its figure 3), faces and positive anchors
by scale under each set of crops (figure 4), and positives by stride. Positives are those of the detector's own
assigner on the boxes that training sees; ignored faces take no part. No image is decoded.
"""

import json
import logging
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig, OmegaConf

from bench.boxes.anchors import AnchorGenerator
from bench.boxes.assigners.assignment import Assigner
from bench.config import instantiate, plain
from bench.data_stats.figures import draw_data_stats
from bench.data_stats.scales import EpochCounts, Float, bin_names, box_scales, fractions_below
from bench.data_stats.tables import data_stats_csv
from bench.detectors.create import build_detector
from bench.errors import ConfigError
from bench.metrics.evaluator import Evaluator
from bench.records.record import write_text_atomically
from bench.run.data import build_data

CURVE_SCALES = [2 ** (step / 8) for step in range(8, 81)]  # pixels: 2 to 1024, eight an octave
Targets = Callable[..., Iterable[Mapping[str, Any]]]  # (data module, split, epoch) -> targets
log = logging.getLogger(__name__)


def run(config: DictConfig) -> dict[str, Any]:
    """Count, and write `<detector>.json`, `<detector>.csv` and the figures into `stats.output`.

    Returns:
        The document of the JSON file. Counts are means over `stats.epochs` epochs; `ratio` compares with the first
        set of crops.

    Raises:
        ConfigError: no epoch or no set of crops, a detector without anchors, or data that the crops do not reach.
    """
    if config.stats.epochs < 1 or not config.stats.crop_sets:
        raise ConfigError(
            f"expected stats.epochs >= 1 and at least one of stats.crop_sets, found {config.stats.epochs} epochs "
            f"and {len(config.stats.crop_sets)} sets"
        )
    settings = {name: with_crops(config, scales) for name, scales in config.stats.crop_sets.items()}
    check_reached(settings)
    targets: Targets = instantiate(config.stats.targets)
    data = build_data(config)
    data.setup("fit")
    anchors, assigner = anchors_and_assigner(config)
    size = int(config.detector.augmentation.input_size)
    crop_sets = {}
    for name, setting in settings.items():
        counts = EpochCounts(anchors((size, size)))
        module = build_data(setting)
        for epoch in range(config.stats.epochs):
            add_epoch(counts, assigner, targets(module, "train", epoch))
        crop_sets[str(name)] = summary_of(counts, config.stats.epochs, plain(config.stats.crop_sets[name]))
    document = {
        "data": {"train": data.summary("train"), "val": data.summary(data.split)},
        "detector": config.detector.name,
        "input_size": size,
        "epochs": config.stats.epochs,
        "seed": config.seed,
        "face_scale": face_scale_curves(config, data, targets),
        "crop_sets": crop_sets,
        "ratio": ratios(crop_sets),
    }
    write(document, Path(config.stats.output))
    return document


def with_crops(config: DictConfig, scales: Any) -> DictConfig:
    """The configuration under another set of crops, and without colour changes, which move no box."""
    copy = config.copy()
    OmegaConf.update(copy, "detector.augmentation.crop_scales", scales, force_add=True)
    if "photometric" in copy.detector.augmentation:
        copy.detector.augmentation.photometric = False
    return copy


def check_reached(settings: Mapping[Any, DictConfig]) -> None:
    """Refuse a data module whose configuration is the same under sets of crops that differ."""
    modules = {json.dumps(plain(setting.data), sort_keys=True) for setting in settings.values()}
    crops = {str(setting.detector.augmentation.crop_scales) for setting in settings.values()}
    if len(modules) < len(crops):
        name = next(iter(settings.values())).data.name
        raise ConfigError(
            f"data={name} does not use detector.augmentation.crop_scales, so its training does not change with "
            "stats.crop_sets; let its train_transform take them, or leave one set: '~stats.crop_sets.off'"
        )


def anchors_and_assigner(config: DictConfig) -> tuple[AnchorGenerator, Assigner]:
    detector = build_detector(config.detector)
    anchors, criterion = getattr(detector, "anchors", None), getattr(detector, "criterion", None)
    if anchors is None or criterion is None:
        raise ConfigError(
            f"detector={config.detector.name} has no anchors to assign; name a dense detector, such as scrfd_0.5g"
        )
    return anchors, criterion.assigner


def add_epoch(counts: EpochCounts, assigner: Assigner, targets: Iterable[Mapping[str, Any]]) -> None:
    """Assign every image of an epoch as the training criterion does."""
    for target in targets:
        boxes = target["boxes"][~target["ignore"]]
        counts.add(boxes, assigner(counts.anchors, boxes))


def summary_of(counts: EpochCounts, epochs: int, scales: list[float]) -> dict[str, Any]:
    """Means over epochs."""

    def means(sums: Mapping[str, int]) -> dict[str, float]:
        return {key: value / epochs for key, value in sums.items()}

    return {
        "crop_scales": scales,
        "images": counts.images / epochs,
        "faces": counts.faces / epochs,
        "faces_without_anchor": counts.faces_without_anchor / epochs,
        "faces_by_scale": means(dict(zip(bin_names(), counts.faces_by_scale.tolist(), strict=True))),
        "positives_by_anchor_scale": means(counts.positives_by_anchor_scale()),
        "positives_by_stride": means(counts.positives_by_stride()),
    }


def ratios(crop_sets: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, dict[str, float | None]]]:
    """Every later set over the first: set -> table -> key -> ratio, None where the first has none."""
    first, *others = crop_sets
    tables = ("faces_by_scale", "positives_by_anchor_scale", "positives_by_stride")
    return {
        other: {
            table: {
                key: crop_sets[other][table][key] / value if value else None
                for key, value in crop_sets[first][table].items()
            }
            for table in tables
        }
        for other in others
    }


def face_scale_curves(config: DictConfig, data: Any, targets: Targets) -> dict[str, Any]:
    """Cumulative scales of the validation faces in an image whose longer side is `stats.long_side`.

    One curve for each setting of the evaluation (WIDER FACE's own lists of faces), else one of all that count.
    """
    sizes = {target["image_id"]: target["size"].tolist() for target in targets(data, "val")}
    evaluator: Evaluator = instantiate(next(iter(config.protocol.evaluators.values())), truth=data.truth())
    side = float(config.stats.long_side)
    boxes, counted = evaluator.objects()
    factors = [side / max(sizes[image_id]) for image_id in evaluator.image_ids]
    scales = [box_scales(of_image) * factor for of_image, factor in zip(boxes, factors, strict=True)]
    curves = {
        name: curve_of(np.concatenate([np.zeros(0), *(s[mask] for s, mask in zip(scales, masks, strict=True))]))
        for name, masks in counted.items()
    }
    noun = "faces" if tuple(data.class_names) == ("face",) else "objects"
    return {"of": noun, "long_side": config.stats.long_side, "scales": CURVE_SCALES, "curves": curves}


def curve_of(scales: Float) -> dict[str, Any]:
    """Number of faces, and the fraction of them below each of CURVE_SCALES; no fractions where there is no face."""
    return {"faces": len(scales), "below": fractions_below(scales, CURVE_SCALES) if len(scales) else []}


def write(document: Mapping[str, Any], folder: Path) -> None:
    text = json.dumps(document, indent=1, allow_nan=False) + "\n"
    name = document["detector"]
    paths = [
        write_text_atomically(folder / f"{name}.json", text),
        write_text_atomically(folder / f"{name}.csv", data_stats_csv(document)),
        *draw_data_stats(document, folder),
    ]
    log.info("wrote %s into %s", ", ".join(path.name for path in paths), folder)
