"""From what a run measured to its record."""

import logging
import math
from collections.abc import Mapping
from typing import Any

import torch

from bench.cost.complexity import Complexity
from bench.cost.devices import device_name
from bench.grid.cells import Cell
from bench.grid.provenance import command, git_state, package_versions
from bench.report.records import Cost, Dataset, Protocol, Provenance, Record, Status

log = logging.getLogger(__name__)


def protocol_of(config: Mapping[str, Any]) -> Protocol:
    """Name and version, and as settings everything else that defines the evaluation, suppression included."""
    protocol = dict(config["protocol"])
    settings = {key: value for key, value in protocol.items() if key not in ("name", "version")}
    settings["postprocess"] = config["postprocess"]
    return Protocol(
        name=protocol["name"],
        version=protocol["version"],
        postprocess=config["postprocess"]["name"],
        settings=settings,
    )


def cost_of(complexity: Complexity) -> Cost:
    return Cost(**complexity.counts())


def device_of(config: Mapping[str, Any]) -> str:
    """The name of the processor that trains under this configuration."""
    wanted = config["trainer"]["accelerator"]
    on_gpu = torch.cuda.is_available() and wanted in ("auto", "gpu", "cuda")
    return device_name("cuda" if on_gpu else "cpu")


def provenance_of(config: Mapping[str, Any], **facts: Any) -> Provenance:
    """Facts of the run beside those of the machine and the code."""
    commit, dirty = git_state()
    common = {
        "git_commit": commit,
        "git_dirty": dirty,
        "versions": package_versions(),
        "device": device_of(config),
        "threads": torch.get_num_threads(),
        "command": command(),
    }
    return Provenance(**{**common, **facts})


def failed_record(
    cell: Cell, status: Status, error: BaseException | str, started_at: str, wall_time_s: float
) -> Record:
    """The record of a cell without a result: a status and an error, never a number."""
    message = str(error) or repr(error)
    if isinstance(error, BaseException) and not getattr(error, "user_facing", False):
        message = f"{type(error).__name__}: {message}"
    return Record(
        cell_id=cell.cell_id,
        train_id=cell.train_id,
        seed=cell.seed,
        detector=cell.detector,
        ablations=dict(cell.labels),
        dataset=Dataset(name=cell.dataset, split="val"),
        protocol=protocol_of(cell.config),
        metrics={},
        cost=None,
        speed={},
        provenance=provenance_of(
            cell.config,
            schedule=cell.config["schedule"],
            weights="trained",
            started_at=started_at,
            wall_time_s=wall_time_s,
        ),
        status=status,
        error=message,
    )


def done_record(
    cell: Cell,
    metrics: Mapping[str, float],
    dataset: Mapping[str, Any],
    complexity: Complexity | None,
    **facts: Any,
) -> Record:
    """The record of an evaluated cell. `facts` are the provenance that only the run knows.

    A metric without a value (AP of a subset that has no face) is left out, and said so: it is not 0.
    """
    undefined = sorted(name for name, value in metrics.items() if not math.isfinite(value))
    if undefined:
        log.warning("%s: %s undefined on %s, left out of the record", cell, ", ".join(undefined), cell.dataset)
    return Record(
        cell_id=cell.cell_id,
        train_id=cell.train_id,
        seed=cell.seed,
        detector=cell.detector,
        ablations=dict(cell.labels),
        dataset=Dataset(**dataset),
        protocol=protocol_of(cell.config),
        metrics={name: value for name, value in metrics.items() if name not in undefined},
        cost=None if complexity is None else cost_of(complexity),
        speed={},
        provenance=provenance_of(cell.config, schedule=cell.config["schedule"], **facts),
        status="done",
        error=None,
    )
