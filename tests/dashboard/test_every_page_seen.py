"""Every page of measured numbers in a real Chromium: by eye, by keyboard, by machine, on paper and without scripts."""

import re
from datetime import datetime

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from django.contrib.auth.models import User
from playwright.sync_api import Browser, expect
from pytest_django.live_server_helper import LiveServer

from dashboard.context import LETTERS
from dashboard.page import Page
from dashboard.pages import PAGES
from projects.models import Project
from tests.dashboard.test_every_page import address
from tests.dashboard.visitor import Visitor

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

WIDE = """[...document.querySelectorAll('.card, .foot, .tile')].filter(one => one.scrollWidth > one.clientWidth)
  .map(one => `${one.id || one.className}: ${one.scrollWidth} > ${one.clientWidth}`)"""


def test_no_page_scrolls_sideways_or_complains_and_all_charts_are_drawn(visitor: Visitor, busy: Project) -> None:
    page = visitor.sign_in()
    for width in (1440, 768, 320):
        page.set_viewport_size({"width": width, "height": 800})
        for one in PAGES:
            visitor.open(address(one))
            visitor.see_charts(page.locator(".chart").count())
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (one.key, width)
            assert page.evaluate(WIDE) == [], (one.key, width)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_has_a_serious_barrier(visitor: Visitor, busy: Project, scheme: str) -> None:
    page = visitor.sign_in()
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    for where in (*map(address, PAGES), "/logs/", "/alerts/"):
        visitor.open(where)
        visitor.see_charts(page.locator(".chart").count())
        found = Axe().run(page, options={"resultTypes": ["violations"]})
        serious = [
            (one["id"], [node["html"][:200] for node in one["nodes"][:3]])
            for one in found.response["violations"]
            if one["impact"] in ("serious", "critical")
        ]
        assert serious == [], where


def test_every_page_is_reached_by_its_letters(visitor: Visitor, busy: Project) -> None:
    page = visitor.sign_in()
    for one in reversed(PAGES):
        page.keyboard.type(f"g{LETTERS[one.key]}")
        expect(page.get_by_role("heading", level=1)).to_contain_text(one.title)


def test_keys_move_the_range_open_the_sheet_and_can_be_switched_off(visitor: Visitor, busy: Project) -> None:
    page = visitor.sign_in()
    page.keyboard.type("[")
    page.wait_for_url(re.compile(r"from=\d{4}-.*&to=\d{4}-"))
    page.keyboard.type(".")
    page.wait_for_url(re.compile(r"from=now-1440m"))
    page.keyboard.type("x")
    page.wait_for_url(re.compile(r"cmp=off"))
    page.keyboard.type("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.get_by_label("Use keys").uncheck()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    here = page.url
    page.keyboard.type("x")
    page.keyboard.type("go")
    page.wait_for_timeout(300)
    assert page.url == here
    page.keyboard.type("?")
    page.get_by_label("Use keys").check()
    # At once: the field of the closed sheet has the focus until the next frame.
    page.keyboard.press("Escape")
    page.keyboard.type("/")
    page.wait_for_url(re.compile(r"/logs/"))
    expect(page.locator("#user")).to_be_focused()


def test_rows_are_walked_with_j_and_k(visitor: Visitor, busy: Project) -> None:
    page = visitor.sign_in()
    rows = page.locator("#p-features tbody a")
    page.keyboard.type("jj")
    expect(rows.nth(1)).to_be_focused()
    page.keyboard.type("k")
    name = rows.nth(0).inner_text()
    page.keyboard.press("Enter")
    expect(page.locator(".chip")).to_contain_text(name)


def test_every_page_can_be_read_without_scripts(
    browser: Browser, live_server: LiveServer, busy: Project, now: datetime
) -> None:
    User.objects.create_superuser("admin", "admin@example.com", "admin")
    context = browser.new_context(java_script_enabled=False)
    visitor = Visitor(context, live_server.url)
    page = visitor.sign_in()
    for one in PAGES:
        visitor.open(address(one))
        expect(page.get_by_role("status").first).to_be_visible()
        for panel in one.panels:
            section = page.locator(f"#p-{panel.key}")
            summary = section.locator("details.numbers > summary")
            if summary.count():
                summary.click()
                expect(section.locator("table").first).to_be_visible()
    context.close()


def one_of(key: str) -> Page:
    return next(page for page in PAGES if page.key == key)


def test_a_view_is_kept_and_found_again(visitor: Visitor, busy: Project) -> None:
    page = visitor.sign_in()
    visitor.open(address(one_of("overview"), "?feature=feature-1"))
    page.keyboard.type("v")
    page.get_by_label("Name").fill("Mornings")
    page.get_by_role("button", name="Keep this view").click()
    expect(page.get_by_text("The view “Mornings” is kept.")).to_be_visible()
    visitor.open("/logs/")
    page.keyboard.type("v")
    page.get_by_role("link", name="Mornings").click()
    expect(page.locator(".chip")).to_contain_text("feature-1")
