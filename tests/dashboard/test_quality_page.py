"""The Quality page: shares, intervals, lengths and scores against what was sent, and the page with nothing to show."""

import re
from collections import Counter
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from dashboard.quality.panels import verdict
from metrics.pairs import Pair
from metrics.readings import Reading
from projects.models import Project
from tests import factories
from tests.dashboard import reading
from tests.dashboard.conftest import count
from tests.dashboard.reading import section, takeaway

pytestmark = pytest.mark.django_db

SPACE = "\u202f"
EVIL = "<script>alert(1)</script>"
Event = dict[str, Any]


def text(client: Client, address: str = "/quality/?from=now-1h") -> str:
    return reading.text(client, address)


def rows(client: Client, panel: str, options: str = "from=now-1h") -> list[dict[str, str]]:
    return reading.rows(client, f"/quality/{panel}.csv?{options}")


def checked(at: datetime, *, valid: bool, repairs: int = 0, **overrides: Any) -> Event:
    return factories.event(at, quality={"valid": valid, "repairs": repairs}, **overrides)


@pytest.fixture
def answers(project: Project, now: datetime) -> list[Event]:
    """A hundred and fifty calls of the last half hour.

    80 checked answers of triage 7, of which 76 are valid and 3 repaired; 40 of triage 8, of which 20 are valid; 22 not
    checked of draft, of which 2 are cut off and 3 refused; 8 failed, 3 of them for an invalid output.
    """
    start = now - timedelta(minutes=30)

    def at(n: int) -> datetime:
        return start + timedelta(seconds=10 * n)

    events = [checked(at(n), valid=n >= 4, repairs=int(n >= 77)) for n in range(80)]
    events += [
        checked(at(80 + n), valid=n % 2 == 0, prompt_version="8", usage={"input_tokens": 100, "output_tokens": 50})
        for n in range(40)
    ]
    stops = ["max_tokens"] * 2 + ["refusal"] * 3 + ["end_turn"] * 17
    events += [
        factories.event(at(120 + n), prompt_type="draft", prompt_version=None, stop_reason=stop)
        for n, stop in enumerate(stops)
    ]
    events += [factories.failed("invalid_output", 200, at(142 + n), prompt_type=EVIL) for n in range(3)]
    events += [factories.failed(at=at(145 + n)) for n in range(5)]
    factories.stored(project, *events, now=now)
    count(now)
    return events


def score(project: Project, event: Event, name: str, value: float | str, at: datetime) -> None:
    told = {"label": value} if isinstance(value, str) else {"value": value}
    factories.scored(project, {"call_id": event["id"], "name": name, "at": at.isoformat(), **told}, now=at)


def test_the_answer_says_how_many_had_the_form_asked_for(viewer: Client, answers: list[Event]) -> None:
    page = text(viewer)
    # 96 of 120 checked; 2 cut off and 3 refused of 150.
    assert (
        f"80.0{SPACE}% of 120 checked answers had the form asked for; of all calls 1.33{SPACE}% were cut off, "
        f"2.00{SPACE}% refused."
    ) in page
    # Wilson: (0.8 + 0.016006 ∓ 1.959964 · √(0.001333 + 0.0000667)) / 1.032012.
    assert f"The true share of valid answers lies between 72.0{SPACE}% and 86.2{SPACE}%." in page
    assert 'class="answer is-warn"' in page


def test_the_tiles_show_what_was_stored(viewer: Client, answers: list[Event], project: Project, now: datetime) -> None:
    score(project, answers[0], "accepted", 1, now)
    page = text(viewer)
    values = re.findall(r'<h3>(.*?)</h3><p class="value"[^>]*>(.*?)</p>', page)
    # 142 answers: 102 of 20 tokens and 40 of 50: 4,040 tokens.
    assert values == [
        ("Valid answers", f"80.0{SPACE}%"),
        ("Repaired", f"2.00{SPACE}%"),
        ("Cut off", f"1.33{SPACE}%"),
        ("Refused", f"2.00{SPACE}%"),
        ("Tokens per answer", "28"),
        ("Scores", "1"),
    ]
    assert [words in page for words in ("of 120 checked", "142 answers", "under 1 name")] == [True] * 3
    assert takeaway(page, "length") == "An answer has 28 tokens on average; nothing to compare with."


