"""What must be there before the first page is made once, and found quickly afterwards."""

import os
import stat
from pathlib import Path

import pytest
from django.contrib.auth import authenticate, get_user_model
from django.db import connection
from django.test import Client
from pytest_django.fixtures import Settings

from config import prepare
from config.models import Job


@pytest.fixture
def sources(settings: Settings, tmp_path: Path) -> Path:
    """One directory of static files in place of the product's, and an empty place to collect them in."""
    folder = tmp_path / "sources"
    folder.mkdir()
    (folder / "page.css").write_text("p { color: red }")
    settings.STATICFILES_FINDERS = ["django.contrib.staticfiles.finders.FileSystemFinder"]
    settings.STATICFILES_DIRS = [folder]
    settings.STATIC_ROOT = tmp_path / "built"
    hashed = {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"}
    settings.STORAGES = {**settings.STORAGES, "staticfiles": hashed}
    return folder


def manifest(sources: Path) -> Path:
    return sources.with_name("built") / "staticfiles.json"


def test_static_files_are_collected_when_they_are_missing(sources: Path) -> None:
    prepare.collect_static()
    assert "page.css" in manifest(sources).read_text()


def test_static_files_are_left_alone_when_no_source_is_newer(sources: Path) -> None:
    prepare.collect_static()
    manifest(sources).write_text("untouched")
    prepare.collect_static()
    assert manifest(sources).read_text() == "untouched"


def test_static_files_are_collected_again_when_a_source_is_newer(sources: Path) -> None:
    prepare.collect_static()
    collected = manifest(sources).stat().st_mtime
    (sources / "page.css").write_text("p { color: blue }")
    os.utime(sources / "page.css", (collected + 5, collected + 5))
    before = manifest(sources).read_text()
    prepare.collect_static()
    assert manifest(sources).read_text() != before


@pytest.mark.django_db
def test_the_first_admin_is_made_once_and_the_password_is_shown_once() -> None:
    first, second = prepare.first_login(), prepare.first_login()
    assert (first["user"], len(first["password"])) == ("admin", 16)
    assert authenticate(username="admin", password=first["password"]) is not None
    assert (second["user"], second["password"]) == ("admin", "")
    assert second["remark"] == "Forgotten it? manage.py changepassword admin"
    assert get_user_model().objects.count() == 1


@pytest.mark.django_db
def test_an_admin_somebody_made_already_is_named_and_no_other_is_made() -> None:
    get_user_model().objects.create_superuser("ada", password="x")
    assert prepare.first_login()["user"] == "ada"
    assert get_user_model().objects.count() == 1


@pytest.mark.django_db
def test_the_login_of_the_demo_is_kept_for_its_owner_only_and_always_works(tmp_path: Path) -> None:
    path = tmp_path / "demo-login"
    first = prepare.demo_login(path)
    user = get_user_model().objects.get(username="demo")
    user.set_password("changed by a visitor")
    user.save()
    assert prepare.demo_login(path) == first
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert authenticate(username="demo", password=first["password"]) is not None


@pytest.mark.django_db
def test_nothing_is_migrated_when_nothing_is_pending() -> None:
    with connection.execute_wrapper(refuse_writes):
        prepare.migrate()


def refuse_writes(execute, sql, params, many, context):  # type: ignore[no-untyped-def]
    assert sql.lstrip().upper().startswith("SELECT"), sql
    return execute(sql, params, many, context)


@pytest.mark.django_db
def test_the_jobs_can_be_read_in_the_admin_and_not_be_changed(admin_client: Client) -> None:
    Job.objects.create(
        name="rollup_minutes", due_at="2026-11-22T12:00:00Z", last_error="ValueError: the rate is unknown"
    )
    page = admin_client.get("/admin/config/job/")
    assert page.status_code == 200
    assert "ValueError: the rate is unknown" in page.content.decode()
    assert admin_client.get("/admin/config/job/add/").status_code == 403
    assert admin_client.post("/admin/config/job/rollup_minutes/change/", {"name": "x"}).status_code == 403
    assert admin_client.post("/admin/config/job/rollup_minutes/delete/", {"post": "yes"}).status_code == 403
