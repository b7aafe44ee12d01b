"""The Content-Security-Policy of every answer, and templates that keep to it."""

import re
from pathlib import Path

import pytest
from django.conf import settings
from django.test import Client

from dashboard import csp
from projects.models import Project

TEMPLATES = [path for path in (Path(settings.BASE_DIR) / "templates").rglob("*.html") if path.parent.name != "emails"]


def policy(client: Client, address: str) -> dict[str, str]:
    parts = (part.strip().partition(" ") for part in client.get(address)[csp.HEADER].split(";"))
    return {name: value for name, _, value in parts}


@pytest.mark.django_db
def test_a_page_may_run_only_scripts_with_its_nonce(viewer: Client, calls: Project) -> None:
    response = viewer.get("/")
    nonces = set(re.findall(r'<script nonce="([^"]+)"', response.content.decode()))
    assert len(nonces) == 1
    (nonce,) = nonces
    assert response[csp.HEADER] == (
        f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'self'; img-src 'self' data: blob:; "
        "connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )


@pytest.mark.django_db
def test_every_answer_has_a_nonce_of_its_own(viewer: Client, calls: Project) -> None:
    assert policy(viewer, "/")["script-src"] != policy(viewer, "/")["script-src"]


@pytest.mark.django_db
@pytest.mark.parametrize("address", ["/login/", "/healthz", "/readyz", "/nothing-here", "/admin/", "/admin/login/"])
def test_no_answer_is_without_a_policy_and_none_is_unsafe(admin: Client, address: str) -> None:
    rules = policy(admin, address)
    assert "unsafe" not in str(rules)
    assert rules["base-uri"] == "'none'"
    assert rules["frame-ancestors"] == "'none'"


@pytest.mark.django_db
def test_the_admin_may_load_its_own_scripts(admin: Client) -> None:
    assert policy(admin, "/admin/")["script-src"].startswith("'self' 'nonce-")


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_a_template_has_no_inline_style_or_handler_and_no_script_without_a_nonce(path: Path) -> None:
    text = path.read_text()
    assert not re.search(r"\sstyle\s*=", text)
    assert not re.search(r"<style", text)
    assert not re.search(r"\son[a-z]+=", text)
    assert "javascript:" not in text
    assert not re.search(r"hx-on|\bjs:", text)
    for script in re.findall(r"<script[^>]*>", text):
        assert 'nonce="{{ nonce }}"' in script or 'type="application/json"' in script
    assert not re.search(r"(?:src|href)=[\"'](?:https?:)?//", text)