def test_versions_are_held_against_the_one_checked_most(viewer: Client, answers: list[Event]) -> None:
    page = text(viewer)
    versions = section(page, "versions")
    lines = [
        [re.sub(r"<.*?>", "", cell) for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row)]
        for row in re.findall(r"<tr>(.*?)</tr>", versions)[1:]
    ]
    # ± 3.00001 points at 214 checks, so it takes 215: 135 more, in two digits 140.
    # 76 of 80: (0.95 + 0.024009 ∓ 1.959964 · √(0.00059375 + 0.00015006)) / 1.048018. 20 of 40: ± 14.8.
    assert lines[:2] == [
        [
            *("triage 7", "85", "80", f"95.00{SPACE}%", f"87.8{SPACE}% and 98.04{SPACE}%"),
            *(f"needs about 140 more for ±3{SPACE}pt", f"3.53{SPACE}%", f"0{SPACE}%", f"0{SPACE}%", "20"),
        ],
        [
            *("triage 8", "40", "40", f"50.0{SPACE}%", f"35.2{SPACE}% and 64.8{SPACE}%"),
            *("worse than 7", f"0{SPACE}%", f"0{SPACE}%", f"0{SPACE}%", "50"),
        ],
    ]
    assert lines[2][0] == "draft"
    assert lines[2][5] == "not checked"
    assert takeaway(page, "versions") == "triage 8 is worse than 7: the intervals do not touch."
    assert 'href="?project=helpdesk&amp;from=now-1h&amp;prompt_type=triage&amp;version=8"' in versions
    assert EVIL not in page
    file = rows(viewer, "versions")
    assert {(row["Prompt type"], row["Prompt version"]): int(row["Calls"]) for row in file} == Counter(
        (event["prompt_type"], event.get("prompt_version", "(none)")) for event in answers
    )
    low = Decimal(file[0]["Valid, at least (0..1)"])
    assert round(low, 4) == Decimal("0.8784")


def test_a_change_beyond_chance_is_told(viewer: Client, answers: list[Event], project: Project, now: datetime) -> None:
    start = now - timedelta(minutes=55)
    before = [checked(start - timedelta(days=1, seconds=n), valid=n % 100 != 0) for n in range(100)]
    factories.stored(project, *before, now=now)
    count(now)
    page = text(viewer, "/quality/?from=now-3h&cmp=1d")
    # 99 of 100 yesterday: 94.55 to 99.82 %.
    assert f"; yesterday it was 99.00{SPACE}% of 100, so it is worse." in page
    assert 'class="answer is-bad"' in page
    assert takeaway(page, "length") == f"An answer has 28 tokens on average, +42{SPACE}% against yesterday (20)."


def test_the_lines_over_time_are_those_of_each_minute(viewer: Client, answers: list[Event]) -> None:
    valid = [Decimal(row["valid (0..1)"]) for row in rows(viewer, "valid") if row["valid (0..1)"]]
    # 120 checked calls, six a minute: of the first 80 the first four are invalid, of the others every second.
    assert len(valid) in (20, 21)
    assert max(valid) == 1
    assert min(valid) < Decimal("0.51")
    trouble = rows(viewer, "trouble")
    assert len(trouble) == 60
    assert sum(Decimal(row["refused (0..1)"] or 0) > 0 for row in trouble) in (1, 2)


