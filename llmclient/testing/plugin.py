"""Fixtures for pytest, there as soon as this package is installed: `fake_anthropic` and `llm_events`.

Loaded by every run of pytest in the environment, so it imports nothing but what it needs to say that.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from llmclient.testing._capture import Captured
    from llmclient.testing._fake import FakeAnthropic


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "fake_anthropic(script, limits=…, latency=…, keys=…, speed=…): the arguments of FakeAnthropic"
    )


@pytest.fixture
def fake_anthropic(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> "Iterator[FakeAnthropic]":
    """A running fake of the Claude API, which clients made by `anthropic.Anthropic()` reach without being told.

    Without a mark `@pytest.mark.fake_anthropic(…)` it has no rate limits; `fake_anthropic.script(…)` says what it
    answers.
    """
    from llmclient.testing._fake import FakeAnthropic  # noqa: PLC0415

    marker = request.node.get_closest_marker("fake_anthropic")
    options = {"limits": None, **(marker.kwargs if marker else {})}
    with FakeAnthropic(*(marker.args if marker else ()), **options) as fake:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", fake.url)
        monkeypatch.setenv("ANTHROPIC_API_KEY", "fake")
        monkeypatch.delenv("ANTHROPIC_AUTH_TOKEN", raising=False)
        yield fake


@pytest.fixture
def llm_events() -> "Iterator[Captured]":
    """The calls measured during the test, as `llmclient.testing.capture()` gives them; nothing is sent."""
    from llmclient.testing._capture import capture  # noqa: PLC0415

    with capture() as calls:
        yield calls
