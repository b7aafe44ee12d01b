"""What has been spent of a budget in its present period.

Spend comes from `metrics.queries`, so that a budget, a page and a mail cannot disagree. Calls without a known price are
in no sum of money; against a budget they count by an estimate, which is kept apart and said beside the exact sum.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction

from budgets.estimate import estimated_nanousd
from budgets.models import Budget
from budgets.periods import Period, period_at
from metrics import queries
from metrics.readings import Part, Reading
from metrics.slices import Slice
from metrics.windows import Window

# More features than a project can have (names beyond the cap are stored as one); a breakdown this long is whole.
ALL_FEATURES = 100_000
_SPEND = ("spend", "requests")


@dataclass(frozen=True)
class BudgetStatus:
    """How far a budget is used up. Money in nano-dollars."""

    spent_nanousd: int
    """Exactly what the calls with a known price cost."""
    estimated_nanousd: int
    """What the calls without one may have cost (budgets.estimate)."""
    amount_nanousd: int
    period: Period
    complete_to: datetime | None
    """Every call received before this time is in the sum; None when nothing could be read."""
    requests: int
    unpriced: int
    """Calls in the period whose cost is unknown."""

    @property
    def counted_nanousd(self) -> int:
        """Return what counts against the amount: the exact spend and the estimate."""
        return self.spent_nanousd + self.estimated_nanousd

    @property
    def share(self) -> Fraction:
        """Return how much of the amount is used up, exactly; 1 is all of it."""
        return Fraction(self.counted_nanousd, self.amount_nanousd)

    def reached(self, percent: int) -> bool:
        return self.counted_nanousd * 100 >= self.amount_nanousd * percent


def status(budget: Budget, now: datetime) -> BudgetStatus:
    """Measure one budget in the period that `now` lies in."""
    return statuses([budget], now)[budget.pk]


def status_in(budget: Budget, period: Period, now: datetime) -> BudgetStatus:
    """Measure one budget in a period that may be over."""
    ((_, readings),) = _measure([budget], Slice(budget.project_id, budget.environment), period, now)
    return _status(budget, period, readings, now)


def statuses(budgets: Iterable[Budget], now: datetime, *, at: datetime | None = None) -> dict[int, BudgetStatus]:
    """Measure several budgets, by primary key, in the period of `at` (default: of `now`).

    Budgets of one project, environment and period share one look at the data.
    """
    together: dict[tuple[int, str, Period], list[Budget]] = defaultdict(list)
    for budget in budgets:
        period = period_at(budget.period, budget.zone, now if at is None else at)
        together[budget.project_id, budget.environment, period].append(budget)
    return {
        budget.pk: _status(budget, period, readings, now)
        for (project_id, environment, period), alike in together.items()
        for budget, readings in _measure(alike, Slice(project_id, environment), period, now)
    }


def _measure(
    alike: Sequence[Budget], whole: Slice, period: Period, now: datetime
) -> list[tuple[Budget, dict[str, Reading]]]:
    window = Window(period.start, period.end)
    if len({budget.feature for budget in alike}) == 1:
        slice_ = Slice(whole.project_id, whole.environment, alike[0].feature)
        readings = queries.values(_SPEND, window, slice_, now=now)
        return [(budget, readings) for budget in alike]
    parts = queries.breakdown("feature", _SPEND, window, whole, top=ALL_FEATURES, now=now)
    by_feature = {part.key: part for part in parts.parts} | {"": parts.total}
    return [(budget, dict(by_feature.get(budget.feature, _nothing(parts.total)).readings)) for budget in alike]


def _nothing(total: Part) -> Part:
    """A feature nobody has used yet: nothing spent, as complete as the rest."""
    return Part("", {key: Reading(key, 0, 0, reading.complete_to, 0) for key, reading in total.readings.items()})


def _status(budget: Budget, period: Period, readings: dict[str, Reading], now: datetime) -> BudgetStatus:
    spend, requests = readings["spend"], readings["requests"]
    assert spend.value is not None  # a sum of nothing is 0
    assert requests.value is not None
    estimated = 0
    if spend.unpriced > 0:
        slice_ = Slice(budget.project_id, budget.environment, budget.feature)
        estimated = estimated_nanousd(Window(period.start, period.end), slice_, now=now)
    return BudgetStatus(
        spent_nanousd=int(spend.value),
        estimated_nanousd=estimated,
        amount_nanousd=budget.amount_nanousd,
        period=period,
        complete_to=spend.complete_to,
        requests=int(requests.value),
        unpriced=spend.unpriced,
    )
