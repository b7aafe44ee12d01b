"""The pages in a real Chromium: charts drawn, nothing blocked, nothing too wide, and no network but ours."""

import re
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Browser, expect
from pytest_django.fixtures import Settings
from pytest_django.live_server_helper import LiveServer

from alerting.models import Alert
from ingest import wire
from ingest.models import RequestLog
from ingest.store import Origin, store
from projects.models import Project
from tests import factories
from tests.dashboard.conftest import count
from tests.dashboard.visitor import Visitor

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.mark.parametrize("bundle", ["installed", "of the wheel"])
def test_charts_are_drawn_and_nothing_is_blocked_with_either_build_of_plotly(
    visitor: Visitor, busy: Project, settings: Settings, tmp_path: Path, bundle: str
) -> None:
    if bundle == "of the wheel":
        settings.BASE_DIR = tmp_path
    page = visitor.sign_in()
    visitor.see_charts(4)
    # Without plotly's own rules its layers would lie one below the other.
    assert page.eval_on_selector(".main-svg", "node => getComputedStyle(node).position") == "absolute"
    assert page.locator("style").count() == 0


ADDRESSES = (
    "/",
    "/?from=now-1h&feature=feature-1",
    "/?from=now-30d&cmp=off",
    "/logs/",
    "/logs/?user=nobody",
    "/alerts/",
    "/mails/",
    "/admin/",
    "/admin/alerting/alertrule/",
    "/admin/alerting/alertrule/add/",
    "/admin/budgets/budget/",
    "/admin/budgets/budget/add/",
    "/admin/projects/ingestkey/",
    "/admin/ingest/price/",
    "/admin/ingest/price/add/",
    "/admin/config/job/",
    "/admin/auth/user/",
)


def test_no_page_breaks_the_policy_or_complains(visitor: Visitor, busy: Project) -> None:
    page = visitor.sign_in()
    for address in ADDRESSES:
        visitor.open(address)
        page.wait_for_load_state("networkidle")
    change = page.locator("#result_list tbody th a").first
    for listing in (
        "/admin/alerting/alertrule/",
        "/admin/budgets/budget/",
        "/admin/ingest/price/",
        "/admin/auth/user/",
    ):
        visitor.open(listing)
        change.click()
        page.wait_for_load_state("networkidle")
        assert "/change/" in page.url


def tell_everything(project: Project, now: datetime) -> None:
    """The newest call with all that can be told of one, in words that do not break, and an open breaker."""
    word = "x" * 64
    event = factories.event(
        now - timedelta(seconds=1),
        outcome="degraded",
        source="model_fallback",
        fallback_from=word,
        model_requested="m" * 100,
        queue_ms=400,
        attempts=[{"n": n, "category": word, "key_alias": word, "model": "m" * 100} for n in (1, 2)],
        quality={"valid": False, "repairs": 2},
        budget={"key": "k" * 200, "unit": "nanousd", "spent": 2**63 - 1, "limit": 5},
        hashes={"input": "4bf92f3577b34da6" * 4, "output": "f067aa0ba902b7ff" * 4},
    )
    factories.stored(project, event, now=now)
    told = {"call_id": event["id"], "at": now.isoformat(), "name": word, "label": "l" * 200, "comment": "c" * 500}
    scored, _ = wire.read_scores([told, told | {"name": "liked", "comment": "Yes"}], now=now)
    client = wire.Client(instance="web", boot_id=UUID(int=1), guards={"g" * 100: {"breaker": "open"}})
    store([], origin=Origin(project.pk, "production"), now=now, client=client, scored=scored)


@pytest.mark.parametrize("width", [320, 768, 1440])
def test_no_page_scrolls_sideways(visitor: Visitor, busy: Project, now: datetime, width: int) -> None:
    tell_everything(busy, now)
    page = visitor.sign_in()
    page.set_viewport_size({"width": width, "height": 800})
    call, alert = f"/logs/{newest(busy)}/", f"/alerts/{Alert.objects.get().pk}/"
    for address in ("/", "/?feature=feature-1", "/logs/", "/logs/?user=anna&status=failed", call, "/alerts/", alert):
        visitor.open(address)
        page.wait_for_load_state("networkidle")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, address
        # Nor does anything stick out of its card.
        wide = "[...document.querySelectorAll('.card, .foot')].filter(one => one.scrollWidth > one.clientWidth).length"
        assert page.evaluate(wide) == 0, address


