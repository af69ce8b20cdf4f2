"""Compositions that choose the same options of the same groups share one composed base.

Hydra composes in three steps:

    parsed = [parse(word) for word in words]
    config = composed from the defaults lists, in which words that choose from a group count
    for word in the others: set, add or delete a value of config, in the order given

The first two are done once for a word and for a choice of groups; the third, by Hydra's own code, on a copy. Where
something is not known to come out the same, `UnsureError` is raised and the caller goes Hydra's own way.
"""

import functools
import pickle
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra import compose as hydra_compose
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf, open_dict

from bench.composition.interpolations import UnsureError, check_memoryless
from bench.composition.sources import initialized, parsed_once

WORDS, BASES = 4096, 512  # kept at most; a base takes some 20 kB


@dataclass(frozen=True)
class Word:
    """One override, parsed."""

    text: str
    override: Override
    chooses: bool  # from a group, so that it shapes the defaults list


class Bases:
    """The composed bases of one search path."""

    def __init__(self, config_dir: Path) -> None:
        self.config_dir = config_dir
        self.word = functools.lru_cache(WORDS)(self._word)
        self.base = functools.lru_cache(BASES)(self._base)

    def compose(self, config_name: str, words: Sequence[str]) -> DictConfig:
        """What `hydra.compose` returns, from a shared base."""
        choices, values = self.split(words)
        return self.with_values(config_name, choices, values)

    def split(self, words: Sequence[str]) -> tuple[tuple[str, ...], list[Word]]:
        """The words that choose from groups, and those that set values."""
        parsed = [self.word(text) for text in words]
        return tuple(word.text for word in parsed if word.chooses), [word for word in parsed if not word.chooses]

    def with_values(self, config_name: str, choices: tuple[str, ...], values: Sequence[Word]) -> DictConfig:
        config: DictConfig = pickle.loads(self.base(config_name, choices))
        set_values(config, values)
        return config

    def _word(self, text: str) -> Word:
        """Classified as Hydra does it.

        Raises:
            UnsureError: a sweep, Hydra's own settings, an order drawn at random, or an interpolation that remembers.
        """
        with initialized(self.config_dir) as sources:
            (override,) = OverridesParser.create().parse_overrides([text])
            is_group = any(source.is_group(override.key_or_group) for source in sources)
        check_memoryless(text)
        if override.is_sweep_override() or "hydra" in text or "shuffle" in text:
            raise UnsureError(text)
        return Word(text, override, is_group and not isinstance(override.value(), dict))

    def _base(self, config_name: str, choices: tuple[str, ...]) -> bytes:
        """The configuration before values are set, pickled.

        Raises:
            UnsureError: it was searched in other places too, or an interpolation could tell a copy from Hydra's own.
        """
        with initialized(self.config_dir) as sources, parsed_once():
            config = hydra_compose(config_name, overrides=list(choices), return_hydra_config=True)
        searched = [source["path"] for source in config.hydra.runtime.config_sources]
        if searched != [source.path for source in sources]:
            raise UnsureError("hydra.searchpath")
        with open_dict(config):
            del config["hydra"]
        for text in texts(OmegaConf.to_container(config)):
            check_memoryless(text)
        return pickle.dumps(config)


def set_values(config: DictConfig, words: Sequence[Word]) -> None:
    """The last step of a composition, by Hydra's own code, which it does not offer publicly."""
    ConfigLoaderImpl._apply_overrides_to_config([word.override for word in words], config)


def texts(node: Any) -> Iterator[str]:
    """Every string in a plain configuration, at any depth."""
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict | list):
        for value in node.values() if isinstance(node, dict) else node:
            yield from texts(value)
