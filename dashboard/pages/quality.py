"""The Quality page: do answers have the form asked for, are they whole, and what do people think of them?"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Final, Literal

from dashboard import headline
from dashboard.look import Look
from dashboard.page import Answer, Page
from dashboard.quality import numbers
from dashboard.quality.panels import (
    AnswerLength,
    ScoreOverTime,
    ScoresByName,
    ScoresByVersion,
    Versions,
    WorstCalls,
    width_in_words,
)
from dashboard.rates import RatesOverTime
from dashboard.tiles import Tile, metric_tile
from metrics import units

# The share of valid answers below which the answer is coloured.
GOOD: Final = Decimal("0.95")


def answer(look: Look) -> Answer:
    now = headline.now(look)
    if not now["requests"].value:
        return Answer("No call was made in this range.", tone="unknown")
    cut, refused = now["truncation_rate"].value, now["refusal_rate"].value
    rest = f"{units.ratio(cut)} were cut off, {units.ratio(refused)} refused."
    valid = now["valid_rate"]
    if valid.value is None:
        return Answer(
            f"No answer was checked for its form; of all calls {rest}",
            "The client checks what llmclient.extract() asks for (docs/client/validation.md).",
        )
    checked = f"{units.count(valid.sample)} checked {'answer' if valid.sample == 1 else 'answers'}"
    return Answer(
        f"{units.ratio(valid.value)} of {checked} had the form asked for; of all calls {rest}",
        _detail(look),
        tone=_tone(look),
    )


def _detail(look: Look) -> str:
    now, before = headline.now(look), headline.before(look)
    found = numbers.interval(now["valid_rate"])
    assert found is not None
    text = f"The true share of valid answers lies between {width_in_words(found).replace(' to ', ' and ')}"
    earlier = before.get("valid_rate")
    if earlier is None or earlier.value is None:
        return f"{text}."
    was = f"{look.query.compared_with} it was {units.ratio(earlier.value)} of {units.count(earlier.sample)}"
    chance = {"": "a difference that may be chance", "worse": "so it is worse", "better": "so it is better"}
    return f"{text}; {was}, {chance[_changed(look)]}."


def _changed(look: Look) -> Literal["worse", "better", ""]:
    """Return whether the share of valid answers has changed by more than chance: the intervals do not touch."""
    now = numbers.interval(headline.now(look)["valid_rate"])
    before = numbers.interval(headline.before(look).get("valid_rate"))
    if now is None or before is None or not now.is_apart_from(before):
        return ""
    return "worse" if now.high < before.low else "better"


def _tone(look: Look) -> Literal["plain", "good", "warn", "bad"]:
    valid = headline.now(look)["valid_rate"]
    if _changed(look) == "worse":
        return "bad"
    if valid.value is None or valid.sample < units.ENOUGH_EVENTS:
        return "plain"
    return "warn" if valid.value < GOOD else "good"


def tiles(look: Look) -> Sequence[Tile]:
    now, before = headline.now(look), headline.before(look)
    timeline, told = headline.timeline(look), numbers.told(look)
    labels = (
        ("valid_rate", "Valid answers", f"of {units.count(now['valid_rate'].sample)} checked"),
        ("repair_rate", "Repaired", "asked for again"),
        ("truncation_rate", "Cut off", "at the token limit"),
        ("refusal_rate", "Refused", "the model declined"),
        ("output_length", "Tokens per answer", f"{units.count(now['output_length'].sample)} answers"),
    )
    shown = [
        metric_tile(look, label, now[key], before.get(key), timeline[key], note=note, judged=key != "output_length")
        for key, label, note in labels
    ]
    count = sum(one.count for one in told.names.values())
    names = f"under {units.count(len(told.names))} {'name' if len(told.names) == 1 else 'names'}"
    return [*shown, Tile("Scores", units.count(count), note=names if told.names else "none told yet")]


QUALITY: Final = Page(
    "quality",
    "Quality",
    "Do answers have the form asked for, are they whole, and what do people think of them?",
    answer,
    (
        RatesOverTime(
            "valid",
            "Valid answers",
            (("valid_rate", "valid"),),
            "{0} of the checked answers had the form asked for.",
            headline.now,
            headline.timeline,
            unknown="No answer was checked for its form in this range.",
            from_zero=False,
        ),
        RatesOverTime(
            "trouble",
            "Repaired, refused, cut off",
            (("repair_rate", "repaired"), ("refusal_rate", "refused"), ("truncation_rate", "cut off")),
            "{0} of calls had to ask again, {1} were refused, {2} were cut off.",
            headline.now,
            headline.timeline,
            nothing="No answer was repaired, refused or cut off in this range.",
        ),
        Versions(),
        AnswerLength(),
        ScoreOverTime(),
        ScoresByName(),
        ScoresByVersion(),
        WorstCalls(),
    ),
    tiles,
    questions=numbers.questions,
)
