"""Hydra on the search path in force, and configuration files that are read and parsed once a process.

Two fifths of a composition go into reading and parsing some thirty small files, Hydra's own among them. Within a
process they are taken as fixed; another process, or another search path, reads its own.
"""

import pickle
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from hydra import initialize_config_dir
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import ConfigRepository
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.global_hydra import GlobalHydra
from hydra.plugins.config_source import ConfigResult, ConfigSource

SearchPath = tuple[str, ...]  # folders and packages; the first that has a file gives it
_parsed: dict[SearchPath, dict[str, bytes]] = {}


def search_path(config_dir: Path) -> SearchPath:
    """Where configurations are searched: as the running command does, `--config-dir` included, else in `config_dir`."""
    if not GlobalHydra.instance().is_initialized():
        return (str(config_dir),)
    elements = GlobalHydra.instance().config_loader().get_search_path().get_path()
    return tuple(f"{element.provider}: {element.path}" for element in elements)


@contextmanager
def initialized(config_dir: Path) -> Iterator[list[ConfigSource]]:
    """Hydra, ready to compose on `search_path(config_dir)`; yields the sources of that search path."""
    in_command = GlobalHydra.instance().is_initialized()
    with nullcontext() if in_command else initialize_config_dir(str(config_dir), version_base="1.3"):
        yield GlobalHydra.instance().config_loader().get_sources()


@contextmanager
def parsed_once() -> Iterator[None]:
    """Within it, Hydra composes from files that are parsed already.

    The one place that changes Hydra, which offers nothing for it: its loader gets another repository for that time.
    """
    loader = GlobalHydra.instance().config_loader()
    assert isinstance(loader, ConfigLoaderImpl)
    own, loader.repository = loader.repository, ParsedOnce(loader.repository.get_sources())
    try:
        yield
    finally:
        loader.repository = own


class ParsedOnce(ConfigRepository):
    """Hydra's repository of configurations, with a memory.

    A composition takes apart what it loads, so each load gets a copy of its own. Files are kept pickled: that takes an
    eighth of the time of `copy.deepcopy`, and keeps flags, keys and parents as they are.
    """

    def __init__(self, sources: list[ConfigSource]) -> None:
        self._search(sources)

    def initialize_sources(self, config_search_path: ConfigSearchPath) -> None:
        """Called where `hydra.searchpath` adds folders: files may come from elsewhere then."""
        super().initialize_sources(config_search_path)
        self._search(self.sources)

    def __deepcopy__(self, memo: dict[int, Any]) -> "ParsedOnce":
        """Called at every composition; what is parsed stays shared."""
        return ParsedOnce(list(self.sources))

    def load_config(self, config_path: str) -> ConfigResult | None:
        """What is in a file, without the nine groups of Hydra's own configuration: no bench configuration shows them.

        A configuration that chooses from these groups cannot be composed here.
        """
        if config_path not in self._kept:
            self._kept[config_path] = pickle.dumps(super().load_config(config_path))
        loaded: ConfigResult | None = pickle.loads(self._kept[config_path])
        if loaded is not None and config_path == "hydra/config":
            loaded.defaults_list = []
        return loaded

    def _search(self, sources: list[ConfigSource]) -> None:
        self.sources = sources
        self._kept = _parsed.setdefault(tuple(source.full_path() for source in sources), {})
