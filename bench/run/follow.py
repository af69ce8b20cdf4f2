"""A process that follows the leader of a run: `python -m bench.run.follow`, the job on standard input.

It goes the leader's way, trains and evaluates its share, writes nothing and says nothing but errors. `processes.py`
tells why.
"""

import json
import logging
import os
import signal
import sys
import traceback
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.cost.allocator import keep_freed_memory
from bench.errors import is_user_facing
from bench.run.cells import Cell
from bench.run.parent import end_with_parent


def job_of(cells: Sequence[Cell], trains: bool, weights: Path | None, resume: Path | None = None) -> dict[str, Any]:
    """What a follower is told.

    Args:
        cells: to evaluate, of one training.
        trains: whether they are trained before.
        weights: what is evaluated; None for the weights that the leader has.
        resume: the checkpoint from which the training goes on.
    """
    return {
        "cells": [vars(cell) for cell in cells],
        "trains": trains,
        "weights": None if weights is None else str(weights),
        "resume": None if resume is None else str(resume),
    }


def follow(job: Mapping[str, Any]) -> None:
    from bench.run.build import build_training
    from bench.run.evaluate import evaluate_weights
    from bench.run.train import by_pass, fit, use_threads
    from bench.run.workspace import Workspace

    cells = [Cell(**cell) for cell in job["cells"]]
    weights, resume = (None if job[key] is None else Path(job[key]) for key in ("weights", "resume"))
    if job["trains"]:
        use_threads(cells[0])
        data, detector = build_training(cells[0])
        fit(cells[0], Workspace.of(cells[0]), data, detector, resume)
    for group in by_pass(cells):
        evaluate_weights(group, weights)


def main() -> int:
    end_with_parent(int(os.environ["BENCH_PARENT"]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the leader ends this process
    job = json.load(sys.stdin)
    keep_freed_memory()
    warnings.simplefilter("ignore")
    logging.basicConfig(stream=sys.stderr)
    logging.disable(logging.WARNING)  # whatever levels libraries set for themselves
    try:
        follow(job)
    except Exception as error:
        told = f"error: {error}\n" if is_user_facing(error) else traceback.format_exc()
        sys.stderr.write(told)
        sys.stderr.flush()
        os._exit(1)  # no farewell to processes that wait for this one
    return 0


if __name__ == "__main__":
    sys.exit(main())