def test_scores_are_counted_by_name_and_by_version(
    viewer: Client, answers: list[Event], project: Project, now: datetime
) -> None:
    for n, value in enumerate((5, 4, 3, 1)):
        score(project, answers[n], "grade", value, now)
    score(project, answers[80], "grade", -2.5, now)
    for n, word in enumerate(("kind", "kind", EVIL)):
        score(project, answers[n], "tone", word, now)
    # Of a call that never came, and of another project.
    score(project, {"id": str(factories.call_id(now))}, "grade", 9, now)
    page = text(viewer)
    # (5 + 4 + 3 + 1 − 2.5) / 5.
    assert takeaway(page, "scores") == "grade: 2.1 on average, told 5 times."
    assert [(row["Score"], row["Word"], row["Told"], row["Mean"]) for row in rows(viewer, "scores")] == [
        ("grade", "", "5", "2.1"),
        ("tone", "kind", "2", ""),
        ("tone", EVIL, "1", ""),
    ]
    assert f"kind 66.7{SPACE}%, &lt;script&gt;alert(1)&lt;/script&gt; 33.3{SPACE}%" in section(page, "scores")
    told = [(row["Score"], row["Prompt version"], row["Told"], row["Mean"]) for row in rows(viewer, "score-versions")]
    assert told == [("grade", "7", "4", "3.25"), ("tone", "7", "3", ""), ("grade", "8", "1", "-2.5")]
    assert [row["Told"] for row in rows(viewer, "scores", "from=now-1h&version=8")] == ["1"]


def test_scores_are_compared_with_those_before(
    viewer: Client, answers: list[Event], project: Project, now: datetime
) -> None:
    earlier = factories.event(now - timedelta(days=7, minutes=10))
    factories.stored(project, earlier, now=now)
    score(project, earlier, "accepted", 0.25, now)
    score(project, answers[0], "accepted", 1, now)
    count(now)
    (row,) = rows(viewer, "scores")
    assert (row["Mean"], row["Told before"], row["Mean before"]) == ("1", "1", "0.25")


def test_the_score_told_most_is_drawn_at_the_times_of_its_calls(
    viewer: Client, answers: list[Event], project: Project, now: datetime
) -> None:
    for n in range(3):
        score(project, answers[n], "tone", "kind", now)
        score(project, answers[n], "grade", (1, 5, 4)[n], now)
    score(project, answers[0], "rare", 100, now)
    assert takeaway(text(viewer), "score") == "grade: 3.333 on average of 3 numbers, at the times of the calls."
    lines = {row["Time (UTC)"]: row["grade"] for row in rows(viewer, "score")}
    told = [(datetime.fromisoformat(at), value) for at, value in lines.items() if value]
    # Three calls ten seconds apart, from half an hour ago on: in one minute or two.
    assert len(lines) == 60
    assert [value for _, value in told] in (["3.333333333333333333333333333"], ["1", "4.5"], ["3", "4"])
    # Over more than three hours by the hour, for there are no minutes of scores.
    by_hour = rows(viewer, "score", "from=now-6h")
    assert len(by_hour) in (6, 7)
    assert [row["grade"] for row in by_hour if row["grade"]] in (
        ["3.333333333333333333333333333"],
        ["1", "4.5"],
        ["3", "4"],
    )


def test_words_told_equally_often_stand_in_the_order_of_the_alphabet(
    viewer: Client, answers: list[Event], project: Project, now: datetime
) -> None:
    for n, word in enumerate(("rude", "odd", "kind", "odd", "rude")):
        score(project, answers[n], "tone", word, now)
    assert [(row["Word"], row["Told"]) for row in rows(viewer, "scores")] == [
        ("odd", "2"),
        ("rude", "2"),
        ("kind", "1"),
    ]
    assert takeaway(text(viewer), "scores") == (
        f"tone: odd 40.0{SPACE}%, rude 40.0{SPACE}%, kind 20.0{SPACE}%, told 5 times."
    )


def test_without_numbers_no_score_is_drawn(
    viewer: Client, answers: list[Event], project: Project, now: datetime
) -> None:
    score(project, answers[0], "tone", "kind", now)
    page = text(viewer)
    assert takeaway(page, "score") == "No number was told of an answer in this range."
    assert takeaway(page, "scores") == f"tone: kind 100{SPACE}%, told 1 time."


def test_bad_answers_are_found_among_those_a_filter_means(viewer: Client, answers: list[Event]) -> None:
    assert len(rows(viewer, "samples")) == 3
    assert rows(viewer, "samples", "from=now-1h&prompt_type=triage") == []
    assert len(rows(viewer, "samples", "from=now-1h&err=invalid_output")) == 3
    assert rows(viewer, "samples", "from=now-3h&to=now-2h") == []


