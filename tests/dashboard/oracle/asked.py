"""What addresses mean, worked out by hand, and what all oracles do with the calls they mean."""

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple, TypeVar

from ingest.vocabulary import ErrorCategory
from metrics import units
from metrics.readings import Value
from metrics.units import Unit
from metrics.windows import Window
from projects.models import Project
from tests.dashboard.oracle.world import CLOCKS, DAY, EMPTY, HAIKU, HOUR, LATE, MINUTE, NOW, WEEK, World, at
from tests.metrics import oracle
from tests.metrics.oracle import Call

Key = TypeVar("Key", bound=Hashable)
NONE, OTHER = "(none)", "(other)"
MINUS = "−"
NUMBERS = {category.name.lower(): category.value for category in ErrorCategory}


class File(NamedTuple):
    """A panel's numbers: the headings of the columns, and the rows."""

    labels: Sequence[str]
    rows: Sequence[Sequence[object]]


class Tile(NamedTuple):
    """A headline number as a page shows it; texts that are not there are empty."""

    label: str
    value: str
    exact: str = ""
    change: str = ""
    against: str = ""
    note: str = ""


@dataclass(frozen=True)
class Asked:
    """One address, and by hand the range on the grid of its buckets, their length, and the comparison."""

    address: str
    window: Window
    step: timedelta
    shift: timedelta | None = WEEK
    compared_with: str = "last week"
    is_live: bool = True
    exact: Window | None = None
    """What was asked for, where that is not whole buckets and is over."""
    filters: Mapping[str, str] = field(default_factory=dict)
    slug: str = "library"

    @property
    def elapsed(self) -> Window:
        return Window(self.window.start, min(self.window.end, NOW))

    @property
    def earlier(self) -> Window | None:
        return None if self.shift is None else self.elapsed.shift(-self.shift)


ADDRESSES = {
    "a day": Asked("", Window(at("2026-11-21T10:15"), at("2026-11-22T10:15")), 15 * MINUTE),
    "an hour, and the one before": Asked(
        "from=now-1h&cmp=prev",
        Window(at("2026-11-22T09:08"), at("2026-11-22T10:08")),
        MINUTE,
        HOUR,
        "the period before",
    ),
    "a week": Asked("from=now-7d", Window(at("2026-11-15T12:00"), at("2026-11-22T12:00")), 2 * HOUR),
    "a change of clocks": Asked(
        "from=2026-10-24T00:00%2B02:00&to=2026-10-26T00:00%2B01:00",
        Window(at("2026-10-23T22:00"), at("2026-10-26T00:00")),
        2 * HOUR,
        is_live=False,
        exact=CLOCKS,
    ),
    "calls that came late, of an environment": Asked(
        "from=2026-11-20T06:00Z&to=2026-11-20T18:00Z&cmp=off&env=production",
        LATE,
        15 * MINUTE,
        None,
        is_live=False,
        filters={"environment": "production"},
    ),
    "one filter": Asked(
        "from=now-6h&cmp=1d&feature=search",
        Window(at("2026-11-22T04:10"), at("2026-11-22T10:10")),
        5 * MINUTE,
        DAY,
        "yesterday",
        filters={"feature": "search"},
    ),
    "two filters": Asked(
        f"feature=chat&model={HAIKU}",
        Window(at("2026-11-21T10:15"), at("2026-11-22T10:15")),
        15 * MINUTE,
        filters={"feature": "chat", "model": HAIKU},
    ),
    "nothing happened": Asked("from=2026-11-05T00:00Z&to=2026-11-06T00:00Z", EMPTY, 15 * MINUTE, is_live=False),
    "the other project": Asked(
        "cmp=1d", Window(at("2026-11-21T10:15"), at("2026-11-22T10:15")), 15 * MINUTE, DAY, "yesterday", slug="workshop"
    ),
}


