"""The policy as it comes from the server."""

from decimal import Decimal
from typing import Any

import pytest

from llmclient._policy import Budget
from llmclient._server_policy import ServerPolicy, read
from tests.llmclient.lease_server import budget

WHOLE: dict[str, Any] = {
    "version": 17,
    "budgets": [
        budget(1, 50_000_000_000, spent=31_200_000_000, chunk=500_000_000, ends_in_s=28_800),
        budget(2, 20_000, per="user", unit="tokens", feature="inbox", prompt_type="triage", on_exceed="fallback"),
        budget(3, 9, models=["claude-opus-5-5"], allowance=2),
    ],
    "stop": {"project": False, "key": False, "models": ["claude-opus-5"]},
    "capture": "redacted",
    "sample": 0.25,
    "prices": {"version": "2027-01-01", "snapshot": {"version": "2027-01-01", "rates": []}},
    "poll_s": 20,
    "something": "newer",
}
LABELS = {"user_id": "ada", "feature": "inbox", "prompt_type": "triage"}


def test_everything_is_read() -> None:
    policy = read(WHOLE, 1000.0)
    assert (policy.version, policy.capture, policy.sample, policy.poll) == (17, "redacted", 0.25, 20.0)
    assert policy.prices == {"version": "2027-01-01", "rates": []}
    first, second, third = policy.budgets
    assert (first.limit, first.spent, first.ends_at) == (50_000_000_000, 31_200_000_000, 29_800.0)
    assert first.budget == Budget(per="app", usd=Decimal(50), window=86_400.0)
    assert second.budget == Budget(per="user", tokens=20_000, window=86_400.0, on_exceed="fallback")
    assert (third.models, third.allowance) == (("claude-opus-5-5",), 2)


def test_the_least_there_can_be_is_a_version() -> None:
    assert read({"version": 0}, 0.0) == ServerPolicy()


@pytest.mark.parametrize(
    ("labels", "model", "found"),
    [
        (LABELS, "claude-opus-5-5", [(1, "", 7), (2, "ada", 300), (3, "", 7)]),
        (LABELS, "claude-opus-5-5-20261001", [(1, "", 7), (2, "ada", 300), (3, "", 7)]),
        (LABELS, None, [(1, "", 7), (2, "ada", 300)]),
        ({**LABELS, "prompt_type": "summary"}, "claude-haiku-5-5", [(1, "", 7)]),
        ({**LABELS, "feature": "chat"}, "claude-haiku-5-5", [(1, "", 7)]),
        ({"feature": "inbox", "prompt_type": "triage"}, "claude-haiku-5-5", [(1, "", 7)]),  # of nobody
    ],
)
def test_a_call_pays_from_the_budgets_it_belongs_to(
    labels: dict[str, str], model: str | None, found: list[tuple[int, str, int]]
) -> None:
    demands = read(WHOLE, 0.0).demands(labels, model, 300, 7)
    assert [(demand.budget.id, demand.key, demand.amount) for demand in demands] == found


def test_a_stop_says_what_is_stopped() -> None:
    policy = read(WHOLE, 0.0)
    assert policy.stop("claude-opus-5") == policy.stop("claude-opus-5-20260101").replace("-20260101", "")  # type: ignore[union-attr]
    assert policy.stop("claude-opus-5") == "calls of claude-opus-5 are stopped"
    assert policy.stop("claude-haiku-5-5") is None
    assert policy.stop(None) is None
    assert read({"version": 1, "stop": {"project": True}}, 0.0).stop(None) == "calls of this project are stopped"
    assert read({"version": 1, "stop": {"key": True}}, 0.0).stop("x") == "calls of this key are stopped"


@pytest.mark.parametrize(
    "broken",
    [
        {},
        {"version": "1"},
        {"version": 1, "budgets": 7},
        {"version": 1, "budgets": ["x"]},
        {"version": 1, "stop": True},
        {"version": 1, "capture": "all"},
        {"version": 1, "sample": "often"},
        {"version": 1, "prices": 7},
        *(
            {"version": 1, "budgets": [{**budget(), name: value}]}
            for name, value in (
                ("limit", 0),
                ("limit", 1.5),
                ("limit", -1),
                ("chunk", 0),
                ("per", "moon"),
                ("unit", "euro"),
                ("ends_in_s", "soon"),
                ("on_exceed", "explode"),
                ("spent", None),
            )
        ),
    ],
)
def test_what_is_no_policy_is_a_value_error(broken: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        read(broken, 0.0)


def test_how_often_to_look_has_bounds() -> None:
    assert [read({"version": 1, "poll_s": said}, 0.0).poll for said in (0.001, 15, 9999, None)] == [1, 15, 300, 15]