def test_a_hash_unfolds_without_scripts(
    browser: Browser, live_server: LiveServer, busy: Project, now: datetime
) -> None:
    tell_everything(busy, now)
    User.objects.create_superuser("admin", "admin@example.com", "admin")
    context = browser.new_context(java_script_enabled=False)
    visitor = Visitor(context, live_server.url)
    visitor.sign_in()
    page = visitor.open(f"/logs/{newest(busy)}/")
    whole = page.get_by_text("4bf92f3577b34da64bf92f3577b34da6", exact=True)
    expect(whole).not_to_be_visible()
    page.locator(".hash summary").first.click()
    expect(whole).to_be_visible()
    context.close()


def newest(project: Project) -> str:
    return str(RequestLog.objects.filter(project_id=project.pk).order_by("-id").values_list("id", flat=True)[0])


def test_the_log_is_filtered_by_user_and_leads_to_a_call(visitor: Visitor, busy: Project) -> None:
    page = visitor.sign_in()
    page.get_by_role("link", name="Logs").click()
    page.get_by_label("User", exact=True).fill("anna")
    page.get_by_role("button", name="Search").click()
    expect(page.locator(".chip")).to_contain_text("anna")
    users = page.locator("td[data-label=User]").all_inner_texts()
    assert len(users) == 50
    assert {user.strip() for user in users} == {"anna"}
    page.get_by_role("link", name="Older").click()
    expect(page.locator("td[data-label=User]").first).to_contain_text("anna")
    page.locator(".log tbody a").first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Call")


def test_a_refresh_changes_the_numbers_and_keeps_the_charts(visitor: Visitor, busy: Project, now: datetime) -> None:
    page = visitor.sign_in()
    visitor.see_charts(1)
    before = page.locator(".tile", has_text="Requests").locator(".value").inner_text()
    page.evaluate("document.querySelector('.main-svg').dataset.kept = 'yes'")
    events = [factories.event(now - timedelta(seconds=n)) for n in range(3)]
    factories.stored(busy, *events, now=now)
    count(now)
    page.evaluate("document.body.dispatchEvent(new CustomEvent('vitals:refresh'))")
    expect(page.locator(".tile", has_text="Requests").locator(".value")).to_have_text(str(int(before) + 3))
    assert page.locator(".main-svg[data-kept]").count() == 1


def test_a_server_that_fails_keeps_the_last_numbers_on_the_page_dimmed(visitor: Visitor, busy: Project) -> None:
    page = visitor.sign_in()
    visitor.see_charts(1)
    page.route("**/?project=**", lambda route: route.fulfill(status=500, body="<h1>broken</h1>"))
    page.evaluate("document.body.dispatchEvent(new CustomEvent('vitals:refresh'))")
    expect(page.locator("#moving.is-old")).to_be_visible()
    expect(page.locator(".tile")).to_have_count(6)
    page.unroute_all()
    page.evaluate("document.body.dispatchEvent(new CustomEvent('vitals:refresh'))")
    expect(page.locator("#moving:not(.is-old)")).to_be_visible()
    assert len(visitor.wrong) == 1  # what the browser itself says of an answer 500
    visitor.wrong.clear()


def test_a_refresh_after_the_session_is_over_leads_to_the_sign_in(visitor: Visitor, busy: Project) -> None:
    page = visitor.sign_in()
    visitor.see_charts(1)
    visitor.context.clear_cookies()
    page.evaluate("document.body.dispatchEvent(new CustomEvent('vitals:refresh'))")
    page.wait_for_url(re.compile(r"/login/\?next="))
    expect(page.locator(".tile")).to_have_count(0)


