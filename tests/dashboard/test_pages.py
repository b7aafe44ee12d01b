"""First steps, alerts, mails, health, and the pages of an error."""

import re
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.core import mail as outbox
from django.core.mail import EmailMultiAlternatives, get_connection
from django.test import Client
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pytest_django.fixtures import Settings

from alerting.models import Alert, AlertRule, Notification, Transition
from budgets.models import Budget
from config.models import Job
from dashboard.context import FILE_BACKEND
from projects import keys
from projects.models import AuditEvent, IngestKey, Project, Recipient
from tests import factories
from tests.dashboard.conftest import count

pytestmark = pytest.mark.django_db


# --- first steps


def test_without_a_project_staff_makes_one_with_its_rules(admin: Client) -> None:
    assert "Create the project" in admin.get("/").content.decode()
    response = admin.post("/first-steps/project/", {"name": "Help Desk"})
    assert response["Location"] == "/?project=help-desk"
    project = Project.objects.get()
    assert (project.slug, project.name) == ("help-desk", "Help Desk")
    assert AlertRule.objects.filter(project=project).count() == 3
    assert AuditEvent.objects.get().action == "create.project"


@pytest.mark.parametrize(("name", "words"), [("", "This field is required."), ("…", "at least one letter")])
def test_a_project_without_a_name_is_refused_with_a_reason(admin: Client, name: str, words: str) -> None:
    response = admin.post("/first-steps/project/", {"name": name})
    assert response.status_code == 422
    assert words in response.content.decode()


def test_others_are_told_who_can(viewer: Client) -> None:
    assert "Only staff can make one" in viewer.get("/").content.decode()
    assert viewer.post("/first-steps/project/", {"name": "X"}).status_code == 403
    assert not Project.objects.exists()


def test_a_key_is_made_shown_once_and_works(admin: Client, project: Project, now: datetime) -> None:
    assert admin.get("/").content.decode().count('<li class="card') == 5
    admin.post("/first-steps/helpdesk/key/", {"environment": "staging"})
    page = admin.get("/").content.decode()
    (secret,) = set(re.findall(r"llv_ing_[0-9A-Za-z]{10}_[0-9A-Za-z]{43}_[0-9A-Za-z]{6}", page))
    assert f"llmclient.configure(&quot;http://{secret}@127.0.0.1:8000&quot;)" in page or f"http://{secret}@127" in page
    key = keys.verify(secret, now)
    assert key is not None
    assert (key.project, key.environment) == (project, "staging")
    assert secret not in admin.get("/").content.decode()
    assert AuditEvent.objects.get().action == "create.key"


def test_only_staff_makes_keys(viewer: Client, project: Project) -> None:
    assert viewer.post("/first-steps/helpdesk/key/", {"environment": "production"}).status_code == 403
    assert not IngestKey.objects.exists()


def test_an_environment_that_is_no_name_is_refused(admin: Client, project: Project) -> None:
    response = admin.post("/first-steps/helpdesk/key/", {"environment": "a b"}, follow=True)
    assert "An environment is a short name" in response.content.decode()
    assert not IngestKey.objects.exists()


def test_the_first_steps_turn_into_the_dashboard_when_a_call_arrives(
    viewer: Client, project: Project, now: datetime
) -> None:
    assert viewer.get("/first-steps/helpdesk/waiting/").status_code == 204
    factories.stored(project, at=now - timedelta(seconds=5), now=now)
    count(now)
    answer = viewer.get("/first-steps/helpdesk/waiting/")
    assert answer["HX-Redirect"] == "/?project=helpdesk&from=now-1h"
    assert '<h3>Requests</h3><p class="value">1</p>' in viewer.get(answer["HX-Redirect"]).content.decode()


def test_steps_that_are_done_are_ticked(admin: Client, project: Project) -> None:
    keys.mint(project, "production")
    Budget.objects.create(project=project, name="Month", amount_nanousd=1)
    Recipient.objects.create(project=project, email="a@example.com")
    assert admin.get("/").content.decode().count("is-done") == 3


def test_a_test_mail_goes_to_whoever_asks(admin: Client, project: Project) -> None:
    page = admin.post("/first-steps/helpdesk/mail/", follow=True).content.decode()
    assert "A test mail is on its way to admin@example.com." in page
    assert [message.to for message in outbox.outbox] == [["admin@example.com"]]


