"""`bench report`: publish what the records say."""

import logging
from pathlib import Path

from omegaconf import DictConfig

from bench.report.publish import publish
from bench.verbs.output import wants_json, write_json

log = logging.getLogger(__name__)


def run(config: DictConfig) -> None:
    as_json = wants_json(config)
    readme = None if config.readme is None else Path(config.readme)
    written = publish(Path(config.records), Path(config.output), readme)
    if as_json:
        write_json([str(path) for path in written])
        return
    for path in written:
        log.info("%s", path)
