"""What an evaluation finds out about one subject, and the snapshot of it that a mail is written from.

Facts are kept as JSON on the alert, numbers as text, so that a mail sent late says what was true when it was decided,
and an episode outlives the rule or budget it was about. The layout, read by mails and by the alert page:

    kind          "rule" or "budget"
    definition    what was asked; when it changes, the episode is over
    scope         {environment, feature}
    rule          {metric, direction, threshold, recovery, window_minutes, for_minutes}   (metric's own unit)
    budget        {name, percent, amount, period, zone, label, start, end}                (nano-dollars)
    firing, resolved
                  {at, start, end, value, why}; firing also, unless the reading failed,
                  {sample, before, requests, errors, unpriced, estimated, contributors}
    contributors  [{dimension, name, metric, value, share}]
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction
from typing import Any, Final

from alerting.models import AlertRule
from alerting.state import Verdict
from budgets.models import Threshold
from metrics.windows import Window

Facts = dict[str, Any]
NOW: Final = timedelta(0)
_STORED: Final = Decimal("0.000001")


@dataclass(frozen=True)
class Finding:
    """One subject, judged once. `at` is the end of the data it rests on, and the clock of the alert."""

    project_id: int
    subject: str
    title: str
    severity: str
    verdict: Verdict
    at: datetime
    value: Decimal | None
    """In the metric's own unit."""
    limit: Decimal
    facts: Facts
    why: str
    window: Window
    context: Callable[[], Facts]
    """Reads what a mail says beside the value; asked only when there is something to tell."""
    rule: AlertRule | None = None
    threshold: Threshold | None = None
    hold_for: timedelta = field(default=NOW)
    keep_for: timedelta = field(default=NOW)

    def snapshot(self) -> Facts:
        """What is true now, without the context."""
        return {
            "at": self.at.isoformat(),
            "start": self.window.start.isoformat(),
            "end": self.window.end.isoformat(),
            "value": written(self.value),
            "why": self.why,
        }

    @property
    def worse(self) -> Callable[[Decimal, Decimal], Decimal]:
        """Return the function that picks the worse of two values."""
        return min if self.facts.get("rule", {}).get("direction") == "below" else max


def stored(value: int | Decimal | Fraction | None) -> Decimal | None:
    """A value as the alert keeps it: six decimals. Verdicts are made before, from the exact one."""
    if value is None:
        return None
    if isinstance(value, Fraction):
        return Decimal(round(value * 10**6)).scaleb(-6)
    return Decimal(value).quantize(_STORED, ROUND_HALF_EVEN)


def written(value: int | Decimal | Fraction | None) -> str | None:
    """A number in JSON: its shortest exact text (fractions with six decimals)."""
    number = stored(value) if isinstance(value, Fraction) else value
    return None if number is None else f"{Decimal(number).normalize():f}"
