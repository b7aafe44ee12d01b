"""Leases over a real socket: the thread that fetches them, and calls while the server is slow, wrong or dead."""

import logging
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from llmclient import _prices
from llmclient._lease_holds import LeaseHold, Short
from llmclient._lease_line import Line
from llmclient._lease_link import THREAD_NAME, LeaseLink
from tests.llmclient.backend import wait_until
from tests.llmclient.lease_server import LeaseServer, budget

ROOT = Path(__file__).resolve().parents[2]
ADA = {"user_id": "ada"}
PLACE = (1, "")


@pytest.fixture
def serve() -> Iterator[Callable[..., LeaseServer]]:
    servers = []

    def start(*budgets: dict[str, Any], **options: Any) -> LeaseServer:
        servers.append(LeaseServer(*budgets, **options))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def link_to() -> Iterator[Callable[..., LeaseLink]]:
    links = []

    def connect(url: str, **options: Any) -> LeaseLink:
        links.append(LeaseLink(lambda: Line(url, "llv_key"), **options))
        return links[-1]

    yield connect
    for link in links:
        link.close()


def reserve(link: LeaseLink, nanousd: int, labels: dict[str, str] = ADA) -> LeaseHold | Short:
    return link.reserve(labels, "claude-opus-5-5", 0, nanousd)


def held(answer: LeaseHold | Short) -> LeaseHold:
    assert isinstance(answer, LeaseHold), answer
    return answer


def short(answer: LeaseHold | Short) -> Short:
    assert isinstance(answer, Short), answer
    return answer


def knows(link: LeaseLink, version: int = 1) -> Callable[[], bool]:
    """Makes calls of nothing, until the policy is known."""

    def look() -> bool:
        link.void(held(reserve(link, 0)))
        return link.policy.version == version

    return look


def by_hand(link: LeaseLink) -> None:
    """No thread of its own: the test takes the steps."""
    link._thread = threading.current_thread()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


# --- what a call meets ------------------------------------------------------------------------------------------


def test_leases_are_fetched_spent_and_given_back_at_the_end(
    serve: Callable[..., LeaseServer], link_to: Callable[..., LeaseLink]
) -> None:
    server = serve(budget(limit=1000, chunk=100))
    link = link_to(server.url)
    held(reserve(link, 30))  # nothing is known of any budget yet
    wait_until(lambda: link.policy.version == 1)
    assert short(reserve(link, 30)).unknown
    wait_until(lambda: isinstance(reserve(link, 30), LeaseHold))
    link.close()
    assert {lease.state for lease in server.desk.leases.values()} <= {"open"}  # the calls are still under way


def test_with_a_wait_the_first_call_has_its_lease(
    serve: Callable[..., LeaseServer], link_to: Callable[..., LeaseLink]
) -> None:
    server = serve(budget(limit=100, chunk=100))
    link = link_to(server.url, wait=10.0)
    assert link.blocking
    hold = held(reserve(link, 100))
    assert [amount for _, amount in hold.shares] == [100]
    answer = short(reserve(link, 1))
    assert (answer.unknown, answer.spent, answer.limit, answer.resets_at) == (False, 100, 100, 1_800_000_000.0)
    link.settle(hold, None, 70)
    link.close()
    assert server.desk.spent == {PLACE: 70}
    assert [lease.state for lease in server.desk.leases.values()] == ["posted"]


