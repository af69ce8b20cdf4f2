"""The `bench` command: `bench VERB [hydra overrides]`, the same as `python -m bench`."""

import errno
import importlib
import logging
import os
import sys
import traceback
import warnings
from collections.abc import Callable
from typing import Any

from bench.errors import is_user_facing
from bench.signals import Interrupted, end_on_signals

# What each verb does, and the key that a first word without "=" stands for.
VERBS: dict[str, tuple[str, str | None]] = {
    "train": ("one cell: fit, evaluate the best checkpoint, write the record", None),
    "evaluate": ("weights or predictions under a protocol", None),
    "predict": ("images in; boxes and drawn pictures out", "source"),
    "grid": ("run the missing cells of a grid", "grid"),
    "status": ("done, running, failed, missing: a table", "grid"),
    "profile": ("parameters, MACs and latency", "detector"),
    "report": ("leaderboards and figures from records", "records"),
    "weights": ("published checkpoints in; safetensors or ONNX out", "action"),
    "data": ("prepare a dataset, or tell what is in it", "action"),
}

# Keys of the verbs `grid` and `status` themselves; any other override is meant for the cells.
GRID_KEYS = ("grid", "only", "launcher", "overwrite", "on_error", "format", "cell_overrides", "hydra")

# What no code can help: full, read-only or forbidden places.
OF_THE_SYSTEM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR)


def usage() -> str:
    lines = [f"  {verb:10s}{text}" for verb, (text, _) in VERBS.items()]
    return "bench VERB [overrides]\n\n" + "\n".join(lines) + "\n\nbench VERB --help tells more about a verb."


def main(argv: list[str] | None = None) -> None:
    words = sys.argv[1:] if argv is None else argv
    if not words or words[0] in ("-h", "--help", "help"):
        sys.stdout.write(usage() + "\n")
        sys.exit(0 if words else 2)
    verb, rest = words[0], words[1:]
    if verb not in VERBS:
        sys.stderr.write(f"error: no verb `{verb}`; expected one of {', '.join(VERBS)}\n")
        sys.exit(2)
    key = VERBS[verb][1]
    if key and rest and "=" not in rest[0] and not rest[0].startswith("-"):
        rest = [f"{key}={rest[0]}", *rest[1:]]
    if verb in ("grid", "status"):
        rest = for_every_cell(rest)
    launch(verb, options_last(rest))


def for_every_cell(words: list[str]) -> list[str]:
    """Overrides of a cell (`data.root=DIR`) among those of a grid: handed to every cell, after the grid's own."""
    own: list[str] = []
    cells: list[str] = []
    for word in words:
        root = word.split("=")[0].lstrip("+~").split(".")[0].split("/")[0].split("@")[0]
        is_override = "=" in word and not word.startswith("--")
        (cells if is_override and root not in GRID_KEYS else own).append(word)
    quoted = ["'" + word.replace("\\", "\\\\").replace("'", "\\'") + "'" for word in cells]
    return [*own, f"cell_overrides=[{','.join(quoted)}]"] if cells else own


def options_last(words: list[str]) -> list[str]:
    """Overrides in one piece, then Hydra's own options with their values: its parser takes them in no other order."""
    overrides: list[str] = []
    options: list[str] = []
    for before, word in zip(["", *words], words, strict=False):
        is_value = before.startswith("--") and "=" not in before
        is_override = not word.startswith("-") and not is_value and ("=" in word or word.startswith("~"))
        (overrides if is_override else options).append(word)
    return overrides + options


def launch(verb: str, overrides: list[str]) -> None:
    """Compose the verb's configuration with Hydra and run it; the exit status tells whether it succeeded."""
    end_on_signals()
    try:
        run_verb(verb, overrides)
    except Interrupted as ending:
        sys.stderr.write(f"{ending}; {ending.advice}\n")
        sys.exit(ending.exit_status)


def run_verb(verb: str, overrides: list[str]) -> None:
    import hydra

    from bench.config import CONFIG_DIR
    from bench.cost.allocator import keep_freed_memory

    keep_freed_memory()
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    warnings.filterwarnings("ignore", module="pytorch_lightning")
    sys.argv = ["bench " + verb, *overrides]
    run: Callable[[Any], int | None] = importlib.import_module(f"bench.verbs.{verb}").run
    jobs = Jobs()

    def task(config: Any) -> None:
        quieten_libraries()
        jobs.take(guarded(run, config))

    hydra.main(version_base="1.3", config_path=str(CONFIG_DIR), config_name=verb)(task)()
    sys.exit(jobs.tell())


class Jobs:
    """The job of a command, or those of Hydra's multirun: one that fails does not keep the others from running."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.failed: list[str] = []

    def take(self, status: int) -> None:
        from hydra.core.hydra_config import HydraConfig

        self.statuses.append(status)
        if status:
            self.failed.append(f"#{len(self.statuses) - 1} {' '.join(HydraConfig.get().overrides.task)}")

    def tell(self) -> int:
        """The exit status of the command; of several jobs those that failed are named."""
        if len(self.statuses) > 1 and self.failed:
            lines = "".join(f"  {job}\n" for job in self.failed)
            sys.stderr.write(f"{len(self.failed)} of {len(self.statuses)} jobs failed:\n{lines}")
        return max(self.statuses, default=0)


def quieten_libraries() -> None:
    """No banners and tips; to be called after importing them, since they set their levels then."""
    for name in ("pytorch_lightning", "lightning_fabric", "lightning.pytorch"):
        logging.getLogger(name).setLevel(logging.WARNING)


def guarded(run: Callable[[Any], int | None], config: Any) -> int:
    """The exit status of a verb; an error that a person can mend is told in its own words, without a traceback."""
    try:
        return run(config) or 0
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if is_user_facing(error) or getattr(error, "errno", None) in OF_THE_SYSTEM:
            sys.stderr.write(f"error: {error}\n")
        else:
            traceback.print_exc()
        return 1


if __name__ == "__main__":
    main()
