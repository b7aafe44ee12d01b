"""Where telemetry goes."""

from pathlib import Path
from typing import Any

import pytest

import llmclient
from llmclient import _config
from llmclient.testing import FakeAnthropic
from tests.llmclient.backend import Backend
from tests.llmclient.conftest import client_of


@pytest.mark.parametrize(
    ("dsn", "endpoint"),
    [
        ("https://llv_ing_k@vitals.example.com", "https://vitals.example.com/api/v1/events"),
        ("http://llv_ing_k@127.0.0.1:8000", "http://127.0.0.1:8000/api/v1/events"),
        ("http://llv_ing_k@[::1]:8000/", "http://[::1]:8000/api/v1/events"),
        ("https://llv_ing_k@example.com/vitals/", "https://example.com/vitals/api/v1/events"),
    ],
)
def test_a_dsn_names_the_address_and_the_key(dsn: str, endpoint: str) -> None:
    assert _config.read_dsn(dsn) == (endpoint, "llv_ing_k")


@pytest.mark.parametrize(
    ("dsn", "problem"),
    [
        ("llv_ing_secret", "must start with https:// or http://"),
        ("ftp://llv_ing_secret@host", "must start with https:// or http://"),
        ("https://host", "has no key before the @"),
        ("https://llv_ing_secret@", "has no host after the @"),
        ("https://llv_ing_secret@host:port", "has no readable host and port"),
        ("https://llv_ing_secret@[::1", "has no readable host and port"),
    ],
)
def test_a_wrong_dsn_is_told_plainly_and_without_the_key(dsn: str, problem: str) -> None:
    with pytest.raises(ValueError, match="DSN") as caught:
        llmclient.configure(dsn)
    assert problem in str(caught.value)
    assert "secret" not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_capture_has_three_values() -> None:
    with pytest.raises(ValueError, match='capture must be "off", "redacted" or "full", not \'some\''):
        llmclient.configure(capture="some")  # type: ignore[arg-type]


def test_the_environment_is_enough(backend: Backend, ask: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMCLIENT_DSN", backend.dsn)
    with FakeAnthropic() as fake:
        client_of(fake).messages.create(**ask)
    assert llmclient.flush(30)
    assert len(backend.events) == 1


def test_a_wrong_variable_does_not_stop_the_host(
    ask: dict[str, Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("LLMCLIENT_DSN", "nonsense")
    with FakeAnthropic() as fake:
        client_of(fake).messages.create(**ask)
    assert [record.message.split(":")[0] for record in caplog.records if record.name == "llmclient"] == [
        "telemetry is off"
    ]


def test_an_empty_dsn_switches_telemetry_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMCLIENT_DSN", "http://llv_ing_k@127.0.0.1:1")
    llmclient.configure("")
    assert _config.current().shipper is None


def test_configuring_again_delivers_to_the_old_place_first(backend: Backend, ask: dict[str, Any]) -> None:
    second = Backend()
    with FakeAnthropic() as fake:
        client = client_of(fake)
        llmclient.configure(backend.dsn)
        client.messages.create(**ask)
        llmclient.configure(second.dsn)
        client.messages.create(**ask)
    assert llmclient.flush(30)
    assert (len(backend.events), len(second.events)) == (1, 1)
    llmclient.close()
    second.close()


def test_what_was_spooled_is_delivered_after_a_restart(backend: Backend, ask: dict[str, Any], tmp_path: Path) -> None:
    with FakeAnthropic() as fake:
        client = client_of(fake)
        llmclient.configure("http://llv_ing_k@127.0.0.1:1", spool=tmp_path)
        client.messages.create(**ask)
        llmclient.close()
        assert len(list(tmp_path.iterdir())) == 1
        llmclient.configure(backend.dsn, spool=tmp_path)
        client.messages.create(**ask)
    assert llmclient.flush(30)
    llmclient.close()
    assert len(backend.events) == 2
    assert list(tmp_path.iterdir()) == []
