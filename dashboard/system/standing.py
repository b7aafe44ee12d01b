"""How the product itself stands: questions about its parts, each with its own time limit and its own failure.

What could not be asked is not reachable, which is not the same as bad.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Generic, Literal, TypeVar

from django.db import DatabaseError

from alerting import outbox
from alerting.outbox import Outbox
from dashboard import work
from dashboard.failures import noted
from dashboard.look import Look
from dashboard.losses import calls
from dashboard.system import migrations_read
from dashboard.system.limited import limited
from dashboard.system.migrations_read import Migrations
from dashboard.verdicts import STALE
from dashboard.work import Work
from ingest import arrivals, room, senders
from ingest.arrivals import Arrivals, Lag
from ingest.room import Room
from ingest.senders import Senders
from ingest.vocabulary import Grain
from metrics import coverage, units, watermark
from metrics.coverage import Coverage

T = TypeVar("T")
Level = Literal["bad", "warn", "unknown"]
LEVELS: Final[tuple[Level, ...]] = ("bad", "warn", "unknown")
LIMIT_MS: Final = 2_000

SLOW: Final = timedelta(seconds=20)
"""Clients send every few seconds; when half of the calls take longer to arrive, that is worth a word."""
CLOCK: Final = timedelta(seconds=1)
"""Clocks of two machines that differ by less agree."""
OLD: Final = timedelta(hours=1)
"""Hours and days are recomputed every minute; a mark of this age was passed over."""
FULL_SOON, FULL_NOW = 14, 3
"""Days until the disk is full."""
LEAST_AHEAD: Final = 2


@dataclass(frozen=True, slots=True)
class Finding:
    """Something about the product that people should know, worst level first in LEVELS."""

    level: Level
    sentence: str


@dataclass(frozen=True, slots=True)
class Unreachable:
    """A question that got no answer: the reference is in the log."""

    what: str
    reference: str

    @property
    def sentence(self) -> str:
        return f"The {self.what} could not be read, which does not mean that something is wrong with it."


@dataclass(frozen=True)
class Question(Generic[T]):
    """What is asked of the product, and what is worth saying about the answer."""

    what: str
    read: Callable[[int, datetime], T]
    judge: Callable[[T, datetime], Iterable[Finding]]


class Standing:
    """The answers for one page: each question is asked once, also when it fails."""

    def __init__(self, look: Look) -> None:
        self._look = look
        self._answers: dict[str, Any] = {}

    def ask(self, question: Question[T]) -> T | Unreachable:
        if question.what not in self._answers:
            self._answers[question.what] = self._asked(question)
        answer: T | Unreachable = self._answers[question.what]
        return answer

    def findings(self) -> list[Finding]:
        """Return what all questions came to, worst first."""
        found = [one for question in QUESTIONS for one in self._judged(question)]
        return sorted(found, key=lambda one: LEVELS.index(one.level))

    def _asked(self, question: Question[T]) -> T | Unreachable:
        try:
            with limited(LIMIT_MS):
                return question.read(self._look.query.slice.project_id, self._look.now)
        except DatabaseError as error:
            return Unreachable(question.what, noted(question.what, error))

    def _judged(self, question: Question[Any]) -> Iterable[Finding]:
        answer = self.ask(question)
        if isinstance(answer, Unreachable):
            return [Finding("unknown", answer.sentence)]
        return question.judge(answer, self._look.now)


def standing(look: Look) -> Standing:
    return look.once(Standing)


def _judge_watermarks(found: Mapping[Grain, datetime], now: datetime) -> Iterator[Finding]:
    behind = now - found[Grain.MINUTE]
    if behind > STALE:
        yield Finding("bad", f"The numbers are {span(behind)} behind: complete to {found[Grain.MINUTE]:%H:%M:%S} UTC.")
        return
    for grain in (Grain.HOUR, Grain.DAY):
        if now - found[grain] > OLD:
            name = f"{grain.name.lower()}s"
            yield Finding("warn", f"Totals by {name} are {span(now - found[grain])} behind those by minutes.")
            return


def _judge_work(found: Sequence[Work], now: datetime) -> Iterator[Finding]:
    for one in found:
        if one.failures:
            times = "time" if one.failures == 1 else "times in a row"
            yield Finding("bad", f"The job {one.name} failed {one.failures:,} {times}: {one.last_error}.")
        elif one.due_at is not None and one.is_late(now):
            yield Finding("bad", f"The job {one.name} should have run {span(now - one.due_at)} ago; is a worker there?")
    if found and all(one.due_at is None for one in found):
        yield Finding("bad", "No worker has ever run.")


def _judge_outbox(found: Outbox, now: datetime) -> Iterator[Finding]:
    if found.oldest is not None and found.is_stuck(now):
        mails = "One mail has" if found.waiting == 1 else f"{units.count(found.waiting)} mails have"
        yield Finding("bad", f"{mails} not been sent, the oldest for {span(now - found.oldest)}.")
    if found.given_up:
        mails = "1 mail was" if found.given_up == 1 else f"{units.count(found.given_up)} mails were"
        yield Finding("warn", f"{mails} given up in the last {outbox.GIVEN_UP_IN.days} days.")


def _judge_senders(found: Senders, now: datetime) -> Iterator[Finding]:  # noqa: ARG001 - one of several with this shape
    if lost := sum(found.given_up.values()):
        yield Finding("warn", f"Clients gave up {calls(lost)}, which no number contains.")


def _judge_arrivals(found: Arrivals, now: datetime) -> Iterator[Finding]:  # noqa: ARG001 - one of several with this shape
    if put_aside := sum(found.put_aside.values()):
        verb = "is" if put_aside == 1 else "are"
        yield Finding("warn", f"{calls(put_aside)} of the last day {verb} put aside, because of their time.")
    for app in found.apps:
        if (ahead := clock_ahead(app)) is not None:
            name = app.name or "an application without a name"
            yield Finding("warn", f"The clock of {name} is at least {units.duration(ahead)} ahead.")
    p50 = found.everything.p50
    if found.everything.calls == 0:
        yield Finding("unknown", "No call has begun in the last hour, so there is nothing to judge their arrival by.")
    elif p50 is not None and p50 > SLOW // timedelta(milliseconds=1):
        yield Finding("warn", f"Half of the calls take longer than {units.duration(p50)} to arrive.")


def _judge_room(found: Room, now: datetime) -> Iterator[Finding]:
    if room.days_ahead(found, now) < LEAST_AHEAD:
        yield Finding("bad", "There is no room for the calls of the day after tomorrow; does the job partitions run?")
    outlook = room.outlook(found, now)
    if outlook is not None and outlook.days is not None and outlook.days < FULL_SOON:
        level: Level = "bad" if outlook.days < FULL_NOW else "warn"
        days = "1 day" if outlook.days == 1 else f"{outlook.days} days"
        yield Finding(level, f"The disk is full in {days}, when each takes {units.size(outlook.a_day)} as before.")


def _judge_coverage(found: Coverage, now: datetime) -> Iterator[Finding]:  # noqa: ARG001 - one of several with this shape
    if found.unpriced:
        verb = "has" if found.unpriced == 1 else "have"
        yield Finding("warn", f"{calls(found.unpriced)} of the last day {verb} no known cost.")


def _judge_migrations(found: Migrations, now: datetime) -> Iterator[Finding]:  # noqa: ARG001 - one of several with this shape
    if found.missing:
        yield Finding("bad", f"{len(found.missing)} migrations are not applied: run manage.py migrate.")


def clock_ahead(app: Lag) -> int | None:
    """Return the milliseconds a clock is ahead at least: nobody receives a call before it ended. None: it agrees."""
    return -app.p10 if app.p10 is not None and app.p10 < -CLOCK // timedelta(milliseconds=1) else None


def span(value: timedelta) -> str:
    return units.duration(value // timedelta(milliseconds=1))


WATERMARKS: Final = Question(
    "watermark", lambda project_id, now: watermark.by_grain(project_id, now=now), _judge_watermarks
)
WORK: Final = Question("periodic work", lambda _, now: work.work(now), _judge_work)
OUTBOX: Final = Question("outbox", lambda project_id, now: outbox.outbox(now, project_id), _judge_outbox)
SENDERS: Final = Question("list of clients", senders.senders, _judge_senders)
ARRIVALS: Final = Question("arrival of calls", arrivals.arrivals, _judge_arrivals)
ROOM: Final = Question("size of the database", lambda *_: room.room(), _judge_room)
COVERAGE: Final = Question("share of calls with a price", coverage.coverage, _judge_coverage)
MIGRATIONS: Final = Question("list of migrations", lambda *_: migrations_read.migrations(), _judge_migrations)

QUESTIONS: Final[tuple[Question[Any], ...]] = (
    WATERMARKS,
    WORK,
    ROOM,
    OUTBOX,
    MIGRATIONS,
    SENDERS,
    ARRIVALS,
    COVERAGE,
)
