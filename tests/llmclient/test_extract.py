"""Answers in a form: asked for, checked and repaired, with the real SDK against a fake Claude."""

import asyncio
import contextlib
import json
from collections.abc import Iterator
from typing import Any, Literal

import anthropic
import pydantic
import pytest
from anthropic import APIRequest

import llmclient
from llmclient import _context, _quality
from llmclient._call import Call
from llmclient._exceptions import InvalidOutput
from llmclient._extract import Extraction, aextract, extract
from llmclient._form import form_of
from llmclient._quality import Quality
from llmclient.testing import FakeAnthropic, fail, reply
from tests.llmclient.conftest import ASK, async_client_of, client_of

GOOD = '{"queue": "bug", "urgency": 2}'
BAD = '{"queue": "sales", "urgency": 9}'
COMPLAINTS = (
    "queue: Input should be 'billing', 'bug' or 'other'",
    "urgency: Input should be less than or equal to 5",
)
REPAIR = """That is not in the form asked for:
- queue: Input should be 'billing', 'bug' or 'other'
- urgency: Input should be less than or equal to 5
Answer once more, complete and with this corrected. Give the JSON alone, without any other text."""


class Ticket(pydantic.BaseModel):
    queue: Literal["billing", "bug", "other"]
    urgency: int = pydantic.Field(ge=1, le=5)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Call, Quality]]:
    """What is sent of the quality of calls."""
    found: list[tuple[Call, Quality]] = []
    monkeypatch.setattr(_quality, "_send", lambda call, quality: found.append((call, quality)))
    return found


def sent(fake: FakeAnthropic) -> list[dict[str, Any]]:
    return [dict(request.body or {}) for request in fake.requests]


def test_a_good_answer_is_asked_for_once(told: list[tuple[Call, Quality]]) -> None:
    with FakeAnthropic([reply(GOOD)]) as fake, llmclient.context() as calls:
        ticket = extract(client_of(fake), Ticket, **ASK)
    assert ticket == Ticket(queue="bug", urgency=2)
    assert sent(fake) == [
        {**ASK, "output_config": {"format": {"type": "json_schema", "schema": form_of(Ticket).schema}}}
    ]
    assert told == [(calls.last, Quality(valid=True, repairs=0))]


def test_a_bad_answer_is_sent_back_with_what_is_wrong(told: list[tuple[Call, Quality]]) -> None:
    with FakeAnthropic([reply(BAD), reply(GOOD)]) as fake, llmclient.context() as calls:
        ticket = extract(client_of(fake), Ticket, **ASK)
    assert ticket == Ticket(queue="bug", urgency=2)
    repair = [{"role": "assistant", "content": BAD}, {"role": "user", "content": REPAIR}]
    first, second = sent(fake)
    assert second == {**first, "messages": [*ASK["messages"], *repair]}
    assert len(calls.calls) == 2
    assert told == [(calls.last, Quality(valid=True, repairs=1))]


def test_async_clients_extract_the_same_way(told: list[tuple[Call, Quality]]) -> None:
    async def ask() -> Ticket:
        with FakeAnthropic([reply(BAD), reply(GOOD)]) as fake, llmclient.context() as calls:
            ticket = await aextract(async_client_of(fake), Ticket, **ASK)
            assert sent(fake)[1]["messages"][-1] == {"role": "user", "content": REPAIR}
            assert told == [(calls.last, Quality(valid=True, repairs=1))]
            return ticket

    assert asyncio.run(ask()) == Ticket(queue="bug", urgency=2)


def test_what_stays_bad_is_an_exception_that_tells_all(told: list[tuple[Call, Quality]]) -> None:
    still_bad = '{"queue": "sales", "urgency": 3}'
    with FakeAnthropic([reply(BAD), reply(still_bad)]) as fake, llmclient.context() as calls:
        with pytest.raises(InvalidOutput) as invalid:
            extract(client_of(fake), Ticket, **ASK)
        assert len(fake.requests) == 2
    assert str(invalid.value) == (
        "The answer does not have the form asked for, also after 1 repair: "
        "queue: Input should be 'billing', 'bug' or 'other'"
    )
    assert (invalid.value.partial, invalid.value.errors) == (still_bad, COMPLAINTS[:1])
    assert isinstance(invalid.value.__cause__, pydantic.ValidationError)
    assert invalid.value.call is calls.last
    assert llmclient.category(invalid.value) == "invalid_output"
    assert told == [(calls.last, Quality(valid=False, repairs=1))]


