"""What calls without a known price may have cost, for budgets only: at the dearest known price of their family.

A call whose price is unknown must not slip under a limit as if it were free. It is an estimate, kept apart from the
exact spend and said beside it: tokens of a model are taken as if they were one long prompt, cache writes as the dearer
kind, and where only some of a model's calls are unpriced, their share of its tokens.
"""

from datetime import datetime
from typing import Final

from ingest import pricebook
from ingest.usage import Usage
from metrics import queries
from metrics.readings import Part
from metrics.slices import Slice
from metrics.windows import Window

# More models than a project can have; a breakdown this long is whole.
ALL_MODELS: Final = 10_000
_TOKENS: Final = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens")


def estimated_nanousd(window: Window, slice_: Slice, *, now: datetime) -> int:
    """Estimate the cost of the unpriced calls of a slice, in nano-dollars, rounded up."""
    parts = queries.breakdown("model", ["unpriced", "requests", *_TOKENS], window, slice_, top=ALL_MODELS, now=now)
    named = parts.parts if parts.other is None else (*parts.parts, parts.other)
    return sum(_of_model(part, now) for part in named)


def _of_model(part: Part, now: datetime) -> int:
    unpriced = _whole(part, "unpriced")
    rate = pricebook.current(now).dearest(part.key, now)
    if unpriced == 0 or rate is None:
        return 0
    requests = _whole(part, "requests")
    # Rounded up: -(-a // b).
    given, taken, read, written = (-(-_whole(part, key) * unpriced // requests) for key in _TOKENS)
    usage = Usage(input_tokens=given, output_tokens=taken, cache_read_tokens=read, cache_write_1h_tokens=written)
    cost = rate.cost(usage)
    assert cost is not None  # only fast calls can lack a price at a known rate
    return cost


def _whole(part: Part, key: str) -> int:
    value = part.readings[key].value
    assert value is not None  # a sum of nothing is 0
    return int(value)
