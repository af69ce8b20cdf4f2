"""`bench data ACTION`: prepare a dataset, or tell what is in it."""

from typing import Any

from omegaconf import DictConfig

from bench.config import instantiate
from bench.errors import ConfigError
from bench.verbs.output import wants_json, write_json, write_table


def run(config: DictConfig) -> None:
    as_json = wants_json(config)
    if config.action not in ("prepare", "summary"):
        raise ConfigError(f"expected `bench data prepare` or `bench data summary`, found `{config.action}`")
    data = instantiate(config.data.module)
    if config.action == "prepare":
        data.prepare_data()
    summaries: list[dict[str, Any]] = [data.summary(split) for split in ("train", "val")]
    if as_json:
        write_json(summaries)
    else:
        write_table(list(summaries[0]), [[str(value) for value in row.values()] for row in summaries])
