"""Projects and keys in the admin: a secret is shown once, and everything is noted."""

import re
from datetime import UTC, datetime

import pytest
from django.test import Client
from django.utils import timezone

from projects import audit, keys
from projects.models import AuditEvent, IngestKey, Project, ReadKey, Recipient
from tests import factories

pytestmark = pytest.mark.django_db

TOKEN = re.compile(r"llv_ing_\w{10}_\w{43}_\w{6}")


def add_key(client: Client, project: Project, **fields: str) -> str:
    """Fills in the form and returns the page that follows."""
    data = {"project": project.pk, "environment": "staging", "label": "web", "expires_at_0": "", "expires_at_1": ""}
    answer = client.post("/admin/projects/ingestkey/add/", data | fields, follow=True)
    assert answer.status_code == 200
    return answer.content.decode()


def test_a_key_made_in_the_admin_is_shown_once_and_works(admin_client: Client) -> None:
    project = factories.project()
    [token] = set(TOKEN.findall(add_key(admin_client, project)))
    key = keys.verify(token, timezone.now())
    assert key is not None
    assert (key.project, key.environment, key.label) == (project, "staging", "web")
    assert key.created_by is not None
    assert key.created_by.username == "admin"
    for address in ("/admin/projects/ingestkey/", f"/admin/projects/ingestkey/{key.pk}/change/"):
        page = admin_client.get(address).content.decode()
        assert token not in page
        assert token.split("_")[3] not in page


def test_only_label_and_end_of_a_key_can_be_changed(admin_client: Client) -> None:
    key, _ = factories.key()
    other = factories.project()
    data = {"label": "new", "expires_at_0": "2030-01-01", "expires_at_1": "00:00", "project": other.pk}
    admin_client.post(f"/admin/projects/ingestkey/{key.pk}/change/", data | {"environment": "x"})
    changed = IngestKey.objects.get(pk=key.pk)
    assert (changed.label, changed.expires_at) == ("new", datetime(2030, 1, 1, tzinfo=UTC))
    assert (changed.project_id, changed.environment, changed.digest) == (key.project_id, "production", key.digest)


def test_selected_keys_are_revoked_not_deleted(admin_client: Client) -> None:
    (one, token), (two, _) = factories.key(), factories.key()
    data = {"action": "revoke", "_selected_action": [one.pk, two.pk]}
    page = admin_client.post("/admin/projects/ingestkey/", data, follow=True).content.decode()
    assert "Every process refuses the key within 5 seconds." in page
    assert IngestKey.objects.exclude(revoked_at=None).count() == 2
    assert keys.verify(token, timezone.now()) is None
    assert admin_client.post(f"/admin/projects/ingestkey/{one.pk}/delete/", {"post": "yes"}).status_code == 403


def test_a_project_is_made_with_its_recipients_and_its_infrastructure_rates(admin_client: Client) -> None:
    data = {
        "name": "Help desk",
        "slug": "help-desk",
        "infra_nanousd_per_request": "2000000",
        "infra_nanousd_per_token": "15",
        "recipients-TOTAL_FORMS": "1",
        "recipients-INITIAL_FORMS": "0",
        "recipients-0-email": "oncall@example.com",
        "recipients-0-active": "on",
        "ingest_keys-TOTAL_FORMS": "0",
        "ingest_keys-INITIAL_FORMS": "0",
    }
    assert admin_client.post("/admin/projects/project/add/", data).status_code == 302
    project = Project.objects.get(slug="help-desk")
    assert (project.infra_nanousd_per_request, project.infra_nanousd_per_token) == (2_000_000, 15)
    assert Recipient.objects.get(project=project).email == "oncall@example.com"
    assert AuditEvent.objects.filter(action="create.project", target="help-desk").count() == 1


@pytest.mark.parametrize("rate", ["-1", "0.5", "100000001", "many"])
def test_a_rate_that_could_not_be_stored_with_every_call_is_refused(admin_client: Client, rate: str) -> None:
    data = {"name": "x", "slug": "x", "infra_nanousd_per_request": "0", "infra_nanousd_per_token": rate}
    answer = admin_client.post("/admin/projects/project/add/", data)
    assert answer.status_code == 200
    assert not Project.objects.filter(slug="x").exists()


def test_the_project_page_lists_its_keys_without_a_way_to_add_one(admin_client: Client) -> None:
    key, _ = factories.key()
    page = admin_client.get(f"/admin/projects/project/{key.project_id}/change/").content.decode()
    assert key.key_id in page
    assert "1,000,000,000 are one dollar" in page


def test_what_was_done_can_be_read_and_not_changed(admin_client: Client) -> None:
    add_key(admin_client, factories.project())
    noted = AuditEvent.objects.get(action="create.key")
    assert noted.actor is not None
    assert noted.target.startswith("llv_ing_")
    assert not TOKEN.search(noted.target)
    assert admin_client.get("/admin/projects/auditevent/").status_code == 200
    assert admin_client.get("/admin/projects/auditevent/add/").status_code == 403
    assert admin_client.post(f"/admin/projects/auditevent/{noted.pk}/change/", {"action": "x"}).status_code == 403
    assert admin_client.post(f"/admin/projects/auditevent/{noted.pk}/delete/", {"post": "yes"}).status_code == 403


def test_a_long_target_is_cut_to_what_fits() -> None:
    assert len(audit.record(None, "read.body", None, "x" * 500).target) == 200


def test_a_read_key_is_made_shown_once_noted_and_revoked(admin_client: Client) -> None:
    project = factories.project()
    data = {"project": project.pk, "environment": "", "label": "board", "expires_at_0": "", "expires_at_1": ""}
    page = admin_client.post("/admin/projects/readkey/add/", data, follow=True).content.decode()
    [token] = set(re.findall(r"llv_read_\w{10}_\w{43}_\w{6}", page))
    key = keys.verify_of(ReadKey, token, timezone.now())
    assert key is not None
    assert (key.project, key.environment, key.label) == (project, "", "board")
    assert token not in admin_client.get(f"/admin/projects/readkey/{key.pk}/change/").content.decode()
    admin_client.post("/admin/projects/readkey/", {"action": "revoke", "_selected_action": [key.pk]})
    assert keys.verify_of(ReadKey, token, timezone.now()) is None
    assert set(AuditEvent.objects.values_list("action", flat=True)) == {"create.read_key", "revoke.read_key"}
    assert admin_client.post(f"/admin/projects/readkey/{key.pk}/delete/", {"post": "yes"}).status_code == 403
