"""Tables as CSV files that a spreadsheet opens without running anything."""

import csv
import io
import re
from collections.abc import Iterable, Sequence

from django.http import HttpResponse

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