def test_a_mail_that_cannot_be_sent_says_why(admin: Client, project: Project, settings: Settings) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    page = admin.post("/first-steps/helpdesk/mail/", follow=True).content.decode()
    assert "The mail could not be sent" in page
    assert "Check EMAIL_URL." in page


# --- alerts


@pytest.fixture
def alert(project: Project, now: datetime) -> Alert:
    """An alert that fired twenty minutes ago, of which one mail was sent and one given up."""
    rule = AlertRule.objects.create(
        project=project, name="Errors", metric="error_rate", threshold=Decimal(5), recovery_threshold=Decimal(2)
    )
    opened = now - timedelta(minutes=22)
    made = Alert.objects.create(
        project=project,
        rule=rule,
        subject=f"rule:{rule.pk}",
        title="Error rate above 5 %",
        severity="critical",
        state="firing",
        since=opened + timedelta(minutes=2),
        opened_at=opened,
        fired_at=opened + timedelta(minutes=2),
        value=Decimal("0.125"),
        peak=Decimal("0.444"),
        limit=Decimal("0.05"),
        facts={
            "rule": {"metric": "error_rate"},
            "scope": {"environment": "production", "feature": "inbox"},
            "firing": {
                "start": opened.isoformat(),
                "contributors": [
                    {"dimension": "error", "name": "overloaded", "metric": "errors", "value": "6", "share": "0.6"}
                ],
            },
        },
    )
    step = Transition.objects.create(alert=made, seq=1, at=opened, from_state="ok", to_state="firing", why="25 % fail.")
    for number, state in enumerate(("sent", "dead")):
        recipient = Recipient.objects.create(project=project, email=f"{state}@example.com")
        Notification.objects.create(
            transition=step,
            recipient=recipient,
            reason="firing",
            key=f"k{number}",
            state=state,
            created_at=opened,
            available_at=opened,
            sent_at=opened if state == "sent" else None,
            tries=5,
            last_error="550 no such mailbox" if state == "dead" else "",
        )
    return made


def test_what_fires_is_on_the_page_in_the_navigation_and_on_the_overview(
    viewer: Client, calls: Project, alert: Alert
) -> None:
    page = viewer.get("/alerts/").content.decode()
    assert "<title>1 firing: Help desk" in page
    assert [cell in page for cell in ("12.5\u202f%", "44.4\u202f%", "5\u202f%", "production, inbox")] == [True] * 4
    assert 'class="badge">1<' in page
    assert f'href="/alerts/{alert.pk}/' in viewer.get("/").content.decode()


def test_an_alert_tells_its_steps_and_what_became_of_each_mail(viewer: Client, alert: Alert) -> None:
    page = viewer.get(f"/alerts/{alert.pk}/").content.decode()
    assert "25 % fail." in page
    assert "given up after 5 tries: 550 no such mailbox" in page
    assert "60.0\u202f%" in page
    assert "status=failed" in page
    assert "Edit in settings" not in page


def test_staff_gets_to_the_rule(admin: Client, alert: Alert) -> None:
    assert f"/admin/alerting/alertrule/{alert.rule_id}/change/" in admin.get(f"/alerts/{alert.pk}/").content.decode()


def test_nothing_firing_is_a_good_state_with_words_of_its_own(viewer: Client, project: Project) -> None:
    assert "Nothing fires." in viewer.get("/alerts/").content.decode()


def test_a_rule_that_cannot_be_evaluated_is_told(viewer: Client, alert: Alert) -> None:
    AlertRule.objects.update(last_error="unknown metric")
    assert "cannot be evaluated: unknown metric" in viewer.get("/alerts/").content.decode()


# --- mails


@pytest.fixture
def mails(settings: Settings, tmp_path: Path) -> Path:
    settings.EMAIL_BACKEND = FILE_BACKEND
    settings.EMAIL_FILE_PATH = str(tmp_path / "mails")
    connection = get_connection()
    for subject in ("[FIRING] Errors — Help desk", "[RESOLVED] Errors"):
        message = EmailMultiAlternatives(subject, "It is über 5 %.", to=["anna@example.com"], connection=connection)
        message.attach_alternative('<p style="color:red">It is <b>über</b></p><script>alert(1)</script>', "text/html")
        message.send()
    return tmp_path / "mails"


def test_mails_in_files_are_listed_and_read(admin: Client, mails: Path) -> None:
    page = admin.get("/mails/").content.decode()
    assert "[FIRING] Errors — Help desk" in page
    addresses = re.findall(r'href="(/mails/[^"]+/)"', page)
    assert len(addresses) == 2
    found = admin.get(addresses[1])
    assert "It is über 5 %." in found.content.decode()
    assert "frame-src 'self'" in found["Content-Security-Policy"]


