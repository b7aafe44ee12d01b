"""One real call through all eight rooms: client, API, price, table, rollup, rule, mail and page."""

import re
from collections.abc import Iterator
from datetime import timedelta
from urllib.parse import urlsplit

import anthropic
import pytest
from django.contrib.auth.models import User
from django.core.mail import EmailMessage
from django.db import connection
from django.test import Client
from django.utils import timezone
from pytest_django.live_server_helper import LiveServer

import llmclient
from alerting.evaluate import evaluate
from alerting.models import Alert, AlertRule
from alerting.notify import deliver
from ingest.models import RequestLog
from llmclient.testing import FakeAnthropic, fail, reply
from metrics.rollup import roll_up_hours, roll_up_minutes
from projects.models import Project, Recipient
from tests import factories


@pytest.fixture
def project(live_server: LiveServer) -> Iterator[Project]:
    """A project whose key the client of this process uses."""
    owner = factories.project("helpdesk")
    _, token = factories.key(owner)
    llmclient.configure(f"http://{token}@{urlsplit(live_server.url).netloc}", app="helpdesk")
    yield owner
    llmclient.close()


def ask(llm: anthropic.Anthropic) -> None:
    llm.messages.create(model="claude-sonnet-5-5", max_tokens=400, messages=[{"role": "user", "content": "Hello"}])


@pytest.mark.django_db(transaction=True)
def test_a_call_walks_from_the_client_to_a_page_and_a_mail(project: Project, mailoutbox: list[EmailMessage]) -> None:
    rule = AlertRule.objects.create(
        project=project, name="Many requests fail", metric="error_rate", threshold=50, recovery_threshold=20,
        for_minutes=0, keep_firing_minutes=0, minimum_sample=1, severity="critical",
    )  # fmt: skip
    rule.recipients.add(Recipient.objects.create(project=project, email="oncall@example.com"))

    # 1 telemetry: one answered call of 1,000 tokens in and 100 out, three that fail for good.
    with FakeAnthropic([reply("Hi", input_tokens=1_000, output_tokens=100), *[fail(529)] * 3]) as fake:
        llm = llmclient.instrument(anthropic.Anthropic(api_key="key", base_url=fake.url, max_retries=0))
        with llmclient.context(feature="inbox", prompt_type="triage", user_id="user-4711"):
            ask(llm)
            for _ in range(3):
                with pytest.raises(anthropic.APIStatusError):
                    ask(llm)
    assert llmclient.flush(10)

    # 2 to 4, validate, price, store: $2 and $10 per million tokens make 2,000,000 + 1,000,000 nano-dollars.
    calls = list(RequestLog.objects.filter(project=project).order_by("id"))
    assert [(call.input_tokens, call.output_tokens, call.cost_nanousd) for call in calls] == [
        (1_000, 100, 3_000_000), *[(0, 0, 0)] * 3,
    ]  # fmt: skip

    # 5 roll up.
    now = timezone.now() + timedelta(minutes=1, seconds=30)
    roll_up_minutes(now=now)
    roll_up_hours(now=now)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT sum(requests), sum(errors), sum(cost_nanousd) FROM facet_hour"
            " WHERE project_id = %s AND facet = 0 AND environment_id = 0",
            [project.pk],
        )
        assert cursor.fetchone() == (4, 3, 3_000_000)

    # 6 evaluate, 7 notify: three of four failed, which is above 50 %.
    evaluate(now=now)
    deliver(now=now)
    alert = Alert.objects.get(project=project)
    assert alert.state == Alert.State.FIRING
    assert [mail.to for mail in mailoutbox] == [["oncall@example.com"]]
    assert mailoutbox[0].subject.startswith("[FIRING · critical] ")
    assert "75" in mailoutbox[0].subject

    # 8 display.
    browser = Client()
    browser.force_login(User.objects.create_superuser("ada", "ada@example.com", "secret"))
    overview = browser.get("/", {"project": project.slug}).content.decode()
    assert re.findall(r'<h3>(Requests|Cost)</h3><p class="value"[^>]*>(.*?)</p>', overview) == [
        ("Requests", "4"),
        ("Cost", "$0.003"),
    ]
    log = browser.get("/logs/", {"project": project.slug, "user": "user-4711"}).content.decode()
    assert str(calls[0].id) in log
    assert browser.get(f"/logs/{calls[0].id}/").status_code == 200
    assert browser.get(f"/alerts/{alert.pk}/").status_code == 200
