"""When our sender works and how much CPU it takes: it shares the interpreter with the host's threads."""

import time
from bisect import bisect_left
from typing import Any, Final

from bench.client.workload import Sample
from llmclient._delivery import Delivery

IDLE: Final = 0.0002  # seconds; a shorter step only looked whether there is something to do


class Work:
    """The steps of the sender: when (perf_counter), and the CPU of its thread."""

    def __init__(self) -> None:
        self.steps: list[tuple[float, float]] = []
        self.cpu = 0.0
        self.delivery: Delivery | None = None

    def per_call(self) -> float | None:
        """CPU seconds per call, encoding, redaction, hashing, packing and sending together."""
        settled = self.delivery.settled if self.delivery is not None else 0
        return self.cpu / settled if settled else None

    def split(self, samples: list[Sample]) -> tuple[list[Sample], list[Sample]]:
        """The calls during which the sender worked, and the others."""
        ends = [ended for _, ended in self.steps]
        during: list[Sample] = []
        between: list[Sample] = []
        for sample in samples:
            place = bisect_left(ends, sample.began)
            meets = place < len(ends) and self.steps[place][0] < sample.began + sample.seconds
            (during if meets else between).append(sample)
        return during, between


def watched() -> Work:
    """Has every step of this process's sender noted from now on."""
    work, step = Work(), Delivery.step

    def noted(delivery: Delivery, *arguments: Any, **more: Any) -> bool:
        began, cpu = time.perf_counter(), time.thread_time()
        try:
            return step(delivery, *arguments, **more)
        finally:
            ended = time.perf_counter()
            work.cpu += time.thread_time() - cpu
            work.delivery = delivery
            if ended - began > IDLE:
                work.steps.append((began, ended))

    Delivery.step = noted  # type: ignore[assignment,method-assign]
    return work
