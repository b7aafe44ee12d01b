"""Live traffic: calls at a steady rate through the real client against the fake, with an incident now and then."""

import queue
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Final

import anthropic
from django.utils import timezone

from config.demo import story
from config.replay.perform import connect, perform
from llmclient.testing.arrivals import steady
from llmclient.testing.trace import Arrival
from llmclient.testing.traffic import Call, Faults, Incident, Traffic

THREADS: Final = 64
LONGEST_RUN: Final = timedelta(days=30)
"""Incidents are scheduled this far; nobody watches a demonstration for longer."""


def run(fake_url: str, *, per_second: float, stop: threading.Event) -> int:
    """Make calls until `stop` is set; the number made. The client must be configured."""
    start = timezone.now()
    traffic = Traffic(
        start,
        seed=int(start.timestamp()),
        users=story.USERS,
        faults=Faults.ALL,
        incidents=_scheduled(start),
        releases=story.releases(start),
        made_up_tokens=True,
    )
    llm = connect(fake_url, is_virtual=False)
    waiting: queue.Queue[Call] = queue.Queue(maxsize=THREADS)
    for _ in range(THREADS):
        # Daemons: a call that takes long must not hold up Ctrl-C.
        threading.Thread(target=_work, args=(llm, waiting), daemon=True).start()
    made = 0
    for arrival in _as_they_come(start, per_second, stop):
        try:
            waiting.put_nowait(traffic.assign(arrival))
        except queue.Full:
            continue  # everybody is busy: such a product would turn people away, too
        made += 1
    return made


def _as_they_come(start: datetime, per_second: float, stop: threading.Event) -> Iterator[Arrival]:
    """Each arrival at its time. After a pause of the machine it goes on from now and does not catch up."""
    slept = timedelta()
    for arrival in steady(start, per_second=per_second, seed=int(start.timestamp())):
        wait = (arrival.at + slept - timezone.now()).total_seconds()
        if wait < -60:
            slept += timedelta(seconds=-wait)
        if stop.wait(max(0.0, wait)):
            return
        yield Arrival(arrival.row, timezone.now(), arrival.input_tokens, arrival.output_tokens)


def _scheduled(start: datetime) -> list[Incident]:
    end = start + LONGEST_RUN
    return list(takewhile(lambda incident: incident.start < end, story.live_incidents(start)))


def _work(llm: anthropic.Anthropic, waiting: "queue.Queue[Call]") -> None:
    while True:
        perform(llm, waiting.get(), None)
