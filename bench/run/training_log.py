"""What is known of a training while it runs and after: its parts, each from a start to a stop, and its last losses.

A file of its own beside the checkpoints, so that time and code of a training outlive kills, and a training that is
finished is never repeated for another evaluation.
"""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.records.record import Run, write_text_atomically


class TrainingLog:
    """
    Args:
        folder: of the training.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "training.json"
        self.clock: float | None = None
        try:
            content = json.loads(self.path.read_text())
            self.parts: list[dict[str, Any]] = [Run(**part).model_dump() for part in content["parts"]]
            self.losses: dict[str, float] = dict(content["losses"])
            self.finished = bool(content["finished"])
        except (OSError, ValueError, KeyError, TypeError):
            self.parts, self.losses, self.finished = [], {}, False

    @property
    def wall_time_s(self) -> float:
        return float(sum(part["wall_time_s"] or 0.0 for part in self.parts))

    def begin(self, part: Run) -> None:
        self.parts.append(part.model_dump())
        self.finished, self.clock = False, time.perf_counter()
        self.keep()

    def keep(self) -> None:
        """Write the time of the running part."""
        if self.clock is not None:
            self.parts[-1]["wall_time_s"] = time.perf_counter() - self.clock
        content = {"finished": self.finished, "losses": self.losses, "parts": self.parts}
        write_text_atomically(self.path, json.dumps(content, indent=1) + "\n")

    def finish(self, losses: Mapping[str, float]) -> None:
        self.losses, self.finished = dict(losses), True
        self.keep()

    def run(self) -> Run | None:
        """All parts as one: time summed, code of all of them, machine of the last."""
        if not self.parts:
            return None
        commits = dict.fromkeys(part["git_commit"] for part in self.parts if part["git_commit"])
        summed = {
            "git_commit": "+".join(commits) or None,
            "git_dirty": any(part["git_dirty"] for part in self.parts),
            "started_at": self.parts[0]["started_at"],
            "wall_time_s": self.wall_time_s,
            "parts": len(self.parts),
        }
        return Run(**{**self.parts[-1], **summed})
