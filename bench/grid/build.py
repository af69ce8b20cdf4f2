"""From a cell's configuration to the objects of its run: data module, detector, evaluation, trainer."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import pytorch_lightning as pl
from omegaconf import DictConfig, OmegaConf

from bench.config import compose, instantiate
from bench.cost.complexity import Complexity, measure_complexity, summed
from bench.detectors.base import Detector
from bench.detectors.create import build_detector
from bench.detectors.evaluation import Evaluation
from bench.detectors.multi_scale import View
from bench.errors import ConfigError
from bench.grid.cells import Cell


class EvaluationData(Protocol):
    """What a run asks of a LightningDataModule beyond Lightning's own hooks."""

    @property
    def ground_truth(self) -> dict[str, Any]:
        """Keyword arguments of the protocol's evaluator."""

    def summary(self, split: str) -> dict[str, Any]:
        """name, split, images, annotation_hash: the record's dataset."""

    def prepare_data(self) -> None: ...

    def setup(self, stage: str) -> None: ...

    def val_dataloader(self) -> Any: ...


def as_config(values: Mapping[str, Any]) -> DictConfig:
    return OmegaConf.create(dict(values))


def build_data(config: DictConfig, protocol: DictConfig, stage: str) -> Any:
    """The data module, resizing for evaluation as `protocol` says, set up for "fit" or "validate"."""
    data = instantiate(config.data.module, eval_resize=instantiate(protocol.resize))
    data.prepare_data()
    data.setup(stage)
    return data


def build_evaluation(data: EvaluationData, protocol: DictConfig, postprocesses: Sequence[DictConfig]) -> Evaluation:
    """One evaluator for each post-processor, all under one protocol."""
    names = [str(node.name) for node in postprocesses]
    if len(set(names)) != len(names):
        raise ConfigError(f"post-processors of one evaluation need distinct names, found {names}")
    return Evaluation(
        {str(node.name): instantiate(node.processor) for node in postprocesses},
        {name: instantiate(protocol.evaluator, **data.ground_truth) for name in names},
        None if protocol.pad_to is None else (int(protocol.pad_to[0]), int(protocol.pad_to[1])),
        build_views(protocol),
    )


def build_views(protocol: DictConfig) -> tuple[View, ...]:
    """What a multi-scale protocol looks at; none for the others, whose data module resizes.

    Raises:
        ConfigError: a view that lacks something, or whose resizing rule takes no image alone.
    """
    views = []
    for node in protocol.get("views") or ():
        missing = sorted({"resize", "flip", "input_size"} - set(node))
        if missing:
            raise ConfigError(
                f"expected resize, flip and input_size in every view of {protocol.name}, found no {missing}"
            )
        rule = instantiate(node.resize)
        if not hasattr(rule, "pixels"):
            raise ConfigError(
                f"expected resizing rules of views to have a method `pixels`, found {type(rule).__name__}; "
                "derive it from data_modules.transforms.resize.ResizeRule"
            )
        swaps = [list(order) for order in protocol.get("keypoint_swaps") or ()]
        views.append(View(rule, bool(node.flip), swaps))
    return tuple(views)


def measure_cost(detector: Detector, protocol: DictConfig) -> Complexity:
    """What one image costs under a protocol: a pass at its input size, or the sum over its views, each at its own."""
    sizes = [(int(node.input_size[0]), int(node.input_size[1])) for node in protocol.get("views") or ()]
    if not sizes:
        return measure_complexity(detector, (int(protocol.input_size[0]), int(protocol.input_size[1])))
    counted = {size: measure_complexity(detector, size) for size in dict.fromkeys(sizes)}
    return summed([counted[size] for size in sizes])


def validation_protocol(config: DictConfig) -> tuple[DictConfig, DictConfig]:
    """Protocol and post-processor under which a training chooses its checkpoint."""
    chosen = compose(
        "model", [f"protocol={config.validation.protocol}", f"postprocess={config.validation.postprocess}"]
    )
    return chosen.protocol, chosen.postprocess


def build_trainer(config: DictConfig, root: Path, callbacks: Sequence[pl.Callback], logger: Any) -> pl.Trainer:
    settings, recipe = config.trainer, config.detector.recipe
    return pl.Trainer(
        accelerator=settings.accelerator,
        devices=settings.devices,
        precision=settings.precision,
        accumulate_grad_batches=settings.accumulate,
        deterministic=settings.deterministic,
        gradient_clip_val=recipe.get("grad_clip"),
        max_epochs=recipe.epochs,
        check_val_every_n_epoch=min(config.validation.every_n_epochs, recipe.epochs),
        num_sanity_val_steps=0,
        default_root_dir=root,
        callbacks=list(callbacks),
        logger=logger or False,
        enable_progress_bar=False,
        enable_model_summary=False,
        log_every_n_steps=1,
    )


def build_training(cell: Cell) -> tuple[Any, Detector]:
    """Data and detector of a training, the detector with the evaluation that chooses its checkpoint."""
    config = as_config(cell.config)
    protocol, postprocess = validation_protocol(config)
    data = build_data(config, protocol, "fit")
    pl.seed_everything(cell.seed, workers=True, verbose=False)
    detector = build_detector(config, with_recipe=True)
    detector.evaluation = build_evaluation(data, protocol, [postprocess])
    detector.evaluation.limit_candidates(config.validation.pre_top_k)
    return data, detector