def test_a_line_can_be_switched_off_in_the_legend_and_stays_off(visitor: Visitor, busy: Project) -> None:
    page = visitor.sign_in()
    visitor.see_charts(1)
    lines = page.locator("#c-latency .scatterlayer .trace")
    expect(lines).to_have_count(3)
    page.get_by_label("p99").uncheck()
    expect(lines).to_have_count(2)
    page.evaluate("document.body.dispatchEvent(new CustomEvent('vitals:refresh'))")
    page.wait_for_load_state("networkidle")
    expect(page.get_by_label("p99")).not_to_be_checked()
    expect(lines).to_have_count(2)


def test_dragging_over_a_chart_sets_the_range_of_the_page(visitor: Visitor, busy: Project) -> None:
    page = visitor.sign_in()
    visitor.see_charts(1)
    box = page.locator("#c-latency .nsewdrag").first.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + box["height"] * 0.5)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.75, box["y"] + box["height"] * 0.5, steps=6)
    page.mouse.up()
    page.wait_for_url(re.compile(r"from=\d{4}-.*&to=\d{4}-"))
    expect(page.locator(".notice")).to_have_count(0)
    assert page.locator("[data-every]").count() == 0


def test_going_to_another_page_and_back_keeps_the_library_and_draws_again(visitor: Visitor, busy: Project) -> None:
    page = visitor.sign_in()
    visitor.see_charts(1)
    page.evaluate("window.sameDocument = true")
    page.get_by_role("link", name="Alerts").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Alerts")
    page.get_by_role("link", name="Overview").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Overview")
    visitor.see_charts(4)
    assert page.evaluate("window.sameDocument") is True


def test_the_dark_theme_is_kept_and_known_to_the_server(visitor: Visitor, busy: Project) -> None:
    page = visitor.sign_in()
    background = "getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(background) == "rgb(244, 246, 249)"
    page.get_by_role("button", name="Switch between light and dark").click()
    assert page.evaluate(background) == "rgb(10, 13, 18)"
    page.reload()
    assert page.evaluate(background) == "rgb(10, 13, 18)"
    visitor.see_charts(1)
    grid = page.locator("#c-latency .ygrid").first
    assert grid.evaluate("node => getComputedStyle(node).stroke") == "rgb(37, 45, 57)"


def test_without_scripts_every_page_can_be_read(browser: Browser, live_server: LiveServer, busy: Project) -> None:
    User.objects.create_superuser("admin", "admin@example.com", "admin")
    context = browser.new_context(java_script_enabled=False)
    page = Visitor(context, live_server.url).sign_in()
    expect(page.locator(".verdict h2")).not_to_be_empty()
    page.locator("#p-requests summary").click()
    expect(page.locator("#p-requests tbody tr")).to_have_count(96)
    page.locator("select[name=cmp]").select_option("off")
    page.get_by_role("button", name="Apply").click()
    assert "cmp=off" in page.url
    page.get_by_role("link", name="Logs").click()
    expect(page.locator(".log tbody tr")).to_have_count(50)
    context.close()


def test_the_first_steps_turn_into_the_dashboard_by_themselves(
    visitor: Visitor, project: Project, now: datetime
) -> None:
    page = visitor.sign_in()
    expect(page.get_by_role("heading", level=1)).to_contain_text("First steps")
    page.get_by_role("button", name="Make a key").click()
    expect(page.locator("#secret")).to_have_text(re.compile("llv_ing_"))
    factories.stored(project, now=now, at=now - timedelta(seconds=1))
    count(now)
    expect(page.get_by_role("heading", level=1)).to_contain_text("Overview", timeout=15_000)
    visitor.see_charts(1)


def test_a_mail_is_shown_as_it_looks(visitor: Visitor, project: Project) -> None:
    page = visitor.sign_in()
    page.get_by_role("button", name="Send a test mail").click()
    expect(page.locator(".notice")).to_contain_text("A test mail is on its way")
    page.get_by_role("link", name="Mails").click()
    page.get_by_role("link", name="Test mail from LLM Vitals").click()
    expect(page.locator("pre")).to_contain_text("This is how alerts of Help desk will reach you.")
