"""The log cannot be made to say what did not happen."""

import logging
import logging.config
import sys
from typing import Any

import pytest
from django.conf import settings


@pytest.fixture
def formatter() -> logging.Formatter:
    """As the settings ask for it."""
    given: dict[str, Any] = settings.LOGGING
    made = logging.config.DictConfigurator(given).configure_formatter(dict(given["formatters"]["line"]))
    assert isinstance(made, logging.Formatter)
    return made


def test_what_others_sent_begins_no_line_and_moves_no_cursor(formatter: logging.Formatter) -> None:
    said = "550 no\r\n2026 ERROR forged\x1b[2J\u202e\u2028"
    record = logging.LogRecord("mail", logging.ERROR, "", 0, "The mail server answered %s", (said,), None)
    (line,) = formatter.format(record).splitlines()
    assert line.endswith(r" ERROR mail: The mail server answered 550 no\r\n2026 ERROR forged\x1b[2J\u202e\u2028")


def test_a_traceback_keeps_its_lines(formatter: logging.Formatter) -> None:
    try:
        raise ValueError("no")
    except ValueError:
        record = logging.LogRecord("x", logging.ERROR, "", 0, "failed", None, sys.exc_info())
    first, second, *_, last = formatter.format(record).splitlines()
    assert first.endswith(" ERROR x: failed")
    assert (second, last) == ("Traceback (most recent call last):", "ValueError: no")
