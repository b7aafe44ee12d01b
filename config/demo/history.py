"""Four weeks of made-up history, stored by the same door as real events. Repeating it changes nothing."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, time, timedelta
from itertools import islice
from typing import Any, Final

from django.db import connection

from config.demo import particulars, story
from config.demo.meters import Meters
from config.demo.telling import event_of
from ingest import wire
from ingest.partitions import ensure_days, lower_bound, storable
from ingest.store import Origin, store
from llmclient.testing.arrivals import arrivals
from llmclient.testing.trace import Arrival
from llmclient.testing.traffic import Call, Faults, Traffic
from projects.models import Project

BATCH: Final = wire.MOST_EVENTS
# Prompt and response are kept of the last days only: what somebody looking around will open.
CONTENT: Final = timedelta(days=3)


def write(
    project: Project,
    *,
    now: datetime,
    progress: Callable[[int, int], None],
    scale: float = 1.0,
    span: timedelta = story.HISTORY,
) -> int:
    """Store what is missing of the history before the project was created; the number of calls stored.

    Ids are functions of the project's time of creation, so an interrupted run is completed by the next one.
    `scale`: how many times as many calls as usual; `span`: how far it goes back. `progress` is told
    the calls done and their total. Raises only errors of django.db.
    """
    end = project.created_at
    start = datetime.combine((end - span).date(), time(), end.tzinfo)
    kept, _ = storable(now)
    everything = arrivals(start, end, per_day=lambda at: scale * story.intensity(at, end), seed=story.SEED)
    made = [arrival for arrival in everything if arrival.at >= kept]
    if _stored(project, max(start, kept), end) == len(made):
        return 0
    ensure_days({arrival.at.date() for arrival in made})
    traffic = Traffic(
        start,
        seed=story.SEED,
        users=story.USERS,
        faults=Faults.ALL,
        incidents=story.incidents(end),
        releases=story.releases(end),
        made_up_tokens=True,
    )
    origin = Origin(project.pk, story.ENVIRONMENT, project.infra_nanousd_per_request, project.infra_nanousd_per_token)
    meters = Meters()
    done = stored = 0
    for batch in _batches(made):
        calls = [traffic.assign(arrival) for arrival in batch]
        events = [wire.event_of(_told(call, meters, end)) for call in calls]
        stored += store(events, origin=origin, now=now, scored=list(particulars.scores(calls, end))).accepted
        done += len(batch)
        progress(done, len(made))
    return stored


def _told(call: Call, meters: Meters, end: datetime) -> dict[str, Any]:
    event = event_of(call, with_content=end - call.at < CONTENT)
    return event | meters.told(call) | particulars.told(call, event["attempts"], end)


def _batches(made: Sequence[Arrival]) -> Iterator[list[Arrival]]:
    rest = iter(made)
    while batch := list(islice(rest, BATCH)):
        yield batch


def _stored(project: Project, start: datetime, end: datetime) -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM request_log WHERE project_id = %s AND id >= %s AND id < %s",
            [project.pk, lower_bound(start), lower_bound(end)],
        )
        (count,) = cursor.fetchone()
        return int(count)
