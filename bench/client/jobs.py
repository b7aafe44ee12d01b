"""What is done in a process of its own: `python -m bench.client.jobs <job> <arguments as JSON>`, one line of JSON out.

Each job makes calls with one subject. The process of `leave` and `outage` ends as any program does, the others at once.
"""

import gc
import json
import logging
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import psutil

import llmclient
from bench.client import sending
from bench.client.subjects import OURS, Subject, no_labels, set_up
from bench.client.workload import KB, Block, Sample, drive, question
from llmclient import _config

WARM_UP: Final = 300  # calls
TURN: Final = 1_000
AFTERWARDS: Final = 45  # seconds the process of an outage goes on: the sender's longest pause is 30


def overhead(
    name: str, url: str, backend: str, kind: str, calls: int, size: int = KB, *, settles: bool = True
) -> dict[str, Any]:
    """Seconds per call, bare and instrumented, in turns of up to a thousand calls.

    That is a second and more: long enough for what a subject does in the background to happen while its own calls are
    made. What is left after a turn is waited for and counted, but timed for nobody.
    """
    work = sending.watched() if name in OURS else None
    subject = set_up(name, url, backend, asynchronous=kind.startswith("async"))
    taken: dict[bool, list[Sample]] = {False: [], True: []}
    cpu = {False: 0.0, True: 0.0}

    def turns() -> Iterator[Block]:
        turn, made = min(calls, TURN), 0
        for number in range(-1, max(calls // turn, 1)):
            if number == 0:
                # The SDK's classes make a full collection take 100 ms and more: it would hit one side by luck.
                gc.collect()
                gc.freeze()
                for samples in taken.values():
                    samples.clear()
                cpu.update({False: 0.0, True: 0.0})
            for own in (True, False) if number % 2 else (False, True):
                (subject.on if own else subject.off)()
                before = time.process_time()
                count = turn if number >= 0 else WARM_UP
                yield _block(subject, own, made, count, taken[own])
                made += count
                if own and settles:
                    subject.settle()
                cpu[own] += time.process_time() - before

    drive(kind, turns(), size)
    found = _compared(taken[False], taken[True])
    count = len(taken[True])
    found["cpu"] = (cpu[True] - cpu[False]) / count if settles else None
    if work is not None:
        found["sender"] = work.per_call()
        during, between = work.split(taken[True])
        bare = statistics.median(each.seconds for each in taken[False])
        found["during"], found["between"] = _above(bare, during), _above(bare, between)
        found["share"] = len(during) / count
    return found


def _above(bare: float, samples: list[Sample]) -> list[float]:
    """What calls took more than a bare one at its median: p50, p90, p99."""
    return [quantile([each.seconds for each in samples], q) - bare for q in (0.5, 0.9, 0.99)] if samples else []


def _block(subject: Subject, own: bool, first: int, count: int, samples: list[Sample]) -> Block:
    client, around = (subject.client, subject.around) if own else (subject.bare, no_labels)
    return Block(client, range(first, first + count), around, samples)


def _compared(bare: list[Sample], own: list[Sample]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for side, samples in (("bare", bare), ("own", own)):
        seconds = [each.seconds for each in samples]
        found[side] = {
            "p50": statistics.median(seconds),
            "mean": statistics.fmean(seconds),
            "p99": quantile(seconds, 0.99),
            "worst": max(seconds),
            "cpu": statistics.median(each.cpu for each in samples),
        }
    return found


def quantile(values: list[float], q: float) -> float:
    return sorted(values)[min(int(len(values) * q), len(values) - 1)]


def hand_over(name: str, url: str, backend: str, events: int) -> dict[str, Any]:
    """Seconds for which the caller's thread gives a finished call to the sender, which is at work meanwhile."""
    subject = set_up(name, url, backend)
    subject.on()
    with llmclient.context() as handle:
        subject.client.messages.create(**question(0))
    call, shipper = handle.last, _config.current().shipper
    assert call is not None
    assert shipper is not None
    taken = []
    for number in range(events):
        began = time.perf_counter()
        shipper.emit(call)
        taken.append(time.perf_counter() - began)
        if number % 20 == 0:
            time.sleep(0.001)
    return {"p50": statistics.median(taken), "p99": quantile(taken, 0.99), "worst": max(taken)}


def growth(name: str, url: str, backend: str, calls: int) -> dict[str, Any]:
    """Bytes of resident memory before and after so many calls."""
    subject = set_up(name, url, backend)
    subject.on()
    process = psutil.Process()
    _calls(subject, 0, WARM_UP)
    gc.collect()
    before = process.memory_info().rss
    _calls(subject, WARM_UP, calls)
    return {"before": before, "after": process.memory_info().rss}


def leave(name: str, url: str, backend: str, calls: int, spool: str | None = None) -> dict[str, Any]:
    """The time of the last statement; what comes after it is not the program's."""
    subject = set_up(name, url, backend, spool=spool)
    subject.on()
    _calls(subject, 0, calls)
    return {"left": time.time()}


def succeed(name: str, url: str, backend: str, spool: str) -> dict[str, Any]:
    """The next process with the same spool: one call, and it waits until nothing is left there."""
    subject = set_up(name, url, backend, spool=spool)
    _calls(subject, 0, 1)
    until = time.monotonic() + 30
    while time.monotonic() < until and any(Path(spool).iterdir()):
        time.sleep(0.1)
    return {"left": time.time()}


def outage(name: str, url: str, backend: str, calls: int, seconds: float) -> dict[str, Any]:
    """Calls spread over the time the backend is away, and then one a second for a while."""
    subject = set_up(name, url, backend)
    subject.on()
    began = time.monotonic()
    for number in range(calls):
        _calls(subject, number, 1)
        time.sleep(max(began + (number + 1) * seconds / calls - time.monotonic(), 0))
    for number in range(AFTERWARDS):
        _calls(subject, calls + number, 1)
        time.sleep(1)
    return {"calls": calls + AFTERWARDS}


def _calls(subject: Subject, first: int, count: int) -> None:
    drive("create", [_block(subject, True, first, count, [])])


JOBS: Final[dict[str, Callable[..., dict[str, Any]]]] = {
    job.__name__: job for job in (overhead, hand_over, growth, leave, succeed, outage)
}


def main() -> None:
    logging.disable()  # what a subject says of a dead backend is for its host, not for the reader of this
    job, arguments = sys.argv[1], json.loads(sys.argv[2])
    found = JOBS[job](**arguments)
    print(json.dumps(found), flush=True)
    if job in ("overhead", "hand_over", "growth"):
        os._exit(0)


if __name__ == "__main__":
    main()
