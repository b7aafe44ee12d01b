"""Takes personal data and secrets out of texts and of JSON. Fail-closed: what cannot be searched is not sent."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from llmclient._privacy import _spans
from llmclient._privacy._detectors import DETECTORS, Detector, Detectors
from llmclient._privacy._documents import Walk
from llmclient._privacy._known import Known
from llmclient._quietly import warn

Cleaner = Callable[[str], str]
Custom = tuple[str, re.Pattern[str] | Cleaner] | Cleaner
"""Something of the application's own: a kind with its pattern or function, or a function alone (kind "custom")."""

MOST_CHARS: Final = 64 * 1024
BEYOND: Final = 1024  # characters that are read behind the last one kept, so that nothing is cut in two
MOST_PASSES: Final = 8
MOST_KINDS: Final = 16  # of the application's own; the wire takes 32 in all
FAILED: Final = "redaction_failed"
_KIND: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")
LEFT_OUT: Final = " characters left out]"
_LEFT_OUT: Final = re.compile(rf"… \[(\d{{1,9}}){re.escape(LEFT_OUT)}\Z", re.ASCII)
_HARMLESS: Final = re.compile(r"(?=.{0,14}\Z)[A-Za-z ,!?'\"()_-]*+(?:[0-9]{1,4}[A-Za-z ,!?'\"()_-]*+)?")
"""Too short for a key, too few digits for a number, no @: none of our detectors finds anything in it."""
_EMPTY: Final = re.compile(r"")


@dataclass(frozen=True, slots=True)
class Redacted:
    """A text without what was found; None when it could not be searched. `counts` has how many, by kind."""

    text: str | None
    counts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class RedactedJson:
    """The same of a JSON value; `failed` tells a null that was there from one that stands for a failure."""

    document: Any
    counts: Mapping[str, int]
    failed: bool = False


@dataclass(slots=True)
class _Piece:
    text: str
    left_out: int
    """Characters that were cut off behind it."""

    def whole(self) -> str:
        return f"{self.text}… [{self.left_out}{LEFT_OUT}" if self.left_out else self.text


