"""Openings travel through a real Redis, and a dead one is as none."""

import logging
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
import redis

from llmclient._breaker_shared import SharedOpening, connect

DEAD = "redis://127.0.0.1:1/0"
GROUP = "opus-5"


@pytest.fixture
def url(redis_url: str) -> Iterator[str]:
    """A database of its own: what others flush meanwhile must not matter."""
    own = redis_url.rpartition("/")[0] + "/13"
    redis.Redis.from_url(own).flushdb()
    yield own
    redis.Redis.from_url(own).flushdb()


@pytest.fixture
def mute() -> Iterator[str]:
    """A server that takes connections and never says anything."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"redis://127.0.0.1:{server.getsockname()[1]}/0"


def test_what_one_process_opens_the_others_leave_alone(url: str) -> None:
    one, other = SharedOpening(url), SharedOpening(url)
    assert one.open_for(GROUP, 0.0) == 0.0
    one.opened(GROUP, 30.0)
    assert 29.0 < other.open_for(GROUP, 5000.0) <= 30.0  # their clocks have nothing in common
    assert other.open_for("haiku-5", 5000.0) == 0.0


def test_an_opening_ends_by_itself(url: str) -> None:
    client = redis.Redis.from_url(url)
    SharedOpening(client).opened(GROUP, 900.0)
    assert 899_000 < int(client.pttl("llmclient:open:opus-5")) <= 900_000
    assert client.keys() == [b"llmclient:open:opus-5"]


def test_a_shorter_opening_does_not_shorten_a_longer_one(url: str) -> None:
    one, other = SharedOpening(url), SharedOpening(url)
    one.opened(GROUP, 900.0)
    other.opened(GROUP, 30.0)
    assert 899.0 < SharedOpening(url).open_for(GROUP, 0.0) <= 900.0
    other.opened(GROUP, 1000.0)
    assert 999.0 < SharedOpening(url).open_for(GROUP, 0.0) <= 1000.0


def test_a_reset_ends_it_for_everybody(url: str) -> None:
    one, other = SharedOpening(url), SharedOpening(url)
    one.opened(GROUP, 900.0)
    assert one.open_for(GROUP, 0.0) > 0
    assert other.open_for(GROUP, 0.0) > 0
    one.opened(GROUP, 0.0)
    assert one.open_for(GROUP, 0.1) == 0.0
    assert other.open_for(GROUP, 1.0) == 0.0  # a second later


def test_no_opening_is_longer_than_a_day(url: str) -> None:
    SharedOpening(url).opened(GROUP, float("inf"))
    assert 86_399.0 < SharedOpening(url).open_for(GROUP, 0.0) <= 86_400.0


def test_an_answer_is_believed_for_a_second(url: str) -> None:
    one, other = SharedOpening(url), SharedOpening(url)
    assert one.known(GROUP, 100.0) is None
    assert one.open_for(GROUP, 100.0) == 0.0
    other.opened(GROUP, 30.0)
    assert one.open_for(GROUP, 100.9) == one.known(GROUP, 100.9) == 0.0
    assert one.known(GROUP, 101.0) is None
    left = one.open_for(GROUP, 101.0)
    assert 29.0 < left <= 30.0
    assert one.known(GROUP, 101.5) == pytest.approx(left - 0.5, abs=1e-9)
    assert one.known("haiku-5", 101.5) is None


def test_a_clock_that_is_set_back_is_no_reason_to_believe_longer(url: str) -> None:
    one = SharedOpening(url)
    one.open_for(GROUP, 100.0)
    assert one.known(GROUP, 50.0) is None


def test_an_entry_that_never_ends_is_not_ours(url: str) -> None:
    redis.Redis.from_url(url).set("llmclient:open:opus-5", "1")
    assert SharedOpening(url).open_for(GROUP, 0.0) == 0.0


def test_a_thousand_groups_are_remembered_and_no_more(url: str) -> None:
    one = SharedOpening(url)
    for number in range(1001):
        one.open_for(f"group-{number}", 0.0)
    assert one.known("group-0", 0.0) is None
    assert one.known("group-1000", 0.0) == 0.0


def test_asking_again_with_a_thousand_remembered_forgets_nobody(url: str) -> None:
    one = SharedOpening(url)
    one.open_for("group-0", 0.0)
    for number in range(1, 1000):
        one.open_for(f"group-{number}", 0.5)
    one.open_for("group-0", 1.0)
    assert one.known("group-500", 1.0) == 0.0


def test_while_one_thread_asks_the_others_go_on_with_what_was_known(url: str) -> None:
    class Nosy(redis.Redis):
        def pttl(self, name: object) -> int:
            meanwhile.append(one.known(GROUP, now))
            return 5000

    meanwhile: list[float | None] = []
    one = SharedOpening(Nosy.from_url(url))
    for now in (4.0, 7.0):
        assert one.open_for(GROUP, now) == 5.0
    assert meanwhile == [0.0, 2.0]


def test_a_dead_redis_is_as_none_and_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    one = SharedOpening(DEAD)
    with caplog.at_level(logging.WARNING, "llmclient"):
        assert [one.open_for(GROUP, float(now)) for now in range(50)] == [0.0] * 50
        one.opened(GROUP, 30.0)
    assert [record.getMessage().partition(" (")[0] for record in caplog.records] == [
        "breakers are not shared: Redis did not answer"
    ]


def test_a_dead_redis_is_asked_again_after_ten_seconds() -> None:
    one = SharedOpening(DEAD)
    one.open_for(GROUP, 100.0)
    assert (one.known(GROUP, 110.0), one.known("haiku-5", 110.0)) == (0.0, 0.0)
    assert (one.known(GROUP, 110.1), one.known("haiku-5", 110.1)) == (None, None)


def test_what_was_known_dies_with_redis(url: str) -> None:
    client = connect(url)
    one = SharedOpening(client)
    one.opened(GROUP, 900.0)
    assert one.open_for(GROUP, 0.0) > 0
    client.connection_pool.reset()
    client.connection_pool.connection_kwargs["port"] = 1
    assert one.open_for(GROUP, 2.0) == 0.0
    assert one.open_for(GROUP, 3.0) == 0.0


def test_a_redis_that_says_nothing_is_given_up_soon(mute: str) -> None:
    one = SharedOpening(mute)
    begun = time.monotonic()
    assert one.open_for(GROUP, 0.0) == 0.0
    one.opened(GROUP, 30.0)
    assert 0.1 < time.monotonic() - begun < 1.0  # a tenth of a second each, and a slow machine


def test_a_wrong_address_is_told_when_it_is_given() -> None:
    with pytest.raises(ValueError, match="scheme"):
        SharedOpening("http://127.0.0.1")


def test_redis_is_not_loaded_before_it_is_used() -> None:
    code = "import sys, llmclient._breaker_shared; assert 'redis' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
