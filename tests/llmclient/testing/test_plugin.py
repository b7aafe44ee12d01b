"""The fixtures for pytest, as an application's tests use them: in a pytest of their own."""

import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
TESTS = '''
import os

import anthropic
import pytest

import llmclient
from llmclient.testing import Limits, fail, reply


def answer() -> str:
    """What an application does: it makes its own client, and knows nothing of the fake."""
    llm = llmclient.instrument(anthropic.Anthropic())
    with llmclient.context(prompt_type="triage"):
        message = llm.messages.create(
            model="claude-sonnet-5-5", max_tokens=50, messages=[{"role": "user", "content": "Where is it?"}]
        )
    return message.content[0].text


def test_the_fake_is_found_by_the_environment(fake_anthropic, llm_events):
    fake_anthropic.script(fail(529, headers={"retry-after-ms": "1"}), reply("On its way."))
    assert answer() == "On its way."
    assert [attempt.status for attempt in llm_events.only.attempts] == [529, 200]
    assert llm_events.labelled(prompt_type="triage").only is llm_events[0]


def test_the_next_test_has_a_fake_and_events_of_its_own(fake_anthropic, llm_events):
    assert list(llm_events) == []
    assert not fake_anthropic.requests
    answer()


@pytest.mark.fake_anthropic([reply("marked")], limits=Limits(requests=1), keys=["fake"])
def test_a_mark_says_how_it_is_made(fake_anthropic):
    assert answer() == "marked"
    with pytest.raises(anthropic.RateLimitError):
        anthropic.Anthropic(max_retries=0).messages.create(model="claude-x", max_tokens=1, messages=[])  # own group
        anthropic.Anthropic(max_retries=0).messages.create(model="claude-x", max_tokens=1, messages=[])


def test_afterwards_the_environment_is_as_before():
    assert "ANTHROPIC_BASE_URL" not in os.environ
'''


def pytest_in(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    # Away from this repository and its settings; `-p` does what the entry point does where the package is installed.
    command = [sys.executable, "-m", "pytest", "-q", "-p", "llmclient.testing.plugin", "-p", "no:django", *options]
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)


def test_an_applications_tests_get_a_fake_and_the_events(tmp_path: Path) -> None:
    (tmp_path / "test_app.py").write_text(TESTS)
    ran = pytest_in(tmp_path, "--strict-markers")
    assert "4 passed" in ran.stdout, ran.stdout + ran.stderr


def test_the_fixtures_are_listed_with_their_descriptions(tmp_path: Path) -> None:
    listed = pytest_in(tmp_path, "--fixtures").stdout
    assert "A running fake of the Claude API" in listed
    assert "The calls measured during the test" in listed


def test_the_entry_point_names_the_plugin() -> None:
    points = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["pytest11"]
    assert points == {"llmclient": "llmclient.testing.plugin"}
    assert callable(import_module(points["llmclient"]).pytest_configure)


def test_loading_it_loads_neither_the_sdk_nor_an_http_client() -> None:
    program = (
        "import sys, llmclient.testing.plugin; "
        "print([m for m in ('anthropic', 'httpx2', 'pydantic', 'django') if m in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert ran.stdout.strip() == "[]", ran.stderr
