"""A plain copy of a text, for looking things up in it, and the way back from its places to those of the text.

In the copy, full-width and other letters and digits that only look different are ASCII, unusual spaces and hyphens are
ordinary ones, invisible characters are gone, and %40, \\u0040 and &#64; are what they stand for. Nothing but places
leaves this module: what is sent is always made from the text itself. Linear in the length of the text.
"""

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

Part = tuple[str, int]
"""Characters of the copy, and how many characters of the text they stand for."""

FEW: Final = 32  # different characters that are replaced one after another; more of them in one go
# The zeros of the scripts that have digits of their own; 1 to 9 follow each.
_ZEROS: Final = "٠۰߀०০੦૦୦௦౦೦൦෦๐໐༠၀႐០᠐᥆᧐᪀᪐᭐᮰᱀᱐꘠꣐꤀꧐꧰꩐꯰"
_STRANGE: Final = re.compile(
    "["
    "\u00a0\u00ad\u00b2\u00b3\u00b9\u02b0-\u02b8\u034f\u061c\u115f\u1160\u1680\u17b4\u17b5\u180b-\u180f"
    "\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f"  # marks set above and below others
    "\u2000-\u2015\u2024\u2028-\u202f\u2043\u205f-\u209c\u2100-\u213f\u2145-\u2149\u2212\u2460-\u24ff"
    "\u2800\u3000\u3002\u3164\ufb00-\ufb06\ufe00-\ufe0f\ufe50-\ufe6b\ufeff\uff01-\uff5e\uff61\uff70\uffa0"
    f"{''.join(f'{zero}-{chr(ord(zero) + 9)}' for zero in _ZEROS)}"
    "\U0001d400-\U0001d7ff\U0001f100-\U0001f169\U000e0000-\U000e01ef"
    "]"
)
_ESCAPE: Final = re.compile(
    r"(?:%(?:25)*[0-9A-Fa-f]{2})+"
    # Only the first of many backslashes is looked at, or a long run of them would be read once per backslash.
    r"""|\\(?<!\\\\)\\*(?:u[0-9A-Fa-f]{4}|x[0-9A-Fa-f]{2}|[nrtbf"'/])"""
    r"|&#(?:[xX][0-9A-Fa-f]{1,6}|[0-9]{1,7});?"
)
_PERCENT: Final = re.compile(r"%(?:25)*([0-9A-Fa-f]{2})")
_BLANKS: Final = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}
_HYPHENS: Final = "\u2043\u2212"
_DOTS: Final = "\u2024\u3002\uff61"
_INVISIBLE: Final = "\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0"


@dataclass(slots=True)
class _Offsets:
    """Where the pieces of a copy come from: `at` in the copy, `source` in the text, `width` there."""

    at: list[int] = field(default_factory=list)
    source: list[int] = field(default_factory=list)
    width: list[int] = field(default_factory=list)
    """0 for a piece that is the same in both."""

    def add(self, at: int, source: int, width: int) -> None:
        self.at.append(at)
        self.source.append(source)
        self.width.append(width)

    def start_of(self, place: int) -> int:
        piece = bisect_right(self.at, place) - 1
        return self.source[piece] + (0 if self.width[piece] else place - self.at[piece])

    def end_of(self, place: int) -> int:
        """Where the next character starts: marks on the last one, and what is invisible behind it, go with it."""
        piece = bisect_right(self.at, place) - 1
        inside = place - self.at[piece]
        return self.source[piece] + ((self.width[piece] or inside) if inside else 0)


@dataclass(frozen=True, slots=True)
class Copy:
    """The plain copy of a text."""

    text: str
    steps: tuple[_Offsets, ...] = ()

    def original(self, start: int, end: int) -> tuple[int, int]:
        """Where in the text the characters from `start` to `end` of the copy come from; at least one of them."""
        for offsets in reversed(self.steps):
            start, end = offsets.start_of(start), offsets.end_of(end)
        return start, end


def plain(text: str) -> Copy:
    """The plain copy; the text itself when there is nothing strange in it."""
    copy, steps = text, []
    if "%" in text or "\\" in text or ("&" in text and "&#" in text):
        copy, offsets = _rewritten(text, _ESCAPE, _unescaped)
        steps += [offsets] if offsets.at else []
    if not copy.isascii() and (strange := set(_STRANGE.findall(copy))):
        copy, offsets = _rewritten(_replaced(copy, strange), _STRANGE, _folded)
        steps += [offsets] if offsets.at else []
    return Copy(copy, tuple(steps))


def _rewritten(
    text: str, pattern: re.Pattern[str], parts_of: Callable[[re.Match[str]], Iterable[Part]]
) -> tuple[str, _Offsets]:
    """The text with each match replaced by its parts; without a match the offsets are empty."""
    offsets, out, at, done = _Offsets(), [], 0, 0
    for match in pattern.finditer(text):
        start = match.start()
        if start > done or not offsets.at:
            offsets.add(at, done, 0)
            out.append(text[done:start])
            at += start - done
        done = start
        for characters, width in parts_of(match):
            if characters:
                offsets.add(at, done, width)
                out.append(characters)
                at += len(characters)
            done += width
    if not offsets.at:
        return text, offsets
    offsets.add(at, done, 0)
    out.append(text[done:])
    return "".join(out), offsets


def _unescaped(match: re.Match[str]) -> Iterable[Part]:
    written = match[0]
    if written[0] == "%":
        return _from_percent(written)
    if written[0] == "&":
        digits = written[2:].rstrip(";")
        return ((_character(int(digits[1:], 16) if digits[0] in "xX" else int(digits)), len(written)),)
    letter = written.lstrip("\\")
    return ((_character(int(letter[1:], 16)) if len(letter) > 1 else _BLANKS.get(letter, letter), len(written)),)


def _from_percent(written: str) -> Iterator[Part]:
    units = list(_PERCENT.finditer(written))
    data = bytes(int(unit[1], 16) for unit in units)
    try:
        characters = data.decode()
    except UnicodeDecodeError:
        characters, sizes = data.decode("latin-1"), [1] * len(data)
    else:
        sizes = [len(character.encode()) for character in characters]
    done = 0
    for character, size in zip(characters, sizes, strict=True):
        yield character, units[done + size - 1].end() - units[done].start()
        done += size


def _character(number: int) -> str:
    return chr(number) if number < 0x110000 else "\ufffd"


def _replaced(text: str, strange: set[str]) -> str:
    """The text with everything replaced that has one character to stand for it: no place changes by that."""
    if len(strange) > FEW:
        return _STRANGE.sub(lambda match: _in_place(match[0]), text)
    for character in strange:
        text = text.replace(character, _in_place(character))
    return text


def _in_place(character: str) -> str:
    folded = fold(character)
    return folded if len(folded) == 1 else character


def _folded(match: re.Match[str]) -> tuple[Part]:
    return ((fold(match[0]), 1),)


@lru_cache(maxsize=4096)
def fold(character: str) -> str:
    """What a character is in the copy: one ASCII character, a few for a ligature, none when it cannot be seen."""
    category = unicodedata.category(character)
    if category in ("Cf", "Mn", "Me") or character in _INVISIBLE:
        return ""
    if category in ("Zs", "Zl", "Zp"):
        return " " if category == "Zs" else "\n"
    if category == "Pd" or character in _HYPHENS:
        return "-"
    if character in _DOTS:
        return "."
    if category == "Nd":
        return str(unicodedata.decimal(character))
    usual = unicodedata.normalize("NFKC", character)
    return usual if usual.isascii() and (len(usual) == 1 or category[0] == "L") else character
