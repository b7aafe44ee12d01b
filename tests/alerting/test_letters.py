import html
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.urls import resolve
from hypothesis import given
from hypothesis import strategies as st

from alerting import letters
from alerting.channels.base import Letter
from alerting.models import Alert, AlertRule, Notification, Transition
from alerting.wording import fitted
from budgets.models import Budget, Threshold
from metrics import units
from projects.models import Project, Recipient
from tests.alerting.conftest import at, judge, traffic

pytestmark = pytest.mark.django_db

FIRING = """\
Error rate 15.0 % over 5 %

15 of 100 requests got no answer in the 5 minutes to 13:06 UTC.

Now     15.0 %
Limit   above 5 % for 2 min; ends at or below 2 %
Before  0 % in the 5 minutes before that
Since   22 Nov 2026 13:04 UTC, 2 min before this was decided
Where   Demo · all environments · all features

Where the failures are
  Error    overloaded: 100 % · 15
  Feature  inbox: 100 % · 15
  Model    claude-sonnet-4-5: 100 % · 15

Open the page:
https://vitals.example.com/?project=demo&from=2026-11-22T12%3A06%3A00Z&to=2026-11-22T13%3A06%3A00Z

Failed calls:
https://vitals.example.com/logs/?project=demo&from=2026-11-22T12%3A06%3A00Z&to=2026-11-22T13%3A06%3A00Z&status=error

Change the rule:
https://vitals.example.com/admin/alerting/alertrule/{rule}/change/

This alert:
https://vitals.example.com/alerts/{alert}/

--\x20
You get this mail because of the rule “Many requests fail”. It writes to anna@example.com once when it begins and once \
when it ends.
Alert {alert}, opened 22 Nov 2026 13:04 UTC.
"""

RESOLVED = """\
Resolved: Error rate above 5 %

Error rate is back at 0 %. It lasted 8 min, from 22 Nov 2026 13:06 UTC to 22 Nov 2026 13:14 UTC.

Now     0 %
Worst   15.0 %
Limit   above 5 % for 2 min; ends at or below 2 %
Lasted  8 min
Where   Demo · all environments · all features

Open the page:
https://vitals.example.com/?project=demo&from=2026-11-22T12%3A06%3A00Z&to=2026-11-22T13%3A14%3A00Z

Change the rule:
https://vitals.example.com/admin/alerting/alertrule/{rule}/change/

This alert:
https://vitals.example.com/alerts/{alert}/

--\x20
You get this mail because of the rule “Many requests fail”. It writes to anna@example.com once when it begins and once \
when it ends.
Alert {alert}, opened 22 Nov 2026 13:04 UTC.
"""


@pytest.fixture(autouse=True)
def base_url(settings: Any) -> None:
    settings.BASE_URL = "https://vitals.example.com"


def written() -> list[Letter]:
    return [letters.write(notification) for notification in Notification.objects.order_by("pk")]


def burst(project: Project) -> None:
    for minute in range(15):
        failed = 5 if 3 <= minute < 6 else 0
        traffic(project, minute, ok=20 - failed, failed=failed)
        judge(minute + 1)


def visible(page: str) -> str:
    """What a reader of the HTML sees, as one line of words."""
    body = re.sub(r"<(style|title)>.*?</\1>|<[^>]+>", " ", page, flags=re.DOTALL)
    return " ".join(html.unescape(body).split())


def test_the_letters_of_an_error_burst_word_for_word(project: Project, rule: AlertRule, anna: Recipient) -> None:
    burst(project)
    firing, resolved = written()
    numbers = {"rule": rule.pk, "alert": Alert.objects.get().pk}
    assert firing.subject == "[FIRING · critical] Error rate 15.0 % over 5 % — Demo"
    assert firing.text == FIRING.format(**numbers)
    assert resolved.subject == "[RESOLVED · 8 min] Error rate 0 % — Demo"
    assert resolved.text == RESOLVED.format(**numbers)
    assert firing.to == resolved.to == "anna@example.com"
    assert resolved.thread == firing.key
    assert firing.thread == ""


def test_the_html_says_the_same_as_the_text(project: Project, rule: AlertRule, anna: Recipient) -> None:
    burst(project)
    for letter in written():
        seen = visible(letter.html)
        links = {html.unescape(link) for link in re.findall(r'href="([^"]+)"', letter.html)}
        assert links == set(re.findall(r"https://\S+", letter.text))
        for line in letter.text.splitlines():
            words = line.removesuffix(":").replace(": ", " ").split()
            if words and words != ["--"] and not line.startswith("https://"):
                assert " ".join(words) in seen.replace(": ", " "), line
        assert "<img" not in letter.html
        assert "http" not in re.sub(r'href="[^"]+"', "", letter.html)


