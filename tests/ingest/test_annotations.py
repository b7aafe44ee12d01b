"""The door for changes that tools tell: every documented answer, and the field of everything that is wrong."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from projects.models import Annotation, IngestKey, Project
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def owner() -> Project:
    return factories.project()


@pytest.fixture
def key(owner: Project) -> tuple[IngestKey, str]:
    return factories.key(owner, "staging")


def tell(token: str, body: object) -> Any:
    return Client().post(
        "/api/v1/annotations",
        body if isinstance(body, bytes) else json.dumps(body).encode(),
        content_type="application/json",
        headers={"Authorization": f"Bearer {token}"} if token else {},
    )


def test_a_title_is_enough(owner: Project, key: tuple[IngestKey, str]) -> None:
    before = timezone.now()
    answer = tell(key[1], {"title": " helpdesk 1.4.3 "})
    one = Annotation.objects.get()
    assert answer.json() == {"id": one.pk, "at": one.at.isoformat(), "is_new": True, "policy_version": 0}
    assert (one.project, one.kind, one.title, one.environment) == (owner, "deploy", "helpdesk 1.4.3", "staging")
    assert before <= one.at <= timezone.now()


def test_everything_that_is_told_is_kept_and_telling_it_again_changes_nothing(key: tuple[IngestKey, str]) -> None:
    at = timezone.now().replace(microsecond=0) - timedelta(days=3)
    told = {
        "title": "Cache on",
        "kind": "config",
        "at": at.isoformat(),
        "detail": "for <all>",
        "link": "https://ci.example.com/runs/812?a=b#c",
        "environment": "",
    }
    first, again = tell(key[1], told).json(), tell(key[1], {**told, "detail": "other words"}).json()
    one = Annotation.objects.get()
    assert (one.kind, one.at, one.detail, one.link, one.environment) == (
        "config",
        at,
        "for <all>",
        "https://ci.example.com/runs/812?a=b#c",
        "",
    )
    assert (first["is_new"], again["is_new"], first["id"], again["id"]) == (True, False, one.pk, one.pk)


def moment(**ago: int) -> str:
    return (timezone.now() - timedelta(**ago)).isoformat()


@pytest.mark.parametrize(
    ("document", "field", "reason"),
    [
        ({}, "title", "is required"),
        ({"title": ""}, "title", "Expected str of length >= 1"),
        ({"title": "   "}, "title", "must say something"),
        ({"title": "a\nb"}, "title", "must be one line of printable characters"),
        ({"title": "x" * 121}, "title", "Expected str of length <= 120"),
        ({"title": 7}, "title", "Expected str, got int"),
        ({"title": "a", "kind": "party"}, "kind", "Invalid enum value 'party'"),
        ({"title": "a", "at": "yesterday"}, "at", "Invalid RFC3339 encoded datetime"),
        ({"title": "a", "at": "2026-11-22T10:00:00"}, "at", "Expected datetime with a timezone component"),
        ({"title": "a", "at": moment(days=1100)}, "at", "must lie within the last 1098 days, at most 1 day ahead"),
        ({"title": "a", "at": moment(days=-2)}, "at", "must lie within the last 1098 days, at most 1 day ahead"),
        ({"title": "a", "detail": "x" * 501}, "detail", "Expected str of length <= 500"),
        *(
            ({"title": "a", "link": link}, "link", "must be an address that begins with http:// or https://")
            for link in (
                "javascript:alert(1)",
                "ftp://example.com",
                "//example.com",
                "https://",
                "http://[",
                "http://a b",
            )
        ),
        ({"title": "a", "environment": "a\x07"}, "environment", "must be one line of printable characters"),
        ({"title": "a", "titel": "b"}, "titel", "is not a field of an annotation"),
        ([], "", "Expected object, got array"),
        (b"{", "", "The body is not JSON: Expecting property name enclosed in double quotes at character 1."),
        ({"title": "a", "detail": "x" * 16_384}, "", "an annotation has at most 16,384 bytes"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_kept(
    key: tuple[IngestKey, str], document: object, field: str, reason: str
) -> None:
    answer = tell(key[1], document)
    assert answer.status_code == 400
    assert answer.json() == {"error": reason, "field": field}
    assert not Annotation.objects.exists()


@pytest.mark.parametrize("token", ["", "llv_ing_nonsense"])
def test_only_the_holder_of_a_key_may_tell(owner: Project, token: str) -> None:
    answer = tell(token, {"title": "a"})
    assert answer.status_code == 401
    assert answer.json()["field"] == "Authorization"


def test_a_revoked_key_tells_nothing_more(key: tuple[IngestKey, str]) -> None:
    IngestKey.objects.update(revoked_at=timezone.now())
    assert tell(key[1], {"title": "a"}).status_code == 401
