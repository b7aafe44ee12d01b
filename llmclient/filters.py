"""What becomes of an answer before the caller sees it: masked, cut, or held back with `OutputFiltered`.

A filter gets the message as data and returns the message that takes its place, or None to leave it as it is. One that
fails itself holds the answer back: what could not be looked at is not shown. The ready ones look at the text; thinking
is signed by Claude and calls of tools are for programs, so both are left as they are. A stream is held back until it is
complete when there are filters. Pure.
"""

import copy
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from llmclient import _message

Filter = Callable[[dict[str, Any]], Mapping[str, Any] | None]

FAILED: Final = "filter failed"


def apply(filters: Iterable[Filter], message: Mapping[str, Any]) -> dict[str, Any]:
    """The message after all filters; the one given in is not changed. Raises OutputFiltered."""
    from llmclient._exceptions import OutputFiltered  # noqa: PLC0415  # the SDK is loaded by now

    filtered = copy.deepcopy(dict(message))
    for each in filters:
        try:
            instead = each(filtered)
            if instead is not None:
                filtered = _checked(instead)
        except OutputFiltered:
            raise
        except Exception as error:  # whatever it is, nothing was found to be in order
            raise OutputFiltered(FAILED) from error
    return filtered


def _checked(instead: Any) -> dict[str, Any]:
    if not isinstance(instead, Mapping) or not isinstance(instead.get("content"), list):
        raise TypeError(f"a filter returns a message or None, not {type(instead).__name__}")
    return dict(instead)


class Mask:
    """Puts `instead` for what matches, or has a function give the text anew: a redactor, say. Block by block."""

    def __init__(
        self, pattern: str | re.Pattern[str] | Callable[[str], str], instead: str = "[…]", *, flags: int = 0
    ) -> None:
        if isinstance(pattern, str | re.Pattern):
            compiled = re.compile(pattern, flags) if isinstance(pattern, str) else pattern
            # As a function: a backslash in it is a backslash.
            self._change: Callable[[str], str] = lambda text: compiled.sub(lambda _: instead, text)
        else:
            self._change = pattern

    def __call__(self, message: dict[str, Any]) -> Mapping[str, Any]:
        return _message.with_texts(message, self._change)


class Reject:
    """Holds an answer back whose text matches. The reason does not repeat what matched."""

    def __init__(self, pattern: str | re.Pattern[str], reason: str = "it contains what is not allowed") -> None:
        self._pattern = re.compile(pattern)
        self._reason = reason

    def __call__(self, message: dict[str, Any]) -> None:
        from llmclient._exceptions import OutputFiltered  # noqa: PLC0415

        # Block by block and joined: what is split over two blocks is read as one text by whoever reads it.
        texts = [_message.text_of({"content": [block]}) for block in message.get("content") or ()]
        if any(self._pattern.search(text) for text in [*texts, "".join(texts)]):
            raise OutputFiltered(self._reason)


@dataclass(frozen=True, slots=True)
class MaxLength:
    """At most so many characters of text, the rest is cut off; or the answer held back, with `reject=True`."""

    most: int
    reject: bool = False

    def __call__(self, message: dict[str, Any]) -> Mapping[str, Any] | None:
        from llmclient._exceptions import OutputFiltered  # noqa: PLC0415

        length = len(_message.text_of(message))
        if length <= self.most:
            return None
        if self.reject:
            raise OutputFiltered(f"it has {length} characters, of {self.most} at most")
        left = self.most

        def cut(text: str) -> str:
            nonlocal left
            kept = text[:left]
            left -= len(kept)
            return kept

        short = _message.with_texts(message, cut)
        # The API takes no empty text, should the answer be sent back to it as part of a conversation.
        short["content"] = [block for block in short["content"] if block.get("type") != "text" or block["text"]]
        return short
