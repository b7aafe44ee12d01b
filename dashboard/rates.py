"""Shares of calls over time, as lines with a sentence: what the pages of errors and of quality show."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from dashboard import charts, theme
from dashboard.charts import Line
from dashboard.drawing import Drawn, timetable
from dashboard.look import Look, Need
from metrics import units
from metrics.readings import Reading, Series
from metrics.units import Unit


@dataclass(frozen=True)
class RatesOverTime:
    """One line for each of up to three shares."""

    key: str
    title: str
    metrics: tuple[tuple[str, str], ...]
    """Key of the metric and its name in the legend."""
    sentence: str
    """With a place for each share, in the order of `metrics`."""
    now: Callable[[Look], Mapping[str, Reading]]
    timeline: Callable[[Look], Mapping[str, Series]]
    nothing: str = ""
    """The sentence when every share is nothing, which is well; empty: it is no good news."""
    unknown: str = "No call was made in this range."
    from_zero: bool = True
    """The axis begins at nothing; a share that is always near all is drawn closer."""
    width: str = "half"
    needs: Sequence[Need] = ()

    def draw(self, look: Look) -> Drawn:
        series = [self.timeline(look)[key] for key, _ in self.metrics]
        names = [name for _, name in self.metrics]
        table = timetable(series, names, Unit.RATIO)
        now = [self.now(look)[key].value for key, _ in self.metrics]
        if all(value is None for value in now):
            return Drawn(self.unknown, table)
        if self.nothing and not any(now):
            return Drawn(self.nothing, table, is_good_news=True)
        looks = zip(theme.SLOTS, ("solid", "dash", "dot"), strict=False)
        lines = [Line(name, one, colour, dash) for name, one, (colour, dash) in zip(names, series, looks, strict=False)]
        figure = charts.lines(lines, Unit.RATIO, look.open_from)
        if not self.from_zero:
            figure["layout"]["yaxis"]["rangemode"] = "normal"
        takeaway = self.sentence.format(*(units.ratio(value) for value in now))
        return Drawn(takeaway, table, figure, lines)
