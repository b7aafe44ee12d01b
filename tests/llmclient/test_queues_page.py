"""The page on queues is true: its examples run, with a worker and a broker in memory, its figures are the code's."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from celery.contrib.testing.worker import start_worker

import llmclient.testing
from llmclient._durations import seconds_of
from llmclient._fate import FIRST_WAIT, REASONS, Rules
from llmclient.contrib._setup import MAX_BYTES
from llmclient.contrib._tickets import TASKS
from llmclient.contrib.celery import BACKGROUND, PromptTask
from llmclient.testing import FakeAnthropic
from tests.llmclient.pages import DOCS
from tests.llmclient.test_docs import BLOCK, CLAIM, Printed, anchors_of

PAGE = (DOCS / "queues.md").read_text()
PLACES = {
    'broker="redis://127.0.0.1:6379/0", backend="redis://127.0.0.1:6379/0"': 'broker="memory://x", backend="cache+memory://"',
    '"socket_timeout": 5': '"polling_interval": 0.01',
}


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeAnthropic]:
    with FakeAnthropic() as fake:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", fake.url)
        monkeypatch.setenv("ANTHROPIC_API_KEY", "x")
        yield fake
    TASKS.clear()


def test_every_example_runs_and_prints_what_the_page_says(fake: FakeAnthropic) -> None:
    printed = Printed()
    names: dict[str, Any] = {"print": printed, "__name__": "helpdesk.prompts"}
    examples = list(BLOCK.finditer(PAGE))
    run(examples[0], fake, names)
    names["app"].conf.worker_hijack_root_logger = False
    with start_worker(names["app"], pool="solo", perform_ping_check=False, queues=["reports"], loglevel="ERROR"):
        for example in examples[1:]:
            run(example, fake, names)
    claims = {
        number: [found[1]]
        for number, line in enumerate(PAGE.splitlines(), 1)
        if (found := CLAIM.search(line)) is not None
    }
    assert {number: printed.by_line[number] for number in claims} == claims
    assert len(claims) == 7
    assert list(names["reports"].values()) == ["A quiet week.", "Better late.", "A quiet week."]


def run(example: "re.Match[str]", fake: FakeAnthropic, names: dict[str, Any]) -> None:
    fake.script(*eval(f"[{example['script'] or ''}]", dict(vars(llmclient.testing))))
    code = example["code"]
    for written, real in PLACES.items():
        code = code.replace(written, real)
    exec(compile("\n" * PAGE.count("\n", 0, example.start("code")) + code, "queues.md", "exec"), names)


def test_its_figures_are_those_of_the_code() -> None:
    rules = Rules()
    assert f"the last of its `attempts` ({rules.attempts})" in PAGE
    assert (
        f'| `attempts`, `max_age`, `longest_wait` | {rules.attempts}, `"{rules.max_age}"`, `"{rules.longest_wait}"` |'
        in PAGE
    )
    assert (rules.age, rules.wait) == (seconds_of("1d", ""), seconds_of("10m", ""))
    assert f"{FIRST_WAIT:.0f} s, {FIRST_WAIT * 2:.0f} s, {FIRST_WAIT * 4:.0f} s" in PAGE
    assert f"done again, {PromptTask.default_retry_delay} s later" in PAGE
    assert rules.losses == 3
    assert "the third child dies over it" in PAGE
    assert MAX_BYTES == 1024 * 1024
    assert "1 MiB (`max_bytes`)" in PAGE
    assert f"{BACKGROUND.timeout.total:.0f} s in all" in PAGE
    assert BACKGROUND.limits is not None
    assert BACKGROUND.limits.max_wait == 60


def test_every_reason_is_explained() -> None:
    assert set(re.findall(r"is given up: `(\w+)`", PAGE)) == set(REASONS)


def test_it_is_short_and_every_link_leads_somewhere() -> None:
    assert len(PAGE.splitlines()) <= 160
    for target in re.findall(r"\]\(([^)\s]+)\)", PAGE):
        path, _, anchor = target.partition("#")
        assert (DOCS / path).exists()
        assert not anchor or anchor in anchors_of((DOCS / path).read_text())
