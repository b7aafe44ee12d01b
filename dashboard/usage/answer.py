"""The answer of Usage & cost: what costs most, its share, whether it grows, and what one request costs."""

from decimal import Decimal

from dashboard.drawing import spoken
from dashboard.look import Look
from dashboard.page import Answer
from dashboard.query import GROUPS
from dashboard.usage import drill
from dashboard.usage.readings import UsageReadings
from dashboard.usage.words import article, calls, growth
from metrics import units
from metrics.readings import Part, Value
from metrics.slices import NONE


def answer(look: Look) -> Answer:
    """Name the part with the largest cost."""
    read = UsageReadings(look)
    if read.total["requests"].value == 0:
        return Answer("No call was made in this range.")
    if not read.parts.parts:
        return Answer(f"No call in this range has {article(read.noun)}.", _each(read))
    if not read.total["spend"].value:
        return _without_cost(read)
    first = max(read.parts.parts, key=lambda part: part.readings["spend"].value or 0)
    return Answer(
        _costs_most(read, first), _each(read, first), action=_action(read), href=drill.href(look.query, first.key)
    )


def _without_cost(read: UsageReadings) -> Answer:
    unpriced = int(read.total["unpriced"].value or 0)
    if unpriced == 0:
        return Answer("Nothing was spent in this range.", f"{calls(_whole(read, 'requests'))} cost nothing.")
    return Answer(
        f"What {calls(unpriced)} cost is not known.",
        "Their models have no price, or they broke off before they said what they used.",
        tone="warn",
    )


def _costs_most(read: UsageReadings, first: Part) -> str:
    own, whole = first.readings["spend"].value, read.parts.total.readings["spend"].value
    name, is_many = _named(read, first), first.key == NONE
    grown = growth(read.look.query, own, read.before(first))
    tail = f", {grown}" if grown else ""
    if own == whole:
        return f"{name} {'are' if is_many else 'is'} all of the spend: {units.money(own)}{tail}."
    share = units.ratio(Decimal(own or 0) / Decimal(whole or 1))
    return f"{name} {'cost' if is_many else 'costs'} most: {units.money(own)} of {units.money(whole)}, {share}{tail}."


def _each(read: UsageReadings, first: Part | None = None) -> str:
    """Say what one request costs, there and on the whole."""
    per = read.total["cost_per_request"].value
    if per is None:
        return ""
    own: Value = None if first is None else first.readings["cost_per_request"].value
    if first is None or own is None or own == per:
        return f"One request costs {units.money(per)}."
    return f"One request costs {units.money(own)} there, {units.money(per)} on the whole."


def _named(read: UsageReadings, part: Part) -> str:
    """Return how a sentence about a part begins; a bare "7" says nothing."""
    if part.key == NONE:
        return f"Calls without {article(read.noun)}"
    noun = "" if read.group in ("feature", "model") else f"{read.noun[0].upper()}{read.noun[1:]} "
    return f"{noun}{spoken(part.key)}"


def _action(read: UsageReadings) -> str:
    following = drill.following(read.look.query)
    return "See the calls" if following is None else f"See its {GROUPS[following]}s"


def _whole(read: UsageReadings, key: str) -> int:
    return int(read.total[key].value or 0)
