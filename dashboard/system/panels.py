"""The panels of the System page: one question about the product each, written as a sentence and a grid."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from typing import Final, Generic, TypeVar

from django.conf import settings

from alerting import outbox
from alerting.outbox import Outbox
from dashboard import charts
from dashboard.charts import Line
from dashboard.drawing import Drawn, timetable
from dashboard.grids import Cell, Grid, Head
from dashboard.look import Look, Need
from dashboard.losses import calls
from dashboard.system.migrations_read import Migrations
from dashboard.system.standing import Question, Unreachable, clock_ahead, span, standing
from dashboard.tables import Column, Table
from dashboard.work import Work
from ingest import arrivals, room
from ingest.arrivals import Arrivals, Lag
from ingest.partitions import TABLES
from ingest.room import Room
from ingest.senders import HEARD_IN, MOST_SENDERS, Sender, Senders
from ingest.vocabulary import Grain
from metrics import units
from metrics.coverage import Coverage
from metrics.readings import Series
from metrics.units import Unit
from metrics.windows import Window, ceil

T = TypeVar("T")
MOST_ROWS: Final = 20
"""Rows of a grid; files have all of them."""
_MINUTE: Final = timedelta(minutes=1)
_AT_ONCE: Final = timedelta(seconds=1)


@dataclass(frozen=True)
class StandingPanel(Generic[T]):
    """One question about the product. Not being able to ask it leaves the other panels alone."""

    key: str
    title: str
    question: Question[T]
    write: Callable[[T, datetime], Drawn]
    width: str = "half"
    needs: Sequence[Need] = ()

    def draw(self, look: Look) -> Drawn:
        answer = standing(look).ask(self.question)
        if isinstance(answer, Unreachable):
            grid = Grid(
                [Head("Asked for", "name"), Head("Answer", "text")], [[Cell(self.title), Cell("not reachable")]]
            )
            return Drawn(f"{answer.sentence} {answer.reference}.", Table((), ()), grid=grid)
        return self.write(answer, look.now)


def received(found: Arrivals, now: datetime) -> Drawn:
    """Calls by the minute of their receipt; the first is left out where calls of it may not have been looked at."""
    window = Window(ceil(found.since, _MINUTE), now)
    starts = tuple(window.buckets(_MINUTE))
    values = tuple(found.minutes.get(start, 0) for start in starts)
    series = Series("requests", "", starts, _MINUTE, values, values, now)
    drawn = [Line("received", series, "spark", area=True)]
    table = timetable([series], ["Received"], Unit.COUNT)
    rate = per_minute(found, now)
    if found.everything.calls == 0:
        return Drawn("No call has begun in the last hour.", table)
    text = (
        f"{units.count(rate)} calls a minute in the last five." if rate is not None else "Less than a minute to show."
    )
    newest = (
        "" if found.since <= now - arrivals.LOOKED_BACK else f" Shown are the newest {arrivals.MOST_CALLS:,} calls."
    )
    figure = charts.layers(drawn, Unit.COUNT, open_from=starts[-1] if starts else None)
    return Drawn(text + newest, table, figure)


def per_minute(found: Arrivals, now: datetime) -> int | None:
    """Return calls received a minute, over the last five that are over or as many as were looked at; None for none."""
    whole = [start for start in Window(ceil(found.since, _MINUTE), now).buckets(_MINUTE) if start + _MINUTE <= now][-5:]
    return sum(found.minutes.get(start, 0) for start in whole) // len(whole) if whole else None


def delivery(found: Arrivals, now: datetime) -> Drawn:  # noqa: ARG001 - one of several with this shape
    columns = [Column("Application"), Column("Calls", Unit.COUNT), Column("Late", Unit.COUNT)]
    columns += [Column(f"Delay {name}", Unit.MILLISECONDS) for name in ("p50", "p95")]
    columns += [Column("Clock ahead by at least", Unit.MILLISECONDS)]
    rows = tuple(
        (app.name or "not named", app.calls, app.late, app.p50, app.p95, clock_ahead(app)) for app in found.apps
    )
    heads = [Head("Application", "name"), Head("Calls"), Head("Late"), Head("Delay p50"), Head("p95"), Head("Clock")]
    grid = Grid(heads, [_delivered(app) for app in found.apps[:MOST_ROWS]])
    return Drawn(_of_delivery(found.everything), Table(tuple(columns), rows), grid=grid)


def _of_delivery(everything: Lag) -> str:
    if everything.calls == 0:
        return "No call has begun in the last hour."
    said = []
    if everything.p50 is not None:
        half, most = units.duration(everything.p50), units.duration(everything.p95)
        said.append(f"Half of the calls of the last hour were here {half} after they ended, 95 of 100 after {most}.")
    if everything.late:
        later = span(arrivals.LATE)
        said.append(f"{calls(everything.late)} came more than {later} late, from a spool or a file, and are left out.")
    return " ".join(said)


def _delivered(app: Lag) -> Sequence[Cell]:
    ahead = clock_ahead(app)
    clock = Cell("agrees", tone="muted") if ahead is None else Cell(f"{units.duration(ahead)} ahead", tone="warn")
    numbers = (units.count(app.calls), units.count(app.late), units.duration(app.p50), units.duration(app.p95))
    return Cell(app.name or "not named"), *(Cell(text) for text in numbers), clock


_GRAINS: Final = {
    Grain.MINUTE: ("Minutes", "facet_minute"),
    Grain.HOUR: ("Hours", "facet_hour"),
    Grain.DAY: ("Days", ""),
    Grain.SCORE_DAY: ("Scores", ""),
}


def watermarks(found: Mapping[Grain, datetime], now: datetime) -> Drawn:
    columns = [Column("Totals by"), Column("Complete to (UTC)"), Column("Behind", Unit.MILLISECONDS), Column("Kept")]
    rows = tuple(
        (name, found[grain], _ms(now - found[grain]), f"{settings.RETENTION_DAYS[table]} days" if table else "for ever")
        for grain, (name, table) in _GRAINS.items()
    )
    heads = [Head("Totals by", "name"), Head("Complete to"), Head("Behind"), Head("Kept")]
    cells = [
        [Cell(name), Cell(f"{at:%H:%M:%S}" if now - at < timedelta(days=1) else moment(at)), *_behind(ms), Cell(kept)]
        for name, at, ms, kept in rows
    ]
    worst = max(now - at for at in found.values())
    text = "Every call that was received is in the totals." if worst < _AT_ONCE else f"At most {span(worst)} behind."
    return Drawn(text, Table(tuple(columns), rows), grid=Grid(heads, cells))


def _behind(ms: int) -> Iterator[Cell]:
    yield Cell("up to date" if ms < 1_000 else units.duration(ms))


def periodic(found: Sequence[Work], now: datetime) -> Drawn:
    columns = [Column("Job"), Column("Every", Unit.MILLISECONDS), Column("Last run (UTC)"), Column("Next run (UTC)")]
    columns += [Column("Took", Unit.MILLISECONDS), Column("Failed in a row", Unit.COUNT), Column("Last error")]
    rows = tuple(
        (
            *(one.name, _ms(one.every), one.finished_at, one.due_at, None if one.took is None else _ms(one.took)),
            *(one.failures, one.last_error),
        )
        for one in found
    )
    heads = [Head("Job", "name"), Head("Every"), Head("Ended"), Head("Took"), Head("Next"), Head("State", "text")]
    grid = Grid(heads, [_run(one, now) for one in found])
    wrong = [one.name for one in found if one.failures or one.is_late(now)]
    if not found or all(one.due_at is None for one in found):
        return Drawn("No worker has ever run.", Table(tuple(columns), rows), grid=grid)
    text = "All of it runs as it should." if not wrong else f"Not as it should be: {', '.join(wrong)}."
    return Drawn(text, Table(tuple(columns), rows), grid=grid)


def _run(one: Work, now: datetime) -> Sequence[Cell]:
    state = Cell("waiting", tone="muted")
    if one.failures:
        state = Cell(f"failed {one.failures:,} times: {one.last_error}", tone="bad")
    elif one.is_running:
        state = Cell("running", tone="good")
    elif one.due_at is None:
        state = Cell("not known to a worker yet", tone="warn")
    elif one.is_late(now):
        state = Cell("late", tone="bad")
    ended = units.UNKNOWN if one.finished_at is None else f"{span(max(now - one.finished_at, timedelta()))} ago"
    took = units.UNKNOWN if one.took is None else span(one.took)
    due = units.UNKNOWN if one.due_at is None else f"in {span(one.due_at - now)}" if one.due_at > now else "now"
    return Cell(one.name), Cell(span(one.every)), Cell(ended), Cell(took), Cell(due), state


def mails(found: Outbox, now: datetime) -> Drawn:
    days = outbox.GIVEN_UP_IN.days
    columns = [Column("Mails"), Column("Number", Unit.COUNT), Column("Time (UTC)")]
    rows = (
        ("waiting", found.waiting, found.oldest),
        (f"sent in {days} days", found.sent, found.last_sent_at),
        (f"given up in {days} days", found.given_up, None),
    )
    waited = Cell() if found.oldest is None else Cell(f"oldest {span(now - found.oldest)}")
    last = (
        Cell() if found.last_sent_at is None else Cell(f"last {span(max(now - found.last_sent_at, timedelta()))} ago")
    )
    tones = ("bad" if found.is_stuck(now) else "", "", "bad" if found.given_up else "")
    cells = [
        [Cell(str(name)), Cell(units.count(number), tone=tone), time]  # type: ignore[arg-type]
        for (name, number, _), time, tone in zip(rows, (waited, last, Cell()), tones, strict=True)
    ]
    grid = Grid([Head("Mails", "name"), Head("Number"), Head("Time", "text")], cells)
    text = "No mail is waiting." if found.waiting == 0 else f"{_mails(found.waiting)} waiting."
    if found.given_up:
        text = f"{text} {_mails(found.given_up)} given up; the admin has the reasons."
    return Drawn(text, Table(tuple(columns), rows), grid=grid)


def _mails(number: int) -> str:
    return f"{units.count(number)} {'mail is' if number == 1 else 'mails are'}"


def clients(found: Senders, now: datetime) -> Drawn:
    columns = [Column("Process"), Column("Client"), Column("Started (UTC)"), Column("Heard (UTC)")]
    counted = ("Events made", "Events here", "Events on the way", "Events given up")
    columns += [Column(name, Unit.COUNT) for name in counted]
    columns += [Column("Given up, by reason")]
    rows = tuple(_told(one) for one in found.listed)
    heads = [Head("Process", "name"), Head("Heard"), Head("Made"), Head("Here"), Head("On the way"), Head("Given up")]
    # Those that lose events are what people look for.
    worst_first = sorted(found.listed, key=lambda one: -one.lost)
    grid = Grid(heads, [_process(one, now) for one in worst_first[:MOST_ROWS]])
    return Drawn(_of_clients(found), Table(tuple(columns), rows), grid=grid)


def _of_clients(found: Senders) -> str:
    if found.number == 0:
        return f"No process was heard in the last {span(HEARD_IN)}; whether calls get lost cannot be told."
    processes = "1 process was" if found.number == 1 else f"{found.number:,} processes were"
    text = f"{processes} heard in the last {span(HEARD_IN)}"
    if found.number > MOST_SENDERS:
        text += f", here the {MOST_SENDERS} heard last"
    if lost := sum(found.given_up.values()):
        reasons = ", ".join(f"{_reason(name)} {units.count(one)}" for name, one in islice(found.given_up.items(), 5))
        return f"{text}. They gave up {calls(lost)} since they started: {reasons}."
    return f"{text}; nothing was given up."


def _reason(name: str) -> str:
    return name.replace("_", " ")


def _told(one: Sender) -> tuple[object, ...]:
    reasons = ", ".join(f"{_reason(name)} {number}" for name, number in one.given_up.items())
    return (
        *(one.instance, one.sdk, one.first_seen_at, one.last_seen_at),
        *(one.emitted, one.received, one.on_the_way, one.lost, reasons),
    )


def _process(one: Sender, now: datetime) -> Sequence[Cell]:
    reasons = ", ".join(f"{_reason(name)} {units.count(number)}" for name, number in islice(one.given_up.items(), 5))
    return (
        Cell(one.instance),
        Cell(f"{span(max(now - one.last_seen_at, timedelta()))} ago"),
        *(Cell(units.count(number)) for number in (one.emitted, one.received, one.on_the_way)),
        Cell(units.count(one.lost), tone="bad" if one.lost else "", hint=reasons),
    )


def lost(found: Arrivals, now: datetime) -> Drawn:  # noqa: ARG001 - one of several with this shape
    columns = [Column("Put aside because"), Column("Events in the last day", Unit.COUNT)]
    rows = tuple(found.put_aside.items())
    heads = [Head("Put aside because", "name"), Head("Events")]
    cells = [[Cell(reason), Cell(units.count(number), tone="warn")] for reason, number in rows]
    if not rows:
        cells = [[Cell("nothing was put aside", tone="muted"), Cell("0")]]
    total = sum(found.put_aside.values())
    verb = "was" if total == 1 else "were"
    text = "Every event of the last day had a time that is kept." if total == 0 else f"{calls(total)} {verb} put aside."
    text = f"{text} What is refused is told to its client, which counts it under “rejected”."
    return Drawn(text, Table(tuple(columns), rows), grid=Grid(heads, cells))


_NAMES: Final = {"request_log": "Calls", "request_body": "Prompts and answers"}


def size(found: Room, now: datetime) -> Drawn:
    today = now.astimezone(UTC).date()
    columns = [Column("Table"), Column("Size in bytes", Unit.COUNT), Column("Days", Unit.COUNT)]
    columns += [Column("Days kept", Unit.COUNT), Column("Oldest day"), Column("Bytes a day", Unit.COUNT)]
    columns += [Column("Rows, estimated", Unit.COUNT)]
    rows = tuple(_of_days(found, table, today) for table in TABLES)
    others = tuple((name, taken, *[None] * 5) for name, taken in found.others.items())
    heads = [Head("Table", "name"), Head("Size"), Head("Days"), Head("A day")]
    cells = [
        [
            Cell(_NAMES[table]),
            Cell(units.size(taken)),
            Cell(f"{days} of {kept}"),
            Cell(units.size(a_day)),
        ]
        for table, (_, taken, days, kept, _, a_day, _) in zip(TABLES, rows, strict=True)
    ]
    cells += [[Cell("Everything else"), Cell(units.size(sum(found.others.values()))), Cell(), Cell()]]
    return Drawn(_of_room(found, now), Table(tuple(columns), (*rows, *others)), grid=Grid(heads, cells))


def _of_days(found: Room, table: str, today: date) -> tuple[str, int, int, int, str, int | None, int]:
    days = found.kept(table, today)
    return (
        table,
        sum(one.size for one in found.days.get(table, {}).values()),
        len(days),
        settings.RETENTION_DAYS[table],
        f"{min(days):%Y-%m-%d}" if days else "",
        found.grown(table, today),
        sum(one.rows for one in days.values()),
    )


def _of_room(found: Room, now: datetime) -> str:
    text = f"The database takes {units.size(found.total)}."
    if found.free is None:
        return f"{text} It is your own server, so how much room its disk has is not known here."
    outlook = room.outlook(found, now)
    text = f"{text} {units.size(found.free)} of the disk are free"
    if outlook is None:
        return f"{text}; for how long that is enough shows after the first full day."
    if outlook.days is None:
        return f"{text}: enough for all days that are kept, which will take {units.size(outlook.to_come)} more."
    return f"{text}, enough for {outlook.days:,} days at {units.size(outlook.a_day)} a day."


def prices(found: Coverage, now: datetime) -> Drawn:  # noqa: ARG001 - one of several with this shape
    columns = [Column("Model"), Column("Calls", Unit.COUNT), Column("Calls without a known cost", Unit.COUNT)]
    rows = tuple((model.name, model.calls, model.unpriced) for model in found.models)
    heads = [Head("Model", "name"), Head("Calls"), Head("Without a cost")]
    cells = [
        [
            Cell(model.name),
            Cell(units.count(model.calls)),
            Cell(units.count(model.unpriced), tone="warn" if model.unpriced else ""),
        ]
        for model in found.models[:MOST_ROWS]
    ]
    grid = Grid(heads, cells or [[Cell("no call in the last day", tone="muted"), Cell("0"), Cell("0")]])
    return Drawn(_of_prices(found), Table(tuple(columns), rows), grid=grid)


def _of_prices(found: Coverage) -> str:
    if found.calls == 0:
        return "No call was counted in the last day."
    if found.unpriced == 0:
        return f"The cost of all {calls(found.calls)} of the last day is known."
    has, its = ("has", "its") if found.unpriced == 1 else ("have", "their")
    of_all = f"{calls(found.unpriced)} of {units.count(found.calls)} in the last day {has} no known cost"
    return f"{of_all}: {its} model has no price, or the answer broke off."


def versions(found: Migrations, now: datetime) -> Drawn:  # noqa: ARG001 - one of several with this shape
    rows: tuple[tuple[str, str], ...] = (
        ("PostgreSQL", found.server),
        ("Migrations applied", units.count(found.applied)),
        ("Not applied", ", ".join(found.missing) or "none"),
    )
    cells = [[Cell(name), Cell(text)] for name, text in rows]
    grid = Grid([Head("What", "name"), Head("Version", "text")], cells)
    missing = len(found.missing)
    text = "All tables are as this version needs them." if missing == 0 else f"{missing} migrations are not applied."
    return Drawn(text, Table((Column("What"), Column("Version")), rows), grid=grid)


def moment(at: datetime) -> str:
    return f"{at.astimezone(UTC):%-d %b, %H:%M}"


def _ms(value: timedelta) -> int:
    return value // timedelta(milliseconds=1)