def test_a_server_that_is_silent_holds_a_call_up_for_the_wait_and_no_longer(
    link_to: Callable[..., LeaseLink],
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        link = link_to(f"http://127.0.0.1:{listener.getsockname()[1]}", wait=0.3)
        began = time.monotonic()
        held(reserve(link, 30))
        assert 0.3 <= time.monotonic() - began < 1.5
        # Without `wait` nobody waits; what a busy machine adds is not a second.
        quick = link_to(f"http://127.0.0.1:{listener.getsockname()[1]}")
        began = time.monotonic()
        held(reserve(quick, 30))
        assert time.monotonic() - began < 1.0


def test_a_dead_server_holds_nobody_up(link_to: Callable[..., LeaseLink]) -> None:
    link = link_to(f"http://127.0.0.1:{free_port()}", wait=30.0)
    held(reserve(link, 30))
    assert link.away


def test_while_the_server_is_dead_the_allowance_holds_and_what_was_spent_is_told_later(
    serve: Callable[..., LeaseServer], link_to: Callable[..., LeaseLink]
) -> None:
    port = free_port()
    server = LeaseServer(budget(limit=1000, chunk=100, allowance=40), port=port)
    link = link_to(server.url, chance=lambda: 0.05)
    by_hand(link)
    link.step()
    server.close()
    first = held(reserve(link, 40))
    assert short(reserve(link, 1)).unknown
    link.step()
    assert link.away
    link.settle(first, None, 35)
    assert short(reserve(link, 6)).unknown
    held(reserve(link, 5))
    again = serve(budget(limit=1000, chunk=100, allowance=40), port=port)
    wait_until(lambda: link.step() and bool(again.desk.leases))
    # The exchange that could not be had is made again as it was: 40 of debt by then, and a chunk.
    assert [lease.amount for lease in again.desk.leases.values()] == [140]
    held(reserve(link, 100))


def test_a_lost_answer_grants_nothing_twice(
    serve: Callable[..., LeaseServer], link_to: Callable[..., LeaseLink]
) -> None:
    server = serve(budget(limit=1000, chunk=100))
    link = link_to(server.url, chance=lambda: 0.01)
    wait_until(knows(link))
    server.lose_answers = 3
    wait_until(lambda: isinstance(reserve(link, 30), LeaseHold))
    first = server.exchanges[:4]
    assert first == [first[0]] * 4
    assert [lease.amount for lease in list(server.desk.leases.values())[:1]] == [100]


@pytest.mark.parametrize(
    ("said", "attempts"),
    [
        ((503, {"retry-after": "0"}, {"error": "the database is away"}), 2),
        ((429, {}, {}), 2),
        ((500, {}, {}), 2),
        ((200, {}, {"granted": 7}), 2),
        ((400, {}, {"error": "no holder"}), 2),
    ],
)
def test_an_exchange_that_was_not_taken_is_made_again(
    serve: Callable[..., LeaseServer],
    link_to: Callable[..., LeaseLink],
    said: tuple[int, dict[str, str], dict[str, Any]],
    attempts: int,
) -> None:
    server = serve(budget(limit=1000, chunk=100))
    server.say = [said]
    link = link_to(server.url, chance=lambda: 0.01)
    wait_until(knows(link))
    wait_until(lambda: isinstance(reserve(link, 30), LeaseHold))
    assert len(server.exchanges) >= attempts


def test_after_a_fence_the_holder_goes_on_behind_it(
    serve: Callable[..., LeaseServer], link_to: Callable[..., LeaseLink]
) -> None:
    server = serve(budget(limit=1000, chunk=100))
    server.say = [(409, {}, {"error": "later", "fence": 41})]
    link = link_to(server.url, chance=lambda: 0.01)
    wait_until(knows(link))
    wait_until(lambda: isinstance(reserve(link, 30), LeaseHold))
    assert [exchange["fence"] for exchange in server.exchanges[:2]] == [1, 42]


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_server_that_lets_nobody_in_is_left_alone_for_five_minutes(
    link_to: Callable[..., LeaseLink], status: int, caplog: pytest.LogCaptureFixture
) -> None:
    server = LeaseServer()
    server.refuse_policy = status
    clock = [1000.0]
    link = link_to(server.url, clock=lambda: clock[0])
    by_hand(link)
    assert link.step() == 300.0
    clock[0] += 299
    assert link.step() == 1.0
    assert len(server.asked) == 1
    clock[0] += 1
    server.refuse_policy = None
    link.step()
    assert link.policy.version == 1
    told = [record for record in caplog.records if record.name == "llmclient"]
    assert len(told) == (0 if status == 404 else 1)  # an older server is no problem
    server.close()


# --- the policy -------------------------------------------------------------------------------------------------


def test_the_policy_is_looked_at_again_and_only_read_when_it_changed(
    serve: Callable[..., LeaseServer], link_to: Callable[..., LeaseLink]
) -> None:
    server = serve(budget())
    clock = [1000.0]
    link = link_to(server.url, clock=lambda: clock[0], chance=lambda: 0.5)
    by_hand(link)
    assert link.step() == 15.0
    clock[0] += 15
    link.step()
    assert [headers.get("if-none-match") for _, headers in server.asked] == [None, '"1"']
    assert server.asked[0][0] == f"/api/v1/policy?prices={_prices.current().version}"
    assert server.asked[0][1]["authorization"] == "Bearer llv_key"
    server.change(stop={"models": ["claude-opus-5-5"]}, capture="off")
    clock[0] += 15
    link.step()
    assert link.policy.stop("claude-opus-5-5") == "calls of claude-opus-5-5 are stopped"
    assert link.policy.capture == "off"


def test_a_new_period_is_heard_of_within_seconds_of_its_beginning(
    serve: Callable[..., LeaseServer], link_to: Callable[..., LeaseLink]
) -> None:
    server = serve(budget(ends_in_s=4))
    clock = [1000.0]
    link = link_to(server.url, clock=lambda: clock[0], chance=lambda: 0.5)
    by_hand(link)
    assert link.step() == 4.5
    clock[0] += 4.5
    server.change(budgets=[budget(period="d2", ends_in_s=86_400)])
    link.step()
    assert [each.period for each in link.policy.budgets] == ["d2"]


def test_newer_prices_come_with_the_policy(
    serve: Callable[..., LeaseServer], link_to: Callable[..., LeaseLink], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_prices, "_book", None)
    rate = {
        "model": "claude-opus-5-5",
        "since": 0,
        "short": [1, 2, 3, 4, 5],
        "batch": [1, 2],
        "us": [1, 1],
        "search": 0,
    }
    server = serve()
    server.change(prices={"version": "2", "snapshot": {"version": "2", "rates": [rate]}})
    link = link_to(server.url)
    by_hand(link)
    link.step()
    assert _prices.current().version == "2"
    assert _prices.cost({"input_tokens": 7}, "claude-opus-5-5", 1.0) == 7


def test_a_policy_that_cannot_be_read_changes_nothing(
    serve: Callable[..., LeaseServer], link_to: Callable[..., LeaseLink]
) -> None:
    server = serve(budget())
    clock = [1000.0]
    link = link_to(server.url, clock=lambda: clock[0], chance=lambda: 0.5)
    by_hand(link)
    link.step()
    server.change(capture="everything")
    clock[0] += 15
    link.step()
    assert (link.policy.version, link.away) == (1, True)


# --- processes --------------------------------------------------------------------------------------------------


def test_a_forked_child_leases_for_itself(serve: Callable[..., LeaseServer], link_to: Callable[..., LeaseLink]) -> None:
    server = serve(budget(limit=1000, chunk=100))
    link = link_to(server.url, wait=10.0)
    hold = held(reserve(link, 60))
    child = os.fork()
    if child == 0:
        link.settle(hold, None, 60)
        own = reserve(link, 70)
        fine = isinstance(own, LeaseHold) and [amount for _, amount in own.shares] == [70]
        if isinstance(own, LeaseHold):
            link.settle(own, None, 50)
        link.close()
        os._exit(0 if fine else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert server.desk.spent == {PLACE: 50}
    link.settle(hold, None, 40)
    link.close()
    assert server.desk.spent == {PLACE: 90}
    assert len({exchange["holder"] for exchange in server.exchanges}) == 2


PAYER = """
import random, sys, threading, time
from llmclient._lease_line import Line
from llmclient._lease_link import LeaseLink
from llmclient._lease_holds import LeaseHold

url, seed = sys.argv[1], int(sys.argv[2])
link = LeaseLink(lambda: Line(url, "k"), wait=5.0)
spent = []

def pay(number):
    dice = random.Random(seed * 100 + number)
    while True:
        amount = dice.randint(1, 20)
        answer = link.reserve({"user_id": "ada"}, None, 0, amount)
        if not isinstance(answer, LeaseHold):
            return
        used = dice.randint(1, amount)
        link.settle(answer, None, used)
        spent.append(used)
        if sum(spent) > 40 and "die" in sys.argv:
            print("enough", flush=True)
            time.sleep(600)

threads = [threading.Thread(target=pay, args=(number,)) for number in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(sum(spent))
"""


def payer(server: LeaseServer, *arguments: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", textwrap.dedent(PAYER), server.url, *arguments]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def test_processes_spend_what_there_is_and_no_more_and_give_the_rest_back(serve: Callable[..., LeaseServer]) -> None:
    server = serve(budget(limit=3000, chunk=100))
    payers = [payer(server, str(seed)) for seed in range(3)]
    spent = [int(each.communicate(timeout=120)[0]) for each in payers]
    # Each stops at its first refusal: what the others hold then may stay unspent.
    assert 2500 < sum(spent) <= 3000
    assert server.desk.spent == {PLACE: sum(spent)}
    assert server.desk.reserved(PLACE) == 0


def test_of_a_process_that_is_killed_the_lease_stays_reserved_and_goes_into_suspense(
    serve: Callable[..., LeaseServer],
) -> None:
    server = serve(budget(limit=1000, chunk=100))
    victim = payer(server, "1", "die")
    assert victim.stdout is not None
    assert victim.stdout.readline().startswith("enough")
    victim.send_signal(signal.SIGKILL)
    victim.communicate()
    granted = sum(lease.amount for lease in server.desk.leases.values())
    assert server.desk.reserved(PLACE) + server.desk.spent.get(PLACE, 0) == granted
    server.desk.expire(time.monotonic() + 10_000)
    assert "suspense" in {lease.state for lease in server.desk.leases.values()}
    assert server.desk.reserved(PLACE) + server.desk.spent.get(PLACE, 0) == granted


def test_nothing_is_started_or_loaded_before_the_first_call() -> None:
    program = """
    import sys, threading
    from llmclient._lease_link import LeaseLink
    link = LeaseLink(lambda: None)
    print([m for m in ("anthropic", "httpx2", "redis") if m in sys.modules], threading.active_count())
    """
    ran = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert ran.stdout.strip() == "[] 1", ran.stderr


def test_its_requests_are_no_news_to_the_hosts_log(
    serve: Callable[..., LeaseServer], link_to: Callable[..., LeaseLink], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    link = link_to(serve(budget()).url)
    wait_until(knows(link))
    assert [record for record in caplog.records if record.threadName == THREAD_NAME] == []


def test_a_link_that_is_closed_starts_no_thread_and_stops_nobody(
    serve: Callable[..., LeaseServer], link_to: Callable[..., LeaseLink]
) -> None:
    # Threads of links that other tests have just closed may still be ending.
    before = set(threading.enumerate())
    link = link_to(serve(budget()).url, wait=10.0)
    link.close()
    held(reserve(link, 10))
    assert [one for one in threading.enumerate() if one.name == THREAD_NAME and one not in before] == []
