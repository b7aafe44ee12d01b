"""The characters of a request."""

from typing import Any

import pytest

from llmclient._size import PICTURE, characters_of


@pytest.mark.parametrize(
    ("body", "characters"),
    [
        ({}, 0),
        ({"model": "claude", "max_tokens": 5, "messages": [{"role": "user", "content": "12345"}]}, 5),
        ({"system": "abc", "messages": [{"role": "user", "content": [{"type": "text", "text": "12345"}]}]}, 8),
        ({"system": [{"type": "text", "text": "ab", "cache_control": {"type": "ephemeral"}}]}, 2),
        ({"messages": [{"content": [{"type": "image", "source": {"type": "base64", "data": "x" * 9_999}}]}]}, PICTURE),
        ({"tools": [{"name": "look", "input_schema": {"type": "object", "properties": {}}}]}, 4),
    ],
)
def test_text_counts_and_pictures_count_as_one(body: dict[str, Any], characters: int) -> None:
    assert characters_of(body) == characters
