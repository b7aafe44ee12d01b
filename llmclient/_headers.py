"""The headers of an answer as a plain dict: they are asked for a dozen things, and the HTTP client's own are slow."""

from typing import Any


def plain(response: Any) -> dict[str, str]:
    """By name in small letters. Of a header sent twice the last one counts; none of those we read is."""
    return {name.lower().decode("latin-1"): value.decode("latin-1") for name, value in response.headers.raw}
