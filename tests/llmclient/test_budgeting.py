"""What the engine sees of budgets: one decision before a call, and every way a call may end."""

import asyncio
import gc
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anthropic
import pytest
import redis

from llmclient._budgeting import Budgeting, Refusal, Reserved
from llmclient._exceptions import BudgetExceeded
from llmclient._lease_line import Line
from llmclient._lease_link import LeaseLink
from llmclient._ledger_redis import RedisLedger
from llmclient._policy import Budget
from tests.llmclient.lease_server import LeaseServer, budget
from tests.llmclient.paying import T

ROOT = Path(__file__).resolve().parents[2]
USER = Budget(per="user", usd="1.00", window="1h")
ADA = {"user_id": "ada", "feature": "inbox"}
CENT = 10_000_000


def reserve(budgeting: Budgeting, *budgets: Budget, cents: int = 0, tokens: int = 0, **more: Any) -> Reserved | Refusal:
    return budgeting.reserve(budgets or (USER,), more.pop("labels", ADA), "helpdesk", tokens, cents * CENT, T, **more)


def reserved(answer: Reserved | Refusal) -> Reserved:
    assert isinstance(answer, Reserved), answer
    return answer


def refused(answer: Reserved | Refusal) -> Refusal:
    assert isinstance(answer, Refusal), answer
    return answer


# --- the decision -----------------------------------------------------------------------------------------------------


def test_a_refusal_says_what_to_do_and_why() -> None:
    budgeting = Budgeting()
    budgeting.settle(reserved(reserve(budgeting, cents=90)), 0, 95 * CENT + 1, T)
    answer = refused(reserve(budgeting, cents=7))
    assert answer.action == "raise"
    assert answer.message == (
        "the budget per user has no room: $0.950000001 of $1.00 are spent or held, and this call would take about $0.07"
    )
    error = answer.error()
    assert isinstance(error, BudgetExceeded)
    assert isinstance(error, anthropic.AnthropicError)
    assert (error.budget, error.spent, error.limit) == (USER, 950_000_001, 1_000_000_000)
    # One hour and a minute after it was spent.
    assert error.resets_at == datetime.fromtimestamp(T + 3660, UTC)


@pytest.mark.parametrize(
    ("limit", "tokens", "cents", "message"),
    [
        (
            Budget(per="request", tokens=20_000),
            25_000,
            0,
            "this request would take about 25,000 tokens; 20,000 tokens are",
        ),
        (
            Budget(per="user", usd="1.00"),
            0,
            200,
            "this call would take about $2.00, more than the whole budget per user: $1",
        ),
        (
            Budget(per="app", tokens=5, window="9999999d"),
            6,
            0,
            "this call would take about 6 tokens, more than the whole",
        ),
    ],
)
def test_what_never_fits_says_so(limit: Budget, tokens: int, cents: int, message: str) -> None:
    answer = refused(reserve(Budgeting(), limit, tokens=tokens, cents=cents))
    assert answer.message.startswith(message)
    assert answer.resets_at is None


def test_a_store_that_is_away_is_named_as_the_reason() -> None:
    answer = refused(reserve(Budgeting(RedisLedger("redis://127.0.0.1:1/0", when_away="block")), cents=1))
    assert answer.message == "the budget per user cannot be checked: its store does not answer"
    assert answer.resets_at == datetime.fromtimestamp(T + 5, UTC)


def test_the_strictest_wish_of_those_exceeded_counts() -> None:
    raising = Budget(per="user", usd="1.00")
    falling = Budget(per="user", usd="0.80", on_exceed="fallback")
    warning = Budget(per="user", usd="0.50", on_exceed="warn")
    budgeting = Budgeting()
    first = reserved(reserve(budgeting, raising, falling, warning, cents=60))
    assert [(each.action, each.limit) for each in first.warnings] == [("warn", 500_000_000)]
    assert refused(reserve(budgeting, raising, falling, warning, cents=30)).action == "fallback"
    assert refused(reserve(budgeting, raising, falling, warning, cents=50)).action == "raise"


