"""The product as a stranger meets it: what is open, what is refused, and what every answer carries."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import Permission, User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone
from pytest_django.fixtures import Settings

from alerting.models import Alert, AlertRule
from dashboard import csp
from dashboard.context import FILE_BACKEND
from ingest.models import Quarantined
from projects.models import AuditEvent, IngestKey, Project
from tests import factories
from tests.dashboard.conftest import count

ROOT = Path(__file__).resolve().parent.parent
OPEN = {"login/", "healthz", "readyz", "admin/login/"}
"""All that answers without an account; the API wants a key."""

API = {
    *("api/v1/events", "api/v1/scores", "api/v1/annotations", "api/v1/metrics", "api/v1/metrics/<str:metric>"),
    *("api/v1/metrics/<str:metric>/series", "api/v1/metrics/<str:metric>/breakdown"),
}

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'><svg/onload=alert(1)>",
    "{{ 31415|add:27182 }}{% debug %}",
    "javascript:alert(1)//</script><!--",
    "=cmd|'/C calc'!A0",
    "a\r\nBcc: thief@example.com",
)


def routes(patterns: Any = None, before: str = "") -> Iterator[str]:
    for one in get_resolver().url_patterns if patterns is None else patterns:
        route = before + str(one.pattern)
        if isinstance(one, URLResolver):
            yield from routes(one.url_patterns, route)
        elif isinstance(one, URLPattern):
            yield route


def filled(route: str) -> str:
    """An address that the route matches."""
    known = {
        "<uuid:id>": str(uuid4()),
        "<int:id>": "1",
        "<slug:key>": "latency",
        "<slug:panel>": "latency",
        "<slug:page>": "overview",
        "<slug:slug>": "x",
        "<str:key>": "x-0",
        "<str:metric>": "requests",
    }
    for name, value in known.items():
        route = route.replace(name, value)
    for name in ("<path:object_id>", "<int:content_type_id>", "<path:url>", "<id>"):
        route = route.replace(name, "1")
    return "/" + route.removesuffix("$")


@pytest.mark.django_db
@pytest.mark.parametrize("method", ["get", "post"])
def test_without_an_account_every_address_leads_to_the_form_to_sign_in(client: Client, method: str) -> None:
    listed = list(routes())
    assert len(listed) > 60
    for route in listed:
        if route in OPEN or "(?P<" in route:
            continue
        answer = getattr(client, method)(filled(route))
        if route in API:
            assert answer.status_code == 401
        else:
            assert answer.status_code == 302, route
            assert answer["Location"].split("?")[0] in {"/login/", "/admin/login/"}, route


@pytest.mark.django_db
def test_no_post_works_without_its_csrf_token(db: None) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(User.objects.create_superuser("admin", password="admin"))
    for route in routes():
        if "(?P<" not in route and route not in API | {"healthz", "readyz"}:
            assert client.post(filled(route)).status_code == 403, route


@pytest.mark.django_db
@pytest.mark.parametrize("next_", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)"])
@pytest.mark.parametrize("page", ["/login/", "/admin/login/"])
def test_signing_in_leads_to_this_site_only(client: Client, page: str, next_: str) -> None:
    User.objects.create_superuser("anna", password="right")
    answer = client.post(f"{page}?next={next_}", {"username": "anna", "password": "right", "next": next_})
    assert answer["Location"] == "/"


@pytest.mark.django_db
def test_pages_of_an_error_redirects_and_files_have_a_policy_without_unsafe(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = Client(raise_request_exception=False)
    answers = {
        302: client.get("/logs/"),
        404: client.get("/nowhere/"),
        405: client.post("/healthz"),
        400: client.get("/login/", HTTP_HOST="evil.example"),
        401: client.post("/api/v1/events"),
        200: client.get("/static/favicon.svg"),
    }
    monkeypatch.setattr("dashboard.views.system.health.ready", lambda now: 1 / 0)
    answers[500] = client.get("/readyz")
    for status, answer in answers.items():
        if status != 200:
            assert answer.status_code == status
        assert answer[csp.HEADER].startswith("default-src 'none'; script-src 'nonce-")
        assert "unsafe" not in answer[csp.HEADER]
        assert answer["X-Content-Type-Options"] == "nosniff"


@pytest.mark.django_db
def test_ten_thousand_parameters_are_refused(client: Client) -> None:
    client.force_login(User.objects.create_user("viewer"))
    query = "&".join(f"a{number}=1" for number in range(10_000))
    for page in ("/", "/logs/", "/alerts/", "/overview/latency.csv"):
        assert client.get(f"{page}?{query}").status_code == 400
    assert client.post("/login/", {f"a{number}": "1" for number in range(10_000)}).status_code == 400


@pytest.mark.django_db
def test_a_file_sent_to_the_form_is_never_written_to_disk(
    settings: Settings, tmp_path: Path, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.NamedTemporaryFile", lambda *_, **__: pytest.fail("a file was made"))
    large = SimpleUploadedFile("x.bin", b"x" * 3_000_000)
    assert client.post("/login/", {"username": "a", "password": "b", "file": large}).status_code == 200


def test_behind_tls_the_deployment_check_has_nothing_to_say() -> None:
    given = {
        "BEHIND_TLS": "on", "BASE_URL": "https://vitals.example", "ALLOWED_HOSTS": "vitals.example",
        "SECRET_KEY": "k" * 10 + "abcdefghijklmnopqrstuvwxyz0123456789-_" * 2, "DEBUG": "off",
    }  # fmt: skip
    command = [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"]
    answer = subprocess.run(command, cwd=ROOT, env=os.environ | given, capture_output=True, text=True)
    assert (answer.returncode, answer.stderr) == (0, "")
    assert answer.stdout.startswith("System check identified no issues (2 silenced).")


@pytest.mark.django_db
def test_behind_tls_people_are_sent_to_it_and_probes_are_not(settings: Settings) -> None:
    settings.SECURE_SSL_REDIRECT = True
    client = Client()
    assert client.get("/login/")["Location"] == "https://testserver/login/"
    assert client.post("/api/v1/events").status_code == 301
    assert client.get("/healthz").status_code == 200


@pytest.mark.django_db
def test_staff_who_may_not_add_keys_or_projects_in_the_admin_cannot_on_the_first_page_either(client: Client) -> None:
    project = factories.project("helpdesk")
    user = User.objects.create_user("clerk", is_staff=True)
    client.force_login(user)
    assert client.post("/first-steps/project/", {"name": "Another"}).status_code == 403
    assert client.post("/first-steps/helpdesk/key/", {"environment": "production"}).status_code == 403
    assert (Project.objects.count(), IngestKey.objects.count()) == (1, 0)
    user.user_permissions.add(Permission.objects.get(codename="add_ingestkey"))
    assert client.post("/first-steps/helpdesk/key/", {"environment": "production"}).status_code == 302
    assert IngestKey.objects.get().project == project


@pytest.mark.django_db
def test_a_prompt_in_quarantine_cannot_be_guessed_letter_by_letter_with_filters(client: Client) -> None:
    client.force_login(User.objects.create_superuser("admin"))
    Quarantined.objects.create(
        project=factories.project(), event_id=uuid4(), received_at=timezone.now(), reason="too old", event=b"secret"
    )
    for lookup in ("event", "event__contains", "event__startswith", "event__gt"):
        assert client.get("/admin/ingest/quarantined/", {lookup: "s"}).status_code == 400
    assert client.get("/admin/ingest/quarantined/", {"reason__contains": "old"}).status_code == 200


@pytest.mark.django_db
@pytest.mark.parametrize("text", HOSTILE)
def test_words_of_a_client_stay_words_on_every_page(client: Client, settings: Settings, text: str) -> None:
    settings.EMAIL_BACKEND = FILE_BACKEND
    now, project = timezone.now(), factories.project("helpdesk")
    names = (
        "app release sdk feature prompt_type prompt_version user_id session_id model_requested model stop_category "
        "fallback_from request_id operation"
    )
    given: dict[str, Any] = dict.fromkeys(names.split(), text)
    attempt = {"n": 1, "duration_ms": 5, "status": 500, "category": text, "request_id": text, "model": text}
    error = {"category": text, "type": text, "code": text, "status": 500, "message": text}
    event = factories.event(
        now, **given, tags={text: text}, params={text: text}, attempts=[attempt, attempt], error=error, outcome="error",
        content={"input": text, "output": text, "redactions": {text: 1}}, usage={"input_tokens": 1, text: text},
    )  # fmt: skip
    factories.stored(project, event, now=now, environment=text[:64])
    count(now)
    rule = AlertRule.objects.create(
        project=project, name=text, metric="errors", threshold=1, recovery_threshold=1, last_error=text
    )
    alert = Alert.objects.create(
        project=project, rule=rule, subject="rule:1", title=text, severity="critical", state="firing", since=now,
        opened_at=now, fired_at=now, value=1, peak=1, limit=1,
        facts={"rule": {"metric": "errors"}, "scope": {"environment": text, "feature": text}, "firing": {
            "start": now.isoformat(),
            "contributors": [{"dimension": "error", "name": text, "metric": "errors", "value": "1", "share": "1"}]}},
    )  # fmt: skip
    client.force_login(User.objects.create_superuser("admin"))
    pages = ["/", "/logs/", f"/logs/{event['id']}/", "/alerts/", f"/alerts/{alert.pk}/", "/mails/"]
    pages += ["/admin/alerting/alert/", "/admin/alerting/alertrule/", "/admin/ingest/clientinstance/", "/admin/"]
    answers = [client.get(page, {"user": text} if page == "/logs/" else {}) for page in pages]
    answers.append(client.post(f"/logs/{event['id']}/body/"))
    for page, answer in zip([*pages, "body"], answers, strict=True):
        assert answer.status_code == 200, page
        shown = answer.content.decode().lower()
        for piece in ("<script>alert", "<img src=x", "<svg/onload", "</script><!--", "58597"):
            assert piece not in shown, page
        assert 'href="javascript:' not in shown, page
        if "<" in text and page not in {"/mails/", "/admin/", "/admin/ingest/clientinstance/"}:
            assert "&lt;" in shown, page
    assert AuditEvent.objects.get().action == "read.body"
    for panel in ("features", "errors", "cost", "latency", "requests"):
        answer = client.get(f"/overview/{panel}.csv")
        assert answer.status_code == 200
        assert not any(line.startswith(("=", "+", "@", '"=')) for line in answer.content.decode().splitlines())
        assert answer["Content-Type"] == "text/csv; charset=utf-8"


@pytest.mark.django_db
def test_no_cache_on_the_way_keeps_a_page_and_none_at_all_keeps_a_mail(client: Client, settings: Settings) -> None:
    settings.EMAIL_BACKEND = FILE_BACKEND
    now, project = timezone.now(), factories.project("helpdesk")
    client.force_login(User.objects.create_superuser("admin"))
    assert client.get("/")["Cache-Control"] == "private, no-store"  # the first steps, where a key is shown
    factories.stored(project, at=now, now=now)
    count(now)
    for page in ("/", "/logs/", "/alerts/", "/overview/latency.csv"):
        assert sorted(client.get(page)["Cache-Control"].split(", ")) == ["no-cache", "private"], page
    assert sorted(client.get("/mails/")["Cache-Control"].split(", ")) == ["no-store", "private"]
