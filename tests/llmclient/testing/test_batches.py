"""Message batches of the fake, through the real SDK; its own time is moved on by hand."""

from collections import Counter
from datetime import timedelta

import anthropic
import httpx2
import pytest
from anthropic.types.messages import MessageBatch

from llmclient.testing import Answer, Failure, FakeAnthropic, Limits, Request, broken, expired, fail, reply, slow
from llmclient.testing._batches import read_requests
from tests.llmclient.testing.asking import HELLO, MODEL, ask, sdk
from tests.llmclient.testing.conftest import Serve

PARAMS = {"model": MODEL, "max_tokens": 50, "messages": HELLO}


def submit(client: anthropic.Anthropic, *ids: str, **more: object) -> MessageBatch:
    requests = [{"custom_id": name, "params": {**PARAMS, **more}} for name in ids]
    return client.messages.batches.create(requests=requests)  # type: ignore[arg-type]


def results(client: anthropic.Anthropic, batch: MessageBatch) -> dict[str, str]:
    return {line.custom_id: line.result.type for line in client.messages.batches.results(batch.id)}


def by_id(answers: dict[str, Answer]) -> FakeAnthropic:
    return FakeAnthropic(lambda request: answers.get(request.custom_id or ""))


def test_a_batch_is_worked_on_for_a_minute_of_the_fakes_time(serve: Serve) -> None:
    fake = serve()
    with sdk(fake) as client:
        batch = submit(client, "a", "b", "c")
        assert batch.processing_status == "in_progress"
        assert (batch.request_counts.processing, batch.request_counts.succeeded) == (3, 0)
        assert (batch.results_url, batch.ended_at) == (None, None)
        assert batch.expires_at - batch.created_at == timedelta(days=1)
        fake.advance(60)
        ended = client.messages.batches.retrieve(batch.id)
    assert ended.processing_status == "ended"
    assert (ended.request_counts.processing, ended.request_counts.succeeded) == (0, 3)
    assert ended.ended_at is not None
    assert ended.ended_at - ended.created_at == timedelta(seconds=60)


def test_each_request_has_its_own_fate_and_the_file_has_no_order() -> None:
    answers: dict[str, Answer] = {
        "said": reply("good day", input_tokens=7, output_tokens=3),
        "wrong": fail(400, message="no"),
        "late": expired(),
        "lost": broken("reset"),
    }
    with by_id(answers) as fake, sdk(fake) as client:
        batch = submit(client, *answers)
        fake.advance(86_400)
        lines = {line.custom_id: line.result for line in client.messages.batches.results(batch.id)}
        counts = client.messages.batches.retrieve(batch.id).request_counts
    assert list(lines) != list(answers)
    assert {name: line.type for name, line in lines.items()} == {
        "said": "succeeded",
        "wrong": "errored",
        "late": "expired",
        "lost": "errored",
    }
    said, wrong = lines["said"], lines["wrong"]
    assert said.type == "succeeded"
    assert said.message.content[0].type == "text"
    assert said.message.content[0].text == "good day"
    assert (said.message.usage.input_tokens, said.message.usage.output_tokens) == (7, 3)
    assert said.message.usage.service_tier == "batch"
    assert wrong.type == "errored"
    assert (wrong.error.error.type, wrong.error.error.message) == ("invalid_request_error", "no")
    assert (counts.succeeded, counts.errored, counts.expired, counts.canceled) == (1, 2, 1, 0)


def test_an_answer_with_a_time_of_its_own_takes_that_long() -> None:
    with by_id({"slow": slow(3_600)}) as fake, sdk(fake) as client:
        batch = submit(client, "slow", "quick")
        fake.advance(3_599)
        assert client.messages.batches.retrieve(batch.id).processing_status == "in_progress"
        fake.advance(1)
        assert client.messages.batches.retrieve(batch.id).processing_status == "ended"


def test_what_is_not_done_when_a_batch_is_cancelled_never_will_be() -> None:
    with by_id({"slow": slow(3_600)}) as fake, sdk(fake) as client:
        batch = submit(client, "slow", "quick")
        fake.advance(100)
        cancelling = client.messages.batches.cancel(batch.id)
        assert cancelling.processing_status == "canceling"
        assert cancelling.cancel_initiated_at is not None
        fake.advance(1)
        assert results(client, batch) == {"slow": "canceled", "quick": "succeeded"}
        with pytest.raises(anthropic.BadRequestError, match="has ended"):
            client.messages.batches.cancel(batch.id)


def test_batches_are_listed_newest_first_and_page_by_page(serve: Serve) -> None:
    with sdk(serve()) as client:
        made = [submit(client, "a").id for _ in range(3)]
        assert [batch.id for batch in client.messages.batches.list(limit=2)] == made[::-1]
        assert client.messages.batches.list(limit=2).has_more


