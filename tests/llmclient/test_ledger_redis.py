"""Budgets in a real Redis: the same table as in memory, and real processes paying from one purse."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llmclient._budget_keys import MOST
from llmclient._holds import Exceeded, Hold
from llmclient._ledger import Ledger
from llmclient._ledger_redis import PAUSE, RedisLedger
from tests.llmclient.backend import wait_until
from tests.llmclient.paying import T, held, refused, tok, usd, want

ROOT = Path(__file__).resolve().parents[2]
DAY = "1d"  # no test lasts long enough for a bucket of 24 minutes to leave


@pytest.fixture
def redis_url(redis_url: str) -> str:
    """A database of its own: another test run on this machine empties the usual one."""
    url = redis_url.replace("/9", "/11")
    redis.Redis.from_url(url).flushdb()
    return url


@pytest.fixture
def ledger(redis_url: str) -> RedisLedger:
    return RedisLedger(redis_url, prefix="test")


@pytest.fixture
def connection(redis_url: str) -> Any:
    return redis.Redis.from_url(redis_url, decode_responses=True)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


# --- by hand -----------------------------------------------------------------------------------------------------


def test_an_estimate_is_held_and_becomes_what_was_used(ledger: RedisLedger) -> None:
    budget = usd(100)
    first = held(ledger.reserve(want(budget, nanousd=60), T))
    over = refused(ledger.reserve(want(budget, nanousd=41), T))
    assert (over.spent, over.limit, over.claim.budget, over.away) == (60, 100, budget, False)
    ledger.settle(first, None, 10, T)
    second = held(ledger.reserve(want(budget, nanousd=90), T))
    ledger.void(second, T)
    ledger.settle(first, None, 10, T)
    ledger.void(first, T)
    held(ledger.reserve(want(budget, nanousd=90), T))


def test_all_or_nothing_over_several_budgets(ledger: RedisLedger) -> None:
    user, app, request = usd(100), tok(50, per="app"), tok(30, per="request")
    over = refused(ledger.reserve(want(user, app, tokens=51, nanousd=100), T))
    assert (over.claim.budget, over.resets_at) == (app, None)
    first = held(ledger.reserve(want(user, app, request, tokens=30, nanousd=100), T))
    assert refused(ledger.reserve(want(app, request, tokens=31), T)).claim.budget == request
    ledger.settle(first, 30, 100, T)
    assert refused(ledger.reserve(want(user, app, tokens=1, nanousd=1), T)).claim.budget == user
    held(ledger.reserve(want(app, tokens=20), T))


def test_marks_share_a_purse_and_warnings_stop_nothing(ledger: RedisLedger) -> None:
    warning, low, high = usd(10, on_exceed="warn"), usd(80, on_exceed="fallback"), usd(100)
    hold = held(ledger.reserve(want(warning, low, high, nanousd=50), T))
    assert [(over.claim.budget, over.spent) for over in hold.warned] == [(warning, 0)]
    assert [soft.claim.budget for soft in ledger.settle(hold, None, 50, T)] == [warning]
    assert refused(ledger.reserve(want(warning, low, high, nanousd=40), T)).claim.budget == low
    assert refused(ledger.reserve(want(warning, low, high, nanousd=60), T)).claim.budget == high


def test_four_fifths_are_told_once(ledger: RedisLedger) -> None:
    def spend(nanousd: int) -> list[tuple[int, int]]:
        hold = held(ledger.reserve(want(usd(100, window=DAY), nanousd=0), T))
        return [(soft.spent, soft.limit) for soft in ledger.settle(hold, 0, nanousd, T)]

    assert [spend(79), spend(1), spend(5)] == [[], [(80, 100)], []]


def test_unknown_usage_leaves_the_estimate_and_overshoot_is_spent(ledger: RedisLedger) -> None:
    budget = usd(100, window=DAY)
    ledger.settle(held(ledger.reserve(want(budget, nanousd=70), T)), None, None, T)
    assert refused(ledger.reserve(want(budget, nanousd=31), T)).spent == 70
    ledger.settle(held(ledger.reserve(want(budget, nanousd=30), T)), None, 60, T)
    assert refused(ledger.reserve(want(budget, nanousd=1), T)).spent == 130


def test_sums_are_exact_to_the_nano_dollar_up_to_nine_million_dollars(ledger: RedisLedger) -> None:
    budget = usd(MOST, window=DAY)
    ledger.settle(held(ledger.reserve(want(budget, nanousd=MOST - 1), T)), None, MOST - 1, T)
    assert refused(ledger.reserve(want(budget, nanousd=2), T)).spent == MOST - 1
    held(ledger.reserve(want(budget, nanousd=1), T))


def bucket(connection: Any, width: float) -> int:
    seconds, micros = connection.time()
    return int((seconds + micros / 1e6) // width)


def purse_of(connection: Any) -> str:
    [name] = [key for key in connection.keys("test:*") if not key.endswith(":holds")]
    return str(name)


def test_spend_leaves_the_window_and_it_says_when(ledger: RedisLedger, connection: Any) -> None:
    budget, width = usd(100, window=DAY), 1440
    hold = held(ledger.reserve(want(budget, nanousd=5), T))
    name, now = purse_of(connection), bucket(connection, width)
    ledger.settle(hold, None, 5, T)
    # What was spent 61 buckets ago is forgotten, what was spent 60 buckets ago is not.
    connection.hset(name, mapping={str(now - 61): 40, str(now - 60): 50})
    over = refused(ledger.reserve(want(budget, nanousd=46), T))
    assert over.spent == 55
    assert over.resets_at is not None
    assert 0 < over.resets_at - T <= width
    assert connection.hexists(name, str(now - 61)) is False
    held(ledger.reserve(want(budget, nanousd=45), T))


def test_a_hold_whose_caller_vanished_is_spent_in_full_after_the_deadline(redis_url: str) -> None:
    ledger, budget = RedisLedger(redis_url, prefix="test", hold_for=0.05), usd(100, window=DAY)
    lost = held(ledger.reserve(want(budget, nanousd=70), T))
    connection = redis.Redis.from_url(redis_url, decode_responses=True)
    name = purse_of(connection)

    def expired() -> bool:
        ledger.reserve(want(budget, nanousd=31), T)  # any question looks at the purse
        return connection.hget(name, "held") == "0"

    wait_until(expired)
    ledger.void(lost, T)
    assert refused(ledger.reserve(want(budget, nanousd=31), T)).spent == 70
    late = held(ledger.reserve(want(budget, nanousd=20), T))
    wait_until(expired)
    ledger.settle(late, None, 25, T)
    assert refused(ledger.reserve(want(budget, nanousd=6), T)).spent == 95


def test_purses_vanish_from_redis_with_their_window(ledger: RedisLedger, connection: Any) -> None:
    ledger.settle(held(ledger.reserve(want(usd(100, window=60.0), nanousd=5), T)), None, 5, T)
    [left] = [connection.pttl(key) for key in connection.keys("test:*")]
    # 62 buckets of a second, and 900 seconds for a hold.
    assert 950_000 < left <= 962_000


def test_names_of_users_are_not_written_into_redis(ledger: RedisLedger, connection: Any) -> None:
    held(ledger.reserve(want(usd(100), nanousd=5, user="ada@example.com"), T))
    assert "ada" not in str(connection.keys("*"))


AMOUNTS = st.integers(0, 70)
STEPS = st.lists(
    st.tuples(st.sampled_from(["reserve", "settle", "void"]), st.sampled_from("ab"), AMOUNTS, AMOUNTS, st.integers(0)),
    max_size=30,
)
WATCHED = [
    usd(100, window=DAY),
    usd(60, window=DAY, on_exceed="fallback"),
    usd(40, window=DAY, on_exceed="warn"),
    tok(150, per="app", window=DAY),
    tok(90, per="request"),
]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_it_answers_as_the_ledger_in_memory(redis_url: str, steps: list[tuple[str, str, int, int, int]]) -> None:
    redis.Redis.from_url(redis_url).flushdb()
    ours, shared = Ledger(), RedisLedger(redis_url, prefix="test")
    pairs: list[tuple[Hold, Hold]] = []
    for step, user, tokens, nanousd, which in steps:
        if step == "reserve":
            wanted = want(*WATCHED, user=user, tokens=2 * tokens, nanousd=nanousd)
            one, other = ours.reserve(wanted, T), shared.reserve(wanted, T)
            if isinstance(one, Hold) and isinstance(other, Hold):
                assert [over[:3] for over in one.warned] == [over[:3] for over in other.warned]
                pairs.append((one, other))
            else:
                assert isinstance(one, Exceeded)
                assert isinstance(other, Exceeded)
                assert one[:3] == other[:3]
                assert (one.resets_at is None) == (other.resets_at is None)
        elif pairs:
            one, other = pairs[which % len(pairs)]
            if step == "settle":
                assert ours.settle(one, tokens, nanousd, T) == shared.settle(other, tokens, nanousd, T)
            else:
                ours.void(one, T)
                shared.void(other, T)


# --- many processes ---------------------------------------------------------------------------------------------------

PAYER = """
import json, random, sys, threading
from llmclient._holds import Hold
from llmclient._ledger_redis import RedisLedger
from tests.llmclient.paying import T, tok, usd, want

