"""Where answers are kept."""

import json
import os
import socket
import threading
import time
from typing import Any

import pytest
from django.core.cache import caches
from django.test import override_settings
from hypothesis import given, settings
from hypothesis import strategies as st

from llmclient import _message
from llmclient.cache import ENTRY_BYTES, Cache, Entry, MemoryCache, RedisCache, entry_of, in_memory
from llmclient.contrib.django_cache import DjangoCache

ENTRY = Entry(b'{"id":"msg_1"}\n{"second line": 1}', "claude-haiku-5-5", 1000.5, 60.0)


def memory(entries: int = 3, size: int = 10_000, now: float = 1000.0) -> MemoryCache:
    return MemoryCache(entries, size, clock=lambda: now)


def entry(name: str, size: int = 10, keep: float = 60.0) -> Entry:
    return Entry(name.encode().ljust(size), "m", 1000.0, keep)


@pytest.fixture
def redis_cache(redis_url: str) -> RedisCache:
    return RedisCache(redis_url, prefix="test_cache:")


def test_an_entry_survives_being_bytes() -> None:
    assert Entry.from_bytes(ENTRY.to_bytes()) == ENTRY


@pytest.mark.parametrize(
    "data", [b"", b"{}\nbody", b"[1]\nbody", b"\xff\n", b'{"model":"m","stored_at":"x","keep":1}\n']
)
def test_bytes_of_somebody_else_are_no_entry(data: bytes) -> None:
    assert Entry.from_bytes(data) is None


def test_an_answer_is_kept_as_claude_gave_it() -> None:
    message = {**_message.of("Grüße", model="claude-haiku-5-5"), "id": "msg_1", "usage": {"output_tokens": 5}}
    kept = entry_of(message, now=1000.0, keep=60.0)
    assert kept is not None
    assert json.loads(kept.body) == message
    assert (kept.model, kept.stored_at, kept.keep) == ("claude-haiku-5-5", 1000.0, 60.0)


@pytest.mark.parametrize("stop_reason", ["refusal", "max_tokens", "tool_use", "pause_turn", None])
def test_only_a_complete_answer_is_kept(stop_reason: str | None) -> None:
    message = {**_message.of("x", model="m"), "stop_reason": stop_reason}
    assert entry_of(message, now=0.0, keep=60.0) is None


def test_what_cannot_be_written_is_not_kept() -> None:
    assert entry_of(_message.of("\ud800", model="m"), now=0.0, keep=60.0) is None


def test_memory_keeps_what_was_used_last() -> None:
    cache = memory(entries=2)
    for name in ("a", "b"):
        cache.set(name, entry(name))
    assert cache.get("a") == entry("a")
    cache.set("c", entry("c"))
    assert [cache.get(name) is not None for name in ("a", "b", "c")] == [True, False, True]


def test_memory_forgets_what_is_of_no_more_use() -> None:
    now = [1000.0]
    cache = MemoryCache(clock=lambda: now[0])
    cache.set("a", entry("a", keep=5.0))
    now[0] = 1004.9
    assert cache.get("a") is not None
    now[0] = 1005.0
    assert cache.get("a") is None
    assert (len(cache), cache.bytes) == (0, 0)


def test_memory_counts_bytes() -> None:
    cache = memory(size=2 * (ENTRY_BYTES + 100 + 2))
    cache.set("a", entry("a", 100))
    cache.set("b", entry("b", 100))
    assert cache.bytes == 2 * (ENTRY_BYTES + 100 + 2)
    cache.set("b", entry("b", 50))
    assert cache.bytes == 2 * (ENTRY_BYTES + 2) + 150
    cache.set("c", entry("c", 100))
    assert (len(cache), cache.get("a")) == (2, None)
    cache.clear()
    assert (len(cache), cache.bytes) == (0, 0)


def test_memory_does_not_take_what_fits_nowhere() -> None:
    cache = memory(size=1000)
    cache.set("a", entry("a"))
    cache.set("b", entry("b", 2000))
    assert (cache.get("b"), cache.get("a")) == (None, entry("a"))
    cache.set("a", entry("a", 2000))
    assert (cache.get("a"), len(cache), cache.bytes) == (None, 0, 0)


operations = st.lists(
    st.tuples(st.sampled_from(["get", "set"]), st.sampled_from("abcdef"), st.integers(0, 600), st.floats(0.1, 9.0)),
    max_size=60,
)


