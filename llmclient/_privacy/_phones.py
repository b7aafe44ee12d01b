"""Is this a phone number? International ones by country code, national ones by how they are grouped, bare digits only
where the words before say so: most numbers are amounts, dates and orders."""

import re
from typing import Final

from llmclient._privacy._numbers import LABEL_LENGTH, Found

Digits = tuple[int, int, int]
"""The fewest a number has, with how many it is usually complete, and the most."""

# Behind the country code; DEFAULT for the countries that are not listed.
NATIONAL_DIGITS: Final[dict[str, Digits]] = {
    **dict.fromkeys(("1", "7", "30", "90", "91", "98"), (10, 10, 10)),
    **dict.fromkeys(("27", "31", "33", "34", "40", "41", "48", "61", "84", "351", "380", "420"), (9, 9, 9)),
    **dict.fromkeys(("45", "47", "65"), (8, 8, 8)),
    **dict.fromkeys(("32", "36", "46", "353", "358"), (7, 9, 11)),
    **dict.fromkeys(("44", "81", "82"), (8, 10, 10)),
    **dict.fromkeys(("39", "52", "54", "55", "86"), (8, 10, 11)),
    **dict.fromkeys(("43", "49"), (6, 10, 13)),
}
DEFAULT: Final = (6, 9, 12)
NATIONAL: Final = (9, 10, 12)
IN_PARENTHESES: Final = (8, 10, 12)
LABELLED: Final = (7, 10, 15)
_COUNTRY: Final = re.compile(
    r"[17]|2[07]|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58]|(?:2[1-69]|3[578]|42|5[09]|6[7-9]|8[0578]|9[679])\d",
    re.ASCII,
)
# National numbers that start with two digits, by the lengths of their groups: everything else is a date or a price.
_SHORT_AREA: Final = frozenset(
    {(2, 2, 2, 2, 2), (2, 4, 4), (2, 8), (2, 7), (2, 3, 4), (2, 4, 3), (2, 3, 5), (2, 5, 3), (2, 3, 2, 2), (2, 3, 3, 2)}
)
_MOBILE: Final = re.compile(r"01[567]\d{8,9}|07\d{8,9}|0[46]\d{8}", re.ASCII)
_LABEL: Final = re.compile(
    r".*(?:phone|telefon|tel[eé]fono|t[eé]l[eé]phone|mobile|(?:telefon|handy|mobil|fax|ruf)nummer)s?"
    r"|t[eé]l|fone?|mobil|m[oó]vil|cell?|handy|portable|sms|fax|ph|whatsapp",
    re.IGNORECASE,
)
_BETWEEN: Final = re.compile(r"numbers?|nummer|num|nr|no|is|ist|lautet|es|est|at|under|unter", re.IGNORECASE)
_WORD_BACKWARDS: Final = re.compile(r"[\s.:=#(\"'_-]{0,5}([^\W\d_]+)")
_EXTENSION: Final = re.compile(r",? ?(?:x|ext\.?|extension) ?\d{1,6}(?![0-9A-Za-z])", re.ASCII | re.IGNORECASE)
_DATE: Final = re.compile(r"(?:19|20)\d{2}[-/.][01]\d[-/.][0-3]\d|[0-3]\d[-/.][01]\d[-/.](?:19|20)\d{2}", re.ASCII)
_GROUP: Final = re.compile(r"\d+", re.ASCII)
_FOUR: Final = re.compile(r"\D*\d{4}(?!\d)", re.ASCII)


def international(match: re.Match[str]) -> Found:
    """`+`, `00` or `011`, a country code that exists, and as many digits as that country has."""
    written = match[0].replace("(0)", "   ")
    groups = list(_GROUP.finditer(written, 1 if written[0] == "+" else 3 if written[1] == "1" else 2))
    country = _COUNTRY.match("".join(group[0] for group in groups))
    if country is None or (_FOUR.match(written) and _in_a_row(match, list(map(len, _GROUP.findall(written))))):
        return None
    lengths, left = [], country.end()
    for group in groups:
        lengths.append(max(len(group[0]) - left, 0))
        left = max(left - len(group[0]), 0)
    taken = _groups_of(lengths, written, groups, NATIONAL_DIGITS.get(country[0], DEFAULT))
    return _with_extension(match, match.start() + groups[taken - 1].end()) if taken else None


def _groups_of(lengths: list[int], written: str, groups: list[re.Match[str]], digits: Digits) -> int:
    """How many of the groups are the number; what follows behind it is not. 0 when they are none."""
    fewest, usual, most = digits
    total = taken = 0
    for place, length in enumerate(lengths):
        extends = written[groups[place].start() - 1] == "-"
        if total + length > most or (total >= fewest and not extends and (total >= usual or length == 1)):
            break
        total += length
        taken = place + 1
    return taken if total >= fewest else 0


def american(match: re.Match[str]) -> Found:
    """Three, three and four digits, as in the US and Canada."""
    return _with_extension(match, match.end())


def grouped(match: re.Match[str]) -> Found:
    """A national number that starts with 0: an area code and groups."""
    written = match[0]
    groups = list(_GROUP.finditer(written))
    lengths = [len(group[0]) for group in groups]
    if lengths[0] > 2 or written[0] == "(":
        digits = IN_PARENTHESES if written[0] == "(" else NATIONAL
        other = "." in written or lengths[:3] == [3, 2, 4] or _in_a_row(match, lengths)
        taken = 0 if other else _groups_of(lengths, written, groups, digits)
    else:
        taken = next((n for n in range(min(len(lengths), 5), 1, -1) if tuple(lengths[:n]) in _SHORT_AREA), 0)
        taken = taken if taken == 5 or "." not in written else 0
    end = match.start() + groups[taken - 1].end()
    if not taken or _DATE.match(written) or re.match(r"-[0-9A-Za-z]", match.string[end : end + 2]):
        return None
    return match.start(), end


def _in_a_row(match: re.Match[str], lengths: list[int]) -> bool:
    """Whether it is part of many groups of four: those are cards and accounts."""
    before = match.string[max(match.start() - 5, 0) : match.start()]
    return lengths[0] == 4 and (lengths[1:4] == [4, 4, 4] or bool(re.match(r"[0-9A-Z]{4}[ -]", before)))


def mobile(match: re.Match[str]) -> Found:
    """A national mobile number without separators."""
    return match.span() if _MOBILE.fullmatch(match[0]) else None


def labelled(match: re.Match[str]) -> Found:
    """Seven to fifteen digits behind a word like "phone"."""
    before = match.string[max(match.start() - LABEL_LENGTH, 0) : match.start()]
    if not _is_label(before) or _DATE.match(match[0]):
        return None
    groups = list(_GROUP.finditer(match[0]))
    taken = _groups_of([len(group[0]) for group in groups], match[0], groups, LABELLED)
    return _with_extension(match, match.start() + groups[taken - 1].end()) if taken else None


def _is_label(before: str) -> bool:
    """Whether the last word is one for phones, but for up to two like "number" and "is"."""
    backwards, place = before[::-1], 0
    for _ in range(3):
        word = _WORD_BACKWARDS.match(backwards, place)
        if word is None:
            return False
        if _LABEL.fullmatch(word[1][::-1]):
            return True
        if not _BETWEEN.fullmatch(word[1][::-1]):
            return False
        place = word.end()
    return False


def _with_extension(match: re.Match[str], end: int) -> Found:
    extension = _EXTENSION.match(match.string, end)
    return match.start(), extension.end() if extension else end
