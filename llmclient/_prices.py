"""What calls cost, from a snapshot of the server's price book: for budgets in this process, never for bills.

Integer nano-dollars: 1 $ per million tokens is 1,000 a token. A call is rounded once, half to even. Time is Unix time.
`prices.json` is made from the server's list (docs/prices.md); a newer snapshot may take its place at run time.
"""

import json
import pkgutil
from collections.abc import Mapping, Sequence
from fractions import Fraction
from operator import mul
from typing import Any, Final, NamedTuple

from llmclient import _billable
from llmclient._billable import Counts, Part, Unreadable

Ratio = tuple[int, int]
ONE: Final[Ratio] = (1, 1)


class Rate(NamedTuple):
    """One model's prices in [`since`, `until`): nano-dollars per token, and factors as (numerator, denominator)."""

    model: str
    since: float
    until: float | None
    short: Counts
    long: Counts | None
    above: int | None
    batch: Ratio
    fast: Ratio | None
    us: Ratio
    search: int

    def exact(self, part: Part) -> Ratio | None:
        """The cost before rounding, as a ratio of nano-dollars; None: fast without a fast price."""
        counts = part.counts
        searches = part.searches * self.search
        if part.priority:  # paid for by a commitment: usage, not spend
            return searches, 1
        # A batch has no fast mode, so batch decides.
        speed = self.batch if part.batch else self.fast if part.fast else ONE
        if speed is None:
            return None
        tokens = sum(map(mul, counts, self.columns(sum(counts) - counts.output)))
        geo = self.us if part.us_only else ONE
        below = speed[1] * geo[1]
        return tokens * speed[0] * geo[0] + searches * below, below

    def columns(self, input_tokens: int) -> Counts:
        """The prices of a call with so much input, uncached, written and read together. A cliff, not a staircase."""
        if self.long is not None and self.above is not None and input_tokens > self.above:
            return self.long
        return self.short


