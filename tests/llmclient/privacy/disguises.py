"""Ways in which the same data gets past a naive search, by accident or on purpose."""

import json
from collections.abc import Callable
from random import Random
from typing import Final
from urllib.parse import quote, quote_plus

ZERO_WIDTH: Final = "\u200b\u200c\u200d\u2060\ufeff\u00ad"
SPACES: Final = "\u00a0\u2007\u2009\u202f\u3000"
HYPHENS: Final = "\u2010\u2011\u2012\u2013\u2212\ufe63\uff0d"
MARKS: Final = "\u0301\u0336\u0332\u20dd\ufe0f"


def zero_width(rng: Random, value: str) -> str:
    for _ in range(rng.randint(1, 4)):
        place = rng.randint(1, len(value) - 1)
        value = f"{value[:place]}{rng.choice(ZERO_WIDTH)}{value[place:]}"
    return value


def full_width(rng: Random, value: str) -> str:
    share = rng.choice((1.0, 1.0, 0.3))
    return "".join(_wide(c) if rng.random() < share else c for c in value)


def _wide(character: str) -> str:
    return "\u3000" if character == " " else chr(ord(character) + 0xFEE0) if "!" <= character <= "~" else character


def other_digits(rng: Random, value: str) -> str:
    zero = rng.choice((0x0660, 0x06F0, 0x0966, 0x1D7CE, 0x1D7EC))
    return "".join(chr(zero + int(c)) if c in "0123456789" else c for c in value)


def other_spaces(rng: Random, value: str) -> str:
    return "".join(rng.choice(SPACES) if c == " " else rng.choice(HYPHENS) if c == "-" else c for c in value)


def marked(rng: Random, value: str) -> str:
    share = rng.choice((1.0, 0.2))
    return "".join(c + rng.choice(MARKS) if c.isalnum() and rng.random() < share else c for c in value)


def in_a_link(rng: Random, value: str) -> str:
    return quote(value, safe="") if rng.random() < 0.5 else quote_plus(value)


def all_percent(rng: Random, value: str) -> str:
    return "".join(f"%{byte:02X}" for byte in value.encode())


def twice_in_a_link(rng: Random, value: str) -> str:
    return quote(quote(value, safe=""), safe="")


def json_escapes(rng: Random, value: str) -> str:
    """As in JSON that is written inside a text."""
    share = rng.choice((1.0, 0.3))
    return "".join(
        f"\\u{ord(c):04x}" if ord(c) < 0x10000 and rng.random() < share else json.dumps(c)[1:-1] for c in value
    )


def json_in_json(rng: Random, value: str) -> str:
    return json.dumps(json.dumps(value))[3:-3]


DISGUISES: Final[dict[str, Callable[[Random, str], str]]] = {
    "zero-width": zero_width, "full-width": full_width, "other digits": other_digits, "other spaces": other_spaces,
    "marks": marked, "in a link": in_a_link, "all %XX": all_percent, "twice in a link": twice_in_a_link,
    "JSON escapes": json_escapes, "JSON in JSON": json_in_json,
}  # fmt: skip
