"""What of a provider's usage object is billed. The same reading as the server's; the rules stand in docs/prices.md.

Usage of a stream must be merged before: its counts are cumulative.
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

MOST_TOKENS: Final = 2_147_483_647
MOST_SEARCHES: Final = 32_767
# The top-level counts leave these iterations out; the others are already in them.
UNCOUNTED_ITERATIONS: Final = ("compaction", "advisor_message")


class Unreadable(ValueError):  # noqa: N818  # it reads as what it is
    """A usage object that cannot be read: what the call used is not known."""


class Counts(NamedTuple):
    """Tokens by category; additive, none contains another."""

    input: int
    output: int
    cache_read: int
    cache_write_5m: int
    cache_write_1h: int


class Part(NamedTuple):
    """What is priced in one go. `model` None: the model that was asked."""

    counts: Counts
    searches: int
    batch: bool
    fast: bool
    us_only: bool
    priority: bool
    model: str | None = None


def read(usage: Mapping[str, Any]) -> list[Part]:
    """The call itself, then the iterations that are billed apart from it; Unreadable when a count is none."""
    tools = usage.get("server_tool_use")
    tier = usage.get("service_tier")
    call = Part(
        _counts(usage),
        0 if tools is None else _count(_object(tools), "web_search_requests", MOST_SEARCHES),
        tier == "batch",
        usage.get("speed") == "fast",
        usage.get("inference_geo") == "us",
        tier == "priority",
    )
    iterations = usage.get("iterations")
    if iterations is None:
        return [call]
    if not isinstance(iterations, list):
        raise Unreadable("iterations")
    apart = [each for each in map(_object, iterations) if each.get("type") in UNCOUNTED_ITERATIONS]
    parts = [call, *(_iteration(call, each) for each in apart)]
    if max(map(sum, zip(*(part.counts for part in parts), strict=True))) > MOST_TOKENS:
        raise Unreadable("iterations")
    return parts


def tokens(usage: Mapping[str, Any]) -> int | None:
    """All tokens, in and out, cached or not; None when the usage cannot be read."""
    try:
        return sum(sum(part.counts) for part in read(usage))
    except Unreadable:
        return None


def _iteration(call: Part, found: Mapping[str, Any]) -> Part:
    model = found.get("model")
    if model is not None and not isinstance(model, str):
        raise Unreadable("model")
    # `speed` is that of the model that was asked; an advisor answers at the standard one.
    return call._replace(counts=_counts(found), searches=0, fast=call.fast and model is None, model=model)


def _counts(found: Mapping[str, Any]) -> Counts:
    split = found.get("cache_creation")
    short = long = None
    if split is not None:
        split = _object(split)
        short, long = split.get("ephemeral_5m_input_tokens"), split.get("ephemeral_1h_input_tokens")
    counts: list[Any] = [
        found.get("input_tokens"),
        found.get("output_tokens"),
        found.get("cache_read_input_tokens"),
        found.get("cache_creation_input_tokens"),
        short,
        long,
    ]
    for place, count in enumerate(counts):
        if count is None:
            counts[place] = 0
        elif type(count) is not int or not 0 <= count <= MOST_TOKENS:
            raise Unreadable("tokens")
    into, out, read, written, short, long = counts
    # What the split does not explain was written for five minutes.
    return Counts(into, out, read, max(short, written - long), long)


def _count(found: Mapping[str, Any], key: str, most: int = MOST_TOKENS) -> int:
    value = found.get(key)
    if value is None:
        return 0
    if type(value) is not int or not 0 <= value <= most:
        raise Unreadable(key)
    return value


def _object(value: object) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise Unreadable("an object is missing")
    return value
