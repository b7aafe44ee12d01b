"""The made-up history: believable, complete, and the same when it is written again."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.utils import timezone

from config.demo import history, particulars, setup, story
from projects.models import Project

FEW = 1 / 150


@pytest.fixture
def project(transactional_db: None) -> Project:
    return setup.project()


def write(project: Project) -> int:
    return history.write(project, now=timezone.now(), progress=lambda done, total: None, scale=FEW)


def scalar(sql: str) -> object:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone()[0]


def test_it_covers_four_weeks_and_ends_where_the_project_begins(project: Project) -> None:
    written = write(project)
    assert scalar("SELECT count(*) FROM request_log") == written
    assert 1200 < written < 1700
    first, last = scalar("SELECT min(started_at) FROM request_log"), scalar("SELECT max(started_at) FROM request_log")
    assert isinstance(first, datetime)
    assert isinstance(last, datetime)
    assert timedelta(days=27) < project.created_at - first <= timedelta(days=29)
    assert project.created_at - timedelta(days=3) < last < project.created_at
    assert scalar("SELECT count(*) FROM quarantine") == 0
    assert scalar("SELECT count(*) FROM request_log WHERE cost_nanousd IS NULL AND outcome = 0") == 0


def test_written_again_nothing_changes(project: Project) -> None:
    written = write(project)
    assert write(project) == 0
    assert scalar("SELECT count(*) FROM request_log") == written


def test_what_was_interrupted_is_completed(project: Project) -> None:
    whole = write(project)
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM request_log WHERE id IN (SELECT id FROM request_log ORDER BY id DESC LIMIT 100)")
        cursor.execute("DELETE FROM request_body")
    assert write(project) == 100
    assert scalar("SELECT count(*) FROM request_log") == whole


def test_prompt_versions_change_at_their_release(project: Project) -> None:
    write(project)
    (release,) = [one for one in story.releases(project.created_at) if one.feature == "support-chat"]
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT started_at >= %s, array_agg(DISTINCT version.name)
              FROM request_log
              JOIN dim kind ON kind.id = prompt_type_id AND kind.name = 'answer'
              JOIN dim version ON version.id = prompt_version_id
             GROUP BY 1 ORDER BY 1
            """,
            [release.at],
        )
        assert cursor.fetchall() == [(False, ["3"]), (True, ["4"])]


@pytest.mark.parametrize(
    ("now", "incident"),
    [
        ("2026-11-20 15:30", "2026-11-18 14:10"),  # a Friday: two days ago
        ("2026-11-23 15:30", "2026-11-20 14:10"),  # a Monday: two days ago is Saturday, so the Friday before
        ("2026-11-23 05:40", "2026-11-20 04:10"),  # 15:40 of Monday, ten hours further east
        ("2026-11-24 15:30", "2026-11-23 14:10"),  # a Tuesday: two days ago is Sunday, so the Monday after
    ],
)
def test_the_last_incident_is_two_days_old_or_of_the_working_day_nearest_to_it(now: str, incident: str) -> None:
    at = datetime.fromisoformat(now).replace(tzinfo=UTC)
    assert story.recent_incident(at).start == datetime.fromisoformat(incident).replace(tzinfo=UTC)


def test_the_incidents_are_in_order_and_within_the_four_weeks() -> None:
    now = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
    incidents = story.incidents(now)
    assert [incident.start for incident in incidents] == sorted(incident.start for incident in incidents)
    assert incidents[0].start > now - story.HISTORY
    assert incidents[-1].end < now


def test_answers_tell_limits_that_come_near_and_are_never_overdrawn(project: Project) -> None:
    write(project)
    assert scalar("SELECT count(*) FROM request_log WHERE (output_limit = 8000) <> (http_status = 200)") == 0
    told = "SELECT min({0}_remaining) >= 0 AND max({0}_remaining) <= {1} FROM request_log"
    for name, limit in (("requests", 40), ("input", 50_000), ("output", 8_000)):
        assert scalar(told.format(name, limit)) is True


def test_it_knows_where_calls_came_from_and_how_good_answers_were(project: Project) -> None:
    write(project)
    with connection.cursor() as cursor:
        cursor.execute("SELECT kind, array_agg(name ORDER BY name) FROM dim WHERE kind IN (7, 9) GROUP BY 1 ORDER BY 1")
        assert cursor.fetchall() == [(7, ["2026.10.4", "2026.11.0", "2026.11.1"]), (9, ["main", "reserve"])]
        cursor.execute(
            """
            SELECT array_agg(DISTINCT kind.name ORDER BY kind.name), min(valid), max(repairs)
              FROM request_log JOIN dim kind ON kind.id = prompt_type_id
             WHERE valid IS NOT NULL
            """
        )
        (kinds, worst, repairs) = cursor.fetchone()
        assert set(kinds) <= particulars.INVALID.keys()
        assert len(kinds) >= 4
        assert (worst, repairs) == (0, 2)
        cursor.execute("SELECT name, count(*), count(DISTINCT call_id) FROM score GROUP BY 1 ORDER BY 1")
        found = {name: (number, calls) for name, number, calls in cursor.fetchall()}
    assert found.keys() == {"accepted", "useful"}
    assert all(number == calls > 0 for number, calls in found.values())
    assert scalar("SELECT count(*) FROM score WHERE NOT EXISTS (SELECT FROM request_log WHERE id = call_id)") == 0
