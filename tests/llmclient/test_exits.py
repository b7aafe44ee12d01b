"""The ways a process ends, and how it is told before; the real ones are in tests/llmclient/processes."""

import gc
import os
import weakref
from collections.abc import Iterator

import billiard.process
import celery.signals
import pytest

import llmclient
from llmclient import _config, _exits
from tests.llmclient.backend import Backend, configured, wait_until
from tests.llmclient.test_shipper import finished, free_port, shipper


class Told:
    """Counts what it is told."""

    def __init__(self) -> None:
        self.closed = 0
        self.flushed = 0

    def close(self) -> None:
        self.closed += 1

    def flush_briefly(self) -> None:
        self.flushed += 1


class OnlyClosable:
    def close(self) -> None:
        return


@pytest.fixture
def in_a_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(billiard.process.current_process(), "_name", "ForkPoolWorker-1")


@pytest.fixture(autouse=True)
def receivers() -> Iterator[None]:
    """The signals are Celery's own, and outlive the test."""
    signals = (celery.signals.task_postrun, celery.signals.worker_process_shutdown)
    before = [list(signal.receivers) for signal in signals]
    yield
    for signal, then in zip(signals, before, strict=True):
        signal.receivers[:] = then
        vars(signal)["sender_receivers_cache"].clear()


def task_over() -> None:
    celery.signals.task_postrun.send(
        sender=None, task_id="1", task=None, args=(), kwargs={}, retval=None, state="SUCCESS"
    )


def test_the_end_of_a_pool_process_closes() -> None:
    told = Told()
    _exits.call_at_exit(told)
    celery.signals.worker_process_shutdown.send(sender=None, pid=os.getpid(), exitcode=0)
    assert told.closed == 1


@pytest.mark.usefixtures("in_a_pool")
def test_the_end_of_a_task_in_a_pool_process_flushes() -> None:
    told = Told()
    _exits.call_at_exit(told)
    _exits.call_at_exit(OnlyClosable())
    task_over()
    assert (told.flushed, told.closed) == (1, 0)


def test_the_end_of_a_task_elsewhere_does_not() -> None:
    told = Told()
    _exits.call_at_exit(told)
    task_over()
    assert told.flushed == 0


@pytest.mark.usefixtures("in_a_pool")
def test_what_nobody_holds_any_more_is_neither_flushed_nor_closed() -> None:
    told = Told()
    _exits.call_at_exit(told)
    gone = weakref.ref(told)
    del told
    gc.collect()
    assert gone() is None
    task_over()
    celery.signals.worker_process_shutdown.send(sender=None, pid=os.getpid(), exitcode=0)


def test_a_brief_flush_delivers_what_waits(backend: Backend) -> None:
    configured(backend)
    shipper().emit(finished())
    shipper().flush_briefly()
    wait_until(lambda: len(backend.events) == 1)


def test_a_brief_flush_does_not_wait_for_a_server_that_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    llmclient.configure(f"http://llv_ing_k@127.0.0.1:{free_port()}")
    mine = shipper()
    mine.emit(finished())
    wait_until(lambda: mine.delivery.failures > 0)

    def waits(timeout: float | None = None) -> bool:
        raise AssertionError("it waited")

    monkeypatch.setattr(mine, "flush", waits)
    mine.flush_briefly()


def test_a_brief_flush_with_nothing_to_send_does_nothing(backend: Backend) -> None:
    configured(backend)
    shipper().flush_briefly()
    assert backend.requests == []
    assert _config.current().shipper is not None
