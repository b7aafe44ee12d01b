"""Whether to try again, and after how long: the policy of the SDK, decided where the whole call can be seen.

Pure: numbers and headers in, seconds out. Kept equal to the SDK's by tests/llmclient/test_retry.py.
"""

import email.utils
from collections.abc import Callable, Mapping
from typing import Final

FIRST_DELAY: Final = 0.5  # seconds
LONGEST_DELAY: Final = 8.0
JITTER: Final = 0.25
LONGEST_SLEEP: Final = 4_294_967.0  # above it `time.sleep` raises on some platforms
RETRYABLE_CLASSES: Final = frozenset({"RetryableError", "APIConnectionError"})


def is_retryable(status: int, headers: Mapping[str, str]) -> bool:
    """Whether an answer with this status is worth another try; the server's own word wins."""
    said = headers.get("x-should-retry")
    if said in ("true", "false"):
        return said == "true"
    return status in (408, 409, 429) or status >= 500


def retryable_cause(error: Exception) -> tuple[bool, object | None]:
    """Whether an exception is worth another try, and the HTTP response behind it when there is one."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        names = {cls.__name__ for cls in type(current).__mro__}
        if "APIStatusError" in names:
            response = current.response  # type: ignore[attr-defined]  # told apart by name, the SDK is not imported
            return is_retryable(response.status_code, response.headers), response
        if names & RETRYABLE_CLASSES:
            return True, None
        current = current.__cause__
    return False, None


def wait_before(retry: int, headers: Mapping[str, str], *, chance: Callable[[], float], now: float) -> float:
    """Seconds to wait before retry number `retry` (0 is the first); `now` is Unix time, `chance` gives [0, 1)."""
    asked = retry_after(headers, now=now)
    if asked is not None and asked > 0:
        return min(asked, LONGEST_SLEEP)
    return float(min(FIRST_DELAY * 2.0 ** min(retry, 1000), LONGEST_DELAY) * (1 - JITTER * chance()))


def retry_after(headers: Mapping[str, str], *, now: float) -> float | None:
    """Seconds the server asks to wait, from `retry-after-ms`, or `retry-after` as seconds or as a date."""
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            return float(headers[name]) / unit
        except (KeyError, ValueError):
            continue
    date = email.utils.parsedate_tz(headers.get("retry-after", ""))
    return None if date is None else float(email.utils.mktime_tz(date)) - now