def test_the_html_of_a_mail_is_shown_in_a_sandbox_without_scripts(admin: Client, mails: Path) -> None:
    (key,) = {path.stem for path in mails.iterdir()}
    response = admin.get(f"/mails/{key}-0/html/")
    assert "<b>über</b>" in response.content.decode()
    rules = response["Content-Security-Policy"]
    assert rules.startswith("sandbox; default-src 'none'; ")
    assert "script-src" not in rules
    assert "allow-" not in rules
    assert response["X-Frame-Options"] == "SAMEORIGIN"


@pytest.mark.parametrize("key", ["x-0", "..-0", "%2e%2e%2fsecret-0", "a-b-c-9", "%00-0", "a" * 5_000 + "-0"])
def test_no_other_file_can_be_read_as_a_mail(admin: Client, mails: Path, key: str) -> None:
    (mails.parent / "secret.log").write_text("Subject: secret\n\nno")
    assert admin.get(f"/mails/{key}/").status_code == 404


def test_mails_are_for_staff_and_only_where_they_go_to_files(viewer: Client, admin: Client, mails: Path) -> None:
    assert viewer.get("/mails/").status_code == 403
    assert ">Mails<" not in viewer.get("/").content.decode()


def test_mails_that_are_sent_are_not_shown(admin: Client) -> None:
    assert admin.get("/mails/").status_code == 404


# --- health, errors, and any address at all


def test_health_is_open_and_says_only_that_the_process_lives(client: Client) -> None:
    assert client.get("/healthz").content == b"ok\n"


@pytest.mark.parametrize(("address", "status"), [("/healthz", 200), ("/readyz", 200), ("/login/", 400), ("/", 400)])
def test_machines_may_ask_by_any_name_and_people_only_by_ours(
    client: Client, settings: Settings, address: str, status: int
) -> None:
    settings.ALLOWED_HOSTS = ["vitals.example.com"]
    assert client.get(address, headers={"Host": "10.0.0.7:8000"}).status_code == status


def test_readiness_names_what_is_not_ready(client: Client, project: Project, now: datetime) -> None:
    assert client.get("/readyz").json() == {"database": "ok", "migrations": "ok", "counting": "ok"}
    factories.stored(project, at=now - timedelta(minutes=30), now=now - timedelta(minutes=30))
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json()["counting"].endswith("s behind; is the worker running?")


def test_calls_that_are_not_counted_make_the_verdict_unknown(viewer: Client, calls: Project, now: datetime) -> None:
    factories.stored(calls, at=now - timedelta(minutes=5), now=now - timedelta(minutes=5))
    Job.objects.all().delete()
    page = viewer.get("/").content.decode()
    assert "Calls are taken in, but they are not being counted" in page


def test_the_pages_of_an_error_are_in_the_layout_and_lead_back(viewer: Client) -> None:
    response = viewer.get("/nowhere/")
    assert response.status_code == 404
    assert "Go to the Overview" in response.content.decode()
    assert 'class="side"' in response.content.decode()


def test_a_wrong_password_is_told_without_telling_more(client: Client) -> None:
    User.objects.create_user("anna", "", "right")
    page = client.post("/login/", {"username": "anna", "password": "wrong"}).content.decode()
    assert "User name and password do not belong together." in page
    assert client.post("/login/", {"username": "anna", "password": "right"})["Location"] == "/"


def test_the_theme_in_the_cookie_is_used_and_anything_else_is_not(viewer: Client, project: Project) -> None:
    viewer.cookies["theme"] = "dark"
    assert '<html lang="en" data-theme="dark">' in viewer.get("/").content.decode()
    viewer.cookies["theme"] = '"><script>'
    assert '<html lang="en">' in viewer.get("/").content.decode()


ADDRESSES = st.dictionaries(
    st.sampled_from(["project", "env", "from", "to", "cmp", "feature", "user", "status", "err", "before", "model"]),
    st.one_of(st.text(max_size=30), st.sampled_from(["now", "now-1h", "now-30d", "failed", "2026-11-22T10:00:00Z"])),
    max_size=5,
)


@hypothesis_settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(query=ADDRESSES)
def test_no_address_breaks_a_page(viewer: Client, calls: Project, query: dict[str, str]) -> None:
    for page in ("/", "/logs/", "/alerts/"):
        assert viewer.get(page, query).status_code == 200
