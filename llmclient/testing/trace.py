"""Traces: files that say when calls came and how many tokens each read and wrote."""

import csv
import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import IO, Final

MAX_TOKENS: Final = 2_147_483_647  # what a stored call can hold


class TraceError(ValueError):
    """A trace that cannot be read; the message names the file's line and column."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """One call of a trace. `row` counts from 0; `at` is aware UTC, cut to microseconds."""

    row: int
    at: datetime
    input_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True)
class Columns:
    """What the columns are called. The defaults are those of the Azure LLM inference traces."""

    time: str = "TIMESTAMP"
    input: str = "ContextTokens"
    output: str = "GeneratedTokens"

    @classmethod
    def parse(cls, text: str) -> "Columns":
        """Read `time=ts,input=prompt_tokens,output=completion_tokens`. Raises TraceError."""
        given: dict[str, str] = {}
        for part in filter(None, (part.strip() for part in text.split(","))):
            name, equals, column = part.partition("=")
            if name not in ("time", "input", "output") or not equals or not column:
                raise TraceError(f"columns: {part!r} is not one of time=…, input=…, output=…")
            given[name] = column
        return cls(**given)


def read(path: Path, columns: Columns | None = None, *, limit: int | None = None) -> list[Arrival]:
    """The rows of a `.csv` or `.csv.gz` file, at most `limit` of them. Raises TraceError, OSError."""
    with _opened(path) as file:
        try:
            rows = list(islice(_rows(file, columns or Columns()), limit))
        except (EOFError, gzip.BadGzipFile, UnicodeDecodeError, csv.Error) as broken:
            raise TraceError(f"{path.name} cannot be read as CSV: {broken}") from broken
    if not rows:
        raise TraceError(f"{path.name} has no rows")
    return rows


def _opened(path: Path) -> IO[str]:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


def _rows(file: IO[str], columns: Columns) -> Iterator[Arrival]:
    reader = csv.reader(file)
    header = [name.strip() for name in next(reader, [])]
    for name in (columns.time, columns.input, columns.output):
        if name not in header:
            raise TraceError(f"line 1: there is no column {name!r} among {', '.join(header) or 'no columns at all'}")
    time, into, out = (header.index(name) for name in (columns.time, columns.input, columns.output))
    number = 0
    for cells in reader:
        if not cells:
            continue  # an empty line
        line = reader.line_num
        if len(cells) != len(header):
            raise TraceError(f"line {line}: {len(cells)} columns where the header has {len(header)}")
        yield Arrival(
            number,
            _time(cells[time], line, columns.time),
            _tokens(cells[into], line, columns.input),
            _tokens(cells[out], line, columns.output),
        )
        number += 1


def _time(text: str, line: int, column: str) -> datetime:
    """A date with a time, taken as UTC where no zone is written, or seconds since 1970."""
    text = text.strip()
    try:
        if text.replace(".", "", 1).isdigit():
            return datetime.fromtimestamp(float(text), UTC)
        at = datetime.fromisoformat(text)
    except (ValueError, OverflowError) as wrong:
        raise TraceError(f"line {line}, column {column}: {text!r} is not a time") from wrong
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def _tokens(text: str, line: int, column: str) -> int:
    try:
        count = int(text)
    except ValueError as wrong:
        raise TraceError(f"line {line}, column {column}: {text!r} is not a whole number") from wrong
    if not 0 <= count <= MAX_TOKENS:
        raise TraceError(f"line {line}, column {column}: {text!r} is not between 0 and {MAX_TOKENS}")
    return count
