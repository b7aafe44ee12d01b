"""Work nobody waits for is done, in order, and never felt."""

import os
import threading
from typing import Any

import pytest

from llmclient import _later
from llmclient._later import Later
from tests.llmclient.backend import wait_until


def test_things_are_done_in_order() -> None:
    later = Later()
    done: list[Any] = []
    for number in range(100):
        later.do(done.append, number)
    later.close(10)
    wait_until(lambda: len(done) == 100)
    assert done == list(range(100))


def test_one_that_fails_does_not_stop_the_next(caplog: pytest.LogCaptureFixture) -> None:
    later, done = Later(), threading.Event()
    later.do(lambda: 1 / 0)
    later.do(done.set)
    assert done.wait(10)
    assert "ZeroDivisionError" in caplog.text


def test_what_is_too_much_is_dropped_and_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(_later, "MOST_WAITING", 3)
    later, hold = Later(), threading.Event()
    done: list[Any] = []
    later.do(hold.wait, 10)
    wait_until(lambda: later._thread is not None)
    for number in range(6):
        later.do(done.append, number)
    hold.set()
    later.close(10)
    wait_until(lambda: done and done[-1] == 5)
    assert len(done) <= 4
    assert "the oldest are dropped" in caplog.text


def test_its_thread_ends_when_there_is_nothing_to_do_and_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_later, "IDLE_SECONDS", 0.01)
    later = Later()
    done: list[Any] = []
    later.do(done.append, 1)
    wait_until(lambda: later._thread is not None and not later._thread.is_alive())
    later.do(done.append, 2)
    wait_until(lambda: done == [1, 2])


def test_what_waits_at_a_fork_is_the_parents() -> None:
    later, hold = Later(), threading.Event()
    done: list[Any] = []
    later.do(hold.wait, 10)
    later.do(done.append, "parent")
    child = os.fork()
    if child == 0:
        later.do(done.append, "child")
        later.close(10)
        os._exit(0 if done == ["child"] else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    hold.set()
    wait_until(lambda: done == ["parent"])
