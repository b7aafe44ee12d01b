"""Budgets through real clients: in every way a call is made, with every end it can come to."""

import asyncio
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import anthropic
import pytest

import llmclient
from llmclient import Budget, _config, _payment
from llmclient._later import LATER
from llmclient._ledger import Ledger
from llmclient._privacy._pseudonyms import Pseudonyms
from llmclient.fallback import Model, Notice
from llmclient.testing import Answer, FakeAnthropic, Request, broken, capture, fail, reply, slow
from tests.llmclient.asking import WAYS, Ask
from tests.llmclient.backend import wait_until
from tests.llmclient.conftest import QUICK, async_client_of, client_of
from tests.llmclient.lease_server import LeaseServer, budget

way = pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
USED = {"input_tokens": 100, "output_tokens": 50}


@pytest.fixture(autouse=True)
def nothing_spent(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(_payment, "_IN_MEMORY", Ledger())
    _payment.budgeting_of.cache_clear()
    yield
    _payment.budgeting_of.cache_clear()


def with_budgets(*budgets: Budget, **changes: Any) -> Any:
    return replace(QUICK, budgets=budgets, retry=replace(QUICK.retry, attempts=1), **changes)


@way
def test_a_call_that_would_take_too_much_is_not_sent(way: Ask, ask: dict[str, Any]) -> None:
    with FakeAnthropic() as fake, capture() as calls:
        with pytest.raises(llmclient.BudgetExceeded) as caught:
            way(fake, ask, with_budgets(Budget(per="request", tokens=20)))
        assert len(fake.requests) == 0
    error = caught.value
    assert (error.budget.per, error.limit, error.resets_at, error.call) == ("request", 20, None, calls.only)
    assert (calls.only.outcome, calls.only.error and calls.only.error.category) == ("rejected", "budget_exceeded")
    assert calls.only.budget is not None
    assert (calls.only.budget["key"], calls.only.budget["unit"], calls.only.budget["limit"]) == (
        "per request",
        "tokens",
        20,
    )


@way
def test_what_was_used_is_spent_and_each_user_has_a_purse(way: Ask, ask: dict[str, Any]) -> None:
    policy = with_budgets(Budget(per="user", tokens=350, window="1d"))
    with FakeAnthropic(lambda _: reply("ok", usage=USED)) as fake, capture() as calls:
        with llmclient.context(user_id="7"):
            way(fake, ask, policy)
            way(fake, ask, policy)
            with pytest.raises(llmclient.BudgetExceeded, match="300 tokens of 350 tokens are spent or held") as caught:
                way(fake, ask, policy)
        with llmclient.context(user_id="8"):
            way(fake, ask, policy)
        way(fake, ask, policy)  # nobody's call is nobody's money
    assert caught.value.spent == 300
    assert caught.value.resets_at is not None
    assert [call.outcome for call in calls] == ["ok", "ok", "rejected", "ok", "ok"]


@way
def test_dollars_are_counted_to_the_nano_dollar(way: Ask, ask: dict[str, Any]) -> None:
    """100 tokens in at $2 and 50 out at $10 a million: 200,000 and 500,000 nano-dollars."""
    policy = with_budgets(Budget(per="app", usd="0.002", window="1h"))
    with FakeAnthropic(lambda _: reply("ok", usage=USED)) as fake, capture() as calls:
        for _ in range(2):
            way(fake, ask, policy)
        with pytest.raises(llmclient.BudgetExceeded) as caught:
            way(fake, ask, policy)
    assert [call.cost for call in calls] == [700_000, 700_000, None]
    assert caught.value.spent == 1_400_000


@way
def test_over_budget_a_cheaper_model_answers_and_is_counted(way: Ask, ask: dict[str, Any]) -> None:
    budget = Budget(per="app", usd="0.0001", window="1h", on_exceed="fallback")
    policy = with_budgets(budget, fallback=[Model("claude-haiku-5-5"), Notice("no money")])

    def script(request: Request) -> Any:
        return reply(request.model, usage=USED)

    with FakeAnthropic(script) as fake, capture() as calls:
        assert way(fake, ask, policy) == "claude-haiku-5-5"
    call = calls.only
    assert (call.outcome, call.source, call.fallback_from) == ("degraded", "model_fallback", "budget_exceeded")
    assert call.cost == 100 * 100 + 50 * 500  # $0.10 and $0.50 a million
    assert call.budget is not None
    assert (call.budget["key"], call.budget["limit"]) == ("per app", 100_000)


@way
def test_where_a_second_budget_stops_everything_the_cheaper_model_is_stopped_too(way: Ask, ask: dict[str, Any]) -> None:
    budgets = Budget(per="app", tokens=10, on_exceed="fallback"), Budget(per="request", tokens=20)
    policy = with_budgets(*budgets, fallback=[Model("claude-haiku-5-5"), Notice("no money")])
    with FakeAnthropic() as fake, pytest.raises(llmclient.BudgetExceeded):
        way(fake, ask, policy)


@way
def test_a_budget_that_only_tells_lets_the_call_through(
    way: Ask, ask: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    policy = with_budgets(Budget(per="app", tokens=10, on_exceed="warn"))
    with FakeAnthropic() as fake:
        way(fake, ask, policy)
    assert "budget per app" in caplog.text


@pytest.mark.parametrize("end", ["error", "refused by us", "broken", "dropped", "cancelled", "garbage"])
def test_whichever_way_a_call_ends_nothing_stays_held(end: str, ask: dict[str, Any]) -> None:
    """A purse of 1,100 tokens: what one call holds while it is under way (50 out at most, its few in)."""
    policy = with_budgets(Budget(per="app", tokens=1_100))
    scripts: dict[str, Answer] = {
        "error": fail(500),
        "broken": broken("reset", after=1),
        "cancelled": slow(5),
    }
    with FakeAnthropic(lambda _: scripts.get(end, reply("x" * 40, deltas=40, usage=USED))) as fake:
        finish(end, fake, ask, policy)
        ledger = _payment._IN_MEMORY
        held = [purse.held for pot in ledger._pots.values() for purse in pot.purses.values()]
        assert held in ([], [0])


def finish(end: str, fake: FakeAnthropic, ask: dict[str, Any], policy: Any) -> None:
    async def cancelled() -> None:
        task = asyncio.create_task(async_client_of(fake, policy).messages.create(**ask))
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    llm = client_of(fake, policy)
    if end == "cancelled":
        asyncio.run(cancelled())
    elif end == "dropped":
        with llm.messages.stream(**ask) as stream:
            next(iter(stream))
    elif end == "garbage":
        next(iter(llm.messages.create(**ask, stream=True)))
    elif end == "broken":
        with pytest.raises(llmclient.StreamInterrupted):
            list(llm.messages.create(**ask, stream=True))
    elif end == "refused by us":
        with llmclient.deadline(1e-9), pytest.raises(llmclient.DeadlineExceeded):
            llm.messages.create(**ask)
    else:
        with pytest.raises(anthropic.InternalServerError):
            llm.messages.create(**ask)


def test_a_forked_child_gives_nothing_of_its_parents_back(ask: dict[str, Any]) -> None:
    policy = with_budgets(Budget(per="app", tokens=10_000))
    with FakeAnthropic(lambda _: reply("x" * 40, deltas=40, usage=USED)) as fake:
        stream = client_of(fake, policy).messages.create(**ask, stream=True)
        child = os.fork()
        if child == 0:
            del stream
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        list(stream)
        [purse] = [purse for pot in _payment._IN_MEMORY._pots.values() for purse in pot.purses.values()]
        assert (purse.spent, purse.held) == (150, 0)


@way
def test_processes_share_a_budget_through_redis(way: Ask, redis_url: str, ask: dict[str, Any]) -> None:
    llmclient.configure(redis=redis_url, app=f"budgets-{os.getpid()}-{way.__name__}")
    policy = with_budgets(Budget(per="app", tokens=350, window="1h"), limits=None, breaker=None)
    with FakeAnthropic(lambda _: reply("ok", usage=USED)) as fake:
        for _ in range(2):
            way(fake, ask, policy)
            LATER.close(10)
        with pytest.raises(llmclient.BudgetExceeded, match="300 tokens of 350"):
            way(fake, ask, policy)


def test_many_threads_never_spend_more_than_there_is(ask: dict[str, Any]) -> None:
    policy = with_budgets(Budget(per="app", tokens=2_000))
    stopped = threading.Event()

    with FakeAnthropic(lambda _: reply("ok", usage={"input_tokens": 10, "output_tokens": 40})) as fake:
        llm = client_of(fake, policy)

        def one(_: int) -> None:
            try:
                llm.messages.create(**ask)
            except llmclient.BudgetExceeded:
                stopped.set()

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(one, range(100)))
        assert stopped.is_set()
        assert len(fake.requests) * 50 <= 2_000


# --- the server's ----------------------------------------------------------------------------------------------------


@pytest.fixture
def server() -> Iterator[LeaseServer]:
    """A budget of $0.0035 a day for the project, five calls at $0.0007; nothing is spent without a lease."""
    with_budget = LeaseServer(budget(limit=3_500_000, chunk=1_000_000, allowance=0))
    yield with_budget
    _payment.budgeting_of.cache_clear()
    with_budget.close()


def obeying(server: LeaseServer, **options: Any) -> None:
    llmclient.configure(f"http://llv_ing_k@127.0.0.1:{server.port}", server_budgets=True, **options)


@way
def test_the_servers_budget_holds_in_this_process(way: Ask, server: LeaseServer, ask: dict[str, Any]) -> None:
    obeying(server)
    with FakeAnthropic(lambda _: reply("ok", usage=USED)) as fake:
        way(fake, ask, with_budgets())  # brings the policy
        wait_until(lambda: server.asked)
        with pytest.raises(llmclient.BudgetExceeded):
            many(way, fake, ask)
        assert 2 <= len(fake.requests) <= 6
    assert server.exchanges


def many(way: Ask, fake: FakeAnthropic, ask: dict[str, Any]) -> None:
    for _ in range(20):
        way(fake, ask, with_budgets())


@way
def test_calls_stopped_by_the_server_are_not_sent(way: Ask, server: LeaseServer, ask: dict[str, Any]) -> None:
    server.change(stop={"project": True}, budgets=[])
    obeying(server)
    with FakeAnthropic() as fake, capture() as calls:
        way(fake, ask, with_budgets())  # brings the policy
        wait_until(lambda: server.asked)
        stopped = calls_until_stopped(way, fake, ask)
        assert len(fake.requests) < 50
    assert str(stopped) == "Calls are stopped by the server: calls of this project are stopped"
    assert stopped.call is calls[-1]


def calls_until_stopped(way: Ask, fake: FakeAnthropic, ask: dict[str, Any]) -> llmclient.CircuitOpen:
    for _ in range(50):
        try:
            way(fake, ask, with_budgets())
        except llmclient.CircuitOpen as stopped:
            return stopped
    raise AssertionError("nothing was stopped")


def test_the_server_may_want_less_content_than_the_program_sends(server: LeaseServer, ask: dict[str, Any]) -> None:
    server.change(capture="off", budgets=[])
    obeying(server, capture="full")
    with FakeAnthropic() as fake:
        llm = client_of(fake, with_budgets())
        llm.messages.create(**ask)
        wait_until(lambda: _payment.Payment((), {}).server_policy.capture == "off")
        llm.messages.create(**ask)
    assert llmclient.flush(30)
    assert ["content" in event for event in server.events] == [True, False]


def test_only_who_keeps_budgets_elsewhere_hears_of_users_by_pseudonyms(monkeypatch: pytest.MonkeyPatch) -> None:
    secret = Pseudonyms("a secret of sixteen")
    for redis, known_as in ((None, "7"), ("redis://nowhere", secret.of("7"))):
        monkeypatch.setattr(_config, "_settings", _config.Settings(redis=redis, pseudonyms=secret))
        assert _payment.Payment((), {"user_id": "7"})._labels == {"user_id": known_as}
