"""Places in a text that are to go: found in its plain copy and in the text itself, merged, and replaced.

A text cut into pieces (neighbouring blocks of a message) is searched across its seams, too.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Final, NamedTuple

from llmclient._privacy._detectors import Detectors
from llmclient._privacy._normal import plain

AROUND_A_SEAM: Final = 1024  # characters of a piece that are read together with its neighbour
AROUND_A_KEY: Final = 4096  # the same where there may be a private key: they have up to 3,300
KEY: Final = "PRIVATE"
_GAP: Final = "\0"  # instead of the middle of a long piece

Rank = Mapping[str, int]


class Span(NamedTuple):
    """Characters to be replaced by `[kind]`; by nothing when `kind` is empty."""

    start: int
    end: int
    kind: str


def find(text: str, detectors: Detectors) -> list[Span]:
    """What the detectors find, in order and without overlaps."""
    copy, rank = plain(text), detectors.rank
    places = detectors.find(copy.text)
    if copy.text == text:
        return merged([Span(start, end, kind) for kind, (start, end) in places], rank) if places else []
    spans = merged((Span(*copy.original(start, end), kind) for kind, (start, end) in places), rank)
    # What was made plain may have hidden something: a card number glued to a word by an invisible space.
    found = (Span(start, end, kind) for kind, (start, end) in detectors.find(text, as_written=True))
    raw = [each for each in merged(found, rank) if not _covered(each, spans, rank)]
    return merged([*raw, *(each for each in spans if _beside(each, raw) is None)], rank)


def _covered(span: Span, spans: Sequence[Span], rank: Rank) -> bool:
    """Whether it overlaps one of the spans that says as much or more; what is left over is for the next pass."""
    other = _beside(span, spans)
    return other is not None and rank[other.kind] <= rank[span.kind]


def _beside(span: Span, spans: Sequence[Span]) -> Span | None:
    """The last one of the spans, which are in order and do not overlap, that overlaps this one."""
    before = bisect_right(spans, span.end - 1, key=lambda each: each.start) - 1
    return spans[before] if before >= 0 and spans[before].end > span.start else None


def merged(spans: Iterable[Span], rank: Rank) -> list[Span]:
    """The spans in order; those that overlap are one, of the kind that comes first in the list of detectors."""
    out: list[Span] = []
    for span in sorted(spans):
        last = out[-1] if out else None
        if last is None or span.start >= last.end:
            out.append(span)
        else:
            kind = min(last.kind, span.kind, key=lambda each: rank[each])
            out[-1] = Span(last.start, max(last.end, span.end), kind)
    return out


def replaced(text: str, spans: Iterable[Span], counts: Counter[str]) -> str:
    """The text without the spans; what is replaced is counted."""
    out, done = [], 0
    for start, end, kind in spans:
        out.append(text[done:start])
        if kind:
            out.append(f"[{kind}]")
            counts[kind] += 1
        done = end
    return "".join([*out, text[done:]])


def across(texts: Sequence[str], detectors: Detectors) -> list[list[Span]]:
    """What is found when the texts are read as one, by text; the first of several has the kind, the others a part."""
    around = AROUND_A_KEY if any(KEY in text for text in texts) else AROUND_A_SEAM
    pieces = [_ends_of(text, around) for text in texts]
    starts = list(accumulate((len(piece) for piece in pieces), initial=0))
    spans: list[list[Span]] = [[] for _ in texts]
    for start, end, kind in find("".join(pieces), detectors):
        first, last = bisect_right(starts, start) - 1, bisect_right(starts, end - 1) - 1
        for number in range(first, last + 1):
            # From the end of the text, for places behind the gap.
            missing = len(texts[number]) - len(pieces[number])
            begin = start - starts[number] if number == first else 0
            stop = end - starts[number] if number == last else len(pieces[number])
            begin, stop = (place if place <= around else place + missing for place in (begin, stop))
            if begin < stop:
                spans[number].append(Span(begin, stop, kind if number == first else ""))
    return spans


def _ends_of(text: str, around: int) -> str:
    return text if len(text) <= 2 * around + len(_GAP) else f"{text[:around]}{_GAP}{text[-around:]}"
