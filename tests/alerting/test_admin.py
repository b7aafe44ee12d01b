import re
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from alerting.models import Alert, AlertRule, Notification, Transition
from metrics.catalog import METRICS
from projects.models import Project, Recipient
from tests import factories
from tests.alerting.conftest import MailServer, judge, traffic

pytestmark = pytest.mark.django_db

LIST = "/admin/alerting/alertrule/"


def form(project: Project, **fields: Any) -> dict[str, Any]:
    return {
        "project": project.pk,
        "name": "Failures",
        "severity": "critical",
        "enabled": "on",
        "metric": "error_rate",
        "environment": "",
        "feature": "",
        "window_minutes": 5,
        "direction": "above",
        "threshold": "5",
        "for_minutes": 2,
        "minimum_sample": 30,
        "no_data": "keep",
        "recovery_threshold": "2",
        "keep_firing_minutes": 5,
    } | fields


def test_a_rule_can_watch_every_alertable_metric_and_says_its_unit(admin_client: Client) -> None:
    page = admin_client.get(LIST + "add/").content.decode()
    offered = re.findall(
        r'<option value="(\w+)"[^>]*>([^<]+)</option>', page.split('name="metric"')[1].split("</select>")[0]
    )
    assert dict(offered).keys() == {key for key, metric in METRICS.items() if metric.alertable}
    assert dict(offered)["error_rate"] == "Error rate (%)"
    assert dict(offered)["latency_p95"] == "Latency p95 (ms)"
    assert dict(offered)["spend"] == "Spend ($)"
    assert dict(offered)["requests"] == "Requests"


def test_a_rule_is_saved(admin_client: Client, project: Project) -> None:
    answer = admin_client.post(LIST + "add/", form(project))
    assert answer.status_code == 302, answer.context["errors"]
    rule = AlertRule.objects.get()
    assert [rule.metric, rule.threshold, rule.recovery_threshold] == ["error_rate", 5, 2]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"recovery_threshold": "6"}, "Write 5 or less: the rule fires above it."),
        ({"direction": "below", "recovery_threshold": "4"}, "Write 5 or more: the rule fires below it."),
        ({"threshold": "120"}, "A share is between 0 and 100 percent."),
        ({"metric": "gone"}, "Select a valid choice. gone is not one of the available choices."),
        ({"window_minutes": "0"}, "Ensure this value is greater than or equal to 1."),
    ],
)
def test_a_mistake_is_named_beside_its_field(
    admin_client: Client, project: Project, fields: dict[str, str], message: str
) -> None:
    answer = admin_client.post(LIST + "add/", form(project, **fields))
    assert message in answer.content.decode()
    assert not AlertRule.objects.exists()


def test_a_recipient_of_another_project_is_refused(admin_client: Client, project: Project) -> None:
    stranger = Recipient.objects.create(project=factories.project(), email="stranger@example.com")
    answer = admin_client.post(LIST + "add/", form(project, recipients=[stranger.pk]))
    assert "stranger@example.com belongs to another project." in answer.content.decode()


def test_a_feature_nobody_has_used_is_saved_with_a_warning(admin_client: Client, project: Project) -> None:
    answer = admin_client.post(LIST + "add/", form(project, feature="chat"), follow=True)
    assert AlertRule.objects.get().feature == "chat"
    assert "No call has named the feature “chat” yet." in answer.content.decode()


def test_the_list_says_when_a_rule_fires_and_how_it_goes(
    admin_client: Client, project: Project, rule: AlertRule
) -> None:
    AlertRule.objects.create(
        project=project,
        name="Broken",
        metric="gone",
        threshold=Decimal(1),
        recovery_threshold=Decimal(1),
        last_error="There is no metric 'gone'.",
    )
    page = admin_client.get(LIST).content.decode().replace("\N{NARROW NO-BREAK SPACE}", " ").replace("&#x27;", "'")
    assert "Error rate is above 5 % over 5 min" in page
    assert '<td class="field-health">not evaluated yet</td>' in page
    assert '<td class="field-condition">gone: no such metric</td>' in page
    assert "error: There is no metric 'gone'." in page
    judge(10)
    assert '<td class="field-health">good</td>' in admin_client.get(LIST).content.decode()


def test_the_list_asks_as_much_for_many_rules_as_for_a_few(admin_client: Client, project: Project) -> None:
    def queries_for(number: int) -> int:
        AlertRule.objects.all().delete()
        for each in range(number):
            AlertRule.objects.create(
                project=project, name=f"{each}", metric="spend", threshold=Decimal(1), recovery_threshold=Decimal(1)
            )
        with CaptureQueriesContext(connection) as asked:
            admin_client.get(LIST)
        return len(asked)

    queries_for(2)
    assert queries_for(20) == queries_for(2)


