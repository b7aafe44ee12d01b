"""What the Quality page reads, each once for all of its panels."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from dashboard.look import Look
from ingest.vocabulary import ErrorCategory
from metrics import asks, failures, pairs, scores
from metrics.failures import Failure
from metrics.intervals import Interval, wilson
from metrics.pairs import Pair
from metrics.readings import Reading, Series
from metrics.scores import Scores
from metrics.steps import Steps, nothing

HEADLINE: Final = (
    *("valid_rate", "repair_rate", "truncation_rate", "refusal_rate", "output_length"),
    *("requests", "errors", "cancelled"),
)
BY_VERSION: Final = ("requests", "valid_rate", "repair_rate", "refusal_rate", "truncation_rate", "output_length")
MOST_BAD_ANSWERS: Final = 8
_BAD_ANSWERS: Final = (ErrorCategory.INVALID_OUTPUT, ErrorCategory.TRUNCATED, ErrorCategory.REFUSAL)
TIMELINE: Final = ("valid_rate", "repair_rate", "truncation_rate", "refusal_rate", "output_length")


def questions(look: Look) -> Mapping[str, Steps[Any]]:
    """Return what the page asks, by the names under which the functions below find the answers."""
    query, slice_ = look.query, look.query.slice
    return {
        "quality": asks.values(HEADLINE, look.elapsed, slice_, now=look.now),
        "earlier quality": nothing()
        if look.earlier is None
        else asks.values(HEADLINE, look.earlier, slice_, now=look.now),
        "quality over time": asks.several_series(TIMELINE, look.window, slice_, bucket=query.bucket, now=look.now),
        "versions": pairs.pairs("prompt_type", "prompt_version", BY_VERSION, look.elapsed, slice_, now=look.now),
        "scores": scores.scores(look.elapsed, look.earlier, slice_),
        "bad answers": failures.newest(_BAD_ANSWERS, look.elapsed, slice_, most=MOST_BAD_ANSWERS),
    }


def now(look: Look) -> Mapping[str, Reading]:
    found: Mapping[str, Reading] = look.answer("quality")
    return found


def before(look: Look) -> Mapping[str, Reading]:
    """Return the same of the comparison; empty without one."""
    return look.answer("earlier quality") or {}


def timeline(look: Look) -> Mapping[str, Series]:
    return {metric: series[0] for metric, series in look.answer("quality over time").items()}


def versions(look: Look) -> list[Pair]:
    found: list[Pair] = look.answer("versions")
    return found


def told(look: Look) -> Scores:
    found: Scores = look.answer("scores")
    return found


def bad_answers(look: Look) -> list[Failure]:
    """Return the newest calls that failed for what their answers were."""
    found: list[Failure] = look.answer("bad answers")
    return found


def counted(reading: Reading | None) -> tuple[int, int]:
    """Return how many of how many calls a share stands for."""
    if reading is None or reading.value is None:
        return 0, 0
    return round(Decimal(reading.value) * reading.sample), reading.sample


def interval(reading: Reading | None) -> Interval | None:
    """Return within which the true share lies; None when nothing was counted."""
    return wilson(*counted(reading))
