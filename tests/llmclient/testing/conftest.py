"""Fakes that are stopped when the test is over."""

from collections.abc import Callable, Iterator

import pytest

from llmclient.testing import Answer, FakeAnthropic

Serve = Callable[..., FakeAnthropic]


@pytest.fixture
def serve() -> Iterator[Serve]:
    running: list[FakeAnthropic] = []

    def start(*answers: Answer | None, **options: object) -> FakeAnthropic:
        running.append(FakeAnthropic(list(answers), **options).start())  # type: ignore[arg-type]
        return running[-1]

    yield start
    for fake in running:
        fake.stop()
