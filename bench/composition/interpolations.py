"""Interpolations that mean the same in a copy of a configuration, read off their text; OmegaConf resolves them."""

import re

# Resolvers without a memory: each call sees the configuration as it is. Hydra's `now` keeps the time of composition.
MEMORYLESS = {"count", "oc.create", "oc.decode", "oc.dict.keys", "oc.dict.values", "oc.env", "oc.select"}

INNERMOST = re.compile(r"\$\{([^${}]*)\}")
INNER = "?"  # stands for an inner interpolation


class UnsureError(Exception):
    """This is left to a slower way, and in the end to Hydra."""


def interpolations(text: str) -> list[str]:
    """What stands between the braces of every `${...}`, innermost first, inner ones replaced by a question mark.

    Raises:
        UnsureError: braces are not paired as simply as that.
    """
    found = []
    while match := INNERMOST.search(text):
        found.append(match[1])
        text = text[: match.start()] + INNER + text[match.end() :]
    if "${" in text:
        raise UnsureError(text)
    return found


def check_memoryless(text: str) -> None:
    """Refuse a text that may resolve to something else in a copy of the configuration.

    Raises:
        UnsureError: it calls an unknown resolver, or refers to Hydra's own node, which the copied base lacks.
    """
    for inside in interpolations(text):
        name, is_call, _ = inside.partition(":")
        if "hydra" in inside or (is_call and name.strip() not in MEMORYLESS):
            raise UnsureError(text)
