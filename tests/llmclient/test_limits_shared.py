"""One set of buckets for several processes, in a real Redis; and what happens without it."""

import json
import logging
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from llmclient import _limits_shared
from llmclient._bucket import Bucket
from llmclient._limits_shared import PREFIX, SharedLimits
from llmclient._queue import Want
from llmclient._quota import Quota

ONE = Want(10, 10)
# One process: asks without a pause for `seconds`, settles what it gets, and says how often it was let in.
WORKER = """
import json, sys, time
from llmclient import _limits_shared
_limits_shared.ANSWER_WITHIN = 5.0
from llmclient._limits_shared import SharedLimits
from llmclient._queue import Want
shared, want, let_in = SharedLimits(sys.argv[1], account="test"), Want(10, 10), 0
end = time.monotonic() + float(sys.argv[2])
while time.monotonic() < end:
    wait = shared.reserve("sonnet-5", want)
    if wait == 0:
        let_in += 1
        shared.settle("sonnet-5", want, requests=1, input=4, output=4)
    else:
        time.sleep(0.05 if wait is None else min(wait, 0.05))
print(json.dumps(let_in))
"""


def headers(**limits: tuple[int, int]) -> dict[str, str]:
    """`requests`, `input` or `output`: limit and what remains of it."""
    said = {"date": "Sun, 22 Nov 2026 12:00:00 GMT"}
    for name, (limit, remaining) in limits.items():
        theirs = name if name == "requests" else f"{name}-tokens"
        said[f"anthropic-ratelimit-{theirs}-limit"] = str(limit)
        said[f"anthropic-ratelimit-{theirs}-remaining"] = str(remaining)
    return said


def shared(url: str, *, target: float = 1.0) -> SharedLimits:
    return SharedLimits(url, account="test", target=target)


def learn(to: SharedLimits, **limits: tuple[int, int]) -> None:
    to.learn("sonnet-5", headers(**limits), received_at_unix=0.0, age=0.0)


def stored(url: str) -> dict[str, float]:
    kept: Any = redis.Redis.from_url(url, decode_responses=True).hgetall(f"{PREFIX}:test:sonnet-5")
    return {name: float(value) for name, value in kept.items()}


