"""What the numbers of a page cannot know, in one or two sentences under them."""

from itertools import islice
from typing import Final

from django.db import DatabaseError

from dashboard.look import Look
from dashboard.query import DashboardQuery
from metrics import units
from metrics.losses import Losses, losses
from metrics.steps import Steps

# Clients name the reasons, and a hostile one as many as it likes.
MOST_REASONS: Final = 5


NEED: Final = "losses"


def needs(query: DashboardQuery) -> dict[str, Steps[Losses]]:
    """Return the question, by its name."""
    return {NEED: losses(query.slice.project_id, query.window)}


def sentences(look: Look) -> list[str]:
    """Empty when nothing was lost. Never a reason for a page to fail, but never silent either."""
    try:
        return written(look.answer(NEED))
    except DatabaseError:
        return ["Whether calls were lost on their way could not be read."]


def written(found: Losses) -> list[str]:
    said = []
    if (total := sum(found.given_up.values())) > 0:
        told = dict(islice(found.given_up.items(), MOST_REASONS))
        if (rest := total - sum(told.values())) > 0:
            told["others"] = rest
        reasons = ", ".join(f"{reason.replace('_', ' ')} {units.count(one)}" for reason, one in told.items())
        said.append(
            f"Not in these numbers: {calls(total)} that clients could not deliver ({reasons}), "
            "counted since each client started."
        )
    if found.put_aside > 0:
        verb = "is" if found.put_aside == 1 else "are"
        said.append(f"{calls(found.put_aside)} outside the days that are kept {verb} put aside and not counted.")
    return said


def calls(number: int) -> str:
    return f"{units.count(number)} {'call' if number == 1 else 'calls'}"
