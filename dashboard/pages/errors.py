"""The Errors page: what fails, how much, and does trying again help?"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Final, Literal

from django.urls import reverse

from dashboard import headline
from dashboard.drawing import spoken
from dashboard.errors import numbers
from dashboard.errors.breaker_strip import BreakerStrip
from dashboard.errors.panels import NO_FAILURE, Groups, Remedies, TypesByFeature, TypesOverTime
from dashboard.errors.remedies import remedy
from dashboard.look import Look
from dashboard.page import Answer, Page
from dashboard.panels import FAILING
from dashboard.rates import RatesOverTime
from dashboard.tiles import Tile, metric_tile
from ingest.partitions import time_of
from metrics import units
from metrics.units import Unit

# The share of failed calls from which the answer is coloured.
NOTABLE: Final = Decimal("0.01")


def answer(look: Look) -> Answer:
    now = headline.now(look)
    if not now["requests"].value:
        return Answer("No call was made in this range.", tone="unknown")
    if not now["errors"].value:
        return _nothing_failed(look)
    counted = numbers.types(look)
    total = sum(count for _, count in counted)
    first, most = counted[0]
    leads = f"{spoken(first.key)} leads ({units.ratio(Decimal(most) / total)})"
    if most == total:
        leads = f"all of them {spoken(first.key)}"
    return Answer(
        f"{_how_many(look)} failed; {leads}, {remedy(first.key).phrase}.",
        detail=_detail(look),
        tone=_tone(look),
        action="See the failed calls",
        href=reverse("logs") + look.query.string(status="failed"),
    )


def _how_many(look: Look) -> str:
    now = headline.now(look)
    rate, errors = now["error_rate"], now["errors"].value
    # With a filter on one type every call failed, and of few calls a share says little.
    if look.query.err != "" or rate.sample < units.ENOUGH_EVENTS:
        return f"{units.count(errors)} {'call' if errors == 1 else 'calls'}"
    return f"{units.ratio(rate.value)} of calls"


def _detail(look: Look) -> str:
    now, before = headline.now(look), headline.before(look)
    rate = now["error_rate"]
    text = f"{units.count(now['errors'].value)} of {units.count(rate.sample)} calls"
    earlier = before.get("error_rate")
    if earlier is not None and earlier.value is not None and rate.value is not None:
        change = units.delta(rate.value, earlier.value, Unit.RATIO, events=earlier.sample)
        text += f", {change} against {look.query.compared_with} ({units.ratio(earlier.value)})"
    return f"{text}."


def _tone(look: Look) -> Literal["plain", "warn", "bad"]:
    rate = headline.now(look)["error_rate"]
    if rate.value is None or rate.sample < units.ENOUGH_EVENTS or look.query.err != "":
        return "plain"
    return "bad" if rate.value >= FAILING else "warn" if rate.value >= NOTABLE else "plain"


def _nothing_failed(look: Look) -> Answer:
    requests = headline.now(look)["requests"].value
    detail = f"{units.count(requests)} {'call' if requests == 1 else 'calls'}, and none of them failed."
    latest = numbers.groups(look).latest_before
    if latest is None:
        return Answer(NO_FAILURE, f"{detail} Nor did any in the week before.", tone="good")
    call, error = latest
    last = f"The last failure before it was {spoken(error)}, {time_of(call):%-d %b, %H:%M} UTC."
    href = reverse("request", args=[call]) + look.query.here
    return Answer(NO_FAILURE, f"{detail} {last}", tone="good", action="See that call", href=href)


def tiles(look: Look) -> Sequence[Tile]:
    now, before = headline.now(look), headline.before(look)
    timeline = headline.timeline(look)
    labels = (
        ("error_rate", "Error rate", "of calls in the end"),
        ("errors", "Failed calls", f"of {units.count(now['requests'].value)} calls"),
        ("attempt_error_rate", "Failed attempts", f"of {units.count(now['attempts'].value)} attempts"),
        ("retry_rate", "Retried", _per_call(look)),
        ("fallback_rate", "Fallback", "a stand-in took over"),
        ("degraded_rate", "Degraded", "not the model asked for"),
    )
    return [
        metric_tile(look, label, now[key], before.get(key), timeline[key], note=note, judged=key != "errors")
        for key, label, note in labels
    ]


def _per_call(look: Look) -> str:
    now = headline.now(look)
    attempts, requests = now["attempts"].value, now["requests"].value
    if not attempts or not requests:
        return ""
    return f"{Decimal(attempts) / Decimal(requests):.2f} attempts per call"


ERRORS: Final = Page(
    "errors",
    "Errors",
    "What fails, and does trying again help?",
    answer,
    (
        TypesOverTime(),
        RatesOverTime(
            "attempts",
            "Failed calls beside failed attempts",
            (("error_rate", "calls"), ("attempt_error_rate", "attempts")),
            "{0} of calls failed in the end, {1} of attempts on the way.",
            headline.now,
            headline.timeline,
            nothing="No attempt failed in this range.",
        ),
        Remedies(),
        Groups(),
        TypesByFeature(),
        RatesOverTime(
            "retries",
            "Retries and stand-ins",
            (("retry_rate", "retried"), ("fallback_rate", "fallback"), ("degraded_rate", "degraded")),
            "{0} of calls were retried; a stand-in took over {1}, and {2} were answered by another than asked for.",
            headline.now,
            headline.timeline,
            nothing="No call was retried or given to a stand-in in this range.",
        ),
        BreakerStrip(),
    ),
    tiles,
    questions=numbers.questions,
)
