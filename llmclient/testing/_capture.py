"""Collects what the client measures, for tests that look at it."""

from collections.abc import Iterator
from contextlib import contextmanager

from llmclient import _config
from llmclient._call import Call
from llmclient._config import Settings
from llmclient._shipper import Shipper


class Collector(Shipper):
    """Takes finished calls like a shipper and keeps them instead of sending them."""

    def __init__(self, calls: list[Call]) -> None:
        self._calls = calls

    def emit(self, call: Call) -> None:
        self._calls.append(call)

    def flush(self, timeout: float | None = None) -> bool:  # noqa: ARG002  everything is there already
        return True

    def close(self, timeout: float = 0.0) -> None:
        pass


@contextmanager
def capture() -> Iterator[list[Call]]:
    """The calls finished inside, in the order of their ends, content included; nothing of them is sent.

    For the whole process, whatever `configure` said; afterwards it is as before. Not for two threads at once.
    """
    calls: list[Call] = []
    before, _config._settings = _config._settings, Settings("full", Collector(calls))
    try:
        yield calls
    finally:
        _config._settings = before
