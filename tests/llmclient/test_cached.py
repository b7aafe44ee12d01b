"""Answers given before: when they may be given again, and to whom."""

import logging
from typing import Any
from uuid import UUID

import pytest

from llmclient import _message
from llmclient._asked import Answered, Asked
from llmclient._cached import HANDLED, Cached, remember
from llmclient._errors import CATEGORIES, Category
from llmclient.cache import Entry, MemoryCache, in_memory
from tests.llmclient.driving import both, drive

CALL_ID = UUID("01939e6a-5c00-7000-8000-000000000001")
USAGE = {"input_tokens": 12, "output_tokens": 34}
MESSAGE = {**_message.of("On its way.", model="claude-haiku-5-5"), "id": "msg_claude", "usage": USAGE}
NOW = 1_000_000.0


def asked(text: str = "where is my order", user: str | None = "4711", **more: Any) -> Asked:
    body = {"model": "claude-haiku-5-5", "max_tokens": 9, "messages": [{"role": "user", "content": text}]}
    return Asked({**body, **more}, {} if user is None else {"user_id": user}, call_id=CALL_ID)


def memory() -> MemoryCache:
    return MemoryCache(clock=lambda: NOW)


def answer(cached: Cached, ask: Asked, now: float = NOW) -> Answered | None:
    sync, asynchronous = both(cached.steps, ask, now)
    assert sync == asynchronous
    found: Answered | None = sync
    return found


def test_an_answer_is_given_again_as_one_of_ours() -> None:
    cached = Cached(fresh="5m", cache=memory())
    assert both(cached.before, asked(), NOW) == [None, None]
    drive(remember([cached], asked(), MESSAGE, NOW))
    expected = Answered(
        "cache",
        body={
            **MESSAGE,
            "id": "msg_llmclient_01939e6a5c0070008000000000000001",
            "usage": dict.fromkeys(_message.NO_USAGE, 0),
        },
        age=299.0,
        similarity=1.0,
        saved=USAGE,
    )
    assert both(cached.before, asked(), NOW + 299) == [expected, expected]
    assert both(cached.before, asked(), NOW + 300) == [None, None]
    assert both(cached.before, asked("another question"), NOW) == [None, None]


def test_an_older_answer_is_for_when_claude_does_not_answer() -> None:
    cached = Cached(fresh="5m", max_stale="1d", cache=memory())
    drive(remember([cached], asked(), MESSAGE, NOW))
    assert both(cached.before, asked(), NOW + 3600) == [None, None]
    stale = answer(cached, asked(), NOW + 3600)
    assert stale is not None
    assert (stale.source, stale.age, stale.similarity) == ("stale_cache", 3600.0, 1.0)
    assert answer(cached, asked(), NOW + 86_399) is not None
    assert answer(cached, asked(), NOW + 86_400) is None


def test_an_older_answer_alone_is_never_given_before_claude_is_asked() -> None:
    cached = Cached(max_stale="1d", cache=memory())
    drive(remember([cached], asked(), MESSAGE, NOW))
    assert both(cached.before, asked(), NOW) == [None, None]
    assert answer(cached, asked()) is not None


@pytest.mark.parametrize("category", CATEGORIES)
def test_it_handles_what_is_nobodys_mistake(category: Category) -> None:
    assert Cached(max_stale="1d").handles(category) is (category in HANDLED)
    assert Cached(fresh="5m").handles(category) is False


def test_what_it_handles() -> None:
    never = {"invalid_request", "permission", "input_rejected", "request_too_large", "context_window", "not_found"}
    assert not HANDLED & {*never, "refusal", "truncated", "authentication", "cancelled", "output_filtered", "other"}
    assert {"overloaded", "spend_limit", "billing", "budget_exceeded", "circuit_open", "deadline_exceeded"} <= HANDLED


def test_one_users_answer_is_not_another_users() -> None:
    cache = memory()
    private, public = Cached(max_stale="1d", cache=cache), Cached(max_stale="1d", cache=cache, shared=True)
    drive(remember([private], asked(), MESSAGE, NOW))
    assert answer(private, asked(user="4712")) is None
    assert answer(public, asked()) is None
    drive(remember([public], asked(), MESSAGE, NOW))
    assert answer(public, asked(user="4712")) is not None
    assert answer(public, asked(user=None)) is not None


def test_without_a_user_nothing_is_kept_and_that_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    cache = memory()
    cached = Cached(fresh="5m", max_stale="1d", cache=cache)
    with caplog.at_level(logging.WARNING, "llmclient"):
        for _ in range(3):
            drive(remember([cached], asked(user=None), MESSAGE, NOW))
            assert drive(cached.before(asked(user=None), NOW)) is None
            assert answer(cached, asked(user=None)) is None
    assert len(cache) == 0
    assert [record.getMessage() for record in caplog.records] == [
        "a call without a user id is not cached: name one, or say Cached(shared=True)"
    ]


@pytest.mark.parametrize("stop_reason", ["refusal", "max_tokens", "tool_use"])
def test_what_is_no_whole_answer_is_not_kept(stop_reason: str) -> None:
    cache = memory()
    drive(remember([Cached(fresh="5m", cache=cache)], asked(), {**MESSAGE, "stop_reason": stop_reason}, NOW))
    assert len(cache) == 0


