"""The fake Claude API, seen by the real SDK over a real socket."""

import json
import subprocess
import sys

import anthropic
import httpx2
import pytest

from llmclient.testing import (
    Answer,
    FakeAnthropic,
    Limits,
    Plan,
    Request,
    broken,
    fail,
    hang_up,
    own_spend_limit,
    reply,
    slow,
    spend_limit,
    stalled,
)
from tests.llmclient.testing.asking import MODEL, ask, read, sdk
from tests.llmclient.testing.conftest import Serve

# --- answers in good order


def test_a_scripted_reply_arrives_as_the_sdks_message(serve: Serve) -> None:
    message = ask(serve(reply("good day", input_tokens=7, output_tokens=3)))
    assert message.content[0].type == "text"
    assert message.content[0].text == "good day"
    assert (message.usage.input_tokens, message.usage.output_tokens) == (7, 3)
    assert message.usage.service_tier == "standard"
    assert message.stop_reason == "end_turn"
    assert message.model == MODEL
    assert message._request_id is not None


def test_usage_given_is_laid_over_the_usage_object(serve: Serve) -> None:
    usage = {"cache_read_input_tokens": 900, "cache_creation_input_tokens": 50, "novel_tokens": 4}
    message = ask(serve(reply(input_tokens=10, output_tokens=2, usage=usage)))
    assert message.usage.cache_read_input_tokens == 900
    assert message.usage.cache_creation_input_tokens == 50
    assert message.usage.to_dict()["novel_tokens"] == 4


def test_speed_and_geography_are_those_asked_for(serve: Serve) -> None:
    usage = ask(serve(), extra_body={"speed": "fast", "inference_geo": "us"}).usage
    assert (usage.speed, usage.inference_geo) == ("fast", "us")


def test_the_header_dictates_exact_tokens(serve: Serve) -> None:
    message = ask(serve(), extra_headers={"x-fake-usage": "374,44"})
    assert (message.usage.input_tokens, message.usage.output_tokens) == (374, 44)


def test_a_plan_meets_its_failures_in_order_and_then_its_reply(serve: Serve) -> None:
    fake = serve()
    plan = Plan("row7", {"text": "at last", "input_tokens": 5, "output_tokens": 6}, ({"status": 529}, {"status": 500}))
    with pytest.raises(anthropic.APIStatusError) as first:
        ask(fake, extra_headers={"x-fake-plan": plan.header()})
    assert first.value.status_code == 529
    with pytest.raises(anthropic.InternalServerError):
        ask(fake, extra_headers={"x-fake-plan": plan.header()})
    message = ask(fake, extra_headers={"x-fake-plan": plan.header()})
    assert (message.usage.input_tokens, message.usage.output_tokens) == (5, 6)
    assert message._request_id == "req_row7_3"


def test_an_unreadable_plan_is_a_400_that_names_the_header(serve: Serve) -> None:
    with pytest.raises(anthropic.BadRequestError, match="x-fake header is not understood"):
        ask(serve(), extra_headers={"x-fake-plan": "{"})


def test_without_a_script_the_same_seed_gives_the_same_answers(serve: Serve) -> None:
    one, two, other = (serve(seed=seed) for seed in (4, 4, 5))
    answers = [[ask(fake).content[0].to_dict() for _ in range(3)] for fake in (one, two, other)]
    assert answers[0] == answers[1]
    assert answers[0] != answers[2]


def test_a_callable_script_decides_per_request() -> None:
    def script(request: Request) -> Answer | None:
        return fail(529) if request.number == 2 else None

    with FakeAnthropic(script) as fake:
        ask(fake)
        with pytest.raises(anthropic.APIStatusError, match="Overloaded"):
            ask(fake)
        ask(fake)
        assert [request.path for request in fake.requests] == ["/v1/messages"] * 3


def test_a_stream_has_its_events_in_the_documented_order(serve: Serve) -> None:
    events = read(serve(reply("one two three", deltas=2, pings=2, output_tokens=9, usage_updates=3)))
    # The SDK swallows pings.
    assert [event.type for event in events] == [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_delta",
        "message_delta",
        "message_stop",
    ]
    assert events[0].type == "message_start"
    assert (events[0].message.usage.output_tokens, events[0].message.stop_reason) == (1, None)
    assert [event.usage.output_tokens for event in events if event.type == "message_delta"] == [3, 6, 9]