@pytest.mark.parametrize(("repairs", "requests"), [(0, 1), (1, 2), (3, 4)])
def test_repairs_are_as_many_as_were_said(repairs: int, requests: int) -> None:
    with FakeAnthropic([reply(BAD)] * 6) as fake, pytest.raises(InvalidOutput) as invalid:
        extract(client_of(fake), Ticket, repairs=repairs, **ASK)
    assert len(fake.requests) == requests
    assert invalid.value.errors == COMPLAINTS
    # Each repair is about the last answer: earlier ones are not kept in the conversation.
    assert [len(body["messages"]) for body in sent(fake)] == [1] + [3] * repairs


@pytest.mark.parametrize(
    ("answer", "said", "errors"),
    [
        (reply(GOOD, stop_reason="refusal", stop_category="cyber"), "Claude refused to answer", ("refusal: cyber",)),
        (reply(GOOD, stop_reason="max_tokens"), "The answer was cut off at max_tokens", ("max_tokens",)),
        (reply(GOOD, stop_reason="tool_use"), "The answer calls a tool instead of giving a result", ("tool_use",)),
    ],
)
def test_what_was_refused_or_cut_off_is_not_repaired(
    answer: Any, said: str, errors: tuple[str, ...], told: list[tuple[Call, Quality]]
) -> None:
    with FakeAnthropic([answer]) as fake, pytest.raises(InvalidOutput, match=f"^{said}$") as invalid:
        extract(client_of(fake), Ticket, **ASK)
    assert len(fake.requests) == 1
    assert (invalid.value.partial, invalid.value.errors) == (GOOD, errors)
    assert [quality for _, quality in told] == [Quality(valid=False, repairs=0)]


def test_an_empty_answer_is_not_sent_back() -> None:
    with FakeAnthropic([reply(""), reply(GOOD)]) as fake:
        assert extract(client_of(fake), Ticket, **ASK).queue == "bug"
    assert [message["role"] for message in sent(fake)[1]["messages"]] == ["user", "user"]


def test_a_repair_that_does_not_get_through_leaves_the_answer_bad(told: list[tuple[Call, Quality]]) -> None:
    with (
        FakeAnthropic([reply(BAD), fail(400)]) as fake,
        llmclient.context() as calls,
        pytest.raises(anthropic.BadRequestError),
    ):
        extract(client_of(fake), Ticket, **ASK)
    assert told == [(calls.calls[0], Quality(valid=False, repairs=0))]


def test_a_call_without_an_answer_has_no_quality(told: list[tuple[Call, Quality]]) -> None:
    with FakeAnthropic([fail(400)]) as fake, pytest.raises(anthropic.BadRequestError):
        extract(client_of(fake), Ticket, **ASK)
    assert told == []


def test_a_schema_gives_plain_data() -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer", "maximum": 5}}, "required": ["n"]}
    with FakeAnthropic([reply('{"n": 6}'), reply('{"n": 5}')]) as fake:
        assert extract(client_of(fake), schema, **ASK, output_config={"effort": "low"}) == {"n": 5}
    assert sent(fake)[1]["messages"][-1]["content"].splitlines()[1] == "- n: must be at most 5"
    assert sent(fake)[0]["output_config"]["effort"] == "low"
    assert sent(fake)[0]["output_config"]["format"]["schema"]["additionalProperties"] is False


def test_a_function_reads_what_has_no_schema() -> None:
    def first_word(text: str) -> str:
        word, _, rest = text.partition(" ")
        if rest:
            raise ValueError("one word, please")
        return word

    with FakeAnthropic([reply("two words"), reply("word")]) as fake:
        assert extract(client_of(fake), first_word, **ASK) == "word"
    first, second = sent(fake)
    assert first == ASK
    assert second["messages"][-1]["content"] == (
        "That is not in the form asked for:\n- ValueError: one word, please\n"
        "Answer once more, complete and with this corrected. Give the result alone, without any other text."
    )


