"""Hashes of what was said."""

import json
from typing import Any

import pytest

from llmclient._privacy._hashes import content_hash

# printf '{"a":[1,"ä"],"b":null}' | sha256sum
KNOWN = "09d06402b1598786e7403149b3c484b8ab826d83c444852812290076db12646b"


@pytest.mark.parametrize(
    "value",
    [
        {"b": None, "a": [1, "ä"]},
        b'{"b": null, "a": [1, "\\u00e4"]}',
        '{"a":[1,"ä"],\n "b":null}'.encode(),
    ],
)
def test_spaces_escapes_and_the_order_of_keys_make_no_difference(value: Any) -> None:
    assert content_hash(value) == KNOWN


@pytest.mark.parametrize("value", [{"a": ["ä", 1], "b": None}, {"a": [1, "a"], "b": None}, [], "", None, {}, 0, False])
def test_everything_else_does(value: Any) -> None:
    assert content_hash(value) != KNOWN


def test_bytes_that_are_no_json_are_hashed_as_they_are() -> None:
    # printf 'no json' | sha256sum
    assert content_hash(b"no json") == "5ad3040044b6d872316bf4312926c3b9eac7faf4eca2966e8ac41dfdf9c803f5"


@pytest.mark.parametrize("value", [b"[" * 100_000, b"\xff", b"", {"a": "\ud800"}, float("nan"), b"9" * 5_000])
def test_there_is_a_hash_of_everything(value: Any) -> None:
    assert len(content_hash(value)) == 64


def test_the_hash_is_that_of_the_text_before_redaction() -> None:
    sent = json.dumps({"messages": [{"role": "user", "content": "anna@example.org"}]}).encode()
    assert content_hash(sent) == content_hash({"messages": [{"content": "anna@example.org", "role": "user"}]})
