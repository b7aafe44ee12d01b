"""Tables as files: CSV that a spreadsheet opens without running anything, and JSON for programs."""

import csv
import io
import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

import orjson
from django.http import HttpResponse

from dashboard.tables import Table
from metrics.windows import Window

# What a spreadsheet takes for the beginning of a formula, also in the wide letters of East Asian keyboards.
_SIGN = "=+\\-@\uff1d\uff0b\uff0d\uff20"
# Before it may stand what the spreadsheet drops or takes for quoting.
_FORMULA = re.compile(rf"[\s\"'\x00-\x1f\ufeff]*[{_SIGN}]|[\t\r\n]")
# Where the list separator is a semicolon, a cell of ours can become two.
_NEXT_CELL = re.compile(rf"([;,\t\r\n][\s\"']*)(?=[{_SIGN}])")


def cell(value: object) -> str:
    """Return the text of a cell; a name that would be a formula gets an apostrophe in front, a number stays one."""
    if value is None:
        return ""
    if isinstance(value, Decimal):
        return f"{value:f}"
    text = str(value)
    if not isinstance(value, str):
        return text
    text = _NEXT_CELL.sub(r"\1'", text)
    return f"'{text}" if _FORMULA.match(text) else text


def csv_response(name: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> HttpResponse:
    """Return the table as a download."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow([cell(column) for column in columns])
    writer.writerows([cell(value) for value in row] for row in rows)
    response = HttpResponse(buffer.getvalue(), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}.csv"'
    return response


class Heading(NamedTuple):
    """What a file of numbers says about itself."""

    title: str
    takeaway: str
    window: Window
    complete_to: datetime


def json_response(name: str, heading: Heading, table: Table) -> HttpResponse:
    """Return the table as a download: money in nano-dollars, quotients as text with all their digits, unknown null."""
    document = {
        "title": heading.title,
        "takeaway": heading.takeaway,
        "from": heading.window.start,
        "to": heading.window.end,
        "complete_to": heading.complete_to,
        "columns": [{"label": column.label, "unit": column.unit} for column in table.columns],
        "rows": [[_for_json(value) for value in row] for row in table.rows],
    }
    text = orjson.dumps(document, option=orjson.OPT_UTC_Z)
    response = HttpResponse(text, content_type="application/json")
    response["Content-Disposition"] = f'attachment; filename="{name}.json"'
    return response


def _for_json(value: object) -> object:
    return str(value) if isinstance(value, Decimal) else value
