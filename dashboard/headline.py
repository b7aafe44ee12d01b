"""Headline: the main metrics of a page, of the range, of the comparison, and over time."""

from collections.abc import Mapping, Sequence
from typing import Any

from dashboard.look import Look
from metrics import asks
from metrics.readings import Reading, Series
from metrics.steps import Steps, nothing


def questions(look: Look, metrics: Sequence[str], over_time: Sequence[str]) -> dict[str, Steps[Any]]:
    """Return what a page asks of its main metrics, by the names under which the functions below find the answers."""
    slice_, earlier = look.query.slice, look.earlier
    return {
        "now": asks.values(metrics, look.elapsed, slice_, now=look.now),
        "before": nothing() if earlier is None else asks.values(metrics, earlier, slice_, now=look.now),
        "over time": asks.several_series(over_time, look.window, slice_, bucket=look.query.bucket, now=look.now),
    }


def now(look: Look) -> Mapping[str, Reading]:
    found: Mapping[str, Reading] = look.answer("now")
    return found


def before(look: Look) -> Mapping[str, Reading]:
    """Return the same of the comparison; empty without one."""
    return look.answer("before") or {}


def timeline(look: Look) -> Mapping[str, Series]:
    return {metric: series[0] for metric, series in look.answer("over time").items()}
