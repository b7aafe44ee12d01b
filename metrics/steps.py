# ruff: noqa: S608 — parts are put together from declarations in this package, values are parameters
"""Steps: an answer worked out in steps, each of them some reads, so that many answers share few statements.

A question is a generator: it yields the reads it needs next, is sent their rows, and returns its answer. Reads of
several questions that are due at the same time go to the database as one statement, equal ones once.
"""

from collections.abc import Generator, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Generic, NamedTuple, TypeVar

from django.db import DatabaseError, connection, transaction

T = TypeVar("T")
Name = TypeVar("Name", bound=Hashable)


class Sql(NamedTuple):
    """A part of a statement, with its values in the order of its placeholders."""

    text: str
    values: tuple[Any, ...] = ()


# What a read gives: a key and the rest, both as text, in no order. Reads are SELECTs of two such columns.
Rows = Sequence[tuple[str | None, str | None]]
Steps = Generator[Sequence[Sql], Sequence[Rows], T]


class Answer(Generic[T]):
    """What became of one of several questions."""

    def __init__(self, value: T | None, error: Exception | None = None) -> None:
        self._value = value
        self._error = error

    def get(self) -> T:
        """Return the answer, or raise what kept it from being found."""
        if self._error is not None:
            raise self._error
        return self._value  # type: ignore[return-value]  # None only where T is, or there is an error

    def found(self) -> T | None:
        """Return the answer; None when it could not be found."""
        return self._value


def alone(steps: Steps[T]) -> T:
    """Answer one question."""
    try:
        reads = next(steps)
        while True:
            reads = steps.send([*_read(reads)])
    except StopIteration as done:
        answer: T = done.value
        return answer


def nothing() -> Steps[None]:
    """Ask nothing."""
    yield from ()


def beside(*several: Steps[Any]) -> Steps[tuple[Any, ...]]:
    """Take several questions' steps side by side; the answer is all of theirs."""
    answers: list[Any] = [None] * len(several)
    due: dict[int, Sequence[Sql]] = {}

    def go_on(place: int, rows: Sequence[Rows] | None) -> None:
        try:
            due[place] = next(several[place]) if rows is None else several[place].send(rows)
        except StopIteration as done:
            due.pop(place, None)
            answers[place] = done.value

    for place in range(len(several)):
        go_on(place, None)
    while due:
        found = iter((yield [read for reads in due.values() for read in reads]))
        for place, reads in list(due.items()):
            go_on(place, [next(found) for _ in reads])
    return tuple(answers)


def together(asked: Mapping[Name, Steps[Any]]) -> dict[Name, Answer[Any]]:
    """Answer several questions with a few statements. What one of them fails of leaves the others alone."""
    answers: dict[Name, Answer[Any]] = {}
    due: dict[Name, Sequence[Sql]] = {}

    def go_on(name: Name, rows: Sequence[Rows] | Exception | None) -> None:
        steps = asked[name]
        due.pop(name, None)
        try:
            if isinstance(rows, Exception):
                steps.throw(rows)
                raise AssertionError("a question cannot do without what it asked for")
            due[name] = next(steps) if rows is None else steps.send(rows)
        except StopIteration as done:
            answers[name] = Answer(done.value)
        except Exception as error:  # noqa: BLE001 - whatever it was, it belongs to this question and to no other
            answers[name] = Answer(None, error)

    for name in asked:
        go_on(name, None)
    while due:
        found = _read_apart([read for reads in due.values() for read in reads])
        for name, reads in list(due.items()):
            rows = [found[_identity(read)] for read in reads]
            errors = [each for each in rows if isinstance(each, Exception)]
            go_on(name, errors[0] if errors else [each for each in rows if not isinstance(each, Exception)])
    return answers


def _read_apart(reads: Sequence[Sql]) -> dict[Hashable, Rows | Exception]:
    """Read all in one statement. If that fails, or takes too long, each by itself, so that only the culprit fails."""
    distinct = {_identity(read): read for read in reads}
    if not distinct:
        return {}
    found: dict[Hashable, Rows | Exception] = {}
    try:
        with _harmless():
            return dict(zip(distinct, _read(list(distinct.values())), strict=True))
    except DatabaseError:
        for identity, read in distinct.items():
            try:
                with _harmless():
                    (found[identity],) = _read([read])
            except DatabaseError as error:
                found[identity] = error
    return found


@contextmanager
def _harmless() -> Iterator[None]:
    """Within a transaction a statement that fails must not end it."""
    if connection.in_atomic_block:
        with transaction.atomic():
            yield
    else:
        yield


def _read(reads: Iterable[Sql]) -> list[Rows]:
    listed = list(reads)
    found: list[list[tuple[str | None, str | None]]] = [[] for _ in listed]
    if not listed:
        return []
    statement = " UNION ALL ".join(
        f"SELECT {place}, read.* FROM ({read.text}) AS read" for place, read in enumerate(listed)
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, [value for read in listed for value in read.values])
        for place, key, rest in cursor.fetchall():
            found[place].append((key, rest))
    return list(found)


def _identity(read: Sql) -> Hashable:
    return read.text, repr(read.values)