@pytest.fixture
def redis_url(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A database nobody else empties, for what is kept there is the point; and a slow machine is no dead Redis."""
    monkeypatch.setattr(_limits_shared, "ANSWER_WITHIN", 5.0)
    url = redis_url.replace("/9", "/13")
    redis.Redis.from_url(url).flushdb()
    return url


@pytest.fixture
def silent_url() -> Iterator[str]:
    """A port that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"redis://127.0.0.1:{server.getsockname()[1]}/0"


@pytest.fixture
def closed_url() -> str:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"redis://127.0.0.1:{server.getsockname()[1]}/0"


def test_without_a_known_limit_everybody_is_let_in(redis_url: str) -> None:
    limits = shared(redis_url)
    assert {limits.reserve("sonnet-5", Want(1e9, 1e9)) for _ in range(50)} == {0.0}


def test_what_one_took_the_other_does_not_find(redis_url: str) -> None:
    one, other = shared(redis_url), shared(redis_url)
    learn(one, requests=(60, 60))
    assert [one.reserve("sonnet-5", ONE) for _ in range(40)] == [0.0] * 40
    assert [other.reserve("sonnet-5", ONE) for _ in range(20)] == [0.0] * 20
    wait = other.reserve("sonnet-5", ONE)
    assert wait == pytest.approx(1.0, abs=0.2)


def test_groups_and_accounts_are_apart(redis_url: str) -> None:
    limits = shared(redis_url)
    learn(limits, requests=(1, 0))
    assert limits.reserve("sonnet-5", ONE) != 0.0
    assert limits.reserve("haiku-5", ONE) == 0.0
    assert SharedLimits(redis_url, account="another").reserve("sonnet-5", ONE) == 0.0


def test_a_refused_reservation_takes_nothing(redis_url: str) -> None:
    limits = shared(redis_url)
    learn(limits, requests=(60, 60), input=(60_000, 0))
    before = stored(redis_url)["level1"]
    assert limits.reserve("sonnet-5", Want(500, 0)) == pytest.approx(0.5, abs=0.1)
    assert stored(redis_url)["level1"] == before == 60.0


def test_settling_gives_back_and_takes_what_was_wrong(redis_url: str) -> None:
    limits = shared(redis_url)
    learn(limits, requests=(60, 60), input=(60_000, 60_000), output=(6_000, 6_000))
    want = Want(50_000, 100)
    assert limits.reserve("sonnet-5", want) == 0.0
    limits.settle("sonnet-5", want, requests=0, input=20_000, output=2_100)
    kept = stored(redis_url)
    assert kept["level1"] == 60.0
    assert kept["level2"] == pytest.approx(40_000, abs=200)
    assert kept["level3"] == pytest.approx(3_900, abs=20)


def test_a_push_back_blocks_everybody_and_slows_what_ran_out(redis_url: str) -> None:
    one, other = shared(redis_url), shared(redis_url)
    learn(one, requests=(60, 60), input=(60_000, 60_000))
    one.refused("sonnet-5", ["input"], 30.0)
    one.refused("sonnet-5", ["input"], 20.0)
    assert other.reserve("sonnet-5", ONE) == pytest.approx(30.0, abs=0.5)
    kept = stored(redis_url)
    assert kept["factor1"] == 1.0
    assert kept["factor2"] == pytest.approx(0.7, abs=0.01)
    assert kept["level2"] == pytest.approx(0.0, abs=100)


def test_a_push_back_that_names_nothing_blocks_everything(redis_url: str) -> None:
    limits = shared(redis_url)
    limits.refused("sonnet-5", [], 5.0)
    assert limits.reserve("sonnet-5", ONE) == pytest.approx(5.0, abs=0.2)
    assert {stored(redis_url)[f"factor{n}"] for n in (1, 2, 3)} == {0.7}


def test_an_older_answer_is_not_read(redis_url: str) -> None:
    limits = shared(redis_url)
    learn(limits, requests=(60, 60))
    old = {**headers(requests=(600, 600)), "date": "Sun, 22 Nov 2026 11:59:59 GMT"}
    limits.learn("sonnet-5", old, received_at_unix=0.0, age=0.0)
    assert stored(redis_url)["limit1"] == 60.0
    limits.learn("sonnet-5", {"date": "nothing about limits"}, received_at_unix=0.0, age=None)


def test_what_is_kept_goes_away_when_nobody_asks_for_ten_minutes(redis_url: str) -> None:
    learn(shared(redis_url), requests=(60, 60))
    assert 590 < redis.Redis.from_url(redis_url).ttl(f"{PREFIX}:test:sonnet-5") <= 600


def test_the_script_is_loaded_again_after_redis_forgot_it(redis_url: str) -> None:
    limits = shared(redis_url)
    limits.reserve("sonnet-5", ONE)
    redis.Redis.from_url(redis_url).script_flush()
    assert limits.reserve("sonnet-5", ONE) == 0.0


def test_it_adds_up_as_a_local_bucket_does(redis_url: str) -> None:
    """The same events, one after the other, to the script and to the bucket it was written after."""
    limits, started = shared(redis_url, target=0.8), time.monotonic()
    local = Bucket(target=0.8, share=1.0, settling=5.0)
    want = Want(4_000, 0)

    def now() -> float:
        return time.monotonic() - started

    limits.reserve("sonnet-5", want)
    local.reserve(4_000, now())
    limits.learn("sonnet-5", headers(input=(60_000, 50_000)), received_at_unix=0.0, age=0.0)
    local.learn(Quota(60_000, 50_000, grain=1_000), now(), age=0.0)
    for step in range(12):
        assert limits.reserve("sonnet-5", want) == pytest.approx(local.wait(4_000, now()), abs=0.05)
        if local.wait(4_000, now()) == 0:
            local.reserve(4_000, now())
        if step % 3 == 0:
            limits.settle("sonnet-5", want, requests=1, input=1_000, output=0)
            local.settle(4_000, 1_000, now())
        if step == 8:
            limits.refused("sonnet-5", ["input"], 0.0)
            local.cut(0.0, now())
        if step == 5:
            limits.learn("sonnet-5", headers(input=(90_000, 70_000)), received_at_unix=0.0, age=0.0)
            local.learn(Quota(90_000, 70_000, grain=1_000), now(), age=0.0)
        assert stored(redis_url)["level2"] == pytest.approx(local.level(now()), abs=100)


def test_several_processes_together_stay_under_the_limit_and_use_it(redis_url: str) -> None:
    limits = shared(redis_url, target=0.9)
    learn(limits, requests=(3_000, 3_000))  # at 0.9: 2,700 at once, and 45 a second
    started = time.monotonic()
    command = [sys.executable, "-c", WORKER, redis_url, "3"]
    environment = {**os.environ, "PYTHONPATH": str(Path.cwd())}
    workers = [subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) for _ in range(4)]
    let_in = [json.loads(worker.communicate(timeout=60)[0]) for worker in workers]
    allowed = 2_700 + 45 * (time.monotonic() - started)
    assert all(each > 0 for each in let_in)
    assert 0.9 * 2_700 <= sum(let_in) <= allowed


def test_a_redis_that_is_gone_is_told_once_and_left_in_peace(closed_url: str, caplog: pytest.LogCaptureFixture) -> None:
    now = [100.0]
    limits = SharedLimits(closed_url, account="test", clock=lambda: now[0])
    seen = [limits.up]
    with caplog.at_level(logging.WARNING, "llmclient"):
        assert limits.reserve("sonnet-5", ONE) is None
        seen.append(limits.up)
        learn(limits, requests=(60, 60))
        limits.settle("sonnet-5", ONE, requests=1, input=1, output=1)
        limits.refused("sonnet-5", [], 1.0)
        now[0] += 5.0
        seen.append(limits.up)
        assert limits.reserve("sonnet-5", ONE) is None
    assert seen == [True, False, True]
    assert [record.message[:22] for record in caplog.records] == ["shared rate limits are"]


def test_a_redis_that_does_not_answer_costs_a_tenth_of_a_second_and_then_nothing(silent_url: str) -> None:
    limits = shared(silent_url)
    started = time.monotonic()
    assert limits.reserve("sonnet-5", ONE) is None
    assert time.monotonic() - started < 0.5
    started = time.monotonic()
    assert limits.reserve("sonnet-5", ONE) is None
    assert time.monotonic() - started < 0.05


def test_a_redis_that_comes_back_is_used_again(redis_url: str) -> None:
    now = [100.0]
    limits = SharedLimits(redis_url, account="test", clock=lambda: now[0])
    redis.Redis.from_url(redis_url).set(f"{PREFIX}:test:sonnet-5", "somebody else's")
    assert limits.reserve("sonnet-5", ONE) is None
    redis.Redis.from_url(redis_url).delete(f"{PREFIX}:test:sonnet-5")
    now[0] += 5.0
    assert limits.reserve("sonnet-5", ONE) == 0.0


def test_an_address_that_is_none_is_told_at_once() -> None:
    with pytest.raises(ValueError, match="redis://"):
        SharedLimits("localhost:6379", account="test")


def test_the_module_does_not_load_redis() -> None:
    code = "import sys, llmclient._limits_shared; sys.exit('redis' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