class Redactor:
    """Threads can share it. Linear in time: a text is read at most eight times, nearly always once.

    `custom` is searched for before everything else; own patterns have to be linear themselves. Functions are given each
    text by itself, as it was written. What a text has beyond `most_chars` is cut off. ValueError for a kind that is no
    lower-case word, and for more than 16 of them.
    """

    def __init__(self, custom: Iterable[Custom] = (), most_chars: int = MOST_CHARS) -> None:
        named = [each if isinstance(each, tuple) else ("custom", each) for each in custom]
        for kind, what in named:
            _check(kind, what)
        if len({kind for kind, _ in named}) > MOST_KINDS:
            raise ValueError(f"redact: at most {MOST_KINDS} kinds of your own")
        own = [Detector(kind, what) for kind, what in named if isinstance(what, re.Pattern)]
        self._detectors = Detectors((*own, *DETECTORS))
        self._cleaners = [(kind, what) for kind, what in named if not isinstance(what, re.Pattern)]
        self._harmless = _EMPTY if named else _HARMLESS
        # A function of the application's may say something else the next time.
        self._known = None if self._cleaners else Known()
        self._most_chars = most_chars

    def redact(self, text: str) -> Redacted:
        """The text with `[kind]` in place of what was found. Never raises."""
        counts: Counter[str] = Counter()
        try:
            [clean] = self.clean([text], counts)
        except Exception as error:  # noqa: BLE001  # a text that cannot be searched must not be sent
            _tell(error)
            return Redacted(None, {FAILED: 1})
        return Redacted(clean, dict(counts))

    def redact_json(self, document: Any) -> RedactedJson:
        """The same for all strings, keys and long whole numbers of a JSON value. Never raises."""
        counts: Counter[str] = Counter()
        try:
            clean = Walk(self.clean, counts).value(document)
        except Exception as error:  # noqa: BLE001  # as above
            _tell(error)
            return RedactedJson(None, {FAILED: 1}, failed=True)
        return RedactedJson(clean, dict(counts))

    def short(self, text: str, length: int = 500) -> str:
        """A label or a message, cleaned, then cut to `length`; `[redaction_failed]` when it cannot be. Never raises."""
        try:
            if self._harmless.fullmatch(text):
                return text[:length]
            clean = self._settled([self._opened(text, Counter(), length)], "", Counter(), length)[0].text
        except Exception as error:  # noqa: BLE001  # as above
            _tell(error)
            clean = f"[{FAILED}]"
        return clean[:length]

    def spans(self, text: str) -> list[_spans.Span]:
        """What one pass finds in a text, in order. Raises what it meets."""
        return _spans.find(text, self._detectors)

    def clean(self, texts: Sequence[str], counts: Counter[str], label: str = "") -> list[str]:
        """Neighbouring texts, searched also across their seams; adds to `counts`. Raises what it meets.

        `label` is read before a single text, as the name of a field is.
        """
        if len(texts) == 1 and self._harmless.fullmatch(texts[0]):
            return list(texts)
        if self._known is None:
            return self._searched(texts, counts, label)
        hashed = self._known.hash_of(texts, label)
        found = self._known.get(hashed)
        if found is not None:
            if found.texts is None:
                return list(texts)
            counts.update(found.counts)
            return list(found.texts)
        own: Counter[str] = Counter()
        clean = self._searched(texts, own, label)
        self._known.put(hashed, texts, clean, own)
        if own:
            counts.update(own)
        return clean

    def _searched(self, texts: Sequence[str], counts: Counter[str], label: str) -> list[str]:
        pieces = [self._opened(text, counts, self._most_chars) for text in texts]
        return [piece.whole() for piece in self._settled(pieces, label, counts, self._most_chars)]

    def _opened(self, text: str, counts: Counter[str], most: int) -> _Piece:
        """A text as far as it is read, after the application's own functions."""
        note = _LEFT_OUT.search(text, max(len(text) - 48, 0)) if text.endswith(LEFT_OUT) else None
        text, left_out = (text[: note.start()], int(note[1])) if note else (text, 0)
        piece = _Piece(text[: most + BEYOND], left_out + max(len(text) - most - BEYOND, 0))
        for kind, cleaner in self._cleaners:
            clean = cleaner(piece.text)
            if not isinstance(clean, str):
                raise TypeError(kind)
            if clean != piece.text:
                counts[kind] += 1
            piece.text = clean
        return piece

    def _settled(self, pieces: list[_Piece], label: str, counts: Counter[str], most: int) -> list[_Piece]:
        """The pieces when nothing more is found in them: what was removed may have hidden something beside it."""
        clean: set[str] = set()
        for _ in range(MOST_PASSES):
            before = [piece.text for piece in pieces]
            if len(pieces) > 1:
                for piece, spans in zip(pieces, _spans.across(before, self._detectors), strict=True):
                    piece.text = _spans.replaced(piece.text, spans, counts)
            for piece in pieces:
                if piece.text not in clean and not self._pass(piece, label, counts, most):
                    clean.add(piece.text)
            if before == [piece.text for piece in pieces]:
                return pieces
        counts[FAILED] += 1
        return [_Piece(f"[{FAILED}]", 0) for _ in pieces]

    def _pass(self, piece: _Piece, label: str, counts: Counter[str], most: int) -> bool:
        """Replaces what is found in a piece and cuts what is too much of it; whether that changed it."""
        text, before = piece.text, f"{label}: " if label else ""
        spans = _spans.find(before + text, self._detectors)
        if not spans and len(text) <= most:
            return False
        if before:
            spans = [
                _spans.Span(max(start - len(before), 0), end - len(before), kind)
                for start, end, kind in spans
                if end > len(before)
            ]
        if len(text) > most:
            spans = [span for span in spans if span.start < most]
            end = max(most, spans[-1].end if spans else 0)
            piece.left_out += len(text) - end
            text = text[:end]
        changed = bool(spans) or len(text) < len(piece.text)
        piece.text = _spans.replaced(text, spans, counts)
        return changed


def _check(kind: object, what: object) -> None:
    if not (isinstance(kind, str) and _KIND.fullmatch(kind)):
        raise ValueError(f"redact: {kind!r} must be a word in lower case")
    if not (callable(what) or (isinstance(what, re.Pattern) and isinstance(what.pattern, str))):
        raise ValueError(f"redact: {kind}: {what!r} is neither a compiled pattern of text nor a function")


def _tell(error: Exception) -> None:
    # Its class only: what it says may quote what was to be removed.
    warn("redaction", "content could not be redacted (%s) and is not sent", type(error).__name__)
