"""From a cell's configuration to the objects of its run: detector, evaluation, trainer."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from omegaconf import DictConfig, OmegaConf

from bench.config import instantiate, plain
from bench.cost.complexity import Complexity, summed
from bench.detectors.base import Detector
from bench.detectors.create import build_detector
from bench.errors import ConfigError
from bench.evaluation.evaluation import Evaluation
from bench.evaluation.looks import PLAIN, Look
from bench.run.cells import Cell
from bench.run.checkpoints import AtomicCheckpointIO
from bench.run.data import EvaluationData, build_data, build_evaluators
from bench.run.identity import devices_of

LOOK_KEYS = {"resize", "flip", "cost_size"}


def as_config(values: Mapping[str, Any]) -> DictConfig:
    return OmegaConf.create(dict(values))


def build_evaluation(data: EvaluationData, protocol: DictConfig, postprocesses: Sequence[DictConfig]) -> Evaluation:
    """The protocol's evaluators for each post-processor, over the split that the data module evaluates."""
    names = [str(node.name) for node in postprocesses]
    if len(set(names)) != len(names):
        raise ConfigError(f"post-processors of one evaluation need distinct names, found {names}")
    truth = data.truth()
    return Evaluation(
        {str(node.name): instantiate(node.processor) for node in postprocesses},
        {name: build_evaluators(protocol, truth) for name in names},
        pad_to(protocol),
        build_looks(protocol),
    )


def pad_to(protocol: DictConfig) -> tuple[int, int] | None:
    return None if protocol.pad_to is None else (int(protocol.pad_to[0]), int(protocol.pad_to[1]))


def build_looks(protocol: DictConfig) -> tuple[Look, ...]:
    """How a protocol shows an image to a detector: as it is loaded, or as its `looks` say.

    Raises:
        ConfigError: a look that lacks something, or whose resizing rule takes no image alone.
    """
    looks = []
    for node in protocol.get("looks") or ():
        missing = sorted(LOOK_KEYS - set(node))
        if missing:
            raise ConfigError(
                f"expected resize, flip and cost_size in every look of {protocol.name}, found no {missing}"
            )
        rule = instantiate(node.resize)
        if not hasattr(rule, "pixels"):
            raise ConfigError(
                f"expected resizing rules of looks to have a method `pixels`, found {type(rule).__name__}; "
                "derive it from data_modules.loading.transforms.resize.ResizeRule"
            )
        swaps = [list(order) for order in protocol.get("keypoint_swaps") or ()]
        looks.append(Look(rule, bool(node.flip), swaps))
    return tuple(looks) or PLAIN


def measure_cost(detector: Detector, protocol: DictConfig) -> Complexity | None:
    """What one image costs under a protocol: a pass at its cost size, or the sum over its looks, each at its own.

    None for a detector whose operations are not counted.
    """
    nodes = list(protocol.get("looks") or ()) or [protocol]
    sizes = [(int(node.cost_size[0]), int(node.cost_size[1])) for node in nodes]
    counted = {size: detector.complexity(size) for size in dict.fromkeys(sizes)}
    found = [complexity for size in sizes if (complexity := counted[size]) is not None]
    if len(found) < len(sizes):
        return None
    return summed(found) if protocol.get("looks") else found[0]


def build_trainer(config: DictConfig, root: Path, callbacks: Sequence[pl.Callback], logger: Any) -> pl.Trainer:
    settings, recipe = config.trainer, config.detector.recipe
    own = [instantiate(node) for node in config.callbacks.values()]
    trainer = pl.Trainer(
        **processing(settings),
        strategy=settings.strategy,
        accumulate_grad_batches=settings.accumulate,
        deterministic=settings.deterministic,
        gradient_clip_val=recipe.get("grad_clip"),
        max_epochs=recipe.epochs,
        check_val_every_n_epoch=min(config.validation.every_n_epochs, recipe.epochs),
        num_sanity_val_steps=0,
        default_root_dir=root,
        callbacks=[*own, *callbacks],
        logger=logger or False,
        enable_progress_bar=False,
        enable_model_summary=False,
        log_every_n_steps=1,
    )
    return without_signals(trainer)


def processing(settings: DictConfig) -> dict[str, Any]:
    """Where, in how many processes and how precisely a Trainer computes, and how it writes checkpoints."""
    values = plain(settings)
    chosen = {name: values[name] for name in ("accelerator", "devices", "precision")}
    own = [LightningEnvironment()] if devices_of(values) > 1 else []  # whoever started this command
    return {**chosen, "plugins": [AtomicCheckpointIO(), *own]}


def without_signals(trainer: pl.Trainer) -> pl.Trainer:
    """Of several processes, one that takes no part in signals.

    Lightning's handler of SIGTERM broadcasts amid other exchanges, which then wait for each other for ever. Without it
    the leader ends, and the others with it.
    """
    if trainer.world_size > 1:
        trainer._signal_connector.register_signal_handlers = lambda: None  # type: ignore[method-assign]
    return trainer


def build_training(cell: Cell) -> tuple[Any, Detector]:
    """Data and detector of a training, the detector with the evaluation that chooses its checkpoint."""
    config = as_config(cell.config)
    validation = config.validation
    data = build_data(config, validation.protocol, validation.split)
    data.setup("fit")
    pl.seed_everything(cell.seed, workers=True, verbose=False)
    node = config.detector.copy()
    node.inference = validation.inference
    detector = build_detector(node, with_recipe=True)
    if config.get("weights"):
        detector.load(Path(config.weights), cell.detector)
    if config.trainer.channels_last:
        detector.use_channels_last()
    evaluation = build_evaluation(data, validation.protocol, [validation.postprocess])
    check_monitor(validation, evaluation)
    evaluation.limit_candidates(validation.pre_top_k)
    detector.evaluation = evaluation
    return data, detector


def check_monitor(validation: DictConfig, evaluation: Evaluation) -> None:
    """Raise ConfigError unless the metric that chooses the checkpoint is one that the validation computes."""
    (evaluators,) = evaluation.evaluators.values()
    known = [f"val/{name}" for evaluator in evaluators.values() for name in evaluator.metric_names]
    if validation.monitor not in known:
        raise ConfigError(
            f"expected validation.monitor to be one of {', '.join(known)}, which are computed of the split "
            f"{validation.split}; found {validation.monitor}"
        )