def test_four_fifths_are_told_with_the_settlement() -> None:
    budgeting = Budgeting()
    assert budgeting.settle(reserved(reserve(budgeting, cents=10)), 0, 79 * CENT, T) == []
    [soft] = budgeting.settle(reserved(reserve(budgeting, cents=10)), 0, CENT, T)
    assert (soft.claim.budget, soft.spent, soft.limit) == (USER, 800_000_000, 1_000_000_000)


def test_a_call_of_nobody_is_counted_where_a_budget_per_user_did_not_apply() -> None:
    budgeting = Budgeting()
    for _ in range(3):
        reserved(reserve(budgeting, USER, Budget(per="session", tokens=1), cents=500, tokens=5, labels={}))
    assert dict(budgeting.unnamed) == {"user": 3, "session": 3}


def test_without_budgets_every_call_may_be_made() -> None:
    budgeting = Budgeting()
    first = reserved(budgeting.reserve((), ADA, None, 5, 5, T))
    assert budgeting.settle(first, 5, 5, T) == []
    assert budgeting.blocking is False
    assert budgeting.stopped("claude-opus-5-5") is None


# --- every way a call ends --------------------------------------------------------------------------------------------


@pytest.fixture(params=["memory", "redis"])
def make(request: pytest.FixtureRequest) -> Callable[[], Budgeting]:
    """Budgets in memory, and the same in Redis."""
    if request.param == "memory":
        return Budgeting
    url = request.getfixturevalue("redis_url").replace("/9", "/12")
    redis.Redis.from_url(url).flushdb()
    return lambda: Budgeting(RedisLedger(url, prefix="test"))


def engine(budgeting: Budgeting, used: int = 30) -> Iterator[str]:
    """As the real one goes about it: settle when the usage is known, void in any case."""
    money = reserved(reserve(budgeting, cents=60))
    try:
        yield "send"
        budgeting.settle(money, None, used * CENT, T)
        yield "emit"
    finally:
        budgeting.void_later(money, T)


def left(budgeting: Budgeting) -> int:
    """Cents that may still be reserved."""
    for cents in range(100, 0, -10):
        answer = reserve(budgeting, cents=cents)
        if isinstance(answer, Reserved):
            budgeting.void(answer, T)
            return cents
    return 0


def test_a_call_that_succeeds_costs_what_it_used(make: Callable[[], Budgeting]) -> None:
    budgeting = make()
    assert list(engine(budgeting)) == ["send", "emit"]
    assert left(budgeting) == 70


def test_a_call_that_fails_costs_nothing(make: Callable[[], Budgeting]) -> None:
    budgeting = make()
    call = engine(budgeting)
    next(call)
    assert left(budgeting) == 40
    with pytest.raises(OSError, match="no network"):
        call.throw(OSError("no network"))  # type: ignore[attr-defined]
    left(budgeting)  # in Redis it is freed along with the next question
    assert left(budgeting) == 100


@pytest.mark.parametrize("ending", ["closed", "collected"])
def test_a_call_that_is_given_up_costs_nothing(make: Callable[[], Budgeting], ending: str) -> None:
    budgeting = make()
    call = engine(budgeting)
    next(call)
    if ending == "closed":
        call.close()  # type: ignore[attr-defined]
    else:
        cycle: list[Any] = [call]
        cycle.append(cycle)
        del call, cycle
        gc.collect()
    left(budgeting)
    assert left(budgeting) == 100


def test_a_cancelled_call_costs_nothing(make: Callable[[], Budgeting]) -> None:
    budgeting = make()

    async def call(sent: asyncio.Event) -> None:
        money = reserved(await asyncio.to_thread(reserve, budgeting, cents=60))
        try:
            sent.set()
            await asyncio.Event().wait()  # for ever
        finally:
            budgeting.void_later(money, T)

    async def main() -> None:
        sent = asyncio.Event()
        task = asyncio.create_task(call(sent))
        await sent.wait()
        assert await asyncio.to_thread(left, budgeting) == 40
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    left(budgeting)
    assert left(budgeting) == 100


def test_a_forked_child_ends_its_copy_of_a_call_and_nothing_changes(make: Callable[[], Budgeting]) -> None:
    budgeting = make()
    call = engine(budgeting)
    next(call)
    child = os.fork()
    if child == 0:
        call.close()  # type: ignore[attr-defined]
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert left(budgeting) == 40
    assert list(call) == ["emit"]
    assert left(budgeting) == 70


