"""`python -m llmclient.load`, in this process and in one of its own."""

import json
import os
import re
import signal
import subprocess
import sys
from typing import Any

import pytest

import llmclient
from llmclient.load._command import main
from llmclient.testing import FakeAnthropic, fail, slow
from tests.llmclient.backend import Backend, wait_until

COMMAND = [sys.executable, "-m", "llmclient.load"]
SHORT = ["--rate", "600", "--for", "0.5", "--profile", "constant"]  # five requests
MOST = 5 * (400 * 2_000 + 100 * 10_000)  # nano-dollars they may cost: $0.009


def told(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(capsys.readouterr().out)
    return report


def test_without_anything_it_starts_a_fake_of_its_own_and_ends_it() -> None:
    options = ["--json", *SHORT, "--fake", "--no-limits --fault refused"]
    ran = subprocess.run([*COMMAND, *options], capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    report = json.loads(ran.stdout)
    assert (report["planned"], report["sent"], report["answered"]) == (5, 5, 5)
    assert report["failed"] == {}
    assert report["planned_per_minute"] == 600.0
    assert report["latency"]["p50"] > 0
    assert ran.stderr == ""


def test_a_running_fake_is_told_apart_and_used(capsys: pytest.CaptureFixture[str]) -> None:
    with FakeAnthropic(lambda request: fail(400) if request.number == 3 else None) as fake:
        assert main(["--base-url", fake.url, "--json", *SHORT]) == 0
    report = told(capsys)
    # The first request asked whether it is a fake.
    assert (report["sent"], report["answered"], report["failed"]) == (5, 4, {"invalid_request": 1})
    assert report["nanousd"] == 4 * MOST // 5
    assert report["interrupted"] is False


def test_in_text_it_is_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    with FakeAnthropic() as fake:
        main(["--base-url", fake.url, *SHORT])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "planned      5, 600.0 a minute"
    assert lines[-1] == "cost         $0.009"


def test_an_endpoint_that_does_not_say_that_it_is_a_fake_is_not_used(
    backend: Backend, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"http://127.0.0.1:{backend.port}"
    assert main(["--base-url", url, *SHORT]) == 1
    assert capsys.readouterr().err == (
        f"{url} does not say that it is a fake; if calls to it may cost money, add --real\n"
    )


def test_where_nobody_answers_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--base-url", "http://127.0.0.1:9", *SHORT]) == 1
    assert capsys.readouterr().err == "http://127.0.0.1:9 does not answer (ConnectError)\n"


def test_a_fake_that_does_not_start_says_why() -> None:
    ran = subprocess.run([*COMMAND, *SHORT, "--fake", "--speed 0"], capture_output=True, text=True, timeout=60)
    assert ran.returncode == 1
    assert ran.stderr.splitlines()[-2:] == [
        "python -m llmclient.testing: error: speed: 0.0 is not above 0",
        "the fake did not start",
    ]


# --- what costs money. The endpoint is a fake; that it is one is not asked for with --real.


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "paid")


@pytest.mark.usefixtures("key")
@pytest.mark.parametrize("agreed", [[], ["--yes-spend", "$0.008999999"]])
def test_nothing_is_sent_to_a_real_endpoint_without_agreeing_to_what_it_may_cost(
    capsys: pytest.CaptureFixture[str], agreed: list[str]
) -> None:
    with FakeAnthropic() as fake:
        assert main(["--real", "--base-url", fake.url, *SHORT, *agreed]) == 2
        assert not fake.requests
        assert capsys.readouterr().err.splitlines() == [
            f"5 requests to {fake.url}: about 2,000 tokens to read, at most 500 to write.",
            "Estimated cost: at most $0.009, without retries.",
            'Nothing was sent. To agree: --yes-spend "$0.01"',
        ]


@pytest.mark.usefixtures("key")
def test_agreed_to_exactly_it_is_sent_with_the_real_key(capsys: pytest.CaptureFixture[str]) -> None:
    with FakeAnthropic() as fake:
        assert main(["--real", "--base-url", fake.url, "--json", *SHORT, "--yes-spend", "$0.009"]) == 0
    assert told(capsys)["sent"] == 5
    assert {request.key for request in fake.requests} == {"paid"}
    assert {request.path for request in fake.requests} == {"/v1/messages"}


@pytest.mark.usefixtures("key")
@pytest.mark.parametrize(("answer", "status", "sent"), [("yes", 0, 5), ("no", 2, 0)])
def test_at_a_terminal_it_asks(answer: str, status: int, sent: int) -> None:
    with FakeAnthropic() as fake:
        keyboard, terminal = os.openpty()
        os.write(keyboard, f"{answer}\n".encode())
        options = ["--real", "--base-url", fake.url, *SHORT]
        ran = subprocess.run([*COMMAND, *options], stdin=terminal, capture_output=True, text=True, timeout=60)
        os.close(keyboard)
        os.close(terminal)
        assert len(fake.requests) == sent
    assert ran.returncode == status
    assert "Spend up to $0.01? Write yes: " in ran.stderr


@pytest.mark.usefixtures("key")
def test_a_model_without_a_price_is_not_sent_to_a_real_endpoint(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--real", "--yes-spend", "$100", "--model", "claude-next-7", *SHORT])
    assert "no price is known for claude-next-7, so a real endpoint is not used" in capsys.readouterr().err


@pytest.mark.usefixtures("key")
def test_prices_come_from_the_table_given(capsys: pytest.CaptureFixture[str]) -> None:
    def dear(model: str, input_tokens: int, output_tokens: int) -> int:
        return 1_000_000_000 * output_tokens

    assert main(["--real", "--base-url", "http://127.0.0.1:9", *SHORT], estimate=dear) == 2
    assert "Estimated cost: at most $500.00, without retries." in capsys.readouterr().err


def test_without_a_key_a_real_endpoint_is_not_used(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    with pytest.raises(SystemExit):
        main(["--real", "--yes-spend", "$100", *SHORT])
    assert "--real needs a key in ANTHROPIC_API_KEY" in capsys.readouterr().err


# --- telemetry, and the end


def test_telemetry_goes_where_it_is_told_and_only_there(
    backend: Backend, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LLMCLIENT_DSN", backend.dsn)
    with FakeAnthropic() as fake:
        main(["--base-url", fake.url, *SHORT])
        llmclient.flush(5)
        assert backend.events == []
        main(["--base-url", fake.url, *SHORT, "--dsn", backend.dsn])
    assert [(event["app"], event["feature"]) for event in backend.events] == [("load", "load")] * 5
    with pytest.raises(SystemExit):
        main([*SHORT, "--dsn", "nonsense"])
    assert "the DSN must start with" in capsys.readouterr().err


def test_somebody_who_looks_sees_how_far_it_is() -> None:
    with FakeAnthropic() as fake:
        screen, terminal = os.openpty()
        options = ["--base-url", fake.url, *SHORT]
        subprocess.run([*COMMAND, *options], stdout=subprocess.DEVNULL, stderr=terminal, timeout=60)
        os.close(terminal)
        shown = os.read(screen, 10_000).decode()
        os.close(screen)
    assert re.match(r"\r\d of 5 sent, \d answered, 0 failed, \d under way \x1b\[K", shown)
    assert shown.endswith("\r\x1b[K")


def test_ctrl_c_ends_it_with_the_report_so_far() -> None:
    with FakeAnthropic(lambda _: slow(0.3)) as fake:
        options = ["--base-url", fake.url, "--rate", "600", "--for", "10m", "--json"]
        with subprocess.Popen([*COMMAND, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
            wait_until(lambda: len(fake.requests) > 4)
            run.send_signal(signal.SIGINT)
            out, err = run.communicate(timeout=30)
    report = json.loads(out)
    assert run.returncode == 130
    assert err == ""
    assert report["interrupted"] is True
    assert report["sent"] == report["answered"] >= 4
    assert report["not_sent"]["interrupted"] == report["planned"] - report["sent"]
