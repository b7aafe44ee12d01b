"""The careful way through a hostile body: linear, bounded, and as near to the event as can be."""

import contextlib
import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest import salvage, wire
from tests import factories

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=15,
)


@pytest.mark.parametrize(
    ("text", "depth"),
    [
        ("", 0),
        ("5", 0),
        ("[]", 1),
        ('{"a": [1, {"b": []}]}', 4),
        ('"[[[["', 0),
        (r'"\"[["', 0),
        ('["]]]", [["[["]]]', 3),
    ],
)
def test_brackets_inside_strings_are_text(text: str, depth: int) -> None:
    assert salvage.depth_of(text) == depth


def test_sixty_four_levels_are_read_and_the_sixty_fifth_is_not() -> None:
    found = salvage.parse(b"[" * 64 + b"]" * 64)
    assert salvage.depth_of(json.dumps(found)) == 64
    with pytest.raises(salvage.UnstorableError, match="nested deeper than 64 levels"):
        salvage.clean(salvage.parse(b"[" * 65 + b"]" * 65))


@pytest.mark.parametrize(
    "hostile",
    [
        b"[" * 2_000_000,
        b'"' + b'\\"' * 1_000_000,
        b'"' * 2_000_001,
        b'{"events": [' + b"[]," * 700_000,
        b'{"a":"' + b"\\u0000" * 300_000,
        b"9" * 2_000_000,
    ],
    ids=["open", "escapes", "quotes", "lists", "nul", "digits"],
)
def test_two_megabytes_of_anything_are_dealt_with(hostile: bytes) -> None:
    # A quadratic scan of this much would outlast the suite's time limit.
    with contextlib.suppress(ValueError):
        salvage.clean(salvage.parse(hostile))


@given(ANYTHING)
def test_whatever_python_writes_as_json_is_cleaned_or_named(value: Any) -> None:
    text = json.dumps(value)
    try:
        cleaned, is_changed = salvage.clean(salvage.parse(text.encode()))
    except salvage.UnstorableError:
        return
    json.dumps(cleaned, ensure_ascii=False, allow_nan=False).encode()
    assert "\x00" not in str(cleaned)
    assert is_changed or cleaned == value


@given(st.binary(max_size=300))
def test_bytes_are_a_batch_or_refused(body: bytes) -> None:
    with contextlib.suppress(wire.EnvelopeError):
        list(wire.decode(body).events)


@given(
    st.dictionaries(st.sampled_from([*factories.event(), "limits", "error", "content", "tags"]), ANYTHING, max_size=6)
)
def test_an_event_with_anything_in_it_is_stored_or_told(overrides: dict[str, Any]) -> None:
    good = factories.event()
    body = json.dumps({"events": [good, factories.event() | overrides]}).encode()
    found = wire.decode(body)
    events = list(found.events)
    assert str(events[0].id) == good["id"]
    assert len(events) + len(found.rejected) == 2
    for rejection in found.rejected:
        assert (rejection.index, bool(rejection.field), bool(rejection.reason)) == (1, True, True)


@given(
    st.dictionaries(st.sampled_from(["usage", "tags", "params", "user_id", "feature", "error"]), ANYTHING, max_size=3)
)
def test_both_ways_in_come_to_the_same_event(overrides: dict[str, Any]) -> None:
    event = factories.event() | overrides
    straight = wire.decode(json.dumps({"events": [event]}).encode())
    # A bad neighbour sends the whole batch the careful way.
    careful = wire.decode(json.dumps({"events": [event, None]}).encode())
    assert [wire.canonical(one) for one in straight.events] == [wire.canonical(one) for one in careful.events]
    assert straight.rejected == careful.rejected[:-1]


@pytest.mark.parametrize("value", [b"[]", b'{"a":1}', b"1.5"])
@pytest.mark.parametrize("field", [b"usage", b"attempts"])
def test_a_body_that_would_swell_in_memory_is_refused_before_it_is_built(field: bytes, value: bytes) -> None:
    event = json.dumps(factories.event()).encode()
    room = (8 * 1024 * 1024 - len(event) - 100) // (len(value) + 1)
    inner = b"[" + b",".join([value] * room) + b"]"
    bomb = b'{"events":[' + event[:-1] + b',"' + field + b'":' + inner + b',"' + field + b'":null}]}'
    tracemalloc.start()
    try:
        with pytest.raises(wire.EnvelopeError, match="more than 500,000 strings, brackets and commas; send smaller"):
            wire.decode(bomb)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # Reading it as text is all it costs; built, it would take twenty times its size.
    assert peak < 4 * len(bomb)


def test_a_batch_of_prompts_full_of_brackets_and_commas_is_stored_as_any_other() -> None:
    events = [factories.event(content={"input": "[a, b], {c}, " * 16_000}) for _ in range(10)]
    found = wire.decode(json.dumps({"events": events}).encode())
    assert (len(list(found.events)), found.rejected) == (10, [])
