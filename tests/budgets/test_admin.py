from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from budgets.models import Budget, Threshold
from metrics.rollup import roll_up_minutes
from projects.models import AuditEvent, Project, Recipient
from tests import factories

pytestmark = pytest.mark.django_db

LIST = "/admin/budgets/budget/"


@pytest.fixture
def project() -> Project:
    return factories.project("demo", name="Demo")


def form(project: Project, **fields: Any) -> dict[str, Any]:
    """The form of a new budget as the page offers it, filled in by somebody."""
    return {
        "project": project.pk,
        "name": "Assistant",
        "environment": "",
        "feature": "",
        "period": "month",
        "zone": "Europe/Berlin",
        "amount_nanousd": "$1,200.50",
        "active": "on",
        "thresholds-TOTAL_FORMS": 2,
        "thresholds-INITIAL_FORMS": 0,
        "thresholds-0-percent": 80,
        "thresholds-0-severity": "warning",
        "thresholds-1-percent": 100,
        "thresholds-1-severity": "critical",
    } | fields


def test_a_new_budget_is_offered_with_80_and_100_percent(admin_client: Client) -> None:
    page = admin_client.get(LIST + "add/").content.decode()
    assert 'name="thresholds-0-percent" value="80"' in page
    assert 'name="thresholds-1-percent" value="100"' in page
    assert '<option value="critical" selected>Critical</option>' in page


def test_a_budget_left_as_offered_is_saved_with_its_thresholds(admin_client: Client, project: Project) -> None:
    answer = admin_client.post(LIST + "add/", form(project))
    assert answer.status_code == 302, answer.context["errors"]
    budget = Budget.objects.get()
    assert budget.amount_nanousd == 1_200_500_000_000
    assert list(budget.thresholds.values_list("percent", "severity")) == [(80, "warning"), (100, "critical")]


def test_a_threshold_that_is_emptied_is_not_saved(admin_client: Client, project: Project) -> None:
    admin_client.post(LIST + "add/", form(project, **{"thresholds-0-percent": ""}))
    assert list(Threshold.objects.values_list("percent", flat=True)) == [100]


@pytest.mark.parametrize(
    ("field", "typed", "message"),
    [
        ("zone", "Berlin", "'Berlin' is not a time zone; write one like Europe/Berlin or UTC."),
        ("amount_nanousd", "0", "Write an amount above zero."),
        ("amount_nanousd", "a lot", "Enter a number."),
        ("name", "", "This field is required."),
        ("thresholds-0-percent", "100", "Please correct the duplicate values below."),
    ],
)
def test_a_mistake_is_named_beside_its_field(
    admin_client: Client, project: Project, field: str, typed: str, message: str
) -> None:
    answer = admin_client.post(LIST + "add/", form(project, **{field: typed}))
    assert answer.status_code == 200
    assert message in answer.content.decode().replace("&#x27;", "'")
    assert not Budget.objects.exists()


def test_a_recipient_of_another_project_is_refused(admin_client: Client, project: Project) -> None:
    stranger = Recipient.objects.create(project=factories.project(), email="stranger@example.com")
    answer = admin_client.post(LIST + "add/", form(project, recipients=[stranger.pk]))
    assert "stranger@example.com belongs to another project." in answer.content.decode()


def test_a_feature_nobody_has_used_is_saved_with_a_warning(admin_client: Client, project: Project) -> None:
    answer = admin_client.post(LIST + "add/", form(project, feature="chat"), follow=True)
    assert Budget.objects.get().feature == "chat"
    assert "No call has named the feature “chat” yet. Until one does, nothing counts here." in answer.content.decode()


def test_a_feature_that_is_used_needs_no_warning(admin_client: Client, project: Project) -> None:
    factories.stored(project, feature="chat")
    answer = admin_client.post(LIST + "add/", form(project, feature="chat", environment="production"), follow=True)
    assert "No call has named" not in answer.content.decode()


def test_the_list_says_how_far_each_budget_is_used_up(admin_client: Client, project: Project) -> None:
    now = timezone.now()
    budget = Budget.objects.create(project=project, name="Daily", period="day", amount_nanousd=1_200_000)
    Threshold.objects.create(budget=budget, percent=50)
    factories.stored(project, at=now, now=now)  # 600,000 nano-dollars
    roll_up_minutes(now=now)
    page = admin_client.get(LIST).content.decode().replace("\N{NARROW NO-BREAK SPACE}", " ")
    assert "$0.0006 of $0.0012" in page
    assert '<svg class="budget-bar" width="120" height="10" role="img"><title>50.0 % spent</title>' in page
    assert '<td class="field-state">at 50 %</td>' in page
    assert f"{now.day} {now:%B %Y}" in page
    assert "whole project · all environments" in page


