"""What a call consumed: the provider's usage object as counts that can be stored and priced.

Pure. The traps of the usage object are listed in docs/prices.md.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final

import msgspec
from msgspec.structs import replace

# The widths of the columns the counts are stored in.
MOST_TOKENS: Final = 2_147_483_647
MOST_SEARCHES: Final = 32_767

_TOKENS: Final = (
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
)

# The provider's top-level counts leave these iterations out; the others are already in them.
_UNCOUNTED_ITERATIONS: Final = ("compaction", "advisor_message")


_Count = Annotated[int, msgspec.Meta(ge=0, le=MOST_TOKENS)]


class _Split(msgspec.Struct, frozen=True, gc=False):
    ephemeral_5m_input_tokens: _Count | None = None
    ephemeral_1h_input_tokens: _Count | None = None


class _Plain(msgspec.Struct, frozen=True, gc=False):
    """The everyday usage object, for the decoder's own types: this is read for every call."""

    input_tokens: _Count | None = None
    output_tokens: _Count | None = None
    cache_read_input_tokens: _Count | None = None
    cache_creation_input_tokens: _Count | None = None
    cache_creation: _Split | None = None
    server_tool_use: Any = None
    iterations: Any = None
    service_tier: Any = None
    speed: Any = None
    inference_geo: Any = None


# msgspec compiles a type when it is first used, and dies when two threads do so at once: here there is only one yet.
msgspec.convert({}, _Plain)


class UsageError(ValueError):
    """A usage object that cannot be read; `field` is its path inside the usage object, `reason` says what is wrong."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


class Usage(msgspec.Struct, frozen=True, gc=False):
    """What one call consumed, in tokens. The five token counts are additive: none contains another.

    `parts` is filled only when iterations are billed apart (compaction, advisor); the counts above are then their sum.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_5m_tokens: int = 0
    cache_write_1h_tokens: int = 0
    web_searches: int = 0
    batch: bool = False
    fast: bool = False
    us_only: bool = False
    priority: bool = False
    parts: tuple["Part", ...] = ()

    @property
    def tokens(self) -> int:
        """All tokens, in and out, cached or not."""
        read, written = self.cache_read_tokens, self.cache_write_5m_tokens + self.cache_write_1h_tokens
        return self.input_tokens + self.output_tokens + read + written


class Part(msgspec.Struct, frozen=True, gc=False):
    """The share of a call that is priced by itself; without a model of its own it is the call's model."""

    model: str | None
    usage: Usage


def read_usage(raw: Mapping[str, Any]) -> Usage:
    """The provider's usage object as counts; raises UsageError naming the field. Missing and null counts are 0.

    Streamed usage must be merged by the client before (the counts are cumulative). Thinking tokens are part of
    `output_tokens` already and are not added.
    """
    try:
        plain = msgspec.convert(raw, _Plain)
    except msgspec.ValidationError:
        return _read_any(raw)
    if plain.iterations is not None or plain.server_tool_use is not None:
        return _read_any(raw)
    split = plain.cache_creation
    short = long = 0
    if split is not None:
        short, long = split.ephemeral_5m_input_tokens or 0, split.ephemeral_1h_input_tokens or 0
    tier = plain.service_tier
    return Usage(
        plain.input_tokens or 0,
        plain.output_tokens or 0,
        plain.cache_read_input_tokens or 0,
        max(short, (plain.cache_creation_input_tokens or 0) - long),
        long,
        0,
        tier == "batch",
        plain.speed == "fast",
        plain.inference_geo == "us",
        tier == "priority",
    )


def _read_any(raw: Mapping[str, Any]) -> Usage:
    """The same key by key, for what is unusual and for naming what is wrong."""
    tools = raw.get("server_tool_use")
    batch, priority = raw.get("service_tier") == "batch", raw.get("service_tier") == "priority"
    write_5m, write_1h = _cache_writes(raw)
    usage = Usage(
        _count(raw, "input_tokens"),
        _count(raw, "output_tokens"),
        _count(raw, "cache_read_input_tokens"),
        write_5m,
        write_1h,
        0
        if tools is None
        else _count(_object(tools, "server_tool_use"), "web_search_requests", MOST_SEARCHES, "server_tool_use."),
        batch,
        raw.get("speed") == "fast",
        raw.get("inference_geo") == "us",
        priority,
    )
    iterations = raw.get("iterations")
    return usage if iterations is None else _with_iterations(usage, iterations)


def _cache_writes(raw: Mapping[str, Any]) -> tuple[int, int]:
    """Tokens written for 5 minutes and for 1 hour. What the split does not explain counts as 5 minutes.

    The split may be missing or older than the sum: the last message of a stream repeats only the sum.
    """
    total = _count(raw, "cache_creation_input_tokens")
    split = raw.get("cache_creation")
    if split is None:
        return total, 0
    split = _object(split, "cache_creation")
    short = _count(split, "ephemeral_5m_input_tokens", path="cache_creation.")
    long = _count(split, "ephemeral_1h_input_tokens", path="cache_creation.")
    return max(short, total - long), long


def recall(stored: Usage, iterations: object) -> Usage:
    """The usage of a stored call, whose columns hold totals: what is billed apart is told apart again."""
    parts = _parts(stored, iterations)
    if not parts:
        return stored
    rest = {name: getattr(stored, name) - sum(getattr(part.usage, name) for part in parts) for name in _TOKENS}
    return replace(stored, parts=(Part(None, replace(stored, **rest)), *parts))


def _with_iterations(usage: Usage, iterations: object) -> Usage:
    """Adds the iterations that the top-level counts leave out. Each is priced by itself: its own cliff, its model."""
    parts = (Part(None, usage), *_parts(usage, iterations))
    if len(parts) == 1:
        return usage
    totals = {name: sum(getattr(part.usage, name) for part in parts) for name in _TOKENS}
    if max(totals.values()) > MOST_TOKENS:
        raise UsageError("iterations", f"add up to more than {MOST_TOKENS:,} tokens")
    return replace(usage, parts=parts, **totals)


def _parts(usage: Usage, iterations: object) -> list[Part]:
    if not isinstance(iterations, list):
        raise UsageError("iterations", "must be a list")
    parts = []
    for number, found in enumerate(iterations):
        iteration = _object(found, f"iterations[{number}]")
        if iteration.get("type") in _UNCOUNTED_ITERATIONS:
            try:
                parts.append(_part(usage, iteration))
            except UsageError as error:
                raise UsageError(f"iterations[{number}].{error.field}", error.reason) from None
    return parts


def _part(usage: Usage, iteration: Mapping[str, Any]) -> Part:
    model = iteration.get("model")
    if model is not None and not isinstance(model, str):
        raise UsageError("model", "must be a string")
    write_5m, write_1h = _cache_writes(iteration)
    counts = Usage(
        _count(iteration, "input_tokens"),
        _count(iteration, "output_tokens"),
        _count(iteration, "cache_read_input_tokens"),
        write_5m,
        write_1h,
        batch=usage.batch,
        # `speed` is that of the model that was asked; an advisor answers at the standard one.
        fast=usage.fast and model is None,
        us_only=usage.us_only,
        priority=usage.priority,
    )
    return Part(model, counts)


def _count(raw: Mapping[str, Any], key: str, most: int = MOST_TOKENS, path: str = "") -> int:
    value = raw.get(key)
    if value is None:
        return 0
    if type(value) is not int:
        raise UsageError(path + key, "must be a whole number")
    if not 0 <= value <= most:
        raise UsageError(path + key, f"must be between 0 and {most:,}")
    return value


def _object(value: object, field: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise UsageError(field, "must be an object")
    return value