def test_only_what_has_ended_is_deleted(serve: Serve) -> None:
    fake = serve()
    with sdk(fake) as client:
        batch = submit(client, "a")
        with pytest.raises(anthropic.BadRequestError, match="cancel it first"):
            client.messages.batches.delete(batch.id)
        fake.advance(60)
        assert client.messages.batches.delete(batch.id).type == "message_batch_deleted"
        with pytest.raises(anthropic.NotFoundError):
            client.messages.batches.retrieve(batch.id)


def test_results_are_there_only_when_a_batch_has_ended(serve: Serve) -> None:
    fake = serve()
    with sdk(fake) as client:
        batch = submit(client, "a")
        answer = httpx2.get(f"{fake.url}/v1/messages/batches/{batch.id}/results", headers={"x-api-key": "k"})
        assert answer.status_code == 404
        with pytest.raises(anthropic.AnthropicError, match="Has it finished processing"):
            client.messages.batches.results(batch.id)


def test_a_wrong_request_fails_alone(serve: Serve) -> None:
    fake = serve()
    with sdk(fake) as client:
        requests = [
            {"custom_id": "good", "params": PARAMS},
            {"custom_id": "hot", "params": {**PARAMS, "temperature": 1}},
            {"custom_id": "streamed", "params": {**PARAMS, "stream": True}},
            {"custom_id": "empty", "params": None},
            {"custom_id": "old", "params": {**PARAMS, "model": "gpt"}},
        ]
        batch = client.messages.batches.create(requests=requests)  # type: ignore[arg-type]
        fake.advance(60)
        lines = {line.custom_id: line.result for line in client.messages.batches.results(batch.id)}
    errors = {name: line.error.error.message for name, line in lines.items() if line.type == "errored"}
    assert lines["good"].type == "succeeded"
    assert errors == {
        "hot": "temperature: Extra inputs are not permitted",
        "streamed": "stream: not possible in a batch",
        "empty": "The request body is not valid JSON",
        "old": "model: gpt",
    }


@pytest.mark.parametrize(
    ("ids", "message"),
    [([], "requests: Field required"), (["a", "a"], r"requests\.1\.custom_id: a is there twice"), (["ä"], "match")],
)
def test_a_batch_nobody_can_read_back_is_refused(serve: Serve, ids: list[str], message: str) -> None:
    with sdk(serve()) as client, pytest.raises(anthropic.BadRequestError, match=message):
        submit(client, *ids)


def test_a_batch_has_at_most_a_hundred_thousand_requests() -> None:
    answer = read_requests({"requests": [{"custom_id": str(number)} for number in range(100_001)]})
    assert isinstance(answer, Failure)
    assert (answer.status, answer.type) == (413, "request_too_large")


def test_requests_about_batches_have_a_limit_of_their_own(serve: Serve) -> None:
    fake = serve(limits=Limits(batch_requests=2), speed=0.001)
    with sdk(fake) as client:
        batch = submit(client, "a")
        client.messages.batches.retrieve(batch.id)
        with pytest.raises(anthropic.RateLimitError) as raised:
            client.messages.batches.retrieve(batch.id)
    assert raised.value.response.headers["retry-after"] == "30000"
    ask(fake)


def test_only_so_many_requests_are_in_processing_at_a_time(serve: Serve) -> None:
    fake = serve(limits=Limits(batch_queue=3))
    with sdk(fake) as client:
        submit(client, "a", "b")
        with pytest.raises(anthropic.RateLimitError, match="in processing"):
            submit(client, "c", "d")
        submit(client, "c")
        fake.advance(60)
        submit(client, "c", "d", "e")


def test_a_list_of_answers_is_used_for_messages_and_batches_alike(serve: Serve) -> None:
    fake = serve(reply("one"), fail(500), reply("three"))
    with sdk(fake) as client:
        batch = submit(client, "a", "b")
        fake.advance(60)
        assert Counter(results(client, batch).values()) == {"succeeded": 1, "errored": 1}
        assert ask(fake).content[0].to_dict()["text"] == "three"


def test_a_callable_script_sees_each_request_of_a_batch() -> None:
    seen: list[Request] = []

    def script(request: Request) -> None:
        seen.append(request)

    with FakeAnthropic(script) as fake, sdk(fake) as client:
        submit(client, "a", "b")
    assert [(request.custom_id, request.path, request.model) for request in seen] == [
        ("a", "/v1/messages", MODEL),
        ("b", "/v1/messages", MODEL),
    ]
    assert [request.path for request in fake.requests] == ["/v1/messages/batches"]


def test_the_same_seed_answers_a_batch_the_same(serve: Serve) -> None:
    texts = []
    for seed in (1, 1, 2):
        fake = serve(seed=seed)
        with sdk(fake) as client:
            batch = submit(client, "a", "b")
            fake.advance(60)
            lines = {line.custom_id: line.result for line in client.messages.batches.results(batch.id)}
        texts.append(
            [line.message.content[0].to_dict() for _, line in sorted(lines.items()) if line.type == "succeeded"]
        )
    assert texts[0] == texts[1] != texts[2]
    assert texts[0][0] != texts[0][1]
