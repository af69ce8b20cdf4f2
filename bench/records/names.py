"""Words that name a folder of records: what they may be made of, checked before anything is measured."""

import re

from bench.errors import ConfigError

PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._+-]*$"  # may not climb out of the results or hide in them


def is_name(text: str) -> bool:
    return re.fullmatch(PATTERN, text) is not None


def as_name(text: str) -> str:
    """The nearest name: other letters become underscores. Empty where nothing is left."""
    return re.sub(r"[^A-Za-z0-9.+-]+", "_", text).lstrip("._+-").rstrip("_")


def check_name(key: str, text: str) -> str:
    """The name, if it is one.

    Raises:
        ConfigError: it is none; tells one that would do.
    """
    if not is_name(text):
        raise ConfigError(
            f"expected {key} to be letters, digits and any of . _ + - (it names a folder of records), found `{text}`; "
            f"{key}={as_name(text) or 'NAME'} would do"
        )
    return text