def test_rules_are_filtered_by_the_metrics_that_are_used(
    admin_client: Client, project: Project, rule: AlertRule
) -> None:
    AlertRule.objects.create(
        project=project, name="Dear", metric="spend", threshold=Decimal(1), recovery_threshold=Decimal(1)
    )
    page = admin_client.get(LIST, {"metric": "spend"}).content.decode()
    assert ">Dear</a>" in page
    assert f">{rule.name}</a>" not in page
    assert '<a href="?metric=error_rate">Error rate</a>' in page.replace("\n", "")


def test_rules_can_be_switched_off_and_on(admin_client: Client, rule: AlertRule) -> None:
    chosen = {"_selected_action": [rule.pk]}
    answer = admin_client.post(LIST, chosen | {"action": "disable"}, follow=True)
    assert "Switched off: 1 rule." in answer.content.decode()
    rule.refresh_from_db()
    assert not rule.enabled
    admin_client.post(LIST, chosen | {"action": "enable"})
    rule.refresh_from_db()
    assert rule.enabled


def test_the_starter_rules_can_be_added_to_a_project(admin_client: Client, rule: AlertRule) -> None:
    chosen = {"_selected_action": [rule.pk], "action": "add_starter_rules"}
    answer = admin_client.post(LIST, chosen, follow=True)
    # One of the three names is taken by the rule itself.
    assert "Added: 2 rules." in answer.content.decode()


def test_a_test_mail_is_a_real_letter_that_says_it_is_a_test(
    admin_client: Client, rule: AlertRule, mail_server: MailServer
) -> None:
    answer = admin_client.post(LIST, {"_selected_action": [rule.pk], "action": "send_test_mail"}, follow=True)
    assert "Many requests fail: sent to admin@example.com." in answer.content.decode()
    (mail,) = mail_server.received
    assert mail_server.subjects == ["[TEST] [FIRING · critical] Error rate unknown: too few requests — Demo"]
    assert mail["To"] == "admin@example.com"
    text, page = mail.get_body(("plain",)), mail.get_body(("html",))
    assert text is not None
    assert page is not None
    for part in (text, page):
        assert "This is a test and nothing is wrong." in part.get_content()
        assert "/alerts/" not in part.get_content()
    assert not Alert.objects.exists()


def test_a_test_mail_that_cannot_be_sent_says_why(
    admin_client: Client, rule: AlertRule, mail_server: MailServer
) -> None:
    mail_server.refused["admin@example.com"] = "550 no such person"
    answer = admin_client.post(LIST, {"_selected_action": [rule.pk], "action": "send_test_mail"}, follow=True)
    assert "Many requests fail: The mail server answered 550 no such person" in answer.content.decode()
    User.objects.update(email="")
    answer = admin_client.post(LIST, {"_selected_action": [rule.pk], "action": "send_test_mail"}, follow=True)
    assert "Your account has no e-mail address. Add one first." in answer.content.decode()


@pytest.mark.parametrize("model", ["alert", "transition", "notification"])
def test_what_happened_can_be_read_and_not_changed(
    admin_client: Client, project: Project, rule: AlertRule, anna: Recipient, model: str
) -> None:
    for minute in range(7):
        traffic(project, minute, ok=15, failed=5)
        judge(minute + 1)
    newest = {"alert": Alert.objects, "transition": Transition.objects, "notification": Notification.objects}
    row = newest[model].latest("pk")
    base = f"/admin/alerting/{model}/"
    assert f"{base}{row.pk}/change/" in admin_client.get(base).content.decode()
    page = admin_client.get(f"{base}{row.pk}/change/")
    assert page.status_code == 200
    assert 'name="_save"' not in page.content.decode()
    assert admin_client.get(base + "add/").status_code == 403
    assert admin_client.post(f"{base}{row.pk}/delete/", {"post": "yes"}).status_code == 403
    assert admin_client.post(f"{base}{row.pk}/change/", {"title": "x"}).status_code == 403


def test_a_project_made_in_the_admin_has_the_starter_rules(admin_client: Client) -> None:
    form = {"name": "Shop", "slug": "shop", "infra_nanousd_per_request": "0", "infra_nanousd_per_token": "0"}
    inlines = {f"{name}-{count}_FORMS": "0" for name in ("recipients", "ingest_keys") for count in ("TOTAL", "INITIAL")}
    answer = admin_client.post("/admin/projects/project/add/", form | inlines)
    assert answer.status_code == 302
    rules = AlertRule.objects.filter(project__slug="shop").order_by("name")
    assert [rule.name for rule in rules] == ["Answers are slow", "Many requests fail", "Spending runs away"]
