"""What the panels of Usage & cost read, each question asked once."""

from collections.abc import Mapping
from functools import cached_property
from typing import Final

from dashboard.look import Look
from dashboard.query import GROUPS
from dashboard.usage.drill import DIMENSIONS, group_of
from metrics import queries
from metrics.list_prices import Tokens
from metrics.readings import Breakdown, Part, Reading, Series

MOST_PARTS: Final = 100
# What the chart may show.
CHARTED: Final = ("spend", "requests", "input_tokens", "output_tokens", "cache_read_tokens")
HEADLINE: Final = ("spend", "cost_per_request", "cost_per_success", "fully_loaded_cost", "cache_hit_rate")
_COURSES: Final = ("spend", "cost_per_request", "cache_hit_rate")
WASTE: Final = ("failed_spend", "truncated_spend", "invalid_spend")
_TOKENS: Final = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens")
_CLASSES: Final = (*_TOKENS[:3], "cache_write_5m_tokens", "cache_write_1h_tokens")
_PARTS: Final = (*HEADLINE, "requests", *_TOKENS, "error_rate", "unpriced", *WASTE, "cost_of_waste", "cache_savings")
_MODELS: Final = ("spend", "requests", "unpriced", *_CLASSES, "cache_write_tokens", "cache_hit_rate", "cache_savings")
# Kept by feature, model and so on, but not by user.
_NOT_OF_USERS: Final = ("latency_p95",)
# Their breakdowns are about the calls that have one, and so are the totals.
_ONLY_WITH: Final = ("user", "env")


class UsageReadings:
    """Readings of one look, cut by what the address says."""

    def __init__(self, look: Look) -> None:
        self.look = look
        self.group = group_of(look.query)
        self.dimension = DIMENSIONS[self.group]

    @property
    def noun(self) -> str:
        """Return what a part is, as a word."""
        return GROUPS[self.group]

    @property
    def metric(self) -> str:
        """Return what the chart shows."""
        asked = self.look.query.metric
        return asked if asked in CHARTED else CHARTED[0]

    @cached_property
    def parts(self) -> Breakdown:
        """The parts that cost most."""
        metrics = [*_PARTS, *([] if self.group == "user" else _NOT_OF_USERS)]
        if self.group == "model":
            metrics += [metric for metric in _MODELS if metric not in metrics]
        look = self.look
        return queries.breakdown(self.dimension, metrics, look.elapsed, look.query.slice, top=MOST_PARTS, now=look.now)

    @cached_property
    def earlier(self) -> Breakdown | None:
        """The same in the comparison, with more parts: those that cost most now may not have done so then."""
        look = self.look
        if look.earlier is None:
            return None
        return queries.breakdown(
            self.dimension, HEADLINE, look.earlier, look.query.slice, top=10 * MOST_PARTS, now=look.now
        )

    @cached_property
    def total(self) -> Mapping[str, Reading]:
        """All calls of the page together."""
        look = self.look
        if self.group in _ONLY_WITH:
            return queries.values(_PARTS, look.elapsed, look.query.slice, now=look.now)
        return self.parts.total.readings

    @cached_property
    def earlier_total(self) -> Mapping[str, Reading]:
        """All calls of the comparison together; empty without one."""
        look = self.look
        if look.earlier is None:
            return {}
        if self.group in _ONLY_WITH or self.earlier is None:
            return queries.values(HEADLINE, look.earlier, look.query.slice, now=look.now)
        return self.earlier.total.readings

    @cached_property
    def timeline(self) -> Mapping[str, Series]:
        """All calls of the page over time."""
        look, metrics = self.look, (*_COURSES, *_TOKENS)
        found = queries.several_series(metrics, look.window, look.query.slice, bucket=look.query.bucket, now=look.now)
        return {metric: series[0] for metric, series in found.items()}

    @cached_property
    def models(self) -> Breakdown:
        """The models that were used. Raises WindowTooWideError where they are only known call by call."""
        if self.group == "model":
            return self.parts
        look = self.look
        return queries.breakdown("model", _MODELS, look.elapsed, look.query.slice, top=MOST_PARTS, now=look.now)

    @property
    def tokens_by_model(self) -> dict[str, Tokens]:
        """Return the tokens of each model, by what they are charged as."""
        return {part.key: Tokens(*(_whole(part.readings[key]) for key in _CLASSES)) for part in every(self.models)}

    def before(self, part: Part) -> Reading | None:
        """Return what a part cost in the comparison; None when that is not known, or there was no call at all."""
        if self.earlier is None or self.earlier.total.readings["spend"].sample == 0:
            return None
        if part is self.parts.total:
            return self.earlier.total.readings["spend"]
        found = next((each for each in self.earlier.parts if each.key == part.key), None)
        if found is None and self.earlier.other is None and part is not self.parts.other:
            # All that there was is listed, so this was not there.
            return Reading("spend", 0, 0, self.earlier.complete_to, 0)
        return None if found is None else found.readings["spend"]


def every(found: Breakdown) -> list[Part]:
    """Return the parts, and then the others together when there are some."""
    return [*found.parts, *([found.other] if found.other is not None else [])]


def _whole(reading: Reading) -> int:
    return int(reading.value or 0)
