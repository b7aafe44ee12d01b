"""How a number is written for people: one style for pages and mails, chosen by the unit of its metric.

Every function is exact: it takes integers, fractions or decimals, never floats, and rounds once, half-even, at the end.
A number and its unit are kept together by a narrow no-break space; a minus is the real one. Unknown is a dash.
"""

from collections.abc import Callable
from decimal import ROUND_HALF_EVEN, Decimal
from enum import StrEnum
from fractions import Fraction
from typing import Final


class Unit(StrEnum):
    """What a metric's value counts. A value is always kept in this unit; only writing it changes its looks."""

    COUNT = "count"
    RATIO = "ratio"  # 0..1
    MILLISECONDS = "milliseconds"
    NANOUSD = "nanousd"
    TOKENS = "tokens"
    NUMBER = "number"  # on a scale nobody told us, as scores


Number = int | Fraction | Decimal

UNKNOWN: Final = "–"
SPACE: Final = "\N{NARROW NO-BREAK SPACE}"
MINUS: Final = "\N{MINUS SIGN}"
NANO_PER_DOLLAR: Final = 1_000_000_000
# A change in percent says nothing about fewer events than this; the two numbers do.
ENOUGH_EVENTS: Final = 30


def money(nanousd: Number | None) -> str:
    """Dollars: cents below $1,000, whole dollars above, two significant digits below a cent."""
    return _signed(nanousd, _money)


def duration(ms: Number | None) -> str:
    """A time span: 840 ms, 11.8 s, 2 min 5 s, 3 h 12 min, 2 d 4 h."""
    return _signed(ms, _duration)


def count(number: Number | None) -> str:
    """A whole number with thousands separated: 41,207."""
    return _signed(number, lambda size: f"{_rounded(size, 0):,}")


def tokens(number: Number | None) -> str:
    """Tokens with three significant digits from 10,000 on: 9,412, 12.6 k, 1.26 M."""
    return _signed(number, _tokens)


def scalar(number: Number | None) -> str:
    """A number on any scale with four significant digits: 0.7123, 3.25, 12,346."""
    return _signed(number, _scalar)


def size(number: int | None) -> str:
    """Bytes in powers of a thousand, three significant digits: 812 B, 12.6 kB, 1.26 GB."""
    if number is None:
        return UNKNOWN
    if number < 1000:
        return f"{number}{SPACE}B"
    for power, prefix in enumerate("kMGTP", start=1):
        scaled = Fraction(number, 1000**power)
        digits = 2 if _rounded(scaled, 2) < 10 else 1 if _rounded(scaled, 1) < 100 else 0
        if _rounded(scaled, digits) < 1000 or prefix == "P":
            break
    return f"{_rounded(scaled, digits):,}{SPACE}{prefix}B"


def all_digits(value: int | None, unit: Unit) -> str:
    """A sum with every digit it has: 22,361,870, or dollars to the nano-dollar, $85.61039 and $20.00."""
    if value is None:
        return UNKNOWN
    if unit is not Unit.NANOUSD:
        return f"{value:,}"
    dollars, nanos = divmod(abs(value), NANO_PER_DOLLAR)
    digits = f"{nanos:09d}".rstrip("0").ljust(2, "0")
    return f"{MINUS if value < 0 else ''}${dollars:,}.{digits}"


def ratio(share: Number | None) -> str:
    """A share of one in percent: 12.4 %, with two decimals near 0 and 100, and never rounded to 0 or 100."""
    return _signed(share, _ratio)


def number(value: Number | None, unit: Unit) -> str:
    """A value as its unit is written."""
    return WRITERS[unit](value)


def limit(value: Number, unit: Unit) -> str:
    """A limit somebody set, without digits they did not write: 2 %, $50."""
    if unit is Unit.RATIO:
        return f"{_plain(_exact(value) * 100)}{SPACE}%"
    if unit is Unit.NANOUSD and _exact(value) % NANO_PER_DOLLAR == 0:
        return f"${_exact(value) // NANO_PER_DOLLAR:,}"
    if unit is Unit.MILLISECONDS and _exact(value) >= 1000 and _exact(value) < 60_000:
        return f"{_plain(_exact(value) / 1000)}{SPACE}s"
    return WRITERS[unit](value)


def delta(value: Number | None, base: Number | None, unit: Unit, *, events: int) -> str:
    """The change from `base` to `value`: percent, or points for a share.

    With fewer than 30 `events` behind the base, or none at all to compare with, both numbers are shown instead.
    """
    if value is None or base is None:
        return UNKNOWN
    change = _exact(value) - _exact(base)
    if unit is Unit.RATIO:
        return f"{_sign(change)}{_rounded(abs(change) * 100, 2)}{SPACE}pt"
    if events < ENOUGH_EVENTS or base == 0:
        return f"{WRITERS[unit](base)} → {WRITERS[unit](value)}"
    percent = change / abs(_exact(base)) * 100
    return f"{_sign(percent)}{_rounded(abs(percent), 0 if abs(percent) >= 10 else 1):,}{SPACE}%"


