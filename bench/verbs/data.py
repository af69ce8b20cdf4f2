"""`bench data ACTION`: prepare a dataset, verify it, tell what is in it; convert labels."""

import sys
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from omegaconf import DictConfig

from bench.config import instantiate
from bench.errors import ConfigError
from bench.run.data import describe_data
from bench.verbs.output import wants_json, write_json, write_table

SHOWN = 10  # images named of each kind of oddity; format=json has them all
SHOWN_PROBLEMS = 100


def run(config: DictConfig) -> int:
    """The exit status: 1 where `verify` finds something wrong."""
    if config.action not in ACTIONS:
        raise ConfigError(f"expected `bench data` and one of {', '.join(ACTIONS)}; found `{config.action}`")
    return ACTIONS[config.action](config, wants_json(config)) or 0


def prepare(config: DictConfig, as_json: bool) -> None:
    if config.data.get("prepare"):
        fetched = instantiate(config.data.prepare)
        if not as_json:
            rows = [[row["archive"], row["source"], str(row.get("files", ""))] for row in fetched]
            write_table(["archive", "source", "files"], rows)
    describe_data(config)
    summary(config, as_json)


def summary(config: DictConfig, as_json: bool) -> None:
    data = describe_data(config)
    summaries: list[dict[str, Any]] = [data.summary(split) for split in ("train", "val")]
    if as_json:
        write_json(summaries)
    else:
        write_table(list(summaries[0]), [[str(value) for value in row.values()] for row in summaries])


def verify(config: DictConfig, as_json: bool) -> int:
    report = instantiate(config.verification, files=describe_data(config))
    if as_json:
        write_json(report)
    else:
        show_verification(report)
    return 0 if report["ok"] else 1


def show_verification(report: dict[str, Any]) -> None:
    write_table(
        ["split", "images", "boxes", "ignored", "oddities", "problems"],
        [
            [
                split["split"],
                *(str(split[key]) for key in ("images", "boxes", "ignored")),
                *(str(len(split[key])) for key in ("oddities", "problems")),
            ]
            for split in report["splits"]
        ],
        title=report["dataset"],
    )
    lines: list[str] = []
    for split in report["splits"]:
        facts = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in split["facts"].items())
        lines += [f"{split['split']}: {facts}"] if facts else []
    for split in report["splits"]:
        kinds: dict[str, list[str]] = defaultdict(list)
        for finding in split["oddities"]:
            kinds[finding["kind"]].append(f"{finding['subject']} {finding['detail']}".strip())
        for kind, found in kinds.items():
            lines.append(f"oddity, {split['split']}: {kind}: {len(found)}")
            lines += [f"    {text}" for text in found[:SHOWN]]
            lines += [f"    and {len(found) - SHOWN} more (format=json)"] if len(found) > SHOWN else []
    for split in report["splits"]:
        problems = [f"{found['kind']}: {found['subject']}: {found['detail']}" for found in split["problems"]]
        lines += [f"PROBLEM, {split['split']}: {text}" for text in problems[:SHOWN_PROBLEMS]]
        left = len(problems) - SHOWN_PROBLEMS
        lines += [f"PROBLEM, {split['split']}: and {left} more (format=json)"] if left > 0 else []
    lines.append(f"manifest {report['manifest']}: {report['manifest_state']}")
    count = sum(len(split["problems"]) for split in report["splits"])
    lines.append("nothing wrong" if report["ok"] else f"{count} problems")
    sys.stdout.write("\n".join(lines) + "\n")


def stats(config: DictConfig, as_json: bool) -> None:
    from bench.data_stats import statistics as data_stats
    from bench.data_stats.tables import data_stats_tables

    document = data_stats.run(config)
    if as_json:
        write_json(document)
        return
    for title, columns, rows in data_stats_tables(document):
        write_table(columns, rows, title)


def convert(config: DictConfig, as_json: bool) -> None:
    if config["from"] is None or config.to is None:
        raise ConfigError("expected `bench data convert from=FILE to=FILE`")
    done = instantiate(config.convert)
    if as_json:
        write_json(done)
    else:
        write_table(list(done), [[str(value) for value in done.values()]])


ACTIONS: dict[str, Callable[[DictConfig, bool], int | None]] = {
    "prepare": prepare,
    "verify": verify,
    "stats": stats,
    "summary": summary,
    "convert": convert,
}
