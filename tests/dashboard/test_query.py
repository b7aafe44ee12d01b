"""The URL grammar: what is understood, what is left out and said so, and the windows that come of it."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.http import QueryDict
from hypothesis import given
from hypothesis import strategies as st

from dashboard.address import parse
from dashboard.query import FILTERS, DashboardQuery
from metrics.windows import Window
from projects.models import Project

NOW = datetime(2026, 11, 23, 10, 7, 30, tzinfo=UTC)
PROJECTS = [Project(pk=1, slug="helpdesk", name="Help desk"), Project(pk=2, slug="shop", name="Shop")]


def words_of_group(project: Project, number: int) -> str | None:
    return {(1, 7): "overloaded: Try # of #"}.get((project.pk, number))


def read(data: QueryDict) -> DashboardQuery:
    return parse(data, projects=PROJECTS, environments=lambda _: {"production"}, failure_group=words_of_group, now=NOW)


def asked(address: str) -> DashboardQuery:
    return read(QueryDict(address))


def utc(day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 11, day, hour, minute, tzinfo=UTC)


def test_an_empty_address_is_the_last_24_hours_of_the_first_project_against_last_week() -> None:
    query = asked("")
    assert query.project == PROJECTS[0]
    assert query.window == Window(utc(22, 10, 15), utc(23, 10, 15))
    assert query.shift == timedelta(days=7)
    assert query.is_live
    assert query.here == "?project=helpdesk"
    assert query.notices == ()


@pytest.mark.parametrize(
    ("preset", "minutes", "buckets"),
    [("1h", 1, 60), ("6h", 5, 72), ("24h", 15, 96), ("7d", 120, 84), ("30d", 720, 60)],
)
def test_each_preset_has_at_most_96_whole_buckets(preset: str, minutes: int, buckets: int) -> None:
    query = asked(f"from=now-{preset}")
    assert query.bucket == timedelta(minutes=minutes)
    assert len(query.window.buckets(query.bucket)) == buckets
    assert query.preset == preset


def test_a_fixed_range_is_widened_to_whole_buckets_and_kept_exact_for_the_log() -> None:
    query = asked("from=2026-11-22T14:03:10Z&to=2026-11-22T18:31:00Z")
    assert query.window == Window(utc(22, 14, 0), utc(22, 18, 35))
    assert query.exact == Window(datetime(2026, 11, 22, 14, 3, 10, tzinfo=UTC), utc(22, 18, 31))
    assert not query.is_live


@pytest.mark.parametrize(
    "written", ["2026-11-22T16:00:00%2B02:00", "2026-11-22T16:00:00+02:00", "2026-11-22T14:00", "2026-11-22 14:00"]
)
def test_a_time_may_have_a_zone_and_is_utc_without_one(written: str) -> None:
    assert asked(f"from={written}&to=2026-11-22T20:00Z").start == utc(22, 14)


@pytest.mark.parametrize(
    "address",
    [
        "from=yesterday",
        "from=2026-11-22T14:00Z&to=2026-11-21T14:00Z",
        "from=2027-01-01T00:00Z&to=2027-01-02T00:00Z",
        "from=now-99999d",
        "from=0001-01-01T00:00Z",
        "from=now&to=now",
    ],
)
def test_a_range_that_makes_no_sense_becomes_the_last_24_hours_with_a_notice(address: str) -> None:
    query = asked(address)
    assert (query.start, query.end) == (NOW - timedelta(days=1), NOW)
    assert len(query.notices) == 1


def test_unknown_words_are_left_out_with_a_notice_each() -> None:
    query = asked("project=nope&env=moon&status=great&err=bad&cmp=always&before=x")
    assert (query.project, query.environment, query.status, query.err, query.cmp) == (PROJECTS[0], "", "", "", "7d")
    assert len(query.notices) == 6
    assert query.notices[0] == "There is no project “nope”; it was left out."


def test_prompt_version_api_key_and_release_are_filters_like_the_others() -> None:
    query = asked("version=7&key=main&release=1.4.2&prompt_type=triage")
    assert query.slice.filters == {
        "prompt_type": "triage",
        "prompt_version": "7",
        "key": "main",
        "release": "1.4.2",
    }
    assert [(chip.label, chip.value) for chip in query.chips] == [
        ("prompt type", "triage"),
        ("prompt version", "7"),
        ("API key", "main"),
        ("release", "1.4.2"),
    ]
    assert query.chips[2].without == "?project=helpdesk&prompt_type=triage&version=7&release=1.4.2"


def test_filters_become_a_slice_and_chips_that_take_them_away() -> None:
    query = asked("feature=inbox&user=anna&err=rate_limit&env=production")
    assert query.slice.filters == {
        "environment": "production",
        "feature": "inbox",
        "error": "rate_limit",
        "user_id": "anna",
    }
    assert [(chip.label, chip.value) for chip in query.chips] == [
        ("feature", "inbox"),
        ("user", "anna"),
        ("error", "rate_limit"),
    ]
    assert query.chips[0].without == "?project=helpdesk&env=production&user=anna&err=rate_limit"
    assert query.without_filters == "?project=helpdesk&env=production"


def test_a_link_changes_only_what_it_names_and_stays_relative() -> None:
    query = asked("from=now-6h&feature=a%26b")
    assert query.string(cmp="off") == "?project=helpdesk&from=now-6h&cmp=off&feature=a%26b"
    assert asked(query.string(cmp="off")[1:]).feature == "a&b"


def test_of_several_values_the_first_counts_and_it_is_said() -> None:
    query = asked("user=anna&user=ben")
    assert query.user == "anna"
    assert query.notices == ("Only one user at a time: showing “anna”.",)


@pytest.mark.parametrize(
    ("address", "days", "words"),
    [
        ("cmp=7d", 7, "last week"),
        ("cmp=1d", 1, "yesterday"),
        ("cmp=prev", 1, "yesterday"),
        ("cmp=7d&from=now-30d", 35, "the period before"),
        ("cmp=prev&from=now-7d", 7, "last week"),
    ],
)
def test_the_comparison_lies_whole_days_back(address: str, days: int, words: str) -> None:
    query = asked(address)
    assert query.shift == timedelta(days=days)
    assert query.compared_with == words


def test_no_comparison_can_be_asked_for() -> None:
    assert asked("cmp=off").shift is None


KEYS = st.sampled_from(["project", "env", "from", "to", "cmp", "before", "page", *FILTERS])
VALUES = st.one_of(
    st.text(max_size=300),
    st.sampled_from(
        ["now", "now-1h", "now-30d", "2026-11-22T10:00:00Z", "7d", "off", "failed", "9999-12-31T23:59:59-14:00"]
    ),
    st.integers(0, 10**9).map(lambda number: f"now-{number}d"),
)


@given(st.lists(st.tuples(KEYS, VALUES), max_size=8))
def test_no_address_whatsoever_fails(pairs: list[tuple[str, str]]) -> None:
    data = QueryDict(mutable=True)
    for key, value in pairs:
        data.appendlist(key, value)
    query = read(data)
    assert query.start < query.end
    assert 1 <= len(query.window.buckets(query.bucket)) <= 97
    again = read(QueryDict(query.here[1:]))
    assert again.here == query.here
    assert again.notices == ()


def test_choices_of_a_page_are_kept_in_its_links_and_stay_behind_on_the_way_to_another() -> None:
    query = asked("g=model&metric=spend&sort=change&x=1.50&feature=inbox&from=now-7d")
    assert (query.group, query.metric, query.sort, query.factor) == ("model", "spend", "change", Decimal("1.5"))
    assert query.here == "?project=helpdesk&from=now-7d&feature=inbox&g=model&metric=spend&sort=change&x=1.5"
    assert query.elsewhere == "?project=helpdesk&from=now-7d"


@pytest.mark.parametrize(
    ("address", "notice"),
    [
        ("g=colour", "There is no grouping “colour”; it was left out."),
        ("metric=joy", "There is no metric “joy”; it was left out."),
        ("sort=colour", "There is no order “colour”; it was left out."),
        ("waste=joy", "There is no waste “joy”; it was left out."),
        ("x=0", "“0” is not a factor from 0.1 to 100; it was left out."),
        ("x=NaN", "“NaN” is not a factor from 0.1 to 100; it was left out."),
        ("x=twice", "“twice” is not a factor from 0.1 to 100; it was left out."),
    ],
)
def test_a_choice_that_makes_no_sense_is_said_and_left_out(address: str, notice: str) -> None:
    query = asked(address)
    assert (query.group, query.metric, query.sort, query.waste, query.factor) == ("", "", "", "", Decimal(1))
    assert query.notices == (notice,)


def test_today_is_the_day_that_has_begun_in_utc() -> None:
    query = asked("from=today")
    assert (query.start, query.end) == (utc(23, 0), NOW)
    assert query.window == Window(utc(23, 0), utc(23, 10, 15))
    assert query.is_live
    assert query.here == "?project=helpdesk&from=today"
    assert query.shift == timedelta(days=7)


def test_a_comparison_may_begin_at_a_time() -> None:
    query = asked("from=today&cmp=2026-11-18")
    assert query.shift == timedelta(days=5)
    assert query.compared_with == "18 Nov, 00:00"
    assert query.here == "?project=helpdesk&from=today&cmp=2026-11-18"
    assert query.notices == ()


@pytest.mark.parametrize("written", ["2026-11-23T09:00", "2027-01-01", "7", "2026-99-99", "9d"])
def test_a_comparison_that_begins_too_late_or_makes_no_sense_is_last_week(written: str) -> None:
    query = asked(f"from=today&cmp={written}")
    assert (query.cmp, query.against, query.shift) == ("7d", None, timedelta(days=7))
    assert len(query.notices) == 1


def test_a_range_can_be_moved_and_fixed() -> None:
    past = asked("from=2026-11-22T14:00:00Z&to=2026-11-22T16:00:00Z")
    assert past.earlier == "?project=helpdesk&from=2026-11-22T12%3A00%3A00Z&to=2026-11-22T14%3A00%3A00Z"
    assert past.later == "?project=helpdesk&from=2026-11-22T16%3A00%3A00Z&to=2026-11-22T18%3A00%3A00Z"
    assert past.live == "?project=helpdesk&from=now-120m"
    # The next two hours would end at 11:00, and it is 10:07.
    assert asked("from=2026-11-23T07:00:00Z&to=2026-11-23T09:00:00Z").later == "?project=helpdesk&from=now-120m"
    live = asked("from=now-6h&feature=inbox")
    assert live.fixed == ("?project=helpdesk&from=2026-11-23T04%3A07%3A30Z&to=2026-11-23T10%3A07%3A30Z&feature=inbox")


def test_the_comparison_can_be_switched_off_and_on() -> None:
    assert asked("").other_comparison == "?project=helpdesk&cmp=off"
    assert asked("cmp=off").other_comparison == "?project=helpdesk"


def test_a_failure_group_is_a_number_in_the_address_and_words_on_the_page() -> None:
    query = asked("failure=7")
    assert (query.failure, query.here, query.notices) == ("7", "?project=helpdesk&failure=7", ())
    (chip,) = query.chips
    assert (chip.label, chip.value, chip.without) == ("failure group", "overloaded: Try # of #", "?project=helpdesk")


@pytest.mark.parametrize("number", ["8", "-7", "7.0", "seven", "٧", "9" * 30, "1; DROP TABLE dim"])
def test_a_failure_group_that_is_not_there_is_left_out_and_said_so(number: str) -> None:
    query = asked(f"failure={number}")
    assert (query.failure, query.failure_words, query.has_filters) == ("", "", False)
    assert query.notices == (f"There is no failure group “{number}”; it was left out.",)


def test_a_failure_group_of_another_project_is_not_there() -> None:
    assert asked("project=shop&failure=7").notices == ("There is no failure group “7”; it was left out.",)
