"""Requests share a key when, and only when, they mean the same."""

import copy
import hashlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmclient._cache_key import IGNORED, key_of

BODY: dict[str, Any] = {
    "model": "claude-haiku-5-5",
    "max_tokens": 50,
    "system": "Be brief.",
    "messages": [
        {"role": "user", "content": "Where is order 7?"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "f", "input": {"n": 7}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "on its way"}]},
    ],
    "tools": [{"name": "f", "input_schema": {"type": "object", "properties": {"cache_control": {"type": "string"}}}}],
    "tool_choice": {"type": "auto"},
    "output_config": {"effort": "low"},
    "thinking": {"type": "adaptive"},
}
USER = {"user_id": "4711", "prompt_version": "7"}


def key(body: dict[str, Any] = BODY, labels: dict[str, Any] = USER, **more: Any) -> str | None:
    return key_of(body, labels, **{"shared": False, **more})


def test_a_key_is_a_digest_and_always_the_same() -> None:
    assert key() == key() == key(copy.deepcopy(BODY))
    # Written down: keys that change from one release to the next find nothing of what is kept.
    small = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
    written = (
        b'[2,["user","u"],null,"",{"messages":[{"content":[{"text":2,"type":"text"}],"role":"user"}],"model":"m"}]hi'
    )
    assert key(small, {"user_id": "u"}) == hashlib.sha256(written).hexdigest()


def test_the_same_said_otherwise_is_the_same() -> None:
    marked = {"cache_control": {"type": "ephemeral"}}
    said_otherwise = {
        **dict(reversed(BODY.items())),
        **marked,
        "stream": True,
        "metadata": {"user_id": "opaque"},
        "service_tier": "auto",
        "speed": "fast",
        "stop_sequences": None,
        "system": [{"type": "text", "text": "Be brief.", **marked}],
        "messages": [
            {"content": [{"text": "Where is order 7?", "type": "text", **marked}], "role": "user"},
            BODY["messages"][1],
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "on its way"}]}
                ],
            },
        ],
        "tools": [{**BODY["tools"][0], **marked}],
    }
    assert key(said_otherwise) == key()


@pytest.mark.parametrize(
    "changed",
    [
        {"model": "claude-opus-5-5"},
        {"max_tokens": 51},
        {"system": "Be brief!"},
        {"system": None},
        {"messages": BODY["messages"][:1]},
        {"messages": [{"role": "user", "content": "Where is order 8?"}, *BODY["messages"][1:]]},
        {"messages": [*BODY["messages"], {"role": "user", "content": ""}]},
        {"tools": [{"name": "f", "input_schema": {"type": "object", "properties": {}}}]},
        {"tool_choice": {"type": "any"}},
        {"output_config": {"effort": "high"}},
        {"thinking": None},
        {"stop_sequences": ["."]},
        {"inference_geo": "us"},
        {"a_parameter_of_next_year": 1},
    ],
)
def test_anything_that_changes_the_answer_changes_the_key(changed: dict[str, Any]) -> None:
    assert key({**BODY, **changed}) != key()


def test_prompt_version_and_endpoint_are_part_of_it() -> None:
    keys = {
        key(),
        key(labels={"user_id": "4711"}),
        key(labels={**USER, "prompt_version": "8"}),
        key(variant="beta: some-beta"),
    }
    assert len(keys) == 4


def test_answers_are_not_shared_across_users_unless_told() -> None:
    other = {**USER, "user_id": "4712"}
    assert key(labels=USER) != key(labels=other)
    assert (
        key(labels=USER, shared=True)
        == key(labels=other, shared=True)
        == key(labels={"prompt_version": "7"}, shared=True)
    )
    assert key(labels=USER, shared=True) != key(labels=USER)


def test_without_a_user_there_is_no_key() -> None:
    assert key(labels={}) is None
    assert key({**BODY, "metadata": {}}, labels={}) is None
    assert key({**BODY, "metadata": {"user_id": None}}, labels={}) is None


def test_the_request_may_name_the_user_itself() -> None:
    one, other = ({**BODY, "metadata": {"user_id": name}} for name in ("a", "b"))
    assert key(one, labels={}) is not None
    assert key(one, labels={}) != key(other, labels={})
    # The context knows better, and a name in one place is not the same name in the other.
    assert key(one) == key(other) == key()
    assert key(one, labels={}) != key(labels={"user_id": "a"})


def test_no_user_can_pass_for_everybody() -> None:
    assert key(labels={"user_id": "everybody"}) != key(labels={}, shared=True)


@pytest.mark.parametrize("value", [b"bytes", object(), {1, 2}])
def test_what_is_no_json_has_no_key(value: object) -> None:
    assert key({**BODY, "messages": [{"role": "user", "content": value}]}) is None


def test_half_a_character_is_no_trouble() -> None:
    assert key({**BODY, "system": "\ud800"}) != key({**BODY, "system": "\ud801"})


scalars = st.none() | st.booleans() | st.integers() | st.text(max_size=8)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
)
names = st.sampled_from(["model", "system", "messages", "tools", "tool_choice", "thinking", "max_tokens", "other"])
bodies = st.dictionaries(names, values, max_size=6)


def shuffled(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: shuffled(inner) for name, inner in reversed(value.items())}
    return [shuffled(inner) for inner in value] if isinstance(value, list) else value


@given(bodies)
@settings(max_examples=150, deadline=None)
def test_order_and_way_of_delivery_never_matter(body: dict[str, Any]) -> None:
    delivery: dict[str, Any] = dict.fromkeys(sorted(IGNORED - {"metadata"}), True)
    assert key(shuffled(body)) == key({**body, **delivery}) == key(json.loads(json.dumps(body))) == key(body)


@given(bodies, names, st.integers() | st.text(max_size=8))
@settings(max_examples=150, deadline=None)
def test_another_value_is_another_key(body: dict[str, Any], name: str, value: Any) -> None:
    changed = {**body, name: ["another value", value]}
    assert key(changed) != key(body)


@given(bodies, st.text(max_size=8), st.text(max_size=8))
@settings(max_examples=80, deadline=None)
def test_another_user_is_another_key(body: dict[str, Any], one: str, other: str) -> None:
    assert (key(body, {"user_id": one}) == key(body, {"user_id": other})) is (one == other)
