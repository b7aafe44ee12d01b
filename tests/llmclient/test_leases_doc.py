"""docs/leases.md is what the client speaks: its examples are read by the client and taken by the desk."""

import json
import re
from pathlib import Path
from typing import Any

from llmclient._lease_answer import read_answer
from llmclient._lease_pool import Lease, Refused
from llmclient._server_policy import _budget, read
from tests.llmclient.lease_server import Desk

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "leases.md").read_text()
BLOCKS = re.findall(r"^```json\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)
POLICY, EXCHANGE, ANSWER = (json.loads(block) for block in BLOCKS)


def test_the_policy_is_one() -> None:
    policy = read(POLICY, 0.0)
    assert policy.version == 17
    assert [(each.limit, each.chunk, each.allowance) for each in policy.budgets] == [(50 * 10**9, 5 * 10**8, 10**8)]
    assert policy.stop("claude-opus-5") is not None
    assert (policy.capture, policy.sample, policy.poll) == ("redacted", 0.1, 15.0)


def test_every_field_of_a_budget_is_described() -> None:
    described = set(re.findall(r"`(\w+)`", TEXT))
    assert set(POLICY["budgets"][0]) - {"id", "unit"} <= described
    assert set(POLICY) - {"version", "budgets"} <= described
    assert _budget(POLICY["budgets"][0], 0.0).period == "2026-11-22"


def test_the_exchange_is_taken_and_the_answer_read() -> None:
    desk = Desk({12: 50 * 10**9}, period="2026-11-22")
    status, answer = desk.take(EXCHANGE, 0.0)
    assert (status, desk.spent) == (200, {(12, ""): 431_000_000})
    assert answer["granted"] == ANSWER["granted"]
    granted, refused = read_answer(ANSWER, sent_at=5.0, now=6.0)
    assert granted == {"7c1e…": Lease("7c1e…", 500_000_000, 65.0)}
    assert refused == {"9d40…": Refused(50 * 10**9, 50 * 10**9, 21.0, 1_795_392_000.0)}


def test_the_example_adds_up() -> None:
    figures: dict[str, Any] = {"estimates": 1000 * 0.002, "the dead": 3 * 0.5, "allowances": 20 * 0.1}
    assert all(f"= ${figure:.2f}" in TEXT for figure in figures.values())
    assert f"**${50 + sum(figures.values()):.2f}**" in TEXT
    assert f"${20 * (8 * 0.12 + 0.5 * 22):.2f}" in TEXT
