"""Reading traces: what is a row, and what is said about one that is none."""

import gzip
from datetime import UTC, datetime
from pathlib import Path

import pytest

from llmclient.testing.trace import Arrival, Columns, TraceError, read

AZURE = (
    "TIMESTAMP,ContextTokens,GeneratedTokens\r\n"
    "2023-11-16 18:15:46.6805900,374,44\r\n"
    "2023-11-16 18:15:50.9951690,396,109"
)


def write(folder: Path, text: str, name: str = "trace.csv") -> Path:
    path = folder / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return path


@pytest.mark.parametrize("name", ["trace.csv", "trace.csv.gz"])
def test_carriage_returns_100_ns_digits_and_a_last_line_without_end_are_read(tmp_path: Path, name: str) -> None:
    assert read(write(tmp_path, AZURE, name)) == [
        Arrival(0, datetime(2023, 11, 16, 18, 15, 46, 680590, tzinfo=UTC), 374, 44),
        Arrival(1, datetime(2023, 11, 16, 18, 15, 50, 995169, tzinfo=UTC), 396, 109),
    ]


def test_other_columns_are_mapped_by_name(tmp_path: Path) -> None:
    text = "model,out,when,in\nx,7,2026-03-01T10:00:00+02:00,5\ny,8,1700158546.5,6\n\n"
    assert read(write(tmp_path, text), Columns.parse("time=when,input=in,output=out")) == [
        Arrival(0, datetime(2026, 3, 1, 8, tzinfo=UTC), 5, 7),
        Arrival(1, datetime(2023, 11, 16, 18, 15, 46, 500000, tzinfo=UTC), 6, 8),
    ]


def test_no_more_than_the_limit_is_read(tmp_path: Path) -> None:
    assert len(read(write(tmp_path, AZURE + "\r\nbroken"), limit=2)) == 2


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("yesterday,1,2", "line 2, column TIMESTAMP: 'yesterday' is not a time"),
        ("2023-11-16 18:15:46,many,2", "line 2, column ContextTokens: 'many' is not a whole number"),
        ("2023-11-16 18:15:46,1,2.5", "line 2, column GeneratedTokens: '2.5' is not a whole number"),
        ("2023-11-16 18:15:46,-1,2", "line 2, column ContextTokens: '-1' is not between 0 and 2147483647"),
        ("2023-11-16 18:15:46,1,2147483648", "line 2, column GeneratedTokens: '2147483648' is not between"),
        ("2023-11-16 18:15:46,1", "line 2: 2 columns where the header has 3"),
    ],
)
def test_a_bad_row_is_named_by_line_and_column(tmp_path: Path, row: str, message: str) -> None:
    with pytest.raises(TraceError) as raised:
        read(write(tmp_path, f"TIMESTAMP,ContextTokens,GeneratedTokens\n{row}\n"))
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: there is no column 'TIMESTAMP' among no columns at all"),
        ("a,b\n1,2\n", "line 1: there is no column 'TIMESTAMP' among a, b"),
        ("TIMESTAMP,ContextTokens,GeneratedTokens\r\n", "trace.csv has no rows"),
    ],
)
def test_a_file_that_is_no_trace_is_told(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(TraceError, match=message):
        read(write(tmp_path, text))


def test_a_file_that_is_not_gzip_although_it_says_so_is_told(tmp_path: Path) -> None:
    path = tmp_path / "trace.csv.gz"
    path.write_text(AZURE)
    with pytest.raises(TraceError, match=r"trace\.csv\.gz cannot be read as CSV"):
        read(path)


@pytest.mark.parametrize("text", ["when", "time", "time=", "arrival=t"])
def test_a_mapping_that_names_no_column_is_told(text: str) -> None:
    with pytest.raises(TraceError, match="is not one of time=…, input=…, output=…"):
        Columns.parse(text)