def test_many_threads_leave_nothing_behind(make: Callable[[], Budgeting]) -> None:
    budgeting = make()

    def calls() -> None:
        for _ in range(25):
            answer = reserve(budgeting, cents=20)
            if isinstance(answer, Reserved):
                budgeting.void(answer, T)

    threads = [threading.Thread(target=calls) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert left(budgeting) == 100


# --- with the server's budgets ---------------------------------------------------------------------------------------


@pytest.fixture
def linked() -> Iterator[Callable[..., tuple[Budgeting, LeaseServer]]]:
    made: list[Any] = []

    def link(*budgets: dict[str, Any], wait: float = 10.0) -> tuple[Budgeting, LeaseServer]:
        server = LeaseServer(*budgets)
        line = LeaseLink(lambda: Line(server.url, "llv_key"), wait=wait)
        made.extend((line, server))
        return Budgeting(link=line), server

    yield link
    for each in made:
        each.close()


def test_both_the_programs_and_the_servers_budgets_must_have_room(
    linked: Callable[..., tuple[Budgeting, LeaseServer]],
) -> None:
    budgeting, server = linked(budget(limit=50 * CENT, chunk=50 * CENT, on_exceed="fallback"))
    assert budgeting.blocking
    first = reserved(reserve(budgeting, cents=40))
    answer = refused(reserve(budgeting, cents=20))
    assert (answer.action, answer.budget.per, answer.spent, answer.limit) == ("fallback", "app", 50 * CENT, 50 * CENT)
    assert answer.budget.amount == 50 * CENT
    assert answer.resets_at == datetime.fromtimestamp(1_800_000_000, UTC)
    # What the server refused is not held of the program's own budget, either.
    budgeting.settle(first, None, 10 * CENT, T)
    assert refused(reserve(budgeting, cents=91)).budget == USER
    reserved(reserve(budgeting, cents=40))
    assert server.desk.limits == {1: 50 * CENT}


def test_before_the_server_has_answered_its_strict_budgets_allow_nothing(
    linked: Callable[..., tuple[Budgeting, LeaseServer]],
) -> None:
    budgeting, server = linked(budget(limit=50 * CENT, chunk=50 * CENT), wait=10.0)
    reserved(reserve(budgeting, cents=1))
    server.close()
    answer = refused(reserve(budgeting, cents=50))
    assert answer.message == "the server's budget per project allows nothing before the server has answered"
    assert answer.resets_at is None


def test_a_call_that_was_not_made_costs_the_server_nothing_either(
    linked: Callable[..., tuple[Budgeting, LeaseServer]],
) -> None:
    budgeting, _ = linked(budget(limit=50 * CENT, chunk=50 * CENT))
    budgeting.void(reserved(reserve(budgeting, cents=50)), T)
    budgeting.void_later(reserved(reserve(budgeting, cents=50)), T)
    reserved(reserve(budgeting, cents=50))


def test_a_servers_budget_that_only_warns_is_told_with_the_reservation(
    linked: Callable[..., tuple[Budgeting, LeaseServer]],
) -> None:
    budgeting, _ = linked(budget(limit=50 * CENT, chunk=50 * CENT, on_exceed="warn"))
    reserved(reserve(budgeting, cents=1))
    warned = reserved(reserve(budgeting, cents=70)).warnings
    assert [(each.action, each.limit) for each in warned] == [("warn", 50 * CENT)]


def test_a_stop_of_the_servers_is_heard(linked: Callable[..., tuple[Budgeting, LeaseServer]]) -> None:
    budgeting, server = linked()
    server.change(stop={"models": ["claude-opus-5-5"]})
    reserved(reserve(budgeting, cents=1))
    assert budgeting.stopped("claude-opus-5-5-20261001") == "calls of claude-opus-5-5-20261001 are stopped"
    assert budgeting.stopped("claude-haiku-5-5") is None


def test_importing_it_loads_no_sdk_no_http_client_and_no_redis() -> None:
    program = (
        "import sys, llmclient._budgeting, llmclient._lease_link, llmclient._ledger_redis;"
        "print([m for m in ('anthropic', 'httpx2', 'pydantic', 'redis') if m in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
    assert ran.stdout.strip() == "[]", ran.stderr
