"""Which models share a pool of the provider's limits.

The client groups its breakers and limiters by the same rule, and tells them under the same names;
tests/test_contract.py holds both equal.
"""

from typing import Final

_VENDOR: Final = "claude-"
_FAST: Final = "fast"


def group_of(model: str, *, fast: bool = False) -> str:
    """The name of the pool: `claude-opus-5-5` and `claude-opus-5` draw on `opus-5`; fast calls on one of their own."""
    name = "-".join(model.removeprefix(_VENDOR).split("-")[:2])
    return f"{name} {_FAST}" if fast else name


def spoken(group: str) -> str:
    """A pool's name as people read it: `opus-5 fast` is Opus 5 fast."""
    text = group.replace("-", " ")
    return text[:1].upper() + text[1:]
