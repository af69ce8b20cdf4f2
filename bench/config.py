"""Composition and instantiation: the one way from YAML to objects.

Hydra imports whatever a `_target_` names. A configuration is data that people share, so targets are limited to this
suite and the libraries it is built from; `BENCH_TRUST=my_package` in the environment adds the user's own.
"""

import functools
import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import hydra.utils
from hydra import compose as hydra_compose
from hydra.errors import HydraException
from hydra.utils import get_object
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from bench.composition.shared import Bases
from bench.composition.sources import SearchPath, initialized, search_path
from bench.errors import ConfigError, is_user_facing

log = logging.getLogger(__name__)

CONFIG_DIR = Path(__file__).resolve().parent.parent / "conf"
TRUSTED = (
    "bench",
    "data_modules",
    "torch.optim",
    "torch.nn",
    "torchmetrics",
    "torchvision.models",
    "torchvision.ops",
    "timm.create_model",
    "timm.models._factory",  # where create_model lives; timm.models at large also unpickles checkpoints
    "pytorch_lightning.callbacks",  # not all of Lightning, which has functions that unpickle files
    "pytorch_lightning.loggers",
)


def _count(items: Sequence[Any] | None, otherwise: int) -> int:
    return otherwise if items is None else len(items)


OmegaConf.register_new_resolver("count", _count, replace=True)  # ${count:${data.classes},80}: 80 where there is no list


def compose(config_name: str, overrides: Sequence[str] = ()) -> DictConfig:
    """One of the primary configurations of `conf/`, with Hydra overrides, checked and resolvable.

    Inside a command the search path is the command's own, `--config-dir` included. Files are taken as fixed for the
    life of the process, and a configuration is put together from parts that others need too (`bench.composition`).
    """
    try:
        return bases().compose(config_name, overrides)
    except Exception as error:  # whatever is wrong, Hydra says it in its own words
        log.debug("%s with %s is left to Hydra: %r", config_name, list(overrides), error)
    return compose_by_hydra(config_name, overrides)


def compose_by_hydra(config_name: str, overrides: Sequence[str] = ()) -> DictConfig:
    """The same, from the first file on."""
    try:
        with initialized(CONFIG_DIR):
            return hydra_compose(config_name, overrides=list(overrides))
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(f"cannot compose `{config_name}` with {list(overrides)}: {error}") from error


def bases() -> Bases:
    """What is kept of the compositions on the search path in force."""
    return _bases(CONFIG_DIR, search_path(CONFIG_DIR))


@functools.lru_cache(4)
def _bases(config_dir: Path, searched: SearchPath) -> Bases:
    return Bases(config_dir)


def instantiate(node: Any, **kwargs: Any) -> Any:
    """Hydra's `instantiate`, for trusted targets only; sequences and mappings arrive as plain lists and dicts.

    Keyword arguments go straight to the target: merged into the configuration, dataclasses would turn into mappings.

    Raises:
        ConfigError: a target that is not trusted, cannot be found, or does not take what it is given.
    """
    for target in targets(node):
        check_trusted(target)
    try:
        build = hydra.utils.instantiate(node, _partial_=True, _convert_="all")
        return functools.partial(build, **kwargs) if node.get("_partial_") else build(**kwargs)
    except (HydraException, OmegaConfBaseException, TypeError) as error:
        cause = error.__cause__
        if cause is not None and is_user_facing(cause):
            raise cause from error
        raise ConfigError(f"cannot build `{node.get('_target_')}`: {error}") from error


def targets(node: Any) -> Iterator[str]:
    """Every `_target_` in a configuration, at any depth."""
    if OmegaConf.is_config(node):
        node = OmegaConf.to_container(node, resolve=True)
    if isinstance(node, dict):
        if "_target_" in node:
            yield str(node["_target_"])
        for value in node.values():
            yield from targets(value)
    elif isinstance(node, list | tuple):
        for value in node:
            yield from targets(value)


def trusted_modules() -> tuple[str, ...]:
    own = os.environ.get("BENCH_TRUST", "")
    return TRUSTED + tuple(name.strip() for name in own.split(",") if name.strip())


def check_trusted(target: str) -> None:
    """Refuse a target whose path or whose defining module lies outside the trusted ones.

    The second test stops paths that leave through a trusted module's imports (`bench.config.os.system`).
    """
    modules = trusted_modules()
    if not inside(target, modules):
        raise ConfigError(
            f"`_target_: {target}` is outside the trusted modules ({', '.join(modules)}); "
            f"if it is yours, run with BENCH_TRUST={target.split('.')[0]}"
        )
    try:
        found = get_object(target)
    except Exception as error:
        raise ConfigError(f"`_target_: {target}` cannot be imported: {error}") from error
    home = getattr(found, "__module__", None) or ""
    if not inside(home, modules):
        raise ConfigError(
            f"`_target_: {target}` is defined in `{home or 'no module'}`, which is outside the trusted modules"
        )


def inside(path: str, modules: Sequence[str]) -> bool:
    return any(path == module or path.startswith(module + ".") for module in modules)


def plain(node: DictConfig | ListConfig) -> Any:
    """A resolved copy made of dicts and lists."""
    try:
        return OmegaConf.to_container(node, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        raise ConfigError(f"a value of the configuration is missing or cannot be resolved: {error}") from error


def options(group: str) -> list[str]:
    """Names one can choose in a configuration group; those that start with an underscore are parts of others."""
    files = (CONFIG_DIR / group).glob("*.yaml")
    return sorted(file.name.removesuffix(".yaml") for file in files if not file.name.startswith("_"))
