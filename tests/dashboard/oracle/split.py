"""The difference of two costs, split into what it comes from; and what a sum comes to at the end of a month."""

from collections.abc import Sequence
from datetime import datetime
from decimal import ROUND_FLOOR, Context, Decimal
from fractions import Fraction
from math import ceil
from statistics import median
from typing import NamedTuple

from tests.dashboard.oracle.world import HOUR
from tests.metrics.oracle import Call

EFFECTS = ("volume", "model mix", "tokens per request", "cache", "price")
EXACT = Context(prec=60)
PLAIN, BILLED = (100, 500, 100, 100, 100), (100, 500, 10, 125, 200)
"""Input, output, cache read and the two writes in hundredths of an input token: without a cache, and as billed."""


def quantities(all_calls: Sequence[Call], calls: Sequence[Call]) -> list[int]:
    """Calls, those of a model, its tokens without and with the cache, its cost: each by the one before is a factor."""
    sums = [sum(call.tokens[kind] for call in calls) for kind in range(5)]
    plain, billed = (sum(a * b for a, b in zip(sums, weights, strict=True)) for weights in (PLAIN, BILLED))
    priced = [sum(1 for call in some if call.cost is not None) for some in (all_calls, calls)]
    return [*priced, plain, billed, sum(call.cost or 0 for call in calls)]


def split(now: Sequence[int], before: Sequence[int]) -> list[int]:
    """The effects on the cost of one model, which add up (the log-mean split, rounded by the largest remainder)."""
    cost, cost_before = now[-1], before[-1]
    if cost == 0 or cost_before == 0:
        gone = now if cost == 0 else before
        return [cost - cost_before if place == list(gone).index(0) else 0 for place in range(5)]
    logs = [_log(a, b) for a, b in zip(now, before, strict=True)]
    if 0 in now or 0 in before:
        logs[2] = logs[3] = logs[1]
    mean = Decimal(cost) if cost == cost_before else EXACT.divide(Decimal(cost - cost_before), logs[-1])
    shares = [
        EXACT.multiply(mean, EXACT.subtract(log, last)) for log, last in zip(logs, [Decimal(0), *logs], strict=False)
    ]
    whole = [int(share.to_integral_value(ROUND_FLOOR)) for share in shares]
    missing = cost - cost_before - sum(whole)
    for place in sorted(range(5), key=lambda place: (whole[place] - shares[place], place))[:missing]:
        whole[place] += 1
    return whole


def _log(one: int, other: int) -> Decimal:
    if one == other or 0 in (one, other):
        return Decimal(0)
    return EXACT.divide(Decimal(one), Decimal(other)).ln(EXACT)


class Forecast(NamedTuple):
    so_far: int
    expected: int
    low: int | None = None
    high: int | None = None
    error: Fraction | None = None
    tries: int = 0
    hours: int = 0
    """How far ahead it was tried."""


def forecast(history: Sequence[int], so_far: int, now: datetime, end: datetime) -> Forecast | None:
    """From the sums of the hours that are over, the first one with any first, to the end of a period."""
    if len(history) < 3 * 24:
        return None
    hour = now.replace(minute=0, second=0, microsecond=0)
    ahead = (end - hour) // HOUR
    left = 1 - Fraction((now - hour).total_seconds()) / 3600
    by_method = _ahead(history, ahead, left)
    ratios, hours = _tried(history, ahead)
    if len(ratios) < 5:
        return Forecast(so_far, so_far + round(by_method), tries=len(ratios), hours=hours)
    tenth, rest = (ratios[max(0, ceil(len(ratios) * share) - 1)] for share in (Fraction(1, 10), Fraction(9, 10)))
    low, middle, high = (so_far + round(by_method * ratio) for ratio in (tenth, median(ratios), rest))
    errors = []
    for place, ratio in enumerate(ratios):
        others = [*ratios[:place], *ratios[place + 1 :]]
        errors.append(abs(median(others) / ratio - 1) if ratio else Fraction(1))
    return Forecast(so_far, middle, low, high, median(errors), len(ratios), hours)


def _ahead(history: Sequence[int], hours: int, left: Fraction = Fraction(1)) -> Fraction:
    """For each hour the median of its like, of the week or the day, at the level of the last seven days."""
    around = 168 if len(history) >= 2 * 168 else 24
    usual = [int(median(history[place::around]) // 1) for place in range(around)]
    level = history[-168:]
    end = len(history)
    usual_level = sum(usual[n % around] for n in range(end - len(level), end))
    if usual_level == 0:
        return Fraction(sum(level), len(level)) * (hours - 1 + left)
    coming = usual[end % around] * left + sum(usual[n % around] for n in range(end + 1, end + hours))
    return Fraction(sum(level), usual_level) * coming


def _tried(history: Sequence[int], ahead: int) -> tuple[list[Fraction], int]:
    """What came by what was forecast, at this time of at most fourteen earlier days."""
    most = len(history)
    ahead = min(ahead, max((most - 72) // 2, 1))
    fewest = 336 if most - ahead >= 336 + 4 * 24 else 72
    ratios = []
    for known in list(range(most - ahead, fewest - 1, -24))[:14]:
        expected = _ahead(history[:known], ahead)
        if expected > 0:
            ratios.append(Fraction(sum(history[known : known + ahead])) / expected)
    return sorted(ratios), ahead
