"""What a run came to, as JSON and as text."""

from collections.abc import Mapping, Sequence
from typing import Any

from llmclient.load._spend import dollars
from llmclient.load._tally import Outcome, Tally, ranks

Ranks = Mapping[str, float] | None


def summary(tally: Tally, *, planned_seconds: float, elapsed: float, interrupted: bool) -> dict[str, Any]:
    """Every number of a run. Seconds, requests per minute and nano-dollars; percentiles are of answered requests."""
    outcomes = tally.outcomes
    answered = [outcome for outcome in outcomes if outcome.category is None]
    streamed = [outcome for outcome in answered if outcome.first_token is not None]
    priced = [outcome.nanousd for outcome in outcomes if outcome.nanousd is not None]
    return {
        "planned": tally.planned,
        "sent": tally.sent,
        "not_sent": {"interrupted": tally.planned - tally.sent - tally.unaffordable, "spent": tally.unaffordable},
        "answered": len(answered),
        "degraded": sum(outcome.degraded for outcome in answered),
        "failed": dict(tally.failed.most_common()),
        "retries": sum(max(0, len(outcome.statuses) - 1) for outcome in outcomes),
        "http_429": sum(outcome.statuses.count(429) for outcome in outcomes),
        "seconds": elapsed,
        "planned_per_minute": _per_minute(tally.planned, planned_seconds),
        "sent_per_minute": _per_minute(tally.sent, max([planned_seconds, *(outcome.sent for outcome in outcomes)])),
        "answered_per_minute": _per_minute(len(answered), elapsed),
        "most_in_flight": tally.most_in_flight,
        "latency": ranks([outcome.ended - outcome.intended for outcome in answered]),
        "first_token": ranks([(outcome.first_token or 0.0) - outcome.intended for outcome in streamed]),
        "queued": ranks([outcome.queued for outcome in outcomes]),
        "sent_late": ranks([outcome.sent - outcome.intended for outcome in outcomes]),
        "input_tokens": sum(outcome.input_tokens for outcome in outcomes),
        "output_tokens": sum(outcome.output_tokens for outcome in outcomes),
        "nanousd": sum(priced),
        "unpriced": _unpriced(answered),
        "interrupted": interrupted,
    }


def as_text(found: Mapping[str, Any]) -> str:
    """The same for people."""
    failed = ", ".join(f"{name} {number}" for name, number in found["failed"].items())
    unpriced = f", and {found['unpriced']} answers without a known price" if found["unpriced"] else ""
    lines = [
        ("planned", f"{found['planned']:,}, {found['planned_per_minute']:,.1f} a minute"),
        ("sent", f"{found['sent']:,}, {found['sent_per_minute']:,.1f} a minute; {found['most_in_flight']:,} at a time"),
        ("answered", f"{found['answered']:,}, {found['answered_per_minute']:,.1f} a minute until the last of them"),
        ("degraded", f"{found['degraded']:,}" if found["degraded"] else ""),
        ("failed", f"{sum(found['failed'].values()):,}" + (f": {failed}" if failed else "")),
        ("retries", f"{found['retries']:,}; {found['http_429']:,} times told to slow down (429)"),
        ("latency", _text(found["latency"], " from the intended arrival")),
        ("first token", _text(found["first_token"], " from the intended arrival")),
        ("queued", _text(found["queued"], " in the client, for a turn")),
        ("sent late", _text(found["sent_late"], " by this generator, which is part of the latency")),
        ("tokens", f"{found['input_tokens']:,} read, {found['output_tokens']:,} written"),
        ("cost", dollars(found["nanousd"]) + unpriced),
        ("not sent", _not_sent(found["not_sent"])),
    ]
    return "".join(f"{name:<12} {text}\n" for name, text in lines if text)


def _per_minute(number: int, seconds: float) -> float:
    return number * 60 / seconds if seconds > 0 else 0.0


def _unpriced(answered: Sequence[Outcome]) -> int:
    return sum(outcome.nanousd is None for outcome in answered)


def _text(found: Ranks, meaning: str) -> str:
    if found is None:
        return ""
    return "  ".join(f"{name} {value:.3f} s" for name, value in found.items()) + f" {meaning}"


def _not_sent(found: Mapping[str, int]) -> str:
    reasons = {"interrupted": "interrupted", "spent": "the agreed amount is used up"}
    return ", ".join(f"{number:,} ({reasons[name]})" for name, number in found.items() if number)
