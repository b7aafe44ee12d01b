"""Keys, models and limits of the organisation behind the fake, as the SDK sees them."""

import anthropic
import pytest

from llmclient.testing import ALL_MODELS, FakeAnthropic, Limits, Model
from tests.llmclient.testing.asking import HELLO, ask, sdk
from tests.llmclient.testing.conftest import Serve

# --- keys


def test_only_the_keys_named_are_accepted(serve: Serve) -> None:
    fake = serve(keys=["k1", "k2"])
    for key in ("k1", "k2"):
        with sdk(fake, key=key) as client:
            client.models.list()
    with sdk(fake, key="k3") as client, pytest.raises(anthropic.AuthenticationError, match="invalid x-api-key"):
        client.models.list()


def test_a_key_is_revoked_and_another_accepted_while_the_fake_runs(serve: Serve) -> None:
    fake = serve()
    with sdk(fake, key="k1") as client:
        client.models.list()
        fake.revoke_keys("k1")
        with pytest.raises(anthropic.AuthenticationError):
            client.models.list()
        client.api_key = "k2"
        client.models.list()
        fake.accept_keys("k1")
        with pytest.raises(anthropic.AuthenticationError):
            client.models.list()
        client.api_key = "k1"
        client.models.list()


# --- models


def test_all_models_have_their_place_in_life(serve: Serve) -> None:
    with sdk(serve(models=ALL_MODELS)) as client:
        lives = {model.id: model.lifecycle for model in client.models.list()}
        old = client.models.retrieve("claude-sonnet-4-5")
    assert lives["claude-opus-5-5"] == "active"
    assert lives["claude-sonnet-4-5-20250929"] == "deprecated"
    assert lives["claude-opus-4-20250514"] == "retired"
    assert (old.id, old.display_name, old.line) == ("claude-sonnet-4-5-20250929", "Claude Sonnet 4.5", "sonnet")
    assert old.retires_at is not None
    assert f"{old.retires_at:%Y-%m-%d}" == "2026-11-30"


@pytest.mark.filterwarnings("ignore:The model")
@pytest.mark.parametrize("name", ["claude-opus-4-20250514", "claude-opus-4"])
def test_a_retired_model_is_not_found(serve: Serve, name: str) -> None:
    with pytest.raises(anthropic.NotFoundError, match=f"model: {name}"):
        ask(serve(models=ALL_MODELS), model=name)


@pytest.mark.filterwarnings("ignore:The model")
def test_a_deprecated_model_is_served_even_after_its_date(serve: Serve) -> None:
    ask(serve(models=[Model("claude-sonnet-5-5", lifecycle="deprecated", retires_at="2026-01-01T00:00:00Z")]))


def test_a_model_is_deprecated_and_retired_while_the_fake_runs(serve: Serve) -> None:
    fake = serve()
    fake.deprecate("claude-sonnet-5-5", retires_at="2027-01-31T00:00:00Z")
    with sdk(fake) as client:
        model = client.models.retrieve("claude-sonnet-5-5")
        assert model.lifecycle == "deprecated"
        assert model.deprecated_at is not None
        assert f"{model.retires_at:%Y-%m-%d}" == "2027-01-31"
        ask(fake)
        fake.retire("claude-sonnet-5-5")
        assert client.models.retrieve("claude-sonnet-5-5").lifecycle == "retired"
    with pytest.raises(anthropic.NotFoundError):
        ask(fake)


def test_a_model_nobody_listed_can_be_retired(serve: Serve) -> None:
    fake = serve()
    ask(fake, model="claude-next-7")
    fake.retire("claude-next-7")
    with pytest.raises(anthropic.NotFoundError, match="model: claude-next-7"):
        ask(fake, model="claude-next-7")


def test_models_are_read_page_by_page(serve: Serve) -> None:
    with sdk(serve(models=ALL_MODELS)) as client:
        names = [model.id for model in client.models.list(limit=2)]
        before = client.models.list(limit=2, before_id="claude-opus-5").data
    assert names == [model.id for model in ALL_MODELS]
    assert [model.id for model in before] == ["claude-sonnet-5-5", "claude-haiku-5-5"]


# --- limits


def test_the_configured_limits_can_be_read(serve: Serve) -> None:
    limits = Limits(60, 20_000, 8_000, count_requests=100, batch_requests=50, batch_queue=1_000)
    with sdk(serve(limits=limits, models=ALL_MODELS)) as client:
        entries = list(client.organization.rate_limits.list())
        [sonnet] = client.organization.rate_limits.list(model="claude-sonnet-5")
        [batch] = client.organization.rate_limits.list(group_type="batch")
        with pytest.raises(anthropic.NotFoundError):
            client.organization.rate_limits.list(model="claude-2")
    assert [entry.group.type for entry in entries] == ["model_group"] * 4 + ["token_count", "batch"]
    assert {limit.type: limit.value for limit in sonnet.limits} == {
        "requests_per_minute": 60,
        "input_tokens_per_minute_cache_aware": 20_000,
        "output_tokens_per_minute": 8_000,
    }
    assert sonnet.models == ["claude-sonnet-5-5", "claude-sonnet-5"]
    assert sonnet.group.type == "model_group"
    assert sonnet.group.display_name == "Claude Sonnet 5.x"
    assert {limit.type: limit.value for limit in batch.limits} == {
        "requests_per_minute": 50,
        "enqueued_batch_requests": 1_000,
    }
    assert batch.models is None


def test_without_limits_none_are_listed(serve: Serve) -> None:
    with sdk(serve(limits=None)) as client:
        assert list(client.organization.rate_limits.list()) == []


def test_counting_tokens_has_a_limit_of_its_own(serve: Serve) -> None:
    fake = serve(limits=Limits(count_requests=2), speed=0.001)
    with sdk(fake) as client:
        for _ in range(2):
            client.messages.count_tokens(model="claude-sonnet-5-5", messages=HELLO)
        with pytest.raises(anthropic.RateLimitError) as raised:
            client.messages.count_tokens(model="claude-sonnet-5-5", messages=HELLO)
    assert raised.value.response.headers["anthropic-ratelimit-requests-limit"] == "2"
    assert "anthropic-ratelimit-input-tokens-limit" not in raised.value.response.headers
    ask(fake)


def test_time_moved_on_refills_the_buckets() -> None:
    with FakeAnthropic(limits=Limits(requests=1)) as fake:
        ask(fake)
        with pytest.raises(anthropic.RateLimitError):
            ask(fake)
        fake.advance(60)
        ask(fake)