@given(operations, st.integers(1, 4), st.integers(1, 3000))
@settings(max_examples=150, deadline=None)
def test_memory_never_holds_more_than_it_may_nor_gives_what_it_was_not_given(
    steps: list[tuple[str, str, int, float]], entries: int, size: int
) -> None:
    now = [1000.0]
    cache = MemoryCache(entries, size, clock=lambda: now[0])
    last: dict[str, Entry] = {}
    for what, key, length, seconds in steps:
        now[0] += seconds / 2
        if what == "set":
            last[key] = Entry(b"x" * length, "m", now[0], seconds)
            cache.set(key, last[key])
            fits = length + 2 + ENTRY_BYTES <= size
            assert (cache.get(key) == last[key]) is fits
        elif (found := cache.get(key)) is not None:
            assert found == last[key]
            assert now[0] < found.stored_at + found.keep
        assert len(cache) <= entries
        assert cache.bytes <= size
        assert cache.bytes == sum(len(one.body) + 2 + ENTRY_BYTES for one in cache._entries.values())


def test_threads_leave_memory_in_order() -> None:
    cache = memory(entries=20, size=20_000)

    def work(seed: int) -> None:
        for step in range(2_000):
            name = str((seed * 7 + step * 13) % 50)
            cache.set(name, entry(name, step % 300))
            cache.get(str(step % 50))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(cache) <= 20
    assert cache.bytes == sum(len(one.body) + 1 + len(key) + ENTRY_BYTES for key, one in cache._entries.items())


def test_a_fork_can_use_memory_at_once() -> None:
    cache = memory()
    cache.set("a", entry("a"))
    cache._lock.held.acquire()  # as another thread might, at the moment of the fork
    child = os.fork()
    if child == 0:
        os._exit(0 if cache.get("a") == entry("a") else 1)
    cache._lock.held.release()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_there_is_one_in_memory_for_the_process() -> None:
    assert in_memory() is in_memory()
    assert isinstance(in_memory(), MemoryCache)


def test_redis_keeps_entries_for_all_processes(redis_cache: RedisCache, redis_url: str) -> None:
    assert redis_cache.get("key") is None
    redis_cache.set("key", ENTRY)
    assert RedisCache(redis_url, prefix="test_cache:").get("key") == ENTRY
    assert RedisCache(redis_url, prefix="other:").get("key") is None
    milliseconds: Any = redis_cache._redis.pttl("test_cache:key")
    assert 59_000 < milliseconds <= 60_000


def test_redis_is_not_given_what_is_too_large(redis_url: str) -> None:
    cache = RedisCache(redis_url, prefix="test_cache:", largest=100)
    cache.set("key", Entry(b"x" * 100, "m", 0.0, 60.0))
    assert cache.get("key") is None


def test_something_else_under_the_key_is_a_miss(redis_cache: RedisCache) -> None:
    redis_cache._redis.set("test_cache:key", "something else")
    assert redis_cache.get("key") is None
    redis_cache._redis.delete("test_cache:key")
    redis_cache._redis.lpush("test_cache:key", "a list")
    assert redis_cache.get("key") is None


def test_a_dead_redis_costs_nothing_but_the_answers_it_kept() -> None:
    cache = RedisCache("redis://127.0.0.1:1/0")
    assert cache.get("key") is None
    cache.set("key", ENTRY)
    assert cache.get("key") is None


def test_a_silent_redis_costs_one_timeout_and_is_then_left_alone() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        cache = RedisCache(f"redis://127.0.0.1:{silent.getsockname()[1]}/0", timeout=0.1)
        started = time.perf_counter()
        for _ in range(100):
            assert cache.get("key") is None
        assert 0.1 <= time.perf_counter() - started < 0.6


def test_a_redis_that_comes_back_is_used_again(redis_cache: RedisCache) -> None:
    redis_cache._rests_until = time.monotonic() + 1000
    redis_cache.set("key", ENTRY)
    redis_cache._rests_until = time.monotonic()
    assert redis_cache.get("key") is None
    redis_cache.set("key", ENTRY)
    assert redis_cache.get("key") == ENTRY


def test_a_fork_has_a_connection_of_its_own(redis_cache: RedisCache) -> None:
    redis_cache.set("key", ENTRY)
    child = os.fork()
    if child == 0:
        found = [redis_cache.get("key") for _ in range(50)]
        os._exit(0 if found == [ENTRY] * 50 else 1)
    assert [redis_cache.get("key") for _ in range(50)] == [ENTRY] * 50
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@override_settings(
    CACHES={"answers": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "answers"}}
)
def test_djangos_cache_keeps_entries() -> None:
    cache = DjangoCache("answers")
    assert cache.get("key") is None
    cache.set("key", ENTRY)
    assert cache.get("key") == ENTRY
    assert "llmclient:key" in caches["answers"]
    caches["answers"].set("llmclient:other", "not ours")
    assert cache.get("other") is None
    cache.set("key", Entry(b"", "m", 0.0, 0.2))
    assert cache.get("key") is not None


def test_all_of_them_are_caches(redis_cache: RedisCache) -> None:
    every: list[Cache] = [MemoryCache(), redis_cache, DjangoCache()]
    assert [cache.blocking for cache in every] == [False, True, True]
