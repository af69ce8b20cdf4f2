"""Words of the command line that would be taken and then ignored."""

from collections.abc import Sequence

from omegaconf import DictConfig, OmegaConf

from bench.errors import ConfigError

OPEN = ("ablations", "callbacks", "only", "stats.crop_sets")  # mappings in which any name means something


def refuse_unread(words: Sequence[str], config: DictConfig) -> None:
    """Raise ConfigError for an added key (`+key=value`) that nobody reads.

    Read are additions below a node with a `_target_`, whose class refuses what it does not know, those to mappings of
    free names, and choices of groups.
    """
    for word in words:
        key = word.split("=", 1)[0]
        name = key.lstrip("+")
        if not key.startswith("+") or "=" not in word or "@" in name or "/" in name:
            continue
        if name.startswith("hydra.") or any(name == root or name.startswith(f"{root}.") for root in OPEN):
            continue
        if not below_target(name, config):
            raise ConfigError(
                f"expected a setting that is read, found {word}: nothing reads `{name}`; "
                f"without the plus the name is checked ({key.lstrip('+')}=...), and --help lists what there is"
            )


def below_target(name: str, config: DictConfig) -> bool:
    """Whether the key is part of a node that is built as an object."""
    parts = name.split(".")
    ancestors = (OmegaConf.select(config, ".".join(parts[:end])) for end in range(len(parts) - 1, 0, -1))
    return any(OmegaConf.is_dict(node) and "_target_" in node for node in ancestors)
