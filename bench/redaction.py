"""How fast personal data is removed, and that no text makes it slow: `python -m bench.redaction`. Markdown tables.

Seconds of the processor, the best of several runs: other work on the machine then counts for nothing.
"""

import json
import re
import time
from collections.abc import Callable
from functools import partial
from random import Random
from typing import Any, Final

from llmclient._privacy._content import content_of
from llmclient._privacy._redact import Redactor
from tests.llmclient.privacy import values

SIZES: Final = (1_024, 10_240, 102_400, 1_048_576)
LONGEST: Final = 2 * SIZES[-1]  # nothing is cut off in here: the text itself is to be read
RUNS: Final = 7
SECONDS: Final = 0.02  # at least, of one run of a small text
WORDS: Final = re.findall(
    r"\S+",
    "the customer wrote that an order had arrived late and asked us to look into it because nobody answered on Monday "
    "for the second time please see the last mail about prices and delivery of 12 boxes at 4.50 each on 2026-11-20 "
    "thank you very much for your patience we shall come back to you within three days, best regards.",
)

Make = Callable[[int], str]


def repeated(unit: str) -> Make:
    """As many characters of one thing after another."""
    return lambda size: (unit * (size // len(unit) + 1))[:size]


def prose(size: int) -> str:
    """English with a number now and then."""
    rng = Random(1)
    return " ".join(rng.choice(WORDS) for _ in range(size // 3))[:size]


def with_findings(size: int) -> str:
    """The same with something to find every 500 characters."""
    rng = Random(2)
    kinds = [make for kind, make in values.KINDS.items() if kind not in ("private_key", "password")]
    text = prose(size)
    return "".join(f"{text[at : at + 480]} {rng.choice(kinds)(rng)} " for at in range(0, size, 500))


HOSTILE: Final[dict[str, Make]] = {
    "digits": repeated("1234567890"),
    "digits with spaces": repeated("1 "),
    "groups of four": repeated("4111 "),
    "beginnings of phone numbers": repeated("+1-"),
    "area codes": repeated("012 "),
    "dotted digits": repeated("1."),
    "@": repeated("@"),
    "a@a@a@": repeated("a@"),
    "addresses without space": repeated("a@a.aa"),
    "one long domain": lambda size: "x@" + "a." * (size // 2),
    "letters": repeated("a"),
    "%": repeated("%"),
    "%41": repeated("%41"),
    "%252525": lambda size: "%" + "25" * (size // 2),
    "backslashes": repeated("\\"),
    "\\u0041": repeated("\\u0041"),
    "zero-width": repeated("\u200b"),
    "zero-width in digits": repeated("1\u200b"),
    "full-width digits": repeated("１２３"),
    "ligatures": repeated("ﬁ"),
    "[": repeated("["),
    '{"a":': repeated('{"a":'),
    "eyJ": repeated("eyJ"),
    "sk-": repeated("sk-"),
    "beginnings of private keys": repeated("-----BEGIN PRIVATE KEY-----"),
    "one endless private key": lambda size: "-----BEGIN PRIVATE KEY-----" + "A" * size,
    "://a:": repeated("://a:"),
    ":": repeated(":"),
    "2001:": repeated("2001:"),
    "DE12": repeated("DE12 "),
    "api_key=": repeated("api_key="),
    "nothing but phone numbers": repeated("tel 1234567 "),
    "nothing but addresses": repeated("anna@example.com "),
}


def conversation(size: int) -> bytes:
    """The body of a request: a system prompt, tools, and messages of one or several blocks."""
    text = with_findings(size)
    messages: list[Any] = []
    for at in range(0, len(text), 4_000):
        part = text[at : at + 4_000]
        blocks = [{"type": "text", "text": part[: len(part) // 2]}, {"type": "text", "text": part[len(part) // 2 :]}]
        messages.append({"role": "assistant" if at % 8_000 else "user", "content": blocks if at % 3 else part})
    schema = {"type": "object", "properties": {name: {"type": "string"} for name in ("city", "street", "note")}}
    tools = [{"name": f"look_up_{n}", "description": prose(200), "input_schema": schema} for n in range(5)]
    return json.dumps(
        {"model": "m", "max_tokens": 400, "system": prose(2_000), "tools": tools, "messages": messages}
    ).encode()


def nanoseconds(run: Callable[[], object], length: int) -> float:
    """Of the processor, per character: the best of RUNS."""
    began = time.process_time()
    run()
    times = max(1, int(SECONDS / max(time.process_time() - began, 1e-6)))
    best = float("inf")
    for _ in range(RUNS):
        began = time.process_time()
        for _ in range(times):
            run()
        best = min(best, (time.process_time() - began) / times)
        if best * times > 1:
            break
    return best / length * 1e9


def row(name: str, makes: list[tuple[Callable[[], object], int]]) -> str:
    """Megabytes a second by size, and how much more a character of the largest text costs than one of the smallest."""
    took = [nanoseconds(run, length) for run, length in makes]
    speeds = " | ".join(f"{1e3 / each:.1f}" for each in took)
    return f"| {name} | {speeds} | {took[-1] / took[0]:.2f} |"


def main() -> None:
    redactor = Redactor(most_chars=LONGEST)
    head = f"| MB/s | {' | '.join(f'{size // 1024} KB' for size in SIZES)} | 1 MB to 1 KB, a character |"
    print(f"{head}\n|---|{'---:|' * (len(SIZES) + 1)}")
    bodies = [conversation(size) for size in SIZES]
    print(row("requests", [(partial(content_of, body, [], "redacted", redactor), len(body)) for body in bodies]))
    makes: dict[str, Make] = {"prose": prose, "prose with findings": with_findings, **HOSTILE}
    for name, make in makes.items():
        texts = [make(size) for size in SIZES]
        print(row(name, [(partial(redactor.redact, text), len(text)) for text in texts]))


if __name__ == "__main__":
    main()