class Noted(MemoryCache):
    def __init__(self) -> None:
        super().__init__(clock=lambda: NOW)
        self.kept: list[float] = []

    def set(self, key: str, entry: Entry) -> None:
        self.kept.append(entry.keep)
        super().set(key, entry)


def test_elements_that_share_a_store_write_once_for_as_long_as_the_longest() -> None:
    one, other = Noted(), Noted()
    chain = [
        Cached(fresh="5m", cache=one),
        Cached(max_stale="1d", cache=one),
        Cached(max_stale="1h", cache=one),
        Cached(fresh="10m", cache=other),
        Cached(fresh="7m", cache=one, shared=True),
        "something else",
    ]
    drive(remember(chain, asked(), MESSAGE, NOW))
    assert (one.kept, other.kept) == ([86_400.0, 420.0], [600.0])


class Broken:
    blocking = True

    def get(self, key: str) -> Entry | None:
        raise ConnectionError("the store is away")

    def set(self, key: str, entry: Entry) -> None:
        raise ConnectionError("the store is away")


def test_a_store_that_fails_is_a_store_that_has_nothing(caplog: pytest.LogCaptureFixture) -> None:
    cached = Cached(fresh="5m", max_stale="1d", cache=Broken())
    with caplog.at_level(logging.WARNING, "llmclient"):
        assert both(cached.before, asked(), NOW) == [None, None]
        assert answer(cached, asked()) is None
        assert both(remember, [cached], asked(), MESSAGE, NOW) == [None, None]
    assert len(caplog.records) == 2


def test_an_answer_that_cannot_be_kept_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    cached = Cached(fresh="5m", cache=memory())
    with caplog.at_level(logging.WARNING, "llmclient"):
        drive(remember([cached], asked(), None, NOW))
        drive(remember([cached], asked(), {**MESSAGE, "usage": object()}, NOW))
        assert caplog.records == []
        drive(remember([cached], Asked(MESSAGE, 5), MESSAGE, NOW))  # type: ignore[arg-type]
    assert "keeping an answer failed" in caplog.text


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"type":"message","stop_reason":"end_turn","content":[]}'])
def test_an_entry_that_is_no_answer_is_not_given(body: bytes) -> None:
    cache = memory()
    cached = Cached(max_stale="1d", cache=cache)
    key = cached.key(asked())
    assert key is not None
    cache.set(key, Entry(body, "m", NOW, 86_400.0))
    assert answer(cached, asked()) is None


def test_a_clock_that_is_ahead_makes_nothing_older_than_new() -> None:
    cached = Cached(max_stale="1d", cache=memory())
    drive(remember([cached], asked(), MESSAGE, NOW + 50))
    found = answer(cached, asked())
    assert found is not None
    assert found.age == 0.0


# Nine words: seven runs. With the last word another one, six of eight are the same.
ONE, OTHER = "please tell me how I can return a parcel", "please tell me how I can return a box"


def test_a_similar_answer_is_given_where_it_was_asked_for_and_says_so() -> None:
    cached = Cached(fresh="1h", max_stale="1d", similar=0.75, cache=memory())
    drive(remember([cached], asked(ONE), MESSAGE, NOW))
    assert drive(cached.before(asked(OTHER), NOW)) is None
    found = answer(cached, asked(OTHER), NOW + 60)
    assert found is not None
    assert (found.source, found.similarity, found.age) == ("stale_cache", 0.75, 60.0)
    assert answer(cached, asked(OTHER, user="4712")) is None
    assert answer(cached, asked(OTHER + " 2")) is None
    assert answer(cached, asked(OTHER, system="Be rude.")) is None


def test_a_similar_answer_is_not_given_unasked_or_below_the_threshold() -> None:
    for similar in (None, 0.76):
        cached = Cached(max_stale="1d", similar=similar, cache=memory())
        drive(remember([cached], asked(ONE), MESSAGE, NOW))
        assert answer(cached, asked(OTHER)) is None


def test_a_similar_answer_the_store_has_dropped_is_forgotten_and_the_next_one_given() -> None:
    cache = memory()
    cached = Cached(max_stale="1d", similar=0.5, cache=cache)
    drive(remember([cached], asked(ONE), MESSAGE, NOW))
    drive(remember([cached], asked("please tell me how I can return a"), MESSAGE, NOW))
    cache._drop(list(cache._entries)[-1])  # of the more similar one
    found = answer(cached, asked(OTHER))
    assert found is not None
    assert found.similarity == 0.75
    assert len(cached._questions) == 1


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({}, "Cached: give fresh, max_stale or both"),
        ({"fresh": "soon"}, "Cached.fresh: 'soon' is no length of time"),
        ({"max_stale": 0}, "Cached.max_stale: 0 must be above 0"),
        ({"max_stale": "1d", "similar": 0.0}, "Cached.similar: 0.0 must be above 0 and at most 1"),
        ({"max_stale": "1d", "similar": 1.5}, "Cached.similar: 1.5 must be above 0 and at most 1"),
        ({"fresh": "5m", "similar": 0.9}, "a similar answer is for when Claude does not answer; give max_stale"),
    ],
)
def test_a_wrong_setting_is_told_when_it_is_made(wrong: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint.replace(".", r"\.")):
        Cached(**wrong)


def test_by_default_answers_are_kept_in_memory() -> None:
    assert Cached(fresh="5m").store is in_memory()