class PriceBook:
    """Every price of a snapshot; ValueError, saying where, when the snapshot is none."""

    def __init__(self, snapshot: Mapping[str, Any]) -> None:
        try:
            self.version: Final = str(snapshot["version"])
            self._all: Final = [_rate(row) for row in snapshot["rates"]]
        except (KeyError, TypeError, IndexError) as error:
            raise ValueError(f"this is no snapshot of prices: {error!r}") from None
        if not self._all:
            raise ValueError("this snapshot holds no prices")
        self._rates: Final[dict[str, list[Rate]]] = {}
        for rate in sorted(self._all, key=lambda rate: rate.since, reverse=True):
            self._rates.setdefault(rate.model, []).append(rate)

    def rate_at(self, model: str, at: float) -> Rate | None:
        """The prices of a model id, with or without its date suffix, at that time."""
        for rate in self._rates.get(model) or self._rates.get(undated(model)) or ():
            if rate.since <= at:
                return rate if rate.until is None or at < rate.until else None
        return None

    def cost(self, usage: Mapping[str, Any], model: str, at: float) -> int | None:
        """Nano-dollars; None when the usage cannot be read or something in it has no known price."""
        try:
            parts = _billable.read(usage)
        except Unreadable:
            return None
        return _total([_exact(self.rate_at(model if part.model is None else part.model, at), part) for part in parts])

    def charge(self, usage: Mapping[str, Any], model: str, at: float) -> int | None:
        """What a budget counts: the cost or, without a known price, the dearest its family could ask."""
        try:
            parts = _billable.read(usage)
        except Unreadable:
            return None
        return _total([self._charge(part, model if part.model is None else part.model, at) for part in parts])

    def estimate(
        self,
        model: str,
        input_tokens: int,
        output_tokens: int,
        at: float,
        *,
        fast: bool = False,
        us_only: bool = False,
        bound: bool = False,
    ) -> int:
        """Nano-dollars to reserve for a call, rounded up. `bound`: as if all the input were written to the cache for an
        hour, the dearest thing that can become of it.
        """
        into, out = max(input_tokens, 0), max(output_tokens, 0)
        known = self.rate_at(model, at)
        if known is not None and not (fast or us_only or bound):
            short = known.columns(into)
            return into * short.input + out * short.output
        counts = Counts(0, out, 0, 0, into) if bound else Counts(into, out, 0, 0, 0)
        part = Part(counts, 0, batch=False, fast=fast, us_only=us_only, priority=False)
        over, below = self._charge(part, model, at)
        return -(-over // below)

    def _charge(self, part: Part, model: str, at: float) -> Ratio:
        known = _exact(self.rate_at(model, at), part)
        if known is not None:
            return known
        # Fast without a fast price: as dear as the most anybody asks for being fast.
        fastest = max((rate.fast for rate in self._all if rate.fast), key=_value, default=ONE)
        rates = (rate if rate.fast else rate._replace(fast=fastest) for rate in self._kin(model, at))
        return max((exact for rate in rates if (exact := rate.exact(part)) is not None), key=_value)

    def _kin(self, model: str, at: float) -> list[Rate]:
        """The prices of the model's family at that time; of all models when there are none."""
        now = [rate for rate in self._all if self.rate_at(rate.model, at) is rate] or self._all
        family = family_of(model)
        return [rate for rate in now if family_of(rate.model) == family] or now


def undated(model: str) -> str:
    """The model id without its date: claude-sonnet-4-5-20250929 is claude-sonnet-4-5."""
    date = model[-8:]
    return model[:-9] if model[-9:-8] == "-" and date.isascii() and date.isdigit() else model


def family_of(model: str) -> str:
    """claude-opus-4-8 is of the family opus; so is claude-3-opus."""
    return next((word for word in model.split("-")[1:] if word.isalpha()), "")


def _exact(rate: Rate | None, part: Part) -> Ratio | None:
    return None if rate is None else rate.exact(part)


def _total(exacts: Sequence[Ratio | None]) -> int | None:
    if len(exacts) == 1:
        return None if exacts[0] is None else _half_even(*exacts[0])
    total = Fraction(0)
    for exact in exacts:
        if exact is None:
            return None
        total += Fraction(*exact)
    return _half_even(total.numerator, total.denominator)


def _half_even(over: int, below: int) -> int:
    whole, rest = divmod(over, below)
    return whole + (2 * rest > below or (2 * rest == below and whole % 2 == 1))


def _value(ratio: Ratio) -> Fraction:
    return Fraction(*ratio)


def _rate(row: Mapping[str, Any]) -> Rate:
    model, since, until, long = row["model"], row["since"], row.get("until"), row.get("long")
    times = [since] if until is None else [since, until]
    if not isinstance(model, str) or not all(isinstance(time, int | float) for time in times):
        raise ValueError(f"no price: {dict(row)!r}")
    return Rate(
        model,
        since,
        until,
        Counts(*_wholes(row["short"], 5)),
        None if long is None else Counts(*_wholes(long, 5)),
        None if long is None else _wholes([row["above"]], 1)[0],
        _ratio(row["batch"]),
        None if row.get("fast") is None else _ratio(row["fast"]),
        _ratio(row["us"]),
        _wholes([row["search"]], 1)[0],
    )


def _ratio(found: Any) -> Ratio:
    over, below = _wholes(found, 2)
    if below == 0:
        raise ValueError(f"no factor: {found!r}")
    return over, below


def _wholes(found: Any, number: int) -> list[int]:
    values = list(found)
    if len(values) != number or not all(type(value) is int and value >= 0 for value in values):
        raise ValueError(f"{number} whole numbers were expected, not {found!r}")
    return values


# Replaced whole: readers need no lock.
_book: PriceBook | None = None


def current() -> PriceBook:
    """The prices in force: those shipped with this version, unless newer ones came."""
    global _book  # noqa: PLW0603  # one price book per process is the point
    if _book is None:
        _book = PriceBook(json.loads(pkgutil.get_data("llmclient", "prices.json") or b"{}"))
    return _book


def replace(snapshot: Mapping[str, Any]) -> None:
    """Puts another snapshot in force; ValueError when it cannot be read, and the one before stays."""
    global _book  # noqa: PLW0603
    _book = PriceBook(snapshot)


def cost(usage: Mapping[str, Any], model: str, at_unix: float) -> int | None:
    """What a call cost, in nano-dollars; None when that is not known."""
    return current().cost(usage, model, at_unix)


def charge(usage: Mapping[str, Any], model: str, at_unix: float) -> int | None:
    """What a call takes from a budget, in nano-dollars: an unknown price counts as the dearest of the family."""
    return current().charge(usage, model, at_unix)


def estimate(
    model: str,
    input_tokens: int,
    output_tokens: int,
    at_unix: float,
    *,
    fast: bool = False,
    us_only: bool = False,
    bound: bool = False,
) -> int:
    """What to reserve for a call, in nano-dollars; for unknown models by the dearest price of the family.

    `bound`: what the input costs at most, as if it were written to the cache for an hour.
    """
    return current().estimate(model, input_tokens, output_tokens, at_unix, fast=fast, us_only=us_only, bound=bound)
