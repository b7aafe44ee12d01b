"""What the traffic model does not say of a call in the history: where it came from, how good its answer was.

All of it follows from the call's id, so a history that is written again is the same.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from random import Random
from typing import Any, Final

from ingest.scores import Score
from llmclient.testing.traffic import Call

# Releases of the made-up application, newest first, by how long before the end of the history they went out.
RELEASES: Final = (
    (timedelta(days=5, hours=7), "2026.11.1"),
    (timedelta(days=13, hours=9), "2026.11.0"),
    (timedelta.max, "2026.10.4"),
)
# Share of answers without the form asked for, of the prompt types that ask for one.
INVALID: Final = {"invoice": 0.021, "contact": 0.009, "triage": 0.004, "topic": 0.006, "sentiment": 0.003}
REPAIRED: Final = 0.025
RESERVE_KEY: Final = 0.18
"""Share of calls that go out with the second API key."""
JUDGED: Final = 0.04
"""Share of answers that somebody has an opinion of."""


def told(call: Call, attempts: Sequence[dict[str, Any]], end: datetime) -> dict[str, Any]:
    """Return the release of the call's event, its quality where it has one, and its attempts with their key."""
    dice = Random(call.id.int)  # noqa: S311 - made up, not secret
    key = "reserve" if dice.random() < RESERVE_KEY else "main"
    facts: dict[str, Any] = {
        "release": next(name for before, name in RELEASES if end - call.at < before),
        "attempts": [attempt | {"key_alias": key} for attempt in attempts],
    }
    share = INVALID.get(call.prompt_type)
    if share is not None and call.answered:
        is_valid = dice.random() >= share
        facts["quality"] = {"valid": is_valid, "repairs": 2 if not is_valid else int(dice.random() < REPAIRED)}
    return facts


def scores(calls: Sequence[Call], end: datetime) -> Iterator[Score]:
    """Return what people thought of some of the answers, before the history ends."""
    for call in calls:
        dice = Random(call.id.int + 1)  # noqa: S311 - made up, not secret
        at = call.at + timedelta(seconds=call.duration + 5 + 300 * dice.random())
        if not call.answered or dice.random() >= JUDGED or at >= end:
            continue
        if call.feature == "support-chat":
            yield Score(call.id, "accepted", at, value=float(dice.random() < 0.86))
        elif call.feature == "code-review":
            word = "yes" if dice.random() < 0.7 else "partly" if dice.random() < 0.6 else "no"
            yield Score(call.id, "useful", at, label=word)
