"""`create_project` and `create_key`: a first key in one line."""

import re
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from alerting.models import AlertRule
from projects import keys
from projects.models import AuditEvent, IngestKey, Project, ReadKey
from tests import factories

pytestmark = pytest.mark.django_db


def run(command: str, *arguments: str) -> str:
    out = StringIO()
    call_command(command, *arguments, stdout=out)
    return out.getvalue()


def token_in(text: str) -> str:
    [token] = re.findall(r"llv_ing_\w{10}_\w{43}_\w{6}", text)
    return str(token)


def test_a_project_is_ready_with_a_key_and_starter_rules() -> None:
    printed = run("create_project", "Help desk")
    project = Project.objects.get()
    assert (project.name, project.slug) == ("Help desk", "help-desk")
    key = keys.verify(token_in(printed), timezone.now())
    assert key is not None
    assert (key.project, key.environment) == (project, "production")
    assert AlertRule.objects.filter(project=project).count() == 3
    assert sorted(AuditEvent.objects.values_list("action", flat=True)) == ["create.key", "create.project"]


def test_slug_and_environment_can_be_given() -> None:
    printed = run("create_project", "Hilfe", "--slug", "desk", "--environment", "staging")
    assert "Project Hilfe (desk) is ready." in printed
    assert IngestKey.objects.get().environment == "staging"


@pytest.mark.parametrize(
    ("name", "words"), [("Help desk", "slug: Project with this Slug already exists"), ("!!!", "slug: This field")]
)
def test_a_name_that_cannot_be_used_is_told_in_one_line(name: str, words: str) -> None:
    run("create_project", "Help desk")
    with pytest.raises(CommandError, match=words):
        run("create_project", name)
    assert Project.objects.count() == 1


def test_one_more_key_with_an_end() -> None:
    run("create_project", "Help desk")
    printed = run("create_key", "help-desk", "--environment", "staging", "--label", "ci", "--days", "7")
    key = keys.verify(token_in(printed), timezone.now())
    assert key is not None
    assert (key.environment, key.label) == ("staging", "ci")
    assert key.expires_at is not None
    assert timedelta(days=6) < key.expires_at - timezone.now() <= timedelta(days=7)


def test_a_project_that_is_not_there_is_told_with_those_that_are() -> None:
    run("create_project", "Help desk")
    with pytest.raises(CommandError, match=r"There is no project 'nobody'. Projects: help-desk."):
        run("create_key", "nobody")


def test_a_key_needs_at_least_a_day() -> None:
    run("create_project", "Help desk")
    with pytest.raises(CommandError, match="--days must be 1 or more"):
        run("create_key", "help-desk", "--days", "0")


@pytest.mark.parametrize(("arguments", "environment"), [((), ""), (("--environment", "staging"), "staging")])
def test_a_key_that_reads(arguments: tuple[str, ...], environment: str) -> None:
    owner = factories.project("help-desk", name="Help Desk")
    printed = run("create_key", "help-desk", "--read", *arguments)
    assert printed.startswith(f"A key that reads Help Desk, {environment or 'all environments'}, shown only this once:")
    key = keys.verify_of(ReadKey, printed.split()[-1], timezone.now())
    assert key is not None
    assert (key.project, key.environment) == (owner, environment)
    assert AuditEvent.objects.get().action == "create.read_key"