def test_every_link_leads_to_a_page_with_the_same_filter_and_an_absolute_time(
    project: Project, rule: AlertRule, anna: Recipient
) -> None:
    rule.feature, rule.environment = "inbox", "production"
    rule.save()
    burst(project)
    firing = written()[0]
    pages = {}
    for link in re.findall(r"https://\S+", firing.text):
        address = urlsplit(link)
        pages[resolve(address.path).view_name] = parse_qs(address.query, strict_parsing=bool(address.query))
    expected = {
        "project": ["demo"],
        "env": ["production"],
        "from": ["2026-11-22T12:06:00Z"],
        "to": ["2026-11-22T13:06:00Z"],
        "feature": ["inbox"],
    }
    assert pages == {
        "overview": expected,
        "logs": expected | {"status": ["error"]},
        "alert": {},
        "admin:alerting_alertrule_change": {},
    }


def test_names_from_outside_cannot_write_html(project: Project, rule: AlertRule, anna: Recipient) -> None:
    evil = '<script>alert("x")</script>'
    rule.name = evil
    rule.save()
    for minute in range(8):
        traffic(project, minute, ok=15, failed=5, feature=evil)
        judge(minute + 1)
    letter = written()[0]
    assert "<script" not in letter.html
    assert evil in letter.text
    assert "\n" not in letter.subject


def test_names_from_outside_cannot_forge_a_line_or_a_header(project: Project, rule: AlertRule, anna: Recipient) -> None:
    evil = "chat\r\nBcc: eve@example.com\x1b[2J\u202e"
    AlertRule.objects.filter(pk=rule.pk).update(feature=evil, name=evil)
    for minute in range(8):
        traffic(project, minute, ok=15, failed=5, feature=evil)
        judge(minute + 1)
    letter = written()[0]
    assert letter.subject.endswith(" — Demo, chat  Bcc: eve@example…")
    assert not re.search("[\r\x1b\u202e]|^Bcc", letter.subject + letter.text + letter.html, re.MULTILINE)


def alert_about_money(project: Project, **told: object) -> tuple[Alert, Notification]:
    """A budget of $500 for November, of which $412.50 is spent by the 22nd at noon."""
    budget = Budget.objects.create(project=project, name="Assistant", feature="chat", amount_nanousd=500 * 10**9)
    threshold = Threshold.objects.create(budget=budget, percent=80)
    noon = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
    snapshot: dict[str, object] = {
        "at": noon.isoformat(),
        "start": "2026-11-01T00:00:00+00:00",
        "end": noon.isoformat(),
        "value": "412500000000",
        "why": "",
        "unpriced": 12,
        "estimated": "3200000000",
        "contributors": [
            {
                "dimension": "model",
                "name": "claude-opus-4-8",
                "metric": "spend",
                "value": "330000000000",
                "share": "0.8",
            }
        ],
    }
    alert = Alert.objects.create(
        project=project,
        threshold=threshold,
        subject="budget:1:80:2026-11-01T00:00:00Z",
        title=f"Budget Assistant: 80{units.SPACE}% of $500",
        severity="warning",
        state="firing",
        seq=1,
        since=noon,
        opened_at=noon,
        fired_at=noon,
        value=Decimal(412_500_000_000),
        peak=Decimal(412_500_000_000),
        limit=Decimal(400_000_000_000),
        facts={
            "kind": "budget",
            "definition": {},
            "scope": {"environment": "", "feature": "chat"},
            "budget": {
                "id": budget.pk,
                "name": "Assistant",
                "percent": 80,
                "amount": "500000000000",
                "period": "month",
                "zone": "Europe/Berlin",
                "label": "November 2026",
                "start": "2026-10-31T23:00:00+00:00",
                "end": "2026-11-30T23:00:00+00:00",
            },
            "firing": snapshot | told,
        },
    )
    step = Transition.objects.create(alert=alert, seq=1, at=noon, from_state="ok", to_state="firing", why="")
    anna = Recipient.objects.create(project=project, email="anna@example.com")
    notification = Notification.objects.create(
        transition=step, recipient=anna, reason="firing", key="k", created_at=noon, available_at=noon
    )
    return alert, notification


