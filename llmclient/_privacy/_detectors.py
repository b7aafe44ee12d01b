"""What is looked for. Adding something is one entry; all patterns are linear in the length of the text.

Linear means: every repetition is bounded or possessive (it never gives back), and a pattern that reads a long run
starts at its first character only.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from llmclient import _breath
from llmclient._privacy import _addresses, _keys, _numbers, _phones
from llmclient._privacy._numbers import Found

Place = tuple[int, int]
Find = tuple[str, Place]
Where = Literal["anywhere", "in numbers", "behind a country"]
FEWEST_DIGITS: Final = 7  # of a number, unless it is four of them with dots; shorter ones are not looked at
_SIGNS: Final = " ()./+-"
_ANY: Final = rf"[0-9{re.escape(_SIGNS)}]*+"
_NEXT_DIGIT: Final = rf"[{re.escape(_SIGNS)}]*+[0-9]"
# Numbers, and two digits behind two letters: one reading of the text finds both.
_DIGITS: Final = re.compile(
    rf"[0-9](?:(?:{_NEXT_DIGIT}){{{FEWEST_DIGITS - 1}}}{_ANY}"
    rf"|[0-9]{{0,2}}(?:\.[0-9]{{1,3}}){{2}}\.[0-9]{_ANY}"
    r"|(?<=[A-Za-z]{2}[0-9])[0-9])"
)
_COMMON: Final = " etaoinsrhldcumfpgwybv,.k-0123456789ASTIEMBDCWHPNRLO:/'()"
"""Characters from those that nearly every text has to those that fewer have; what is not in here is rarer still."""


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
    """A text, or a number, without any of these has none."""
    check: Callable[[re.Match[str]], Found] = whole
    """From a match to the place; None when it is something else."""
    decoded_only: bool = False
    """Reads backwards, and would take the n of an undecoded \\n for a part of it."""
    where: Where = "anywhere"
    """A number starts with a digit, or with one or two signs before it; behind a country stand two digits."""
    digits: int = 0
    """The fewest that what is found in a number has."""

    def find(self, text: str, start: int, end: int, found: list[Find]) -> None:
        """Adds what it finds from `start` to `end`; places of one text may overlap."""
        for match in self.pattern.finditer(text, start, end):
            place = self.check(match)
            if place is not None and place[0] < place[1]:
                found.append((self.kind, place))
            _breath.take()

    def may_be_in(self, text: str) -> bool:
        for needed in self.needs:  # noqa: SIM110  # a generator would cost more than all the looking
            if needed in text:
                return True
        return False


class _Group:
    """Detectors whose needs have one of a few characters in common: one look for it spares the look for all."""

    __slots__ = ("detectors", "rare")

    def __init__(self, rare: frozenset[str]) -> None:
        self.rare = tuple(rare)
        self.detectors: list[Detector] = []


class Detectors:
    """Several, with what is known of all of them."""

    __slots__ = ("_anywhere", "_anywhere_as_written", "_behind_a_country", "_in_numbers", "rank")

    def __init__(self, detectors: Sequence[Detector]) -> None:
        anywhere = [each for each in detectors if each.where == "anywhere"]
        self._anywhere = _grouped(anywhere)
        self._anywhere_as_written = _grouped([each for each in anywhere if not each.decoded_only])
        self._in_numbers = tuple(each for each in detectors if each.where == "in numbers")
        self._behind_a_country = tuple(each for each in detectors if each.where == "behind a country")
        self.rank: Mapping[str, int] = {each.kind: -place for place, each in enumerate(reversed(detectors))}
        """By kind: of two that overlap, the lower one says what it is."""

    def find(self, text: str, *, as_written: bool = False) -> list[Find]:
        """Kinds and places; of a text as it was written, without those that are only sure in its plain copy."""
        found: list[Find] = []
        for group in self._anywhere_as_written if as_written else self._anywhere:
            for character in group.rare:
                if character in text:
                    for each in group.detectors:
                        if not each.needs or each.may_be_in(text):
                            each.find(text, 0, len(text), found)
                    break
        _breath.take()
        for match in _DIGITS.finditer(text):
            start, end = match.span()
            if end - start >= FEWEST_DIGITS:
                self._find_in_number(text, start, end, found)
            if start and text[start - 1].isalpha():
                for each in self._behind_a_country:
                    each.find(text, start, start + 2, found)
            _breath.take()
        return found

    def _find_in_number(self, text: str, start: int, end: int, found: list[Find]) -> None:
        # With signs before it, and the character behind it: what ends a number is none of another.
        begin, behind = (start - 2 if start > 2 else 0), end + 1
        number, taken = text[begin:behind], ""
        digits = end - start
        for sign in _SIGNS:
            digits -= text.count(sign, start, end)
        for each in self._in_numbers:
            if digits < each.digits or each.kind == taken:
                continue
            if each.needs and not each.may_be_in(number):
                continue
            before = len(found)
            each.find(text, begin, behind, found)
            if len(found) > before and _is_all(text, start, end, found[before][1]):
                taken = each.kind


def _is_all(text: str, start: int, end: int, place: Place) -> bool:
    """Whether a place is all of the number, from a plus to its last digit: no other of its kind could say more."""
    first, last = place
    return first == start - 1 and text[first] == "+" and not text[last:end].strip(_SIGNS)


def _grouped(detectors: Iterable[Detector]) -> tuple[_Group, ...]:
    groups: dict[frozenset[str], _Group] = {}
    for each in detectors:
        rare = frozenset(map(_rarest, each.needs or ("",)))
        groups.setdefault(rare, _Group(rare)).detectors.append(each)
    return tuple(groups.values())


def _rarest(needed: str) -> str:
    """The character of it that the fewest texts have; a text that has not even that has not all of it."""
    return max(needed, key=lambda character: (_COMMON + character).index(character), default="")


def _number(
    kind: str,
    digits: int,
    pattern: str,
    check: Callable[[re.Match[str]], Found] = whole,
    needs: tuple[str, ...] = (),
) -> Detector:
    return Detector(kind, re.compile(pattern, re.ASCII), needs, check, where="in numbers", digits=digits)


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
    *(Detector("api_key", _keys.assigned(sign), (sign,), _keys.named) for sign in ":="),
    Detector("password", re.compile(rf"{_addresses.LOGIN}@", re.ASCII), ("://",), _addresses.password),
    Detector("email", _addresses.DOMAIN, ("@",), _addresses.email, decoded_only=True),
    Detector(
        "iban",
        re.compile(r"[0-9]{2}(?<=[A-Za-z]{2}[0-9]{2})(?<![0-9A-Za-z]....)", re.DOTALL),
        (),
        _numbers.iban,
        where="behind a country",
    ),
    _number(
        "card",
        13,
        r"(?<![0-9A-Za-z])(?<![0-9][.,\-])[2-9]\d{3}(?:\d{9,15}"
        rf"|([ .\-+])\d{{4}}\1\d{{4}}\1\d{{4}}(?:\1\d{{3}}(?!\d))?|([ .\-+])\d{{6}}\2\d{{4,5}}){_END}(?![.,]\d)",
        _numbers.card,
    ),
    _number("ssn", 9, r"(?<!\w)(?<!\d[\-.+])\d{3}([ .\-+])\d{2}\1\d{4}(?!\w)(?![\-.]\d)", _numbers.ssn),
    _number("ssn", 9, r"(?<!\w)\d{9}(?!\w)", _numbers.labelled_ssn),
    _number("ip", 4, r"(?<![\w.])(?<!\d-)\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}(?!\w)(?!\.\d)", _addresses.ipv4, (".",)),
    Detector("ip", re.compile(r":[0-9A-Fa-f]{0,4}:"), (":",), _addresses.ipv6),
    _number("phone", 7, r"\+(?<![0-9A-Za-z]\+)[1-9](?:[ ()./\-+]{0,3}\d){6,16}(?!\d)", _phones.international, ("+",)),
    _number(
        "phone",
        9,
        r"(?<![0-9A-Za-z.])(?<!\d[\-+/,])(?:00|011)[1-9](?:[ ()./\-+]{0,3}\d){6,16}(?!\d)",
        _phones.international,
        ("00", "011"),
    ),
    _number(
        "phone",
        10,
        r"(?<![\w.+])(?<!\d[\-/.])(?:1[ .\-+])?(?:\([2-9]\d{2}\)[ \-+]?|[2-9]\d{2}(?:([ .\-+])|/))"
        rf"[2-9]\d{{2}}(?(1)\1|[ .\-+]?)\d{{4}}{_END}(?![.\-]\d)",
        _phones.american,
    ),
    _number(
        "phone",
        8,
        r"(?<![\w.+])(?<!\d[\-/.:,])(?:\(0[1-9]\d{0,4}\)|0[1-9]\d{0,4})"
        rf"(?:[ /\-.+]{{1,3}}\d{{2,8}}(?!\d)){{1,5}}{_END}",
        _phones.grouped,
        ("0",),
    ),
    _number("phone", 10, r"(?<![\w.])(?<!\d[\-/,])0[1-9]\d{8,10}(?!\w)(?![.,\-/]\d)", _phones.mobile, ("0",)),
    _number("phone", 10, rf"(?<![0-9A-Za-z])\(\d{{2,3}}\)[ +]?\d{{4,5}}[ \-]\d{{4}}{_END}", needs=("(",)),
    _number(
        "phone",
        9,
        rf"(?<![\w.])(?<!\d[\-/,])(?<!0\d\d[ .\-+])[6-9]\d{{2}}([ .\-+])\d{{2}}\1\d{{2}}\1\d{{2}}{_END}(?![.\-]\d)",
    ),
    _number("phone", 7, rf"(?<![0-9A-Za-z])[+(]?\d(?:[ ()./\-+]{{0,2}}\d){{6,14}}{_END}", _phones.labelled),
)