def test_the_list_asks_as_much_for_many_budgets_as_for_a_few(admin_client: Client, project: Project) -> None:
    def queries_for(number: int) -> int:
        Budget.objects.all().delete()
        for each in range(number):
            made = Budget.objects.create(project=project, name=f"{each}", feature=f"f{each}", amount_nanousd=1)
            Threshold.objects.create(budget=made, percent=80)
        with CaptureQueriesContext(connection) as asked:
            admin_client.get(LIST)
        return len(asked)

    factories.stored(project, feature="f0")
    queries_for(2)
    assert queries_for(20) == queries_for(2)


def test_budgets_can_be_paused_and_resumed(admin_client: Client, project: Project) -> None:
    budget = Budget.objects.create(project=project, name="Daily", amount_nanousd=1)
    chosen = {"_selected_action": [budget.pk]}
    answer = admin_client.post(LIST, chosen | {"action": "pause"}, follow=True)
    budget.refresh_from_db()
    assert not budget.active
    page = answer.content.decode()
    assert "Paused: 1 budget." in page
    assert '<td class="field-state">paused</td>' in page
    admin_client.post(LIST, chosen | {"action": "resume"})
    budget.refresh_from_db()
    assert budget.active


def test_who_may_only_look_can_neither_pause_nor_add(client: Client, project: Project) -> None:
    from django.contrib.auth.models import Permission

    viewer = User.objects.create_user("viewer", password="x", is_staff=True)
    viewer.user_permissions.add(Permission.objects.get(codename="view_budget"))
    client.force_login(viewer)
    budget = Budget.objects.create(project=project, name="Daily", amount_nanousd=1)
    assert "Daily" in client.get(LIST).content.decode()
    client.post(LIST, {"_selected_action": [budget.pk], "action": "pause"})
    budget.refresh_from_db()
    assert budget.active
    assert client.get(LIST + "add/").status_code == 403


def test_budgets_are_found_by_name_and_feature(admin_client: Client, project: Project) -> None:
    Budget.objects.create(project=project, name="Assistant", feature="chat", amount_nanousd=1)
    Budget.objects.create(project=project, name="Search", amount_nanousd=1)
    for asked, found, not_found in (("assist", "Assistant", "Search"), ("CHAT", "Assistant", "Search")):
        page = admin_client.get(LIST, {"q": asked}).content.decode()
        assert f">{found}</a>" in page
        assert f">{not_found}</a>" not in page


def test_budgets_are_filtered_by_what_counts(admin_client: Client, project: Project) -> None:
    Budget.objects.create(project=project, name="Assistant", feature="chat", amount_nanousd=1)
    Budget.objects.create(project=project, name="Everything", amount_nanousd=1)
    for asked, found in (("project", ["Everything"]), ("feature", ["Assistant"]), ("", ["Assistant", "Everything"])):
        page = admin_client.get(LIST, {"scope": asked} if asked else {}).content.decode()
        assert [name for name in ("Assistant", "Everything") if f">{name}</a>" in page] == found


def test_an_amount_is_edited_in_dollars(admin_client: Client, project: Project) -> None:
    budget = Budget.objects.create(project=project, name="Daily", amount_nanousd=12_500_000_000)
    page = admin_client.get(f"{LIST}{budget.pk}/change/").content.decode()
    assert 'name="amount_nanousd" value="12.5"' in page
    assert timedelta(0) <= timezone.now() - budget.created_at


def test_what_is_done_to_a_budget_is_in_the_audit_trail(admin_client: Client, project: Project) -> None:
    admin_client.post(LIST + "add/", form(project))
    budget = Budget.objects.get()
    for action in ("pause", "resume", "delete_selected"):
        admin_client.post(LIST, {"action": action, "_selected_action": [budget.pk], "post": "yes"})
    done = AuditEvent.objects.filter(project=project, target="Assistant").order_by("pk")
    assert list(done.values_list("action", "actor__username")) == [
        (f"{action}.budget", "admin") for action in ("create", "pause", "resume", "delete")
    ]
    assert not Budget.objects.exists()
