"""Lengths of time as people write them: `"90s"`, `"15m"`, `"6h"`, `"1d"`, or seconds as a number."""

import re
from typing import Final

SECONDS: Final = {"s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}
_WRITTEN: Final = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([smhd])\s*")


def seconds_of(duration: str | float, field: str) -> float:
    """Seconds in a duration; above 0, finite. `field` names the setting in the ValueError for anything else."""
    if isinstance(duration, str):
        written = _WRITTEN.fullmatch(duration)
        if written is None:
            raise ValueError(f'{field}: {duration!r} is no length of time; write "90s", "15m", "6h" or "1d"')
        seconds = float(written[1]) * SECONDS[written[2]]
    else:
        seconds = float(duration)
    if not 0 < seconds < float("inf"):
        raise ValueError(f"{field}: {duration!r} must be above 0")
    return seconds
