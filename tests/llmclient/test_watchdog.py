"""A blocked read is ended from outside when its time is up."""

import os
import socket
import threading
import time

import httpx2
import pytest

from llmclient import _watchdog
from llmclient._watchdog import Watchdog, hang_up
from tests.llmclient.backend import wait_until


def test_it_bites_when_the_time_has_come_and_not_before() -> None:
    dog, bitten = Watchdog(), threading.Event()
    began = time.monotonic()
    watch = dog.watch(began + 0.05, bitten.set)
    assert bitten.wait(10)
    assert time.monotonic() - began >= 0.05
    assert watch.bitten


def test_what_is_released_is_left_alone() -> None:
    dog, bites = Watchdog(), []
    released = dog.watch(time.monotonic() + 0.02, lambda: bites.append("released"))
    dog.release(released)
    dog.watch(time.monotonic() + 0.04, lambda: bites.append("watched"))
    wait_until(lambda: bites)
    assert bites == ["watched"]
    assert not released.bitten


def test_an_earlier_time_wakes_it() -> None:
    dog, bites = Watchdog(), []
    dog.watch(time.monotonic() + 60, lambda: bites.append("late"))
    dog.watch(time.monotonic() + 0.02, lambda: bites.append("soon"))
    wait_until(lambda: bites)
    assert bites == ["soon"]


def test_a_bite_that_fails_does_not_end_it(caplog: pytest.LogCaptureFixture) -> None:
    dog, bitten = Watchdog(), threading.Event()
    dog.watch(time.monotonic(), lambda: 1 / 0)  # type: ignore[arg-type]
    dog.watch(time.monotonic() + 0.02, bitten.set)
    assert bitten.wait(10)
    assert "ZeroDivisionError" in caplog.text


def test_with_nothing_to_watch_its_thread_ends_and_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_watchdog, "IDLE_SECONDS", 0.01)
    dog, first, second = Watchdog(), threading.Event(), threading.Event()
    dog.watch(time.monotonic(), first.set)
    assert first.wait(10)
    wait_until(lambda: dog._thread is None)
    dog.watch(time.monotonic(), second.set)
    assert second.wait(10)


def test_a_forked_child_has_a_dog_of_its_own() -> None:
    dog = Watchdog()
    dog.watch(time.monotonic() + 60, lambda: None)
    child = os.fork()
    if child == 0:
        bitten = threading.Event()
        dog.watch(time.monotonic(), bitten.set)
        os._exit(0 if bitten.wait(10) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_hanging_up_ends_a_read_in_another_thread() -> None:
    ours, theirs = socket.socketpair()

    class Stream:
        def get_extra_info(self, name: str) -> socket.socket:
            assert name == "socket"
            return ours

    end = hang_up(httpx2.Response(200, extensions={"network_stream": Stream(), "http_version": b"HTTP/1.1"}))
    assert end is not None
    threading.Timer(0.05, end).start()
    assert ours.recv(1) == b""
    end()  # a second time is no error
    ours.close()
    theirs.close()


def test_a_connection_that_others_share_is_not_hung_up() -> None:
    stream = object()
    assert hang_up(httpx2.Response(200, extensions={"network_stream": stream, "http_version": b"HTTP/2"})) is None
    assert hang_up(httpx2.Response(200)) is None
