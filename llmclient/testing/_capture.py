"""Collects what the client measures, for tests that look at it."""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from llmclient import _config
from llmclient._call import Call
from llmclient._config import Settings
from llmclient._score import Score
from llmclient._shipper import Shipper
from llmclient._sse import StreamReader


class Captured(list[Call]):
    """The finished calls, in the order of their ends. A streamed call ends when its stream does."""

    def __init__(self, calls: Iterable[Call] = ()) -> None:
        super().__init__(calls)
        self.scores: list[Score] = []
        """What was said of answers, in the order it was said."""

    @property
    def only(self) -> Call:
        """The one call that was made; AssertionError when there were none or several."""
        assert len(self) == 1, f"{len(self)} calls were made: {[call.outcome for call in self]}"
        return self[0]

    def labelled(self, **labels: object) -> "Captured":
        """The calls with these labels: feature, prompt_type, prompt_version, user_id, session_id, tags."""
        wanted = {name: value if name == "tags" else str(value) for name, value in labels.items()}
        return Captured(call for call in self if all(call.labels.get(name) == wanted[name] for name in wanted))

    def sent(self, index: int = -1) -> dict[str, Any]:
        """The request of a call, by default of the last: model, max_tokens, messages … as they went out."""
        body: dict[str, Any] = json.loads(self[index].sent or b"{}")
        return body

    def content(self, index: int = -1) -> list[dict[str, Any]]:
        """The content blocks of a call's answer, also of one that broke off; empty when there was no answer."""
        received = self[index].received
        if isinstance(received, StreamReader):
            return received.content()
        blocks: list[dict[str, Any]] = json.loads(received)["content"] if received else []
        return blocks

    def text(self, index: int = -1) -> str:
        """The visible text of a call's answer."""
        return "".join(block["text"] for block in self.content(index) if block["type"] == "text")


class Collector(Shipper):
    """Takes finished calls like a shipper and keeps them instead of sending them."""

    def __init__(self, captured: Captured) -> None:
        self._captured = captured

    def emit(self, call: Call | Score) -> None:
        if isinstance(call, Score):
            self._captured.scores.append(call)
        else:
            self._captured.append(call)

    def flush(self, timeout: float | None = None) -> bool:  # noqa: ARG002  everything is there already
        return True

    def close(self, timeout: float = 0.0) -> None:
        pass


@contextmanager
def capture() -> Iterator[Captured]:
    """The calls finished inside, with their content; nothing of them is sent.

    For the whole process, whatever `configure` was told before or is told inside; what it was told last holds
    afterwards. Not for two threads at once.
    """
    calls = Captured()
    collecting = replace(_config._settings or Settings(), capture="full", shipper=Collector(calls))
    before, _config._settings = _config._settings, collecting
    current = _config.current
    _config.current = lambda: collecting
    try:
        yield calls
    finally:
        _config.current = current
        if _config._settings is collecting:
            _config._settings = before
        elif before is not None and before.shipper is not None:
            before.shipper.close()  # the program was configured anew inside: nobody will close this one