@dataclass(frozen=True)
class Scene:
    """A world, and what is asked of it."""

    world: World
    asked: Asked

    @property
    def project(self) -> Project:
        return self.world.of(self.asked.slug)

    @property
    def is_library(self) -> bool:
        return self.project == self.world.library

    def pick(self, window: Window | None, **more: str) -> list[Call]:
        """The calls of a window that the filters of the address mean, and more of them; none of no window."""
        if window is None:
            return []
        filters = {**self.asked.filters, **more}
        found = [one for one in self.world.calls if one.project_id == self.project.pk and window.contains(one.at)]
        return [one for one in found if all((getattr(one, name) or NONE) == wanted for name, wanted in filters.items())]

    @property
    def now(self) -> list[Call]:
        """The calls of the range."""
        return self.pick(self.asked.elapsed)

    @property
    def before(self) -> list[Call] | None:
        """Those of the comparison; None without one."""
        return None if self.asked.earlier is None else self.pick(self.asked.earlier)

    def course(self, metrics: Mapping[str, str]) -> File:
        """Some metrics over the range, by the names of their columns."""
        calls = self.now
        rows = [
            (cut.start, *(over_time(metric, inside, cut) for metric in metrics.values()))
            for cut, inside in cuts(self.asked.window, self.asked.step, calls)
        ]
        return File(["Time (UTC)", *metrics], rows)


def cuts(window: Window, step: timedelta, calls: Iterable[Call]) -> Iterator[tuple[Window, list[Call]]]:
    """The buckets of a window on the grid, each with its calls."""
    inside: dict[datetime, list[Call]] = group(calls, lambda one: window.start + (one.at - window.start) // step * step)
    start = window.start
    while start < window.end:
        yield Window(start, start + step), inside.get(start, [])
        start += step


def over_time(metric: str, calls: Sequence[Call], cut: Window) -> Value:
    """What has not begun is unknown."""
    return None if cut.start >= NOW else value(metric, calls)


def value(metric: str, calls: Sequence[Call]) -> Value:
    return oracle.measure(metric, calls)[0]


def total(metric: str, calls: Sequence[Call]) -> int:
    """A sum, which is never unknown."""
    found = value(metric, calls)
    assert isinstance(found, int)
    return found


def group(calls: Iterable[Call], by: Callable[[Call], Key]) -> dict[Key, list[Call]]:
    found: dict[Key, list[Call]] = {}
    for call in calls:
        found.setdefault(by(call), []).append(call)
    return found


def named(calls: Iterable[Call], dimension: str) -> dict[str, list[Call]]:
    """The calls by a property; those without one under a name of their own."""
    return group(calls, lambda one: getattr(one, dimension) or NONE)


def spoken(name: str) -> str:
    """A name in a sentence: words of the product are spelt with spaces, names of the application are not."""
    return {NONE: "not named", OTHER: "others"}.get(name, name.replace("_", " ") if name == name.lower() else name)


def changed(
    scene: Scene, metric: str, unit: Unit, now: Sequence[Call], before: Sequence[Call] | None
) -> tuple[str, str]:
    """The change of a tile, and what it is the change from."""
    if before is None:
        return "", ""
    (here, _), (there, sample) = oracle.measure(metric, now), oracle.measure(metric, before)
    return change(here, there, sample, unit, scene.asked.compared_with)


def change(here: Value, there: Value, sample: int, unit: Unit, compared_with: str) -> tuple[str, str]:
    if here is None or there is None or sample == 0:
        return "", "nothing to compare with"
    if here == there:
        return "", f"same as {compared_with}"
    return units.delta(here, there, unit, events=sample).lstrip("+" + MINUS), f"vs {compared_with}"


def tile(scene: Scene, label: str, metric: str, unit: Unit, note: str = "") -> Tile:
    """A metric of the range beside that of the comparison."""
    here = value(metric, scene.now)
    has_digits = unit in (Unit.NANOUSD, Unit.TOKENS) and isinstance(here, int)
    exact = units.all_digits(here, unit) if has_digits and isinstance(here, int) else ""
    return Tile(label, units.number(here, unit), exact, *changed(scene, metric, unit, scene.now, scene.before), note)


def rates(scene: Scene, metrics: Sequence[str], said: str, nothing: str = "", unknown: str = "") -> str:
    """A sentence with a place for each share: another one when all are nothing, and when there was no call."""
    shares = [value(metric, scene.now) for metric in metrics]
    if all(share is None for share in shares):
        return unknown or "No call was made in this range."
    return nothing if nothing and not any(shares) else said.format(*map(units.ratio, shares))


def calls(number: int) -> str:
    return f"{units.count(number)} {'call' if number == 1 else 'calls'}"


def largest(parts: Mapping[str, Sequence[Call]], metric: str, most: int) -> tuple[list[str], list[str]]:
    """The names with the most of a sum, the largest first, and all others. Ties go by number: of no name it is 0."""
    ordered = sorted(parts, key=lambda name: (-total(metric, parts[name]), name != NONE, NUMBERS.get(name, 0)))
    return ordered[:most], ordered[most:]
