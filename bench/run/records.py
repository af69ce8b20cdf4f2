"""From what a run measured to its record."""

import logging
import math
from collections.abc import Mapping
from typing import Any

import torch
from pydantic import ValidationError

from bench.cost.complexity import Complexity
from bench.cost.devices import device_name
from bench.errors import ConfigError
from bench.records.record import Cost, Dataset, Protocol, Provenance, Record, Run, Status
from bench.records.schema import problems_of
from bench.run.cells import Cell
from bench.run.provenance import anonymous, command, git_state, package_versions

log = logging.getLogger(__name__)


def protocol_of(cell: Cell) -> Protocol:
    """Name, version and post-processor; what they mean stands in the cell's evaluation tree."""
    protocol = cell.config["protocol"]
    return Protocol(
        name=cell.protocol,
        version=protocol["version"],
        postprocess=cell.config["postprocess"]["name"],
        base=protocol["name"] if cell.protocol_changes else None,
        changes=dict(cell.protocol_changes),
    )


def cost_of(complexity: Complexity) -> Cost:
    return Cost(**complexity.counts())


def device_of(config: Mapping[str, Any]) -> str:
    """The name of the processor that works under this configuration."""
    wanted = config["trainer"]["accelerator"]
    on_gpu = torch.cuda.is_available() and wanted in ("auto", "gpu", "cuda")
    return device_name("cuda" if on_gpu else "cpu")


def run_of(config: Mapping[str, Any], **facts: Any) -> Run:
    """The code and the machine of this process, beside what only the run knows (started_at, wall_time_s, ...)."""
    commit, dirty = git_state()
    common = {
        "git_commit": commit,
        "git_dirty": dirty,
        "versions": package_versions(),
        "device": device_of(config),
        "threads": torch.get_num_threads(),
        "command": command(),
    }
    return Run(**{**common, **facts})


def failed_record(cell: Cell, status: Status, error: str, training: Run) -> Record:
    """The record of a cell without a result: a status and an error, never a number."""
    provenance = Provenance(schedule=cell.config["schedule"], weights="trained", training=training)
    return _record(cell, provenance, metrics={}, cost=None, status=status, error=anonymous(error))


def check_recordable(cell: Cell) -> None:
    """Raise ConfigError if no record could be written of the cell, before anything is measured for it."""
    try:
        failed_record(cell, "failed", "not run", Run(versions={}, device="none"))
    except ValidationError as error:
        raise ConfigError(f"{cell} cannot be recorded: {problems_of(error)}") from error


def done_record(
    cell: Cell,
    metrics: Mapping[str, float],
    complexity: Complexity | None,
    provenance: Provenance,
    statistics: Mapping[str, str],
    speed: Mapping[str, float] | None = None,
) -> Record:
    """The record of an evaluated cell."""
    return _record(
        cell,
        provenance,
        metrics=defined(metrics, str(cell), cell.dataset),
        statistics=dict(statistics),
        cost=None if complexity is None else cost_of(complexity),
        speed=dict(speed or {}),
        status="done",
    )


def defined(metrics: Mapping[str, float], what: str, dataset: str) -> dict[str, float]:
    """The metrics that have a value; one without (AP where there is no face) is left out, and said so: it is not 0."""
    undefined = sorted(name for name, value in metrics.items() if not math.isfinite(value))
    if undefined:
        log.warning("%s: %s undefined on %s, left out of the record", what, ", ".join(undefined), dataset)
    return {name: value for name, value in metrics.items() if name not in undefined}


def _record(cell: Cell, provenance: Provenance, **values: Any) -> Record:
    identity = {
        "cell_id": cell.cell_id,
        "train_id": cell.train_id,
        "seed": cell.seed,
        "detector": cell.detector,
        "ablations": dict(cell.ablations),
        "detector_axis": cell.detector_axis,
        "changes": dict(cell.changes),
        "dataset": Dataset(**cell.evaluation["data"]),
        "protocol": protocol_of(cell),
        "training": cell.training,
        "evaluation": cell.evaluation,
    }
    return Record(**{"speed": {}, **identity, "provenance": provenance, **values})
