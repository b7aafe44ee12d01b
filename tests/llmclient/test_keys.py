"""Which API key is used, and what becomes of one that is refused."""

import logging
import threading
import time
from typing import Any

import anthropic
import anyio
import pytest
from anthropic import APIRequest

from llmclient._keys import PAUSE, REST, Key, Keys
from llmclient.testing import FakeAnthropic, Request, fail, reply
from llmclient.testing._answers import Answer
from tests.llmclient.conftest import ASK
from tests.llmclient.driving import both, drive, drive_async

ONE, TWO, THREE = Key("key-1", "sk-one"), Key("key-2", "sk-two"), Key("key-3", "sk-three")


def test_the_first_key_is_used_and_keys_are_told_apart_by_aliases() -> None:
    assert Keys("sk-one", "sk-two").current(0.0) == ONE
    assert Keys({"primary": "sk-one", "spare": "sk-two"}).current(0.0) == Key("primary", "sk-one")
    assert both(Keys("sk-one").first, 0.0) == [ONE, ONE]


def test_nothing_that_is_printed_holds_a_key() -> None:
    keys = Keys("sk-one", "sk-two")
    assert repr(keys) == "Keys(key-1, key-2)"
    assert repr(ONE) == str(ONE) == "Key(alias='key-1')"
    assert repr(Keys(lambda: "sk-one")) == "Keys(from a vault)"
    assert ONE.headers == {"Authorization": "Bearer sk-one"}


def test_a_refused_key_rests_for_five_minutes() -> None:
    keys = Keys("sk-one", "sk-two")
    assert keys.rejected(ONE, 100.0) == TWO
    assert keys.current(100.0) == keys.current(100.0 + REST - 0.1) == TWO
    assert keys.current(100.0 + REST) == ONE
    assert keys.rejected(ONE, 100.0 + REST) == TWO


def test_a_call_tries_each_key_once() -> None:
    keys = Keys("sk-one", "sk-two", "sk-three")
    assert keys.rejected(ONE, 0.0) == TWO
    assert keys.rejected(TWO, 1.0, [ONE]) == THREE
    assert keys.rejected(THREE, 2.0, [ONE, TWO]) is None
    # Long calls: the first one has rested, and was tried by this call all the same.
    assert keys.rejected(THREE, REST + 5, [ONE, TWO]) is None


def test_when_all_rest_the_one_that_rests_longest_is_used() -> None:
    keys = Keys("sk-one", "sk-two")
    keys.rejected(TWO, 0.0)
    keys.rejected(ONE, 10.0)
    assert keys.current(20.0) == TWO
    assert keys.rejected(TWO, 20.0) is None
    assert keys.current(21.0) == ONE


def test_a_call_that_began_before_goes_on_with_the_other_key() -> None:
    keys = Keys("sk-one", "sk-two")
    assert keys.rejected(ONE, 0.0) == TWO
    assert keys.rejected(ONE, 1.0) == TWO


@pytest.mark.parametrize("given", [(), ("",), ("sk-one", " "), ([],), ({},), ({"primary": ""},), ("sk\none",), (5,)])
def test_what_is_no_key_is_told_without_showing_it(given: Any) -> None:
    with pytest.raises((ValueError, TypeError)) as told:
        Keys(*given)
    assert "sk" not in str(told.value)


def test_a_key_given_twice_is_told_without_showing_it() -> None:
    with pytest.raises(ValueError, match=r"^Keys: one key is given twice$"):
        Keys({"a": "sk-one", "b": "sk-one"})


