"""Which budgets a call pays from."""

from decimal import Decimal

from llmclient._budget_keys import Key, Kind, claims, unnamed
from llmclient._policy import Budget

USER = Budget(per="user", usd="1.00", window="1d")
FEATURE = Budget(per="feature", tokens=50_000, window="1h")
SESSION = Budget(per="session", usd=Decimal("0.10"), window="6h")
APP = Budget(per="app", usd=100, window="1d")
REQUEST = Budget(per="request", tokens=20_000)
ALL = [USER, FEATURE, SESSION, APP, REQUEST]
LABELS = {"user_id": "4711", "session_id": "s-9", "feature": "inbox", "tags": {"plan": "pro"}}


def test_a_call_pays_from_every_budget_it_has_a_name_for() -> None:
    found = claims(ALL, LABELS, "helpdesk", 1200, 3_400_000)
    assert [claim.budget for claim in found] == ALL
    assert [claim.key for claim in found] == [
        Key(Kind("user", "nanousd", 86_400.0, "helpdesk"), "4711"),
        Key(Kind("feature", "tokens", 3_600.0, "helpdesk"), "inbox"),
        Key(Kind("session", "nanousd", 21_600.0, "helpdesk"), "s-9"),
        Key(Kind("app", "nanousd", 86_400.0, "helpdesk"), ""),
        Key(Kind("request", "tokens", 86_400.0, "helpdesk"), ""),
    ]
    assert [claim.amount for claim in found] == [3_400_000, 1200, 3_400_000, 3_400_000, 1200]
    assert [claim.limit for claim in found] == [1_000_000_000, 50_000, 100_000_000, 100_000_000_000, 20_000]


def test_a_budget_per_user_does_not_apply_to_a_call_of_nobody_and_that_is_told() -> None:
    assert [claim.budget for claim in claims(ALL, {"feature": "inbox"}, None, 1, 1)] == [FEATURE, APP, REQUEST]
    assert unnamed(ALL, {"feature": "inbox"}) == ["user", "session"]
    assert unnamed(ALL, LABELS) == []
    # An empty name is nobody's, too: all visitors who are not signed in would otherwise share a purse.
    assert unnamed([USER], {"user_id": ""}) == ["user"]
    assert claims([USER], {"user_id": ""}, None, 1, 1) == []


def test_two_limits_of_one_window_share_a_purse() -> None:
    marks = [Budget(per="user", usd="0.80", on_exceed="fallback"), Budget(per="user", usd="1.00")]
    low, high = claims(marks, LABELS, "helpdesk", 1, 1)
    assert low.key == high.key
    assert (low.limit, high.limit) == (800_000_000, 1_000_000_000)


def test_another_window_unit_or_app_is_another_purse() -> None:
    budgets = [USER, Budget(per="user", usd="1.00", window="1h"), Budget(per="user", tokens=5)]
    keys = {claim.key for app in ("a", "b", None) for claim in claims(budgets, LABELS, app, 1, 1)}
    assert len(keys) == 9


def test_less_than_nothing_is_nothing() -> None:
    assert [claim.amount for claim in claims([USER, REQUEST], LABELS, None, -5, -7)] == [0, 0]
