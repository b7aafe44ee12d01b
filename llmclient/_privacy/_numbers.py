"""Is this number a card, an account, a social security number? By their own rules: lengths, ranges, check digits."""

import re
from typing import Final

Found = tuple[int, int] | None
"""Where in the text it stands; None when the match is something else."""

IBAN_LENGTHS: Final = {
    **dict.fromkeys(("NO",), 15),
    **dict.fromkeys(("BE",), 16),
    **dict.fromkeys(("DK", "FI", "FO", "FK", "GL", "NL", "SD"), 18),
    **dict.fromkeys(("MK", "SI"), 19),
    **dict.fromkeys(("AT", "BA", "EE", "KZ", "LT", "LU", "MN", "XK"), 20),
    **dict.fromkeys(("CH", "HR", "LI", "LV"), 21),
    **dict.fromkeys(("BG", "BH", "CR", "DE", "GB", "GE", "IE", "ME", "RS", "VA"), 22),
    **dict.fromkeys(("AE", "GI", "IL", "IQ", "OM", "SO", "TL"), 23),
    **dict.fromkeys(("AD", "CZ", "ES", "MD", "PK", "RO", "SA", "SE", "SK", "TN", "VG"), 24),
    **dict.fromkeys(("LY", "PT", "ST"), 25),
    **dict.fromkeys(("IS", "TR"), 26),
    **dict.fromkeys(("BI", "DJ", "FR", "GR", "IT", "MC", "MR", "SM"), 27),
    **dict.fromkeys(("AL", "AZ", "BY", "CY", "DO", "GT", "HN", "HU", "LB", "NI", "PL", "SV"), 28),
    **dict.fromkeys(("BR", "EG", "PS", "QA", "UA"), 29),
    **dict.fromkeys(("JO", "KW", "MU", "YE"), 30),
    **dict.fromkeys(("MT", "SC"), 31),
    **dict.fromkeys(("LC",), 32),
    **dict.fromkeys(("RU",), 33),
}
# First digits and lengths of the card schemes. Visa's 13 digits are left out: none is issued any more, and every third
# European article number would look like one.
CARD_RANGES: Final = (
    ("4", (16, 19)),
    ("51 52 53 54 55", (16,)),
    ("222 223 224 225 226 227 228 229 23 24 25 26 270 271 2720", (16,)),
    ("34 37", (15,)),
    ("300 301 302 303 304 305 3095 36 38 39", (14, 16, 19)),
    ("6011 64 65", (16, 19)),
    ("352 353 354 355 356 357 358", (16, 19)),
    ("62 81", (16, 17, 18, 19)),
    ("2200 2201 2202 2203 2204", (16,)),
    ("5018 5019 5020 5038 5893 6304 6759 6761 6762 6763", (13, 14, 15, 16, 17, 18, 19)),
    ("508 606 607 608 9792", (16,)),
)
_LENGTHS_BY_PREFIX: Final = {prefix: lengths for prefixes, lengths in CARD_RANGES for prefix in prefixes.split()}
_DOUBLED: Final = {digit: sum(divmod(2 * int(digit), 10)) for digit in "0123456789"}
_IBAN_OF_LENGTH: Final = {
    length: re.compile(rf"(?:[0-9A-Za-z][ \-.+]?){{{length - 1}}}[0-9A-Za-z](?![0-9A-Za-z])")
    for length in set(IBAN_LENGTHS.values())
}
_SSN_LABEL: Final = re.compile(r"(?i:ssn|social.?security.{0,12}|soc\.? ?sec\.?.{0,8})[\s:=#(\"'-]{0,4}\Z")
LABEL_LENGTH: Final = 40


def card(match: re.Match[str]) -> Found:
    """A payment card number: the length of its scheme, and Luhn's check digit."""
    digits = re.sub(r"[^0-9]", "", match[0])
    lengths = next((_LENGTHS_BY_PREFIX[digits[:n]] for n in (4, 3, 2, 1) if digits[:n] in _LENGTHS_BY_PREFIX), ())
    return match.span() if len(digits) in lengths and luhn(digits) else None


def luhn(digits: str) -> bool:
    """Whether the last digit is right: every second one from the end counts as the digits of its double."""
    return (sum(map(int, digits[-1::-2])) + sum(map(_DOUBLED.__getitem__, digits[-2::-2]))) % 10 == 0


def iban(match: re.Match[str]) -> Found:
    """An account number: as long as its country says, and 1 modulo 97. The match is its two check digits."""
    start = match.start() - 2
    length = IBAN_LENGTHS.get(match.string[start : start + 2].upper())
    whole = _IBAN_OF_LENGTH[length].match(match.string, start) if length else None
    if whole is None:
        return None
    written = re.sub(r"[^0-9A-Za-z]", "", whole[0])
    digits = "".join(str(int(character, 36)) for character in written[4:] + written[:4])
    return whole.span() if int(digits) % 97 == 1 else None


def ssn(match: re.Match[str]) -> Found:
    """A US social security number that was or could be given out."""
    digits = re.sub(r"[^0-9]", "", match[0])
    area, group, serial = digits[:3], digits[3:5], digits[5:]
    given = area not in ("000", "666") and area[0] != "9" and group != "00" and serial != "0000"
    return match.span() if given else None


def labelled_ssn(match: re.Match[str]) -> Found:
    """The same without separators, where the words before say what it is."""
    before = match.string[max(match.start() - LABEL_LENGTH, 0) : match.start()]
    return ssn(match) if _SSN_LABEL.search(before) else None