def test_a_budget_letter_says_how_much_is_gone_and_when_it_will_be_all(project: Project) -> None:
    alert, notification = alert_about_money(project)
    letter = letters.write(notification)
    assert letter.subject == "[FIRING · warning] Budget Assistant: 82.5 % of $500 spent — Demo, chat"
    # 517 hours for $412.50; the remaining $87.50 take 109 h 40 min more.
    assert letter.text.startswith(
        "Budget Assistant: 82.5 % of $500 spent\n"
        "\n"
        "At the average pace so far the rest is used up about 27 Nov 2026 01:40 UTC; the period ends 30 Nov 2026 23:00 "
        "UTC.\n"
        "\n"
        "Spent      $412.50 of $500\n"
        "Threshold  80 %, $400.00\n"
        "Period     November 2026, to 30 Nov 2026 23:00 UTC (00:00 in Europe/Berlin)\n"
        "Reached    22 Nov 2026 12:00 UTC\n"
        "Estimated  $3.20 of it, for 12 requests without a known price\n"
        "Where      Demo · all environments · chat\n"
        "\n"
        "Where it went\n"
        "  Model    claude-opus-4-8: 80 % · $330.00\n"
    )
    assert f"/admin/budgets/budget/{alert.facts['budget']['id']}/change/" in letter.text


@pytest.mark.parametrize(
    ("spent", "lead"),
    [
        ("500000000000", "The budget of November 2026 is used up. The period ends 30 Nov 2026 23:00 UTC."),
        (
            "612000000000",
            "The budget of November 2026 is used up, $112.00 more than planned. The period ends 30 Nov 2026 23:00 UTC.",
        ),
        (
            "300000000000",
            "At the average pace so far the rest lasts until the period ends, 30 Nov 2026 23:00 UTC.",
        ),
    ],
)
def test_a_budget_letter_says_what_comes_next(project: Project, spent: str, lead: str) -> None:
    _, notification = alert_about_money(project, value=spent)
    assert letters.write(notification).text.splitlines()[2] == lead


def test_the_end_of_a_budgets_period_says_the_final_sum(project: Project) -> None:
    alert, _ = alert_about_money(project)
    over = alert.opened_at + timedelta(days=8, hours=12)
    alert.facts["resolved"] = {
        "at": over.isoformat(),
        "value": "520100000000",
        "why": "The period is over.",
        "unpriced": 0,
        "requests": "9",
    }
    subject, context = letters.compose(alert, "resolved", "anna@example.com")
    assert subject == "[RESOLVED · 8 d 12 h] Budget Assistant: $520.10 of $500 spent — Demo, chat"
    assert context["lead"] == "The period is over. $520.10 of $500 is spent in November 2026."


def test_a_rule_that_knows_no_value_says_so(project: Project, rule: AlertRule, anna: Recipient) -> None:
    rule.no_data = "alert"
    rule.save()
    for minute in range(1, 5):
        judge(minute)
    letter = written()[0]
    assert letter.subject == "[FIRING · critical] Error rate unknown: too few requests — Demo"
    assert letter.text.splitlines()[2:5] == [
        "Too few requests to say: 0, and the rule asks for 30.",
        "",
        "Now    –",
    ]


def test_a_mail_is_small(project: Project, rule: AlertRule, anna: Recipient) -> None:
    burst(project)
    for letter in written():
        assert len(letter.html.encode()) + len(letter.text.encode()) < 20_000


@given(st.text(min_size=1, max_size=120), st.text(max_size=120))
def test_a_subject_is_never_longer_than_78_characters(head: str, scope: str) -> None:
    subject = fitted(head, scope, 78)
    assert len(subject) <= 78
    assert subject.startswith(head[:77].rstrip()[:70])


def test_a_subject_keeps_the_symptom_and_cuts_the_scope() -> None:
    head = "[FIRING · critical] Error rate 12.4 % over 2 %"
    assert fitted(head, "demo, production", 78) == head + " — demo, production"
    long = fitted(head, "customer-support, production, knowledge-base-search", 78)
    assert long == head + " — customer-support, production…"
    assert len(long) == 78
    assert fitted("x" * 90, "demo", 78) == "x" * 77 + "…"


def test_times_in_a_letter_are_those_of_the_data(project: Project, rule: AlertRule, anna: Recipient) -> None:
    burst(project)
    assert Alert.objects.get().fired_at == at(6)
