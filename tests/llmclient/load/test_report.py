"""What a run came to."""

from typing import Any

from llmclient.load._report import as_text, summary
from llmclient.load._tally import Outcome, Tally, ranks

AT_ONCE = "p50 0.000 s  p95 0.000 s  p99 0.000 s  max 0.000 s"


def tallied(*outcomes: Outcome, planned: int | None = None) -> Tally:
    tally = Tally(len(outcomes) if planned is None else planned)
    for outcome in outcomes:
        tally.started()
        tally.ended(outcome)
    return tally


def found(tally: Tally, **more: Any) -> dict[str, Any]:
    return summary(tally, **{"planned_seconds": 10.0, "elapsed": 12.0, "interrupted": False, **more})


def answered(intended: float, ended: float, **more: Any) -> Outcome:
    settings: dict[str, Any] = {"statuses": (200,), "input_tokens": 10, "output_tokens": 5, "nanousd": 70_000, **more}
    return Outcome(intended, settings.pop("sent", intended), ended, **settings)


def test_percentiles_are_values_that_occurred() -> None:
    values = [float(number) for number in range(200, 0, -1)]
    assert ranks(values) == {"p50": 100.0, "p95": 190.0, "p99": 198.0, "max": 200.0}
    assert ranks([3.0]) == {"p50": 3.0, "p95": 3.0, "p99": 3.0, "max": 3.0}
    assert ranks([]) is None


def test_latency_counts_from_the_intended_arrival() -> None:
    report = found(tallied(answered(1.0, 5.0, sent=3.0, first_token=4.0, queued=0.25)))
    assert report["latency"]["p50"] == 4.0
    assert report["first_token"]["p50"] == 3.0
    assert report["sent_late"]["p50"] == 2.0
    assert report["queued"]["p50"] == 0.25


def test_failures_are_counted_by_category_and_have_no_latency() -> None:
    report = found(
        tallied(
            answered(0.0, 1.0, statuses=(529, None, 200)),
            answered(0.0, 2.0, degraded=True, nanousd=None),
            Outcome(0.0, 0.0, 9.0, category="rate_limit", statuses=(429, 429, 429)),
            Outcome(0.0, 0.0, 9.0, category="timeout", statuses=(None,)),
            Outcome(0.0, 0.0, 9.0, category="rate_limit", statuses=(429,)),
        )
    )
    assert (report["sent"], report["answered"], report["degraded"]) == (5, 2, 1)
    assert report["failed"] == {"rate_limit": 2, "timeout": 1}
    assert (report["retries"], report["http_429"]) == (4, 4)
    assert report["latency"]["max"] == 2.0
    assert (report["nanousd"], report["unpriced"]) == (70_000, 1)
    assert (report["input_tokens"], report["output_tokens"]) == (20, 10)


def test_rates_are_per_minute_planned_sent_and_answered() -> None:
    report = found(tallied(answered(0.0, 1.0), answered(0.0, 12.0)))
    assert (report["planned_per_minute"], report["sent_per_minute"], report["answered_per_minute"]) == (
        12.0,
        12.0,
        10.0,
    )
    late = found(tallied(answered(0.0, 1.0), answered(9.0, 25.0, sent=20.0)), elapsed=25.0)
    assert late["sent_per_minute"] == 6.0


def test_what_was_not_sent_says_why() -> None:
    tally = tallied(answered(0.0, 1.0), planned=10)
    tally.unaffordable = 4
    report = found(tally, interrupted=True)
    assert report["not_sent"] == {"interrupted": 5, "spent": 4}
    assert "not sent     5 (interrupted), 4 (the agreed amount is used up)" in as_text(report)


def test_in_text_it_is_a_line_each() -> None:
    tally = tallied(
        answered(0.0, 1.5, statuses=(429, 200)),
        answered(0.0, 2.0, nanousd=None),
        Outcome(0.0, 0.0, 9.0, category="timeout", statuses=(None,)),
    )
    assert as_text(found(tally)).splitlines() == [
        "planned      3, 18.0 a minute",
        "sent         3, 18.0 a minute; 1 at a time",
        "answered     2, 10.0 a minute until the last of them",
        "failed       1: timeout 1",
        "retries      1; 1 times told to slow down (429)",
        "latency      p50 1.500 s  p95 2.000 s  p99 2.000 s  max 2.000 s  from the intended arrival",
        f"queued       {AT_ONCE}  in the client, for a turn",
        f"sent late    {AT_ONCE}  by this generator, which is part of the latency",
        "tokens       20 read, 10 written",
        "cost         $0.00007, and 1 answers without a known price",
    ]


def test_of_nothing_there_is_nothing_to_say() -> None:
    report = found(Tally(0))
    assert (report["latency"], report["answered_per_minute"], report["nanousd"]) == (None, 0.0, 0)
    assert "latency" not in as_text(report)