def in_metric_unit(written: Decimal, unit: Unit) -> Fraction:
    """What a person typed (percent, dollars, milliseconds), exactly, in the metric's own unit."""
    return Fraction(written) * _PER_WRITTEN[unit]


def written_unit(unit: Unit) -> str:
    """The name of the unit people type thresholds in: %, $, ms, tokens; empty for plain counts."""
    return _WRITTEN[unit]


WRITERS: Final[dict[Unit, Callable[[Number | None], str]]] = {
    Unit.COUNT: count,
    Unit.RATIO: ratio,
    Unit.MILLISECONDS: duration,
    Unit.NANOUSD: money,
    Unit.TOKENS: tokens,
    Unit.NUMBER: scalar,
}

_WRITTEN: Final = {
    Unit.COUNT: "",
    Unit.RATIO: "%",
    Unit.MILLISECONDS: "ms",
    Unit.NANOUSD: "$",
    Unit.TOKENS: "tokens",
    Unit.NUMBER: "",
}
_PER_WRITTEN: Final = {
    Unit.COUNT: Fraction(1),
    Unit.RATIO: Fraction(1, 100),
    Unit.MILLISECONDS: Fraction(1),
    Unit.NANOUSD: Fraction(NANO_PER_DOLLAR),
    Unit.TOKENS: Fraction(1),
    Unit.NUMBER: Fraction(1),
}


def _money(size: Fraction) -> str:
    dollars = size / NANO_PER_DOLLAR
    cents = _rounded(dollars, 2)
    if cents >= 1000:
        return f"${_rounded(dollars, 0):,}"
    if dollars == 0 or dollars >= Fraction(1, 100):
        return f"${cents}"
    return f"${_significant(dollars, 2)}"


def _duration(size: Fraction) -> str:
    if (whole := int(_rounded(size, 0))) < 1000:
        return f"{whole}{SPACE}ms"
    if (tenths := _rounded(size / 1000, 1)) < 60:
        return f"{tenths}{SPACE}s"
    seconds = int(_rounded(size / 1000, 0))
    if seconds < 3600:
        return _two(seconds // 60, "min", seconds % 60, "s")
    minutes = int(_rounded(size / 60_000, 0))
    if minutes < 24 * 60:
        return _two(minutes // 60, "h", minutes % 60, "min")
    hours = int(_rounded(size / 3_600_000, 0))
    return _two(hours // 24, "d", hours % 24, "h")


def _two(big: int, big_unit: str, small: int, small_unit: str) -> str:
    """A span in two units; the smaller one is left out when it is nought."""
    text = f"{big}{SPACE}{big_unit}"
    return text if small == 0 else f"{text} {small}{SPACE}{small_unit}"


def _tokens(size: Fraction) -> str:
    if _rounded(size, 0) < 10_000:
        return f"{_rounded(size, 0):,}"
    for divisor, letter in ((1_000, "k"), (1_000_000, "M"), (1_000_000_000, "B")):
        scaled = size / divisor
        digits = 2 if _rounded(scaled, 2) < 10 else 1 if _rounded(scaled, 1) < 100 else 0
        if _rounded(scaled, digits) < 1000 or letter == "B":
            break
    return f"{_rounded(scaled, digits):,}{SPACE}{letter}"


def _scalar(size: Fraction) -> str:
    if size >= 1000:
        return f"{_rounded(size, 0):,}"
    if size >= 1:
        return f"{_rounded(size, 4 - len(str(int(size)))).normalize():,f}"
    return _significant(size, 4) if size else "0"


def _ratio(size: Fraction) -> str:
    percent = size * 100
    if percent in (0, 100):
        return f"{int(percent)}{SPACE}%"
    if percent < Fraction(1, 100):
        return f"<{SPACE}0.01{SPACE}%"
    if Fraction(9999, 100) < percent < 100:
        return f">{SPACE}99.99{SPACE}%"
    near_an_end = percent < 10 or 90 <= percent < 100
    return f"{_rounded(percent, 2 if near_an_end else 1):,}{SPACE}%"


def _signed(value: Number | None, write: Callable[[Fraction], str]) -> str:
    if value is None:
        return UNKNOWN
    exact = _exact(value)
    return write(exact) if exact >= 0 else MINUS + write(-exact)


def _exact(value: Number) -> Fraction:
    return Fraction(value)


def _rounded(value: Fraction, digits: int) -> Decimal:
    """Half-even at `digits` decimals, exactly: integer arithmetic, no context precision in the way."""
    return Decimal(round(value * 10**digits)).scaleb(-digits)


def _significant(value: Fraction, digits: int) -> str:
    """`digits` significant digits of a value between 0 and 1, written out without an exponent."""
    places = digits
    while value * 10**places < 10 ** (digits - 1):
        places += 1
    return f"{_rounded(value, places).normalize():f}"


def _plain(value: Fraction) -> str:
    """A value people wrote, with up to six decimals and no trailing noughts."""
    text = f"{(Decimal(round(value * 10**6)).scaleb(-6)).quantize(Decimal('1e-6'), ROUND_HALF_EVEN):,f}"
    return text.rstrip("0").rstrip(".")


def _sign(change: Fraction) -> str:
    if change == 0:
        return "±"
    return "+" if change > 0 else MINUS
