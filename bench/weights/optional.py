"""Packages that only some verbs need."""

import importlib
from types import ModuleType

from bench.errors import ConfigError


def required(package: str) -> ModuleType:
    """The imported package.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise ConfigError(f"this needs the package `{package}`: pip install 'bench[onnx]'") from error