class Vault:
    """Gives what it is told to, one after the other, the last for ever."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked = 0

    def __call__(self) -> Any:
        self.asked += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


class AsyncVault(Vault):
    async def __call__(self) -> Any:
        await anyio.sleep(0.01)
        return super().__call__()


def run(steps: Any) -> Any:
    return anyio.run(drive_async, steps)


@pytest.mark.parametrize("kind", [Vault, AsyncVault])
def test_a_vault_is_asked_at_the_first_call_and_when_its_key_is_refused(kind: type[Vault]) -> None:
    vault = kind("sk-one", "sk-two")
    keys = Keys(vault)
    assert keys.needs_async is (kind is AsyncVault)
    assert keys.current(0.0) is None
    assert [run(keys.first(0.0)), run(keys.first(1.0))] == [ONE, ONE]
    assert vault.asked == 1
    assert run(keys.next(ONE, 50.0)) == TWO
    assert (vault.asked, keys.current(51.0)) == (2, TWO)
    # Somebody whose call began with the old key.
    assert run(keys.next(ONE, 52.0)) == TWO
    assert vault.asked == 2


def test_a_vault_that_has_nothing_new_is_left_alone_for_a_while() -> None:
    vault = Vault("sk-one")
    keys = Keys(vault)
    drive(keys.first(0.0))
    assert drive(keys.next(ONE, PAUSE - 1)) is None
    assert vault.asked == 1
    assert drive(keys.next(ONE, PAUSE)) is None
    assert vault.asked == 2
    assert drive(keys.next(ONE, PAUSE + 1)) is None
    assert vault.asked == 2
    assert keys.current(PAUSE + 2) == ONE


def test_a_vault_may_give_several_keys_or_named_ones() -> None:
    several = Keys(Vault(["sk-one", "sk-two"], ["sk-two", "sk-three"]))
    assert drive(several.first(0.0)) == ONE
    assert drive(several.next(ONE, 20.0)) == TWO
    assert drive(several.next(TWO, 21.0, [ONE])) == THREE
    assert repr(several) == "Keys(key-2, key-3)"
    assert drive(Keys(Vault({"today": "sk-one"})).first(0.0)) == Key("today", "sk-one")


def test_what_the_vault_raises_at_the_start_is_the_callers() -> None:
    with pytest.raises(PermissionError):
        drive(Keys(Vault(PermissionError("sealed"))).first(0.0))


def test_a_vault_that_fails_later_leaves_the_401_and_tells_no_secret(caplog: pytest.LogCaptureFixture) -> None:
    keys = Keys(Vault("sk-one", RuntimeError("could not send sk-one"), ["sk-one", "sk-one"], "sk-two"))
    drive(keys.first(0.0))
    with caplog.at_level(logging.WARNING, "llmclient"):
        assert drive(keys.next(ONE, 20.0)) is None
        assert drive(keys.next(ONE, 40.0)) is None
    assert caplog.messages == ["asking the vault for another API key failed: RuntimeError"]
    assert drive(keys.next(ONE, 60.0)) == TWO


def test_threads_ask_the_vault_once() -> None:
    vault = Vault("sk-one")
    slow = threading.Event()

    def answer() -> Any:
        slow.wait(0.05)
        return vault()

    keys = Keys(answer)
    found: list[Key] = []
    threads = [threading.Thread(target=lambda: found.append(drive(keys.first(0.0)))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (found, vault.asked) == ([ONE] * 8, 1)


@pytest.mark.parametrize("kind", [Vault, AsyncVault])
def test_tasks_ask_the_vault_once(kind: type[Vault]) -> None:
    vault = kind("sk-one")
    keys = Keys(vault)
    found: list[Key] = []

    async def ask() -> None:
        found.append(await drive_async(keys.first(0.0)))

    async def ask_all() -> None:
        async with anyio.create_task_group() as group:
            for _ in range(8):
                group.start_soon(ask)

    anyio.run(ask_all)
    assert (found, vault.asked) == ([ONE] * 8, 1)


def test_another_event_loop_has_a_turn_of_its_own() -> None:
    keys = Keys(AsyncVault("sk-one", "sk-two", "sk-three"))
    assert run(keys.first(0.0)) == ONE
    assert run(keys.next(ONE, 20.0)) == TWO
    assert run(keys.next(TWO, 40.0)) == THREE


def test_a_leader_that_is_cancelled_leaves_its_turn_to_the_next() -> None:
    keys = Keys(AsyncVault("sk-one"))
    found: list[Key] = []

    async def give_up() -> None:
        with anyio.move_on_after(0.002):
            await drive_async(keys.first(0.0))

    async def ask() -> None:
        await anyio.sleep(0.001)
        found.append(await drive_async(keys.first(0.0)))

    async def ask_both() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(give_up)
            group.start_soon(ask)

    anyio.run(ask_both)
    assert found == [ONE]


class Rotating(anthropic.Middleware):
    """As the engine does: the pool's key on each attempt, the next one after a 401."""

    def __init__(self, keys: Keys) -> None:
        self.keys = keys

    def handle(self, request: APIRequest, call_next: Any) -> Any:
        key: Key | None = drive(self.keys.first(time.monotonic()))
        tried: list[Key] = []
        while True:
            assert key is not None
            result = call_next(request.copy(headers={**request.headers, **key.headers}))
            tried.append(key)
            if result.status_code != 401:
                return result
            key = drive(self.keys.next(key, time.monotonic(), tried))
            if key is None:
                return result


def refusing(*refused: str) -> Any:
    def script(request: Request) -> Answer:
        return fail(401) if request.headers["authorization"].removeprefix("Bearer ") in refused else reply("ok")

    return script


def test_the_sdk_sends_the_key_of_the_pool_and_goes_on_with_the_next() -> None:
    with FakeAnthropic(refusing("sk-one", "sk-two")) as fake:
        options: dict[str, Any] = {"api_key": "sk-own", "base_url": fake.url, "max_retries": 0}
        llm = anthropic.Anthropic(**options, middleware=[Rotating(Keys("sk-one", "sk-two", "sk-three"))])
        llm.messages.create(**ASK)
        llm.messages.create(**ASK)
        sent = [request.headers["authorization"] for request in fake.requests]
        assert sent == ["Bearer sk-one", "Bearer sk-two", "Bearer sk-three", "Bearer sk-three"]
        assert all("x-api-key" not in request.headers for request in fake.requests)


def test_when_no_key_is_left_the_401_is_the_callers() -> None:
    with FakeAnthropic(refusing("sk-one", "sk-two")) as fake:
        options: dict[str, Any] = {"api_key": "sk-own", "base_url": fake.url, "max_retries": 0}
        llm = anthropic.Anthropic(**options, middleware=[Rotating(Keys("sk-one", "sk-two"))])
        with pytest.raises(anthropic.AuthenticationError):
            llm.messages.create(**ASK)
        assert len(fake.requests) == 2
        with pytest.raises(anthropic.AuthenticationError):
            llm.messages.create(**ASK)
        assert len(fake.requests) == 3
