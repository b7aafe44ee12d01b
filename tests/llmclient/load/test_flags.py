"""The command line: what is planned by it, and what is refused."""

from pathlib import Path

import pytest

from llmclient.load._flags import Plan, parser, plan_of

TRACE = """TIMESTAMP,ContextTokens,GeneratedTokens
2026-11-22 12:00:00,374,44
2026-11-22 12:00:04,12,1
2026-11-22 12:00:30,5000,900
"""


def planned(*options: str) -> Plan:
    return plan_of(parser().parse_args(options))


def test_by_default_it_is_ten_a_second_for_a_minute() -> None:
    plan = planned("--profile", "constant")
    assert (len(plan.asks), plan.seconds) == (600, 60.0)
    assert {(ask.model, ask.input_tokens, ask.output_tokens) for ask in plan.asks} == {("claude-sonnet-5-5", 400, 100)}
    assert 250 <= sum(ask.stream for ask in plan.asks) <= 350


def test_a_ramp_takes_as_long_as_it_says_unless_told_otherwise() -> None:
    # (10 + 1,000) / 2 a minute for five minutes; then a thousand a minute for another.
    assert planned("--ramp", "10:1000:300s", "--profile", "constant").seconds == 300.0
    assert len(planned("--ramp", "10:1000:300s", "--profile", "constant").asks) == 2_525
    assert len(planned("--ramp", "10:1000:5m", "--for", "6m", "--profile", "constant").asks) == 3_525


def test_models_sizes_and_streams_are_as_told() -> None:
    sizes = ["--stream", "1", "--prompt-tokens", "7", "--output-tokens", "9"]
    asks = planned("--rate", "600", "--for", "10", "--model", "a", "--model", "b", *sizes).asks
    assert {ask.model for ask in asks} == {"a", "b"}
    assert {(ask.input_tokens, ask.output_tokens, ask.stream) for ask in asks} == {(7, 9, True)}


def test_a_trace_is_taken_with_its_times_and_tokens(tmp_path: Path) -> None:
    path = tmp_path / "trace.csv"
    path.write_text(TRACE)
    plan = planned("--profile", str(path), "--trace-speed", "2")
    assert [(ask.at, ask.input_tokens, ask.output_tokens) for ask in plan.asks] == [
        (0.0, 374, 44),
        (2.0, 12, 1),
        (15.0, 5_000, 900),
    ]
    assert plan.seconds == 15.0
    assert [ask.at for ask in planned("--profile", str(path), "--for", "10s").asks] == [0.0, 4.0]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--rate", "5", "--ramp", "1:2:3s"], "give either --rate or --ramp"),
        (["--rate", "-5"], "a rate of -5 to -5 a minute"),
        (["--rate", "0"], "a rate of 0 to 0 a minute"),
        (["--profile", "nowhere.csv"], "nowhere.csv"),
        (["--profile", "x.csv", "--rate", "5"], "a trace has its own rate"),
        (["--profile", "x.csv", "--trace-speed", "0"], "--trace-speed: 0 is not above 0"),
    ],
)
def test_what_does_not_go_together_is_refused(options: list[str], told: str) -> None:
    with pytest.raises((ValueError, OSError), match=told):
        planned(*options)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--for", "soon"], "argument --for: --for: 'soon' is no length of time"),
        (["--stream", "2"], "argument --stream: 2 is not between 0 and 1"),
        (["--concurrency-cap", "0"], "argument --concurrency-cap: 0 is not above 0"),
        (["--ramp", "1:2"], "argument --ramp: '1:2' is not FROM:TO:WITHIN"),
        (["--yes-spend", "much"], "argument --yes-spend: 'much' is no amount of dollars"),
    ],
)
def test_a_wrong_value_is_told_in_one_line(options: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        planned(*options)
    assert ended.value.code == 2
    assert told in capsys.readouterr().err
