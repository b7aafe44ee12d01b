"""What the panels of Usage & cost read. All of it is asked together, before anything is drawn."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from dashboard.look import Look
from dashboard.query import DAY, GROUPS
from dashboard.usage.drill import DIMENSIONS, group_of
from metrics import asks
from metrics.list_prices import Tokens
from metrics.plan import MOST_CALLS
from metrics.readings import Breakdown, Part, Reading, Series
from metrics.steps import Steps

MOST_PARTS: Final = 100
# The names of the questions.
PARTS: Final = "usage: parts"
EARLIER: Final = "usage: parts of the comparison"
TOTAL: Final = "usage: all calls"
EARLIER_TOTAL: Final = "usage: all calls of the comparison"
TIMELINE: Final = "usage: over time"
TREND: Final = "usage: parts over time"
MODELS: Final = "usage: models"
# What the chart may show.
CHARTED: Final = ("spend", "requests", "input_tokens", "output_tokens", "cache_read_tokens")
HEADLINE: Final = ("spend", "cost_per_request", "cost_per_success", "fully_loaded_cost", "cache_hit_rate")
_COURSES: Final = ("spend", "cost_per_request", "cache_hit_rate")
WASTE: Final = ("failed_spend", "truncated_spend", "invalid_spend")
_TOKENS: Final = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens")
_CLASSES: Final = (*_TOKENS[:3], "cache_write_5m_tokens", "cache_write_1h_tokens")
_PARTS: Final = (*HEADLINE, "requests", *_TOKENS, "error_rate", "unpriced", *WASTE, "cache_savings")
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

    @property
    def questions(self) -> dict[str, Steps[Any]]:
        """Return all that is asked, by name, so that the page can read it together."""
        look, of = self.look, self.look.query.slice
        own = [*_PARTS, *([] if self.group == "user" else _NOT_OF_USERS)]
        asked: dict[str, Steps[Any]] = {
            TIMELINE: asks.several_series(
                (*_COURSES, *_TOKENS), look.window, of, bucket=look.query.bucket, now=look.now
            ),
            TREND: asks.several_series(
                [self.metric], look.window, of, bucket=self.step, by=self.dimension, top=5, now=look.now
            ),
        }
        if self.group == "model":
            own += [metric for metric in _MODELS if metric not in own]
        else:
            asked[MODELS] = asks.breakdown("model", _MODELS, look.elapsed, of, top=MOST_PARTS, now=look.now)
        asked[PARTS] = asks.breakdown(self.dimension, own, look.elapsed, of, top=MOST_PARTS, now=look.now)
        if self.group in _ONLY_WITH:
            asked[TOTAL] = asks.values(_PARTS, look.elapsed, of, now=look.now)
        if look.earlier is not None:
            # More parts: those that cost most now may not have done so then.
            asked[EARLIER] = asks.breakdown(
                self.dimension, HEADLINE, look.earlier, of, top=10 * MOST_PARTS, now=look.now
            )
            if self.group in _ONLY_WITH:
                asked[EARLIER_TOTAL] = asks.values(HEADLINE, look.earlier, of, now=look.now)
        return asked

    @property
    def parts(self) -> Breakdown:
        """Return the parts that cost most."""
        found: Breakdown = self.look.answer(PARTS)
        return found

    @property
    def earlier(self) -> Breakdown | None:
        """Return the parts in the comparison; None without one."""
        found: Breakdown | None = self.look.answer(EARLIER)
        return found

    @property
    def total(self) -> Mapping[str, Reading]:
        """Return all calls of the page together."""
        if self.group not in _ONLY_WITH:
            return self.parts.total.readings
        found: Mapping[str, Reading] = self.look.answer(TOTAL)
        return found

    @property
    def earlier_total(self) -> Mapping[str, Reading]:
        """Return all calls of the comparison together; empty without one."""
        if self.group in _ONLY_WITH:
            return self.look.answer(EARLIER_TOTAL) or {}
        return {} if self.earlier is None else self.earlier.total.readings

    @property
    def timeline(self) -> Mapping[str, Series]:
        """Return all calls of the page over time."""
        return {metric: series[0] for metric, series in self.look.answer(TIMELINE).items()}

    @property
    def trend(self) -> Sequence[Series]:
        """Return what the chart shows, over time, the largest parts apart."""
        found: Sequence[Series] = self.look.answer(TREND)[self.metric]
        return found

    @property
    def step(self) -> timedelta:
        """Return the width of its bars. Users are kept by the day; less is read from the calls, within limits."""
        look = self.look
        is_kept = self.group != "user" or look.query.user != "" or look.window.duration <= MOST_CALLS
        return look.query.bucket if is_kept else max(look.query.bucket, DAY)

    @property
    def models(self) -> Breakdown:
        """Return the models that were used. Raises WindowTooWideError where they are only known call by call."""
        if self.group == "model":
            return self.parts
        found: Breakdown = self.look.answer(MODELS)
        return found

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


def questions(look: Look) -> Mapping[str, Steps[Any]]:
    """Return what the page asks, by name."""
    return UsageReadings(look).questions


def _whole(reading: Reading) -> int:
    return int(reading.value or 0)
