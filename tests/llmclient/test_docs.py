"""Every example of docs/client.md is run, in order, as one program against a fake Claude and a real backend."""

import re
from pathlib import Path
from typing import Any

import pytest

import llmclient
from llmclient._errors import CATEGORIES
from llmclient.testing import FakeAnthropic, Request, broken, fail, reply
from llmclient.testing._answers import Answer
from tests.llmclient.backend import Backend

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "client.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)
ADDRESS = "https://llv_ing_your_key@vitals.example.com"


def script(request: Request) -> Answer:
    assert request.body is not None
    if request.body["model"] == "claude-retired-1":
        return fail(404)
    if "story" in str(request.body["messages"]):
        return broken("reset", after=1, text="Once upon a time")
    return reply("billing")


def test_every_example_runs(
    backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    names: dict[str, Any] = {}
    with FakeAnthropic(script) as fake:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", fake.url)
        monkeypatch.setenv("ANTHROPIC_API_KEY", "x")
        for block in BLOCKS:
            program = block.replace(ADDRESS, backend.dsn).replace("/var/tmp/helpdesk-telemetry", str(tmp_path))
            exec(compile(program, "docs/client.md", "exec"), names)
    printed = capsys.readouterr().out.splitlines()
    assert printed == ["billing", str(names["call"].id), "api", "[200]", "None", "1", "billing", "not_found"]
    assert names["text"] == "Once"
    assert len(BLOCKS) == 9
    triage = next(event for event in backend.events if event.get("prompt_type") == "triage")
    assert (triage["feature"], triage["user_id"], triage["session_id"]) == ("inbox", "4711", "s-9")
    assert len(backend.events) == 6


def test_every_public_name_is_described() -> None:
    assert [name for name in llmclient.__all__ if f"`{name}" not in TEXT and name != "__version__"] == []


def test_every_category_named_is_one() -> None:
    listed = re.search(r"^`timeout` .*?for what is no failure", TEXT, re.DOTALL | re.MULTILINE)
    assert listed is not None
    named = re.findall(r"`(\w+)`", listed.group())
    assert set(named) <= set(CATEGORIES)
