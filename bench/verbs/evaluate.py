"""`bench evaluate`: weights or predictions under a protocol."""

import logging
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from bench.errors import ConfigError
from bench.overrides import refuse_unread
from bench.records.record import Record, write_record
from bench.run.data import begin_reading
from bench.verbs.output import show_records, wants_json

log = logging.getLogger(__name__)


def run(config: DictConfig) -> None:
    as_json = wants_json(config)
    if config.predictions is not None and config.weights is not None:
        raise ConfigError("expected predictions=PATH or weights=PATH, found both; evaluate them one after the other")
    words = list(HydraConfig.get().overrides.task) if HydraConfig.initialized() else []
    refuse_unread(words, config)
    records = evaluated_weights(config, words) if config.predictions is None else evaluated_predictions(config)
    for record in records:
        log.info("record: %s", write_record(record, Path(config.paths.results)))
    show_records(records, as_json)


def evaluated_weights(config: DictConfig, words: list[str]) -> list[Record]:
    """Images are being read while torch and Lightning are imported."""
    begun = begin_reading(config)
    try:
        from bench.run.weights import evaluate_weights

        return evaluate_weights(config, words, begun)
    finally:
        if begun is not None:
            begun.close()


def evaluated_predictions(config: DictConfig) -> list[Record]:
    from bench.run.submission import evaluate_predictions

    return [evaluate_predictions(config)]
