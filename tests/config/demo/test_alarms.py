"""The alert of the history's last incident: raised by the real rules, at its own time, once."""

from datetime import timedelta

import pytest
from django.utils import timezone

from alerting.models import Alert, Notification
from config.demo import alarms, history, setup, story
from metrics import rollup
from projects.models import Project


@pytest.mark.django_db(transaction=True)
def test_the_last_incident_has_fired_and_is_over() -> None:
    project = setup.project()
    incident = story.recent_incident(project.created_at)
    busy, short = 1.1, project.created_at - incident.start
    history.write(project, now=timezone.now(), progress=lambda done, total: None, scale=busy, span=short)
    rollup.roll_up_minutes(now=timezone.now())
    assert alarms.sound(project) >= 4
    # The day's spend may have crossed a budget as well: that is another alert.
    alert = Alert.objects.get(rule__isnull=False)
    assert alert.state == Alert.State.RESOLVED
    assert alert.fired_at is not None
    assert alert.resolved_at is not None
    assert incident.start < alert.fired_at < incident.start + timedelta(minutes=15)
    assert incident.end < alert.resolved_at < incident.end + timedelta(minutes=30)
    sent = Notification.objects.filter(transition__alert=alert).order_by("available_at")
    reasons = sent.values_list("reason", "recipient__email")
    assert list(reasons) == [("firing", "oncall@demo.example"), ("resolved", "oncall@demo.example")]
    assert alarms.sound(project) == 0
    assert Alert.objects.filter(rule__isnull=False).count() == 1


@pytest.mark.django_db
def test_beside_other_projects_only_the_rules_are_made() -> None:
    Project.objects.create(slug="other", name="Other")
    project = setup.project()
    assert alarms.sound(project) == 0
    assert project.alert_rules.count() == 3
    assert [recipient.email for recipient in project.alert_rules.all()[0].recipients.all()] == ["oncall@demo.example"]