def test_calls_worth_a_look_are_links_without_texts(
    viewer: Client, answers: list[Event], project: Project, now: datetime
) -> None:
    for n, value in enumerate((1, 0, 1, 0.5, 1)):
        score(project, answers[n], "accepted", value, now)
        score(project, answers[n], "repairs", n, now)
    page = text(viewer)
    assert takeaway(page, "samples") == (
        "The newest 3 invalid, cut off or refused answers and the lowest numbers under each score."
    )
    told = [(row["Call"], row["Why"], row["Score"]) for row in rows(viewer, "samples")]
    # The mean is 0.7: two scores are below it.
    assert told == [
        *((event["id"], "invalid output", "") for event in reversed(answers[142:145])),
        (answers[1]["id"], "accepted:", "0.0"),
        (answers[3]["id"], "accepted:", "0.5"),
    ]
    assert f'href="/logs/{answers[1]["id"]}/?project=helpdesk&amp;from=now-1h"' in section(page, "samples")


def test_without_scores_the_page_says_how_to_tell_one(viewer: Client, answers: list[Event]) -> None:
    page = text(viewer)
    assert takeaway(page, "scores") == "Nobody has told what they thought of an answer in this range."
    assert "llmclient.score(call.id, &quot;accepted&quot;, True)" in section(page, "scores") or (
        'llmclient.score(call.id, "accepted", True)' in section(page, "scores")
    )
    assert "<table" not in section(page, "scores")


def test_without_checks_and_without_calls_nothing_is_claimed(viewer: Client, project: Project, now: datetime) -> None:
    factories.stored(project, factories.event(now - timedelta(minutes=2)), now=now)
    count(now)
    page = text(viewer)
    assert f"No answer was checked for its form; of all calls 0{SPACE}% were cut off, 0{SPACE}% refused." in page
    assert takeaway(page, "valid") == "No answer was checked for its form in this range."
    assert takeaway(page, "trouble") == "No answer was repaired, refused or cut off in this range."
    assert takeaway(page, "samples") == "No answer failed for what it was, and no score is low."
    assert '<h2 role="status">No call was made in this range.</h2>' in text(viewer, "/quality/?from=now-4h&to=now-3h")


def test_projects_do_not_see_each_other(viewer: Client, answers: list[Event], project: Project, now: datetime) -> None:
    other = factories.project("other")
    event = factories.event(now - timedelta(minutes=1))
    factories.stored(other, event, now=now)
    count(now)
    score(other, event, "grade", 1, now)
    score(project, answers[0], "grade", 3, now)
    assert [row["Mean"] for row in rows(viewer, "scores", "from=now-1h&project=other")] == ["1"]
    assert [row["Mean"] for row in rows(viewer, "scores", "from=now-1h&project=helpdesk")] == ["3"]
    assert [row["Calls"] for row in rows(viewer, "versions", "from=now-1h&project=other")] == ["1"]


def pair(valid: int, of: int, version: str = "1") -> Pair:
    rate = None if of == 0 else Decimal(valid) / of
    return Pair("triage", version, {"valid_rate": Reading("valid_rate", rate, of, None, 0)})


@pytest.mark.parametrize(
    ("own", "reference", "said", "tone"),
    [
        (pair(0, 0), None, "not checked", "muted"),
        # 964 more make 1,064: see the tests of the intervals.
        (pair(50, 100), None, f"needs about 970 more for ±3{SPACE}pt", "muted"),
        (pair(20, 20), pair(21, 21, "2"), f"needs about 41 more for ±3{SPACE}pt", "muted"),
        # ± 1.959964 / (2 √(2000 + 3.841459)).
        (pair(1000, 2000), None, f"±2.19{SPACE}pt", ""),
        (pair(10, 40), pair(90, 100, "2"), "worse than 2", "bad"),
        (pair(90, 90), pair(50, 100, "2"), "better than 2", "good"),
    ],
)
def test_a_verdict_says_what_can_be_said(own: Pair, reference: Pair | None, said: str, tone: str) -> None:
    assert verdict(own, reference) == (said, tone)
