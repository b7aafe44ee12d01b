"""What is known of how good an answer was: whether it had the form asked for, and what people and programs thought."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from dashboard.search import Call
from ingest.models import Score
from ingest.scores import quality
from metrics import units

MOST_SCORES: Final = 50
_TIMES: Final = {1: "once", 2: "twice"}


@dataclass(frozen=True, slots=True)
class Line:
    """One score: a number or a word under a name."""

    name: str
    value: str
    comment: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Judgement:
    """`form` is a sentence, or nothing. `more` counts the scores that are not among the lines."""

    form: str
    lines: Sequence[Line]
    more: int

    def __bool__(self) -> bool:
        return self.form != "" or len(self.lines) > 0


def judgement(call: Call) -> Judgement:
    """Return what the call says about its answer itself, and what scores say."""
    found = Score.objects.filter(project_id=call.names.project_id, call_id=call.id)
    named = found.filter(name__in=("valid", "repairs")).values_list("name", "value")
    listed = list(found.order_by("name")[:MOST_SCORES])
    more = found.count() - MOST_SCORES if len(listed) == MOST_SCORES else 0
    lines = [Line(score.name, _value(score), score.comment or "", score.at) for score in listed]
    return Judgement(_form(*quality(call.row, dict(named))), lines, more)


def _form(valid: bool | None, repairs: int | None) -> str:
    again = f"it was asked for again {_TIMES.get(repairs, f'{repairs:,} times')}" if repairs else ""
    if valid is None:
        return f"The answer did not do at first: {again}." if again else ""
    if valid:
        return f"The answer had the form asked for{f', after {again}' if again else ''}."
    return f"The answer did not have the form asked for{f', though {again}' if again else ''}."


def _value(score: Score) -> str:
    if score.value is None:
        return score.label or ""
    return f"{score.value:,.6g}".replace("-", units.MINUS)
