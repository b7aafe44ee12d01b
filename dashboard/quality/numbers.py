"""What the Quality page reads, each once for all of its panels."""

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any, Final

from dashboard import headline
from dashboard.look import Look
from dashboard.query import HOUR
from metrics import asks, bad_answers, pairs, scores
from metrics.bad_answers import BadAnswer
from metrics.intervals import Interval, wilson
from metrics.pairs import Pair
from metrics.readings import Reading, Series
from metrics.scores import Scores
from metrics.steps import Steps

HEADLINE: Final = (
    *("valid_rate", "repair_rate", "truncation_rate", "refusal_rate", "output_length"),
    *("requests", "errors", "cancelled"),
)
BY_VERSION: Final = ("requests", "valid_rate", "repair_rate", "refusal_rate", "truncation_rate", "output_length")
MOST_BAD_ANSWERS: Final = 8
# The longest range in which scores are drawn by parts of an hour.
_ONE_BY_ONE: Final = 3 * HOUR
TIMELINE: Final = ("valid_rate", "repair_rate", "truncation_rate", "refusal_rate", "output_length")


def questions(look: Look) -> Mapping[str, Steps[Any]]:
    """Return what the page asks, by the names under which the functions below find the answers."""
    slice_ = look.query.slice
    return headline.questions(look, HEADLINE, TIMELINE) | {
        "versions": pairs.pairs("prompt_type", "prompt_version", BY_VERSION, look.elapsed, slice_, now=look.now),
        "scores over time": asks.several_series(
            ["scores", "score_mean"],
            look.window,
            slice_,
            bucket=_step(look),
            by="score",
            top=scores.MOST_NAMES,
            now=look.now,
        ),
        "scores": scores.scores(look.elapsed, look.earlier, slice_, now=look.now),
        "bad answers": bad_answers.newest(look.elapsed, slice_, most=MOST_BAD_ANSWERS),
    }


def versions(look: Look) -> list[Pair]:
    found: list[Pair] = look.answer("versions")
    return found


def told(look: Look) -> Scores:
    found: Scores = look.answer("scores")
    return found


def main_score(look: Look) -> tuple[str, Series] | None:
    """Return the score told most often that has numbers, and its mean over time; None where there is none."""
    found = told(look)
    name = next((name for name, one in found.names.items() if one.numbers), None)
    means: dict[str, Series] = {series.key: series for series in look.answer("scores over time")["score_mean"]}
    return None if name is None or name not in means else (name, means[name])


def _step(look: Look) -> timedelta:
    """Return how finely scores are drawn: finer than by the hour only where few have to be read one by one."""
    step = look.query.bucket
    return step if look.window.duration <= _ONE_BY_ONE else max(step, HOUR)


def bad(look: Look) -> list[BadAnswer]:
    """Return the newest calls that failed for what their answers were."""
    found: list[BadAnswer] = look.answer("bad answers")
    return found


def counted(reading: Reading | None) -> tuple[int, int]:
    """Return how many of how many calls a share stands for."""
    if reading is None or reading.value is None:
        return 0, 0
    return round(Decimal(reading.value) * reading.sample), reading.sample


def interval(reading: Reading | None) -> Interval | None:
    """Return within which the true share lies; None when nothing was counted."""
    return wilson(*counted(reading))
