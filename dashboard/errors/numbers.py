"""What the Errors page reads, each once for all of its panels."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from dashboard import headline
from dashboard.look import Look
from metrics import asks, breaker_states, failures, pairs
from metrics.breaker_states import Episodes
from metrics.failures import Failures
from metrics.pairs import Pair
from metrics.readings import Series
from metrics.slices import OTHER
from metrics.steps import Steps

HEADLINE: Final = (
    *("error_rate", "errors", "requests", "attempt_error_rate", "attempts", "retry_rate"),
    *("fallback_rate", "degraded_rate"),
)
TIMELINE: Final = ("error_rate", "errors", "attempt_error_rate", "retry_rate", "fallback_rate", "degraded_rate")
LAYERS: Final = 4
_ALL_TYPES: Final = 40


def questions(look: Look) -> Mapping[str, Steps[Any]]:
    """Return what the page asks, by the names under which the functions below find the answers."""
    query, slice_ = look.query, look.query.slice
    return headline.questions(look, HEADLINE, TIMELINE) | {
        "errors by type": asks.several_series(
            ["errors"], look.window, slice_, bucket=query.bucket, by="error", top=_ALL_TYPES, now=look.now
        ),
        "errors by feature": pairs.pairs("error", "feature", ["errors"], look.elapsed, slice_, now=look.now),
        "failures": failures.failures(look.window, slice_, bucket=query.bucket, now=look.now),
        "breakers": breaker_states.episodes(slice_.project_id, look.elapsed),
    }


def types(look: Look) -> list[tuple[Series, int]]:
    """Return failed calls over time and in all, by type; the most frequent first, those without failures left out."""
    counted = [(series, total(series)) for series in look.answer("errors by type")["errors"]]
    return sorted(((series, count) for series, count in counted if count > 0), key=lambda one: (-one[1], one[0].key))


def by_feature(look: Look) -> list[Pair]:
    found: list[Pair] = look.answer("errors by feature")
    return found


def groups(look: Look) -> Failures:
    found: Failures = look.answer("failures")
    return found


def episodes(look: Look) -> Episodes:
    found: Episodes = look.answer("breakers")
    return found


def layers(look: Look) -> list[Series]:
    """Return the most frequent types over time, at most `LAYERS`, and all others together."""
    found = [series for series, _ in types(look)]
    if len(found) <= LAYERS + 1:
        return found
    rest = found[LAYERS:]
    columns = zip(*(series.values for series in rest), strict=True)
    values = tuple(None if column[0] is None else sum(int(value or 0) for value in column) for column in columns)
    first = rest[0]
    together = Series("errors", OTHER, first.starts, first.step, values, first.samples, first.complete_to)
    return [*found[:LAYERS], together]


def total(series: Series) -> int:
    return int(sum((Decimal(value) for value in series.values if value is not None), Decimal(0)))