url, seed, rounds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
ledger, user, app = RedisLedger(url, prefix="test"), usd(3000, window="1d"), tok(100_000, per="app", window="1d")
spent, lost = [], []

def pay(number):
    dice = random.Random(seed * 100 + number)
    for _ in range(rounds):
        amount = dice.randint(1, 9)
        answer = ledger.reserve(want(user, app, nanousd=amount, tokens=1), T)
        if isinstance(answer, Hold):
            fate = dice.random()
            if fate < 0.1:
                ledger.void(answer, T)
            elif fate < 0.15:
                lost.append(amount)  # never ended
            else:
                used = dice.randint(0, amount)
                ledger.settle(answer, 1, used, T)
                spent.append(used)

threads = [threading.Thread(target=pay, args=(number,)) for number in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(json.dumps([sum(spent), sum(lost)]))
"""


def test_processes_never_get_more_than_the_limit_between_them(ledger: RedisLedger, redis_url: str) -> None:
    command = [sys.executable, "-c", PAYER, redis_url]
    payers = [
        subprocess.Popen([*command, str(seed), "120"], cwd=ROOT, stdout=subprocess.PIPE, text=True) for seed in range(4)
    ]
    results = [json.loads(payer.communicate(timeout=120)[0]) for payer in payers]
    spent, lost = (sum(result[part] for result in results) for part in (0, 1))
    # 1,920 attempts of 5 on average, half of it used, are about 4,700: more than there is.
    assert 2_900 < spent + lost <= 3_000
    assert refused(ledger.reserve(want(usd(3000, window="1d"), nanousd=3001), T)).spent == spent + lost


def test_a_forked_child_settles_nothing_of_its_parents(ledger: RedisLedger) -> None:
    budget = usd(100, window=DAY)
    hold = held(ledger.reserve(want(budget, nanousd=50), T))
    child = os.fork()
    if child == 0:
        ledger.settle(hold, None, 0, T)
        ledger.void(hold, T)
        ledger.void_later(hold, T)
        fits = isinstance(ledger.reserve(want(budget, nanousd=40), T), Hold)
        over = isinstance(ledger.reserve(want(budget, nanousd=11), T), Exceeded)
        os._exit(0 if fits and over else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert refused(ledger.reserve(want(budget, nanousd=11), T)).spent == 90
    ledger.settle(hold, None, 10, T)
    assert refused(ledger.reserve(want(budget, nanousd=51), T)).spent == 50


# --- Redis away -------------------------------------------------------------------------------------------------------


@contextmanager
def silent_server() -> Iterator[str]:
    """Takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        yield f"redis://127.0.0.1:{listener.getsockname()[1]}/0"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def test_while_redis_is_away_calls_pay_from_a_budget_of_this_process() -> None:
    ledger, budget = RedisLedger(f"redis://127.0.0.1:{free_port()}/0"), usd(100)
    hold = held(ledger.reserve(want(budget, nanousd=60), T))
    assert refused(ledger.reserve(want(budget, nanousd=41), T)).spent == 60
    ledger.settle(hold, None, 10, T)
    held(ledger.reserve(want(budget, nanousd=90), T))


def test_or_they_are_stopped() -> None:
    ledger = RedisLedger(f"redis://127.0.0.1:{free_port()}/0", when_away="block")
    over = refused(ledger.reserve(want(usd(50, on_exceed="warn"), usd(100), nanousd=60), T))
    assert (over.claim.budget, over.away, over.spent, over.limit, over.resets_at) == (usd(100), True, 0, 100, T + PAUSE)
    # A budget that stops nothing stops nothing now, either.
    held(ledger.reserve(want(usd(50, on_exceed="warn"), nanousd=60), T))


def test_a_redis_that_says_nothing_costs_one_call_less_than_a_second_and_the_next_ones_nothing() -> None:
    with silent_server() as url:
        ledger = RedisLedger(url)
        began = time.monotonic()
        held(ledger.reserve(want(usd(1000), nanousd=1), T))
        first = time.monotonic() - began
        for _ in range(100):
            held(ledger.reserve(want(usd(1000), nanousd=1), T))
        assert 0.15 < first < 1.0
        assert time.monotonic() - began < first + 1.0


def test_it_is_told_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    ledger = RedisLedger(f"redis://127.0.0.1:{free_port()}/0", clock=clock)
    for _ in range(3):
        ledger.reserve(want(usd(100), nanousd=1), T)
        clock.now += PAUSE
    [told] = [record.message for record in caplog.records if record.name == "llmclient"]
    assert told.endswith("until they can, they are kept by this process alone")


class Gate:
    """Stands between the ledger and Redis, and can be shut."""

    def __init__(self, url: str) -> None:
        self.shut = False
        self._target = urlsplit(url)
        self._listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                one, _ = self._listener.accept()
            except OSError:
                return
            other = socket.create_connection((self._target.hostname, self._target.port))
            for source, target in ((one, other), (other, one)):
                threading.Thread(target=self._pass, args=(source, target), daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket) -> None:
        with source, target, contextlib.suppress(OSError):
            while (data := source.recv(65536)) and not self.shut:
                target.sendall(data)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self._listener.getsockname()[1]}{self._target.path}"

    def close(self) -> None:
        self._listener.close()


def test_what_could_not_be_settled_is_settled_when_redis_is_back(redis_url: str) -> None:
    gate, clock, budget = Gate(redis_url), Clock(), usd(100, window=DAY)
    ledger = RedisLedger(gate.url, prefix="test", clock=clock)
    holds = [held(ledger.reserve(want(budget, nanousd=30), T)) for _ in range(3)]
    gate.shut = True
    ledger.settle(holds[0], None, 10, T)
    ledger.void(holds[1], T)
    gate.shut = False
    # For five seconds nobody asks; what is reserved meanwhile is this process's own.
    assert held(ledger.reserve(want(budget, nanousd=100), T)).id == ""
    clock.now += PAUSE
    ledger.void_later(holds[2], T)
    assert refused(ledger.reserve(want(budget, nanousd=11), T)).spent == 90
    assert refused(ledger.reserve(want(budget, nanousd=91), T)).spent == 10
    gate.close()


def test_importing_it_does_not_load_redis() -> None:
    program = "import sys, llmclient._ledger_redis; print('redis' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
    assert ran.stdout.strip() == "False", ran.stderr