def test_the_bytes_of_a_stream_carry_pings_and_no_tier_in_the_last_usage(serve: Serve) -> None:
    fake = serve(reply("x", pings=2))
    body = {"model": MODEL, "max_tokens": 9, "stream": True, "messages": [{"role": "user", "content": "hi"}]}
    answer = httpx2.post(f"{fake.url}/v1/messages", json=body, headers={"x-api-key": "k"})
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert answer.text.count('event: ping\ndata: {"type":"ping"}\n\n') == 2
    last = json.loads(answer.text.split("event: message_delta\ndata: ")[1].split("\n")[0])
    assert set(last["usage"]) == {
        "input_tokens",
        "cache_creation_input_tokens",
        "cache_read_input_tokens",
        "output_tokens",
    }


def test_thinking_comes_before_the_text(serve: Serve) -> None:
    with (
        sdk(serve(reply("forty-two", thinking="let me see, six times seven"))) as client,
        client.messages.stream(model=MODEL, max_tokens=9, messages=[{"role": "user", "content": "?"}]) as stream,
    ):
        message = stream.get_final_message()
    assert [block.type for block in message.content] == ["thinking", "text"]
    assert message.content[0].type == "thinking"
    assert message.content[0].thinking == "let me see, six times seven"
    assert message.content[0].signature == "c2lnbmVk"
    assert message.usage.output_tokens_details is not None


def test_a_refusal_is_an_answer_of_status_200(serve: Serve) -> None:
    message = ask(serve(reply("", stop_reason="refusal", stop_category="cyber")))
    assert message.stop_reason == "refusal"
    assert message.stop_details is not None
    assert message.stop_details.category == "cyber"


def test_count_tokens_and_models_are_served(serve: Serve) -> None:
    with sdk(serve()) as client:
        counted = client.messages.count_tokens(model=MODEL, messages=[{"role": "user", "content": "x" * 350}])
        assert counted.input_tokens == 110  # 350 letters and 35 of JSON around them, 3.5 to a token
        assert [model.id for model in client.models.list()] == [
            "claude-opus-5-5",
            "claude-sonnet-5-5",
            "claude-haiku-5-5",
        ]
        assert client.models.retrieve("claude-haiku-5-5").lifecycle == "active"
        with pytest.raises(anthropic.NotFoundError):
            client.models.retrieve("claude-2")


def test_time_to_first_token_and_duration_are_kept_and_scaled_by_speed(serve: Serve) -> None:
    fake = serve(reply("a b c d", ttft=2.0, duration=6.0), speed=100)
    start = fake.clock()
    with sdk(fake) as client:
        stream = client.messages.create(
            model=MODEL, max_tokens=9, messages=[{"role": "user", "content": "?"}], stream=True
        )
        times = [fake.clock() - start for event in stream if event.type in ("content_block_delta", "message_stop")]
    assert len(times) == 5
    assert times[0] >= 2.0
    assert times[-1] >= 6.0


# --- errors


@pytest.mark.parametrize(
    ("status", "error", "kind"),
    [
        (400, anthropic.BadRequestError, "invalid_request_error"),
        (401, anthropic.AuthenticationError, "authentication_error"),
        (403, anthropic.PermissionDeniedError, "permission_error"),
        (404, anthropic.NotFoundError, "not_found_error"),
        (429, anthropic.RateLimitError, "rate_limit_error"),
        (500, anthropic.InternalServerError, "api_error"),
        (504, anthropic.InternalServerError, "timeout_error"),
        (529, anthropic.InternalServerError, "overloaded_error"),
    ],
)
def test_a_failure_reaches_the_caller_as_the_sdks_error(
    serve: Serve, status: int, error: type[anthropic.APIStatusError], kind: str
) -> None:
    with pytest.raises(error) as raised:
        ask(serve(fail(status)))
    assert raised.value.status_code == status
    assert raised.value.type == kind
    assert raised.value.request_id is not None


def test_a_429_says_when_to_come_back(serve: Serve) -> None:
    with pytest.raises(anthropic.RateLimitError) as raised:
        ask(serve(fail(429, retry_after=1)))
    assert raised.value.response.headers["retry-after"] == "1"
    assert raised.value.response.headers["retry-after-ms"] == "1000"


