"""`bench report`: publish what the records say."""

import logging
from pathlib import Path

from omegaconf import DictConfig

from bench.records.reported import Reported, read_reported
from bench.report.publish import publish
from bench.verbs.output import wants_json, write_json

REPORTED = Path("results/reported.yaml")
log = logging.getLogger(__name__)


def run(config: DictConfig) -> None:
    as_json = wants_json(config)
    readme = None if config.readme is None else Path(config.readme)
    written = publish(Path(config.records), Path(config.output), readme, published_figures(config.reported))
    if as_json:
        write_json([str(path) for path in written])
        return
    for path in written:
        log.info("%s", path)


def published_figures(reported: str | None) -> Reported | None:
    """The file named, where `auto` is the project's own if the working folder has it. Raises ReportedError."""
    if reported is None or (reported == "auto" and not REPORTED.is_file()):
        return None
    return read_reported(REPORTED if reported == "auto" else Path(reported))
