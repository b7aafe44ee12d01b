"""The page says what its numbers cannot know."""

from datetime import datetime, timedelta
from uuid import UUID

import pytest
from django.test import Client

from dashboard.losses import written
from ingest.models import ClientInstance
from metrics.losses import Losses
from projects.models import Project

LOST = (
    "Not in these numbers: 13 calls that clients could not deliver (overflow 12, too large 1), "
    "counted since each client started."
)


@pytest.mark.parametrize(
    ("losses", "said"),
    [
        (Losses({}, 0), []),
        (Losses({"overflow": 12, "too_large": 1}, 0), [LOST]),
        (Losses({}, 1), ["1 call outside the days that are kept is put aside and not counted."]),
        (Losses({}, 2_000), ["2,000 calls outside the days that are kept are put aside and not counted."]),
    ],
)
def test_a_loss_is_said_in_a_sentence_and_no_loss_in_none(losses: Losses, said: list[str]) -> None:
    assert written(losses) == said


def test_a_client_that_makes_up_reasons_does_not_fill_the_page() -> None:
    made_up = {f"r{number}": 40 - number for number in range(32)}
    (said,) = written(Losses(made_up, 0))
    assert said == (
        "Not in these numbers: 784 calls that clients could not deliver (r0 40, r1 39, r2 38, r3 37, r4 36, "
        "others 594), counted since each client started."
    )


@pytest.mark.django_db
def test_the_overview_says_what_was_lost_and_nothing_when_nothing_was(
    viewer: Client, calls: Project, now: datetime
) -> None:
    assert "Not in these numbers" not in viewer.get("/?from=now-1h").content.decode()
    ClientInstance.objects.create(
        project=calls,
        instance="web-1",
        boot_id=UUID(int=1),
        first_seen_at=now - timedelta(days=2),
        last_seen_at=now,
        emitted=100,
        dropped={"overflow": 12, "too_large": 1},
    )
    assert LOST in viewer.get("/?from=now-1h").content.decode()