def test_the_organisations_spend_limit_is_a_429_without_retry_after(serve: Serve) -> None:
    with pytest.raises(anthropic.RateLimitError) as raised:
        ask(serve(spend_limit()))
    assert raised.value.error_code == "enforced_spend_limit_reached"
    assert "retry-after" not in raised.value.response.headers


def test_the_customers_own_spend_limit_is_a_400_known_by_its_text(serve: Serve) -> None:
    with pytest.raises(anthropic.BadRequestError, match="You have reached your specified API usage limits"):
        ask(serve(own_spend_limit()))


def test_the_sdk_retries_a_burst_of_overload_to_success(serve: Serve) -> None:
    wait = {"retry-after-ms": "1"}
    fake = serve(fail(529, headers=wait), fail(529, headers=wait), reply("ok"))
    assert ask(fake, retries=2).stop_reason == "end_turn"
    assert [request.headers["x-stainless-retry-count"] for request in fake.requests] == ["0", "1", "2"]


def test_a_slow_answer_runs_into_the_timeout(serve: Serve) -> None:
    with pytest.raises(anthropic.APITimeoutError):
        ask(serve(slow(30.0)), timeout=0.2)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"messages": [], "max_tokens": 1}, "model: Field required"),
        ({"model": MODEL, "max_tokens": 1}, "messages: Field required"),
        ({"model": MODEL, "messages": []}, "max_tokens: Field required"),
        ({"model": MODEL, "messages": [], "max_tokens": 1, "temperature": 1.0}, "temperature: Extra inputs"),
    ],
)
def test_an_invalid_request_is_a_400_that_names_the_field(serve: Serve, body: dict[str, object], field: str) -> None:
    answer = httpx2.post(f"{serve().url}/v1/messages", json=body, headers={"x-api-key": "k"})
    assert answer.status_code == 400
    assert field in answer.json()["error"]["message"]


def test_what_is_not_json_is_a_400_and_what_is_not_there_a_404(serve: Serve) -> None:
    url = serve().url
    key = {"x-api-key": "k"}
    assert httpx2.post(f"{url}/v1/messages", content=b"{", headers=key).status_code == 400
    assert httpx2.post(f"{url}/v1/complete", json={}, headers=key).status_code == 404
    assert httpx2.get(f"{url}/v1/messages", headers=key).status_code == 404


@pytest.mark.parametrize(
    ("headers", "status"),
    [({"authorization": "Bearer k"}, 200), ({"x-api-key": "k"}, 200), ({}, 401), ({"authorization": "Bearer"}, 401)],
)
def test_both_ways_to_send_a_key_are_accepted(serve: Serve, headers: dict[str, str], status: int) -> None:
    assert httpx2.get(f"{serve().url}/v1/models", headers=headers).status_code == status


# --- answers that break off


def test_an_error_event_in_a_stream_is_a_status_error_with_status_200(serve: Serve) -> None:
    with pytest.raises(anthropic.APIStatusError) as raised:
        read(serve(broken("error", after=2)))
    assert raised.value.status_code == 200
    assert raised.value.type == "overloaded_error"


def test_a_stream_that_just_ends_raises_nothing_and_has_no_message_stop(serve: Serve) -> None:
    events = read(serve(broken("eof", after=2)))
    assert [event.type for event in events] == [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_delta",
    ]


def test_a_reset_in_a_stream_is_a_raw_transport_error(serve: Serve) -> None:
    with pytest.raises(httpx2.TransportError):
        read(serve(broken("reset", after=1)))


def test_a_stalled_stream_sends_pings_that_keep_the_read_timeout_from_ever_coming(serve: Serve) -> None:
    events = read(serve(stalled(3.0, after=1), speed=5), timeout=0.4)
    assert [event.type for event in events][-1] == "content_block_delta"


def test_a_malformed_event_cannot_be_decoded(serve: Serve) -> None:
    with pytest.raises(ValueError, match="Expecting value"):
        read(serve(broken("malformed", after=1)))


@pytest.mark.parametrize("how", ["reset", "eof"])
def test_a_plain_answer_that_breaks_off_is_a_connection_error(serve: Serve, how: str) -> None:
    with pytest.raises((anthropic.APIConnectionError, httpx2.TransportError)):
        ask(serve(broken(how)))


def test_a_plain_answer_that_is_not_json_is_told(serve: Serve) -> None:
    with pytest.raises((anthropic.APIResponseValidationError, ValueError)):
        ask(serve(broken("malformed")))


