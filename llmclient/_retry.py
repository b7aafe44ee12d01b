"""What an answer says about asking again. Pure: headers in, seconds out."""

import email.utils
from collections.abc import Mapping


def retry_after(headers: Mapping[str, str], *, now: float) -> float | None:
    """Seconds the server asks to wait, from `retry-after-ms`, or `retry-after` as seconds or as a date.

    `now`: Unix time. None when it says nothing that can be read.
    """
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            return float(headers[name]) / unit
        except (KeyError, ValueError):
            continue
    date = email.utils.parsedate_tz(headers.get("retry-after", ""))
    return None if date is None else float(email.utils.mktime_tz(date)) - now


def headers_behind(error: BaseException) -> Mapping[str, str]:
    """The headers of the answer an exception came from, or one it was caused by; none when there was no answer."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        headers: Mapping[str, str] | None = getattr(getattr(current, "response", None), "headers", None)
        if headers is not None:
            return headers
        current = current.__cause__
    return {}
