"""Mails of a running product, over real SMTP: one when it begins, one when it is over, whoever is killed meanwhile."""

import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from urllib.parse import urlsplit

import anthropic
import psutil
import pytest

import llmclient
from bench import tree
from llmclient.testing import FakeAnthropic, fail, reply
from tests.alerting.conftest import MailServer
from tests.running import Administrator, finished, manage, replay

pytestmark = pytest.mark.processes

EMPTY_INLINES = {
    f"{name}-{count}_FORMS": "0" for name in ("recipients", "ingest_keys") for count in ("TOTAL", "INITIAL")
}


@pytest.fixture
def mail_server() -> Iterator[MailServer]:
    server = MailServer()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def product(mail_server: MailServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[tree.Product]:
    monkeypatch.setenv("EMAIL_URL", f"smtp://127.0.0.1:{mail_server.port}")
    with tree.home() as home, tree.product(home) as running:
        yield running


@pytest.fixture
def administrator(product: tree.Product) -> Administrator:
    """Has made the project `shop` and put oncall@example.com on its list."""
    ada = Administrator.of(product)
    rates = {"infra_nanousd_per_request": "0", "infra_nanousd_per_token": "0"}
    ada.post("/admin/projects/project/add/", name="Shop", slug="shop", **rates, **EMPTY_INLINES)
    ada.post("/admin/projects/recipient/add/", project="1", email="oncall@example.com", active="on")
    return ada


def kill_workers(product: tree.Product, times: int) -> None:
    """The worker ends in the middle of whatever it does, and comes back."""
    dice = random.Random(7)
    for _ in range(times):
        time.sleep(dice.uniform(0.5, 4.0))
        for name, process in tree.processes(product):
            if name == "worker":
                with suppress(psutil.NoSuchProcess):
                    process.send_signal(signal.SIGKILL)


def wait_until(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.5)


def midday_zone() -> str:
    """A zone in which it is about noon, so that a day's budget does not end during the test. Its sign is inverted."""
    ahead = 12 - datetime.now(UTC).hour
    return f"Etc/GMT{-ahead:+d}" if ahead else "UTC"


def set_budget(administrator: Administrator, address: str, dollars: str, **fields: str) -> None:
    administrator.post(
        address,
        project="1",
        name="Daily",
        period="day",
        zone=midday_zone(),
        amount_nanousd=dollars,
        active="on",
        **{"thresholds-TOTAL_FORMS": "1", "thresholds-0-percent": "100", "thresholds-0-severity": "critical"},
        **fields,
    )


@pytest.mark.timeout(600)
def test_a_budget_set_in_the_admin_and_crossed_by_a_replay_is_mailed_once_and_resolved_once(
    product: tree.Product, administrator: Administrator, mail_server: MailServer
) -> None:
    set_budget(administrator, "/admin/budgets/budget/add/", "1.00", **{"thresholds-INITIAL_FORMS": "0"})
    # 600 rows of the trace cost more than two dollars.
    replaying = replay(product, "--project", "shop", "--limit", "600")
    kill_workers(product, times=3)
    finished(replaying)
    kill_workers(product, times=2)
    wait_until(lambda: len(mail_server.received) >= 1, seconds=240)

    kept = {"thresholds-INITIAL_FORMS": "1", "thresholds-0-id": "1", "thresholds-0-budget": "1"}
    set_budget(administrator, "/admin/budgets/budget/1/change/", "1000.00", **kept)
    kill_workers(product, times=2)
    wait_until(lambda: len(mail_server.received) >= 2, seconds=240)

    first, second = mail_server.received
    assert str(first["Subject"]).strip().startswith("[FIRING · critical]")
    assert str(second["Subject"]).strip().startswith("[RESOLVED")
    assert second["In-Reply-To"] == first["Message-ID"]
    assert first["To"] == second["To"] == "oncall@example.com"


@pytest.mark.long
@pytest.mark.timeout(1_200)
def test_an_error_burst_is_mailed_once_and_resolved_once(
    product: tree.Product, administrator: Administrator, mail_server: MailServer
) -> None:
    administrator.post(
        "/admin/alerting/alertrule/add/",
        project="1", name="Burst", severity="critical", enabled="on", metric="error_rate", window_minutes="1",
        direction="above", threshold="50", for_minutes="0", minimum_sample="10", no_data="keep",
        recovery_threshold="10", keep_firing_minutes="0",
    )  # fmt: skip
    key = finished(manage(product, "create_key", "shop")).split()
    token = next(word for word in key if word.startswith("llv_ing_"))
    base = urlsplit(f"http://127.0.0.1:{product.port}")
    llmclient.configure(f"http://{token}@{base.netloc}", app="shop")
    try:
        is_broken = True
        with FakeAnthropic(lambda _: fail(529) if is_broken else reply("Yes")) as fake:
            claude = anthropic.Anthropic(api_key="key", base_url=fake.url, max_retries=0)
            # A breaker would end the burst after five failures.
            llm = llmclient.instrument(claude, policy=llmclient.Policy(breaker=None))
            _call_until(llm, lambda: any("over 50 %" in subject for subject in mail_server.subjects), product)
            is_broken = False
            _call_until(llm, lambda: any("over 50 %" in s[0] and len(s) > 1 for s in _threads(mail_server)), product)
    finally:
        llmclient.close()
    # The rules a project starts with see the burst as well; each alert is a thread of its own.
    threads = _threads(mail_server)
    assert any("over 50 %" in subjects[0] for subjects in threads if len(subjects) == 2)
    for subjects in threads:
        assert [subject.split()[0] for subject in subjects] in (["[FIRING"], ["[FIRING", "[RESOLVED"])


def _threads(mail_server: MailServer) -> list[list[str]]:
    """The subjects of each thread, in the order they came."""
    threads: dict[str, list[str]] = {}
    for message in mail_server.received:
        root = str(message["In-Reply-To"] or message["Message-ID"])
        threads.setdefault(root, []).append(str(message["Subject"]).strip())
    return list(threads.values())


def _call_until(llm: anthropic.Anthropic, done: Callable[[], bool], product: tree.Product) -> None:
    """One call a second, with a worker killed every now and then."""
    deadline = time.monotonic() + 500
    calls = 0
    while not done():
        assert time.monotonic() < deadline, "no mail came"
        with suppress(anthropic.APIStatusError):
            llm.messages.create(
                model="claude-sonnet-5-5", max_tokens=9, messages=[{"role": "user", "content": "Open?"}]
            )
        calls += 1
        if calls % 45 == 0:
            kill_workers(product, times=1)
        time.sleep(1)