@pytest.mark.parametrize("stream", [False, True])
def test_a_hang_up_comes_before_any_answer_and_is_retried_by_the_sdk(serve: Serve, stream: bool) -> None:
    fake = serve(hang_up(), reply("second try"))
    with sdk(fake, retries=1) as client:
        client.messages.create(model=MODEL, max_tokens=9, messages=[{"role": "user", "content": "?"}], stream=stream)
    assert len(fake.requests) == 2
    with pytest.raises(anthropic.APIConnectionError):
        ask(serve(hang_up()))


def test_the_fake_goes_on_after_every_kind_of_break(serve: Serve) -> None:
    fake = serve(*(broken(how) for how in ("reset", "eof", "malformed")))
    for _ in range(3):
        with pytest.raises((anthropic.AnthropicError, httpx2.TransportError, ValueError)):
            ask(fake)
    assert ask(fake).stop_reason in ("end_turn", "max_tokens")


# --- rate limits


def test_the_limits_are_enforced_and_written_in_the_headers(serve: Serve) -> None:
    fake = serve(limits=Limits(requests=2, input_tokens=60_000, output_tokens=60_000), speed=0.001)
    with sdk(fake) as client:
        for remaining in ("1", "0"):
            answer = client.messages.with_raw_response.create(
                model=MODEL, max_tokens=9, messages=[{"role": "user", "content": "hi"}]
            )
            assert answer.headers["anthropic-ratelimit-requests-limit"] == "2"
            assert answer.headers["anthropic-ratelimit-requests-remaining"] == remaining
        with pytest.raises(anthropic.RateLimitError) as raised:
            client.messages.create(model=MODEL, max_tokens=9, messages=[{"role": "user", "content": "hi"}])
    # Two a minute is one in 30 s, and the fake's clock goes a thousandth as fast as the real one.
    assert raised.value.response.headers["retry-after"] == "30000"


def test_another_group_of_models_has_limits_of_its_own(serve: Serve) -> None:
    fake = serve(limits=Limits(requests=1), speed=0.001)
    ask(fake)
    with sdk(fake) as client:
        client.messages.create(model="claude-haiku-5-5", max_tokens=9, messages=[{"role": "user", "content": "hi"}])
        with pytest.raises(anthropic.RateLimitError):
            client.messages.create(model="claude-sonnet-5", max_tokens=9, messages=[{"role": "user", "content": "hi"}])


def test_without_limits_there_are_no_headers(serve: Serve) -> None:
    with sdk(serve(limits=None)) as client:
        answer = client.messages.with_raw_response.create(
            model=MODEL, max_tokens=9, messages=[{"role": "user", "content": "hi"}]
        )
    assert not [name for name in answer.headers if name.startswith("anthropic-ratelimit")]


# --- as a process


def test_it_runs_as_a_process_that_ends_with_its_owner() -> None:
    command = [sys.executable, "-m", "llmclient.testing", "--no-limits", "--until-stdin-closes"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdin is not None
    url = process.stdout.readline().strip()
    assert httpx2.get(f"{url}/v1/models", headers={"x-api-key": "k"}).status_code == 200
    process.stdin.close()
    assert process.wait(10) == 0
    process.stdout.close()


def test_a_taken_port_is_told_in_one_line() -> None:
    with FakeAnthropic() as fake:
        port = fake.url.rsplit(":", 1)[1]
        command = [sys.executable, "-m", "llmclient.testing", "--port", port]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=20)
    assert ended.returncode == 1
    assert ended.stderr.splitlines() == [f"cannot listen on 127.0.0.1:{port}: Address already in use"]


def test_a_taken_port_is_an_os_error_in_process() -> None:
    with FakeAnthropic() as fake, pytest.raises(OSError, match="in use"):
        FakeAnthropic(port=int(fake.url.rsplit(":", 1)[1])).start()


def test_tokens_are_counted_as_the_header_says(serve: Serve) -> None:
    with sdk(serve()) as client:
        ask_for = {"model": MODEL, "messages": [{"role": "user", "content": "hi"}]}
        counted = client.messages.count_tokens(**ask_for, extra_headers={"x-fake-usage": "374,44"})  # type: ignore[arg-type]
        assert counted.input_tokens == 374
        with pytest.raises(anthropic.BadRequestError, match="x-fake header is not understood"):
            client.messages.count_tokens(**ask_for, extra_headers={"x-fake-usage": "many"})  # type: ignore[arg-type]
