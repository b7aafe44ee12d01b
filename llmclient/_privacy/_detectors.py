"""What is looked for. Adding something is one entry; all patterns are linear in the length of the text.

Linear means: every repetition is bounded or possessive (it never gives back), and a pattern that reads a long run
starts at its first character only.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from llmclient._privacy import _addresses, _keys, _numbers, _phones
from llmclient._privacy._numbers import Found

Place = tuple[int, int]
# Where a number of seven characters or more may be: what looks for one is not run on the rest of the text.
_ISLAND: Final = re.compile(r"[0-9][0-9 ()./+\-]{6,}+")


def whole(match: re.Match[str]) -> Found:
    """The match as it is."""
    return match.span()


@dataclass(frozen=True, slots=True)
class Detector:
    """One thing that is looked for, in the plain copy of a text."""

    kind: str
    """What it is replaced by, in brackets, and counted as."""
    pattern: re.Pattern[str]
    needs: tuple[str, ...] = ()
    """A text without any of these has none."""
    check: Callable[[re.Match[str]], Found] = whole
    """From a match to the place; None when it is something else."""
    decoded_only: bool = False
    """Reads backwards, and would take the n of an undecoded \\n for a part of it."""
    numeric: bool = False
    """Starts with a digit, or with one or two signs before it, and has seven characters at least."""

    def find(self, text: str, islands: Sequence[Place]) -> list[Place]:
        """Where it is in a text that has its numbers in `islands`; places of one text may overlap."""
        if self.needs and not self._may_be_in(text):
            return []
        found = []
        for start, end in islands if self.numeric else ((0, len(text)),):
            for match in self.pattern.finditer(text, start, end):
                place = self.check(match)
                if place is not None and place[0] < place[1]:
                    found.append(place)
        return found

    def _may_be_in(self, text: str) -> bool:
        for needed in self.needs:  # noqa: SIM110  # a generator would cost more than all the looking
            if needed in text:
                return True
        return False


class Detectors:
    """Several, with what is known of all of them."""

    __slots__ = ("_all", "_as_written", "rank")

    def __init__(self, detectors: Sequence[Detector]) -> None:
        self._all = tuple(detectors)
        self._as_written = tuple(each for each in detectors if not each.decoded_only)
        self.rank: Mapping[str, int] = {each.kind: -place for place, each in enumerate(reversed(detectors))}
        """By kind: of two that overlap, the lower one says what it is."""

    def find(self, text: str, *, as_written: bool = False) -> Iterator[tuple[str, Place]]:
        """Kinds and places; of a text as it was written, without those that are only sure in its plain copy."""
        islands = [(max(match.start() - 2, 0), match.end() + 1) for match in _ISLAND.finditer(text)]
        for each in self._as_written if as_written else self._all:
            if islands or not each.numeric:
                for place in each.find(text, islands):
                    yield each.kind, place


def _number(kind: str, pattern: str, check: Callable[[re.Match[str]], Found] = whole) -> Detector:
    return Detector(kind, re.compile(pattern, re.ASCII), (), check, numeric=True)


_END: Final = r"(?![0-9A-Za-z])"

# In this order: of two that overlap, the first says what it is.
DETECTORS: Final = (
    Detector("private_key", _keys.PRIVATE_KEY, ("PRIVATE",), _keys.private_key),
    Detector("jwt", _keys.JWT, ("eyJ",)),
    *(Detector("api_key", _keys.shape(start, rest), (start,)) for start, rest in _keys.SHAPES),
    Detector("api_key", _keys.shape("sk-", r"[\w-]{20,}+"), ("sk-",), _keys.random_looking),
    Detector("api_key", _keys.TELEGRAM, (":AA",)),
    Detector("api_key", _keys.BEARER, ("earer", "EARER"), _keys.random_looking),
    Detector("api_key", _keys.BASIC, ("asic ", "ASIC "), _keys.authorization),
    Detector("api_key", _keys.NAMED, ("=", ":"), _keys.named),
    Detector("password", re.compile(rf"{_addresses.LOGIN}@", re.ASCII), ("://",), _addresses.password),
    Detector("email", _addresses.DOMAIN, ("@",), _addresses.email, decoded_only=True),
    Detector("iban", re.compile(r"[0-9]{2}(?<=[A-Za-z]{2}[0-9]{2})(?<![0-9A-Za-z]....)", re.DOTALL), (), _numbers.iban),
    _number(
        "card",
        r"(?<![0-9A-Za-z])(?<![0-9][.,\-])[2-9]\d{3}(?:\d{9,15}"
        rf"|([ .\-+])\d{{4}}\1\d{{4}}\1\d{{4}}(?:\1\d{{3}}(?!\d))?|([ .\-+])\d{{6}}\2\d{{4,5}}){_END}(?![.,]\d)",
        _numbers.card,
    ),
    _number("ssn", r"(?<!\w)(?<!\d[\-.+])\d{3}([ .\-+])\d{2}\1\d{4}(?!\w)(?![\-.]\d)", _numbers.ssn),
    _number("ssn", r"(?<!\w)\d{9}(?!\w)", _numbers.labelled_ssn),
    _number("ip", r"(?<![\w.])(?<!\d-)\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}(?!\w)(?!\.\d)", _addresses.ipv4),
    Detector("ip", re.compile(r":[0-9A-Fa-f]{0,4}:"), (":",), _addresses.ipv6),
    _number("phone", r"\+(?<![0-9A-Za-z]\+)[1-9](?:[ ()./\-+]{0,3}\d){6,16}(?!\d)", _phones.international),
    _number(
        "phone",
        r"(?<![0-9A-Za-z.])(?<!\d[\-+/,])(?:00|011)[1-9](?:[ ()./\-+]{0,3}\d){6,16}(?!\d)",
        _phones.international,
    ),
    _number(
        "phone",
        r"(?<![\w.+])(?<!\d[\-/.])(?:1[ .\-+])?(?:\([2-9]\d{2}\)[ \-+]?|[2-9]\d{2}(?:([ .\-+])|/))"
        rf"[2-9]\d{{2}}(?(1)\1|[ .\-+]?)\d{{4}}{_END}(?![.\-]\d)",
        _phones.american,
    ),
    _number(
        "phone",
        r"(?<![\w.+])(?<!\d[\-/.:,])(?:\(0[1-9]\d{0,4}\)|0[1-9]\d{0,4})"
        rf"(?:[ /\-.+]{{1,3}}\d{{2,8}}(?!\d)){{1,5}}{_END}",
        _phones.grouped,
    ),
    _number("phone", r"(?<![\w.])(?<!\d[\-/,])0[1-9]\d{8,10}(?!\w)(?![.,\-/]\d)", _phones.mobile),
    _number("phone", rf"(?<![0-9A-Za-z])\(\d{{2,3}}\)[ +]?\d{{4,5}}[ \-]\d{{4}}{_END}"),
    _number(
        "phone",
        rf"(?<![\w.])(?<!\d[\-/,])(?<!0\d\d[ .\-+])[6-9]\d{{2}}([ .\-+])\d{{2}}\1\d{{2}}\1\d{{2}}{_END}(?![.\-]\d)",
    ),
    _number("phone", rf"(?<![0-9A-Za-z])[+(]?\d(?:[ ()./\-+]{{0,2}}\d){{6,14}}{_END}", _phones.labelled),
)