def test_a_client_that_is_not_instrumented_will_do(told: list[tuple[Call, Quality]]) -> None:
    with FakeAnthropic([reply(BAD), reply(GOOD)]) as fake:
        llm = anthropic.Anthropic(api_key="x", base_url=fake.url)
        assert extract(llm, Ticket, **ASK).urgency == 2
    assert told == []


def test_messages_may_come_one_by_one_and_from_the_beta_endpoint() -> None:
    with FakeAnthropic([reply(BAD), reply(GOOD)]) as fake:
        asked = {**ASK, "messages": (message for message in ASK["messages"])}
        assert extract(client_of(fake).beta, Ticket, **asked).urgency == 2
    assert [len(body["messages"]) for body in sent(fake)] == [1, 3]


@pytest.mark.parametrize(
    "wrong", [{"stream": True}, {"output_format": Ticket}, {"output_config": {"format": {"x": 1}}}]
)
def test_what_extract_decides_itself_is_not_taken(wrong: dict[str, Any]) -> None:
    with FakeAnthropic() as fake, pytest.raises(TypeError, match=r"does not go with extract\(\)"):
        extract(client_of(fake), Ticket, **ASK, **wrong)
    assert len(fake.requests) == 0


def test_what_is_missing_the_sdk_says() -> None:
    with FakeAnthropic() as fake, pytest.raises(TypeError, match="messages"):
        extract(client_of(fake), Ticket, model="claude-haiku-5-5", max_tokens=9)
    with pytest.raises(ValueError, match="repairs: -1 must be at least 0"):
        extract(client_of(fake), Ticket, repairs=-1, **ASK)


def test_each_kind_of_client_has_its_function() -> None:
    with FakeAnthropic([reply(GOOD)]) as fake:
        with pytest.raises(TypeError, match=r"await aextract\(\) with this one"):
            extract(async_client_of(fake), Ticket, **ASK)
        with pytest.raises(TypeError, match=r"use extract\(\) with this one"):
            asyncio.run(aextract(client_of(fake), Ticket, **ASK))


def test_labels_hold_for_all_tries_and_the_callers_context_sees_them() -> None:
    with FakeAnthropic([reply(BAD), reply(GOOD)]) as fake, llmclient.context(prompt_type="triage") as calls:
        extract(client_of(fake), Ticket, **ASK)
        assert _context.current().labels == {"prompt_type": "triage"}
    assert [call.labels for call in calls.calls] == [{"prompt_type": "triage"}] * 2


class Together(anthropic.Middleware):
    """A middleware that holds several calls together, as the engine's does."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def handle(self, request: APIRequest, call_next: Any) -> Any:
        self.seen.append("call")
        return call_next(request)

    @contextlib.contextmanager
    def together(self, timeout: Any) -> Iterator[None]:
        self.seen.append(("begin", timeout))
        yield
        self.seen.append("end")


def test_all_tries_are_held_together_by_the_middleware() -> None:
    middleware = Together()
    with FakeAnthropic([reply(BAD), reply(GOOD)]) as fake:
        llm = anthropic.Anthropic(api_key="x", base_url=fake.url, middleware=[middleware])
        extract(llm, Ticket, **ASK, timeout=9.0)
    assert middleware.seen == [("begin", 9.0), "call", "call", "end"]


def test_the_core_asks_nobody_anything() -> None:
    def answer(text: str, stop_reason: str = "end_turn") -> anthropic.types.Message:
        return anthropic.types.Message.construct(
            content=[anthropic.types.TextBlock(type="text", text=text)], stop_reason=stop_reason, stop_details=None
        )

    extraction = Extraction(form_of(json.loads), ASK, 2)
    assert extraction.request == ASK
    assert extraction.take(answer("{")) is False
    assert (extraction.repairs, extraction.quality) == (1, Quality(valid=False, repairs=0))
    assert extraction.take(answer("[1]")) is True
    assert (extraction.value, extraction.quality) == ([1], Quality(valid=True, repairs=1))
    with pytest.raises(InvalidOutput, match="end of the context window"):
        extraction.take(answer("[1", "model_context_window_exceeded"))
