# ruff: noqa: S608 — the statement is ours, values are parameters
"""Markers: what changed in a range of time, told by people or seen by us; the other half of most explanations."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from ingest.vocabulary import BreakerState, DimensionKind
from metrics.steps import Sql, Steps
from metrics.windows import EPOCH, Window

MOST_OF_A_KIND: Final = 200
"""The newest of each kind of change that are listed."""

# A price changes where there was one before, and concerns a project that has called the model. A breaker is told by
# each process, and those of one minute are one change.
_SQL: Final = """
(SELECT at, kind, title, detail, link, environment, 1 AS times
   FROM projects_annotation
  WHERE project_id = %(project)s AND at >= %(start)s AND at < %(stop)s
    AND (%(environment)s = '' OR environment IN ('', %(environment)s))
  ORDER BY at DESC LIMIT %(most)s)
UNION ALL
(SELECT first_seen_at, CASE kind WHEN %(release)s THEN 'release' ELSE 'version' END, name, '', '', '', 1
   FROM dim
  WHERE project_id = %(project)s AND kind IN (%(version)s, %(release)s)
    AND first_seen_at >= %(start)s AND first_seen_at < %(stop)s
  ORDER BY first_seen_at DESC LIMIT %(most)s)
UNION ALL
(SELECT effective_from, 'price', model, source, '', '', 1
   FROM ingest_price AS price
  WHERE effective_from >= %(start)s AND effective_from < %(stop)s
    AND EXISTS (SELECT FROM ingest_price AS before
                 WHERE before.provider = price.provider AND before.model = price.model
                   AND before.effective_from < price.effective_from)
    AND EXISTS (SELECT FROM dim
                 WHERE project_id = %(project)s AND kind = %(model)s
                   AND (name = price.model OR starts_with(name, price.model || '-')))
  ORDER BY effective_from DESC LIMIT %(most)s)
UNION ALL
(SELECT at, 'budget', target, split_part(action, '.', 1), '', '', 1
   FROM projects_auditevent
  WHERE project_id = %(project)s AND at >= %(start)s AND at < %(stop)s AND action LIKE '%%.budget'
  ORDER BY at DESC LIMIT %(most)s)
UNION ALL
(SELECT min(at), 'breaker', "group", min(reason), '', '', count(DISTINCT boot_id)
   FROM breaker_transition
  WHERE project_id = %(project)s AND at >= %(start)s AND at < %(stop)s AND after = %(open)s
  GROUP BY "group", date_trunc('minute', at)
  ORDER BY 1 DESC LIMIT %(most)s)
"""
_PLACE: Final = re.compile(r"%\((\w+)\)s")
_PLACES: Final = _PLACE.findall(_SQL)
# A read has two columns of text: see metrics.steps.
_TEXT: Final = f"""
SELECT kind,
       json_build_array((extract(epoch FROM at) * 1000000)::bigint, kind, title, detail, link, environment, times)::text
  FROM ({_PLACE.sub("%s", _SQL)}) AS marker (at, kind, title, detail, link, environment, times)
"""


@dataclass(frozen=True, slots=True)
class Marker:
    """One change. Its title and detail are what strangers wrote."""

    at: datetime
    kind: str
    """deploy, config, incident or note as told; release, version, price, budget or breaker as seen."""
    title: str
    """What it is about: of a release its name, of a price the model, of a breaker the group of models."""
    detail: str = ""
    """As told; of a budget what was done (create, change, …), of a breaker its reason, of a price its source."""
    link: str = ""
    environment: str = ""
    times: int = 1
    """Processes that told of it, for a breaker."""


def markers(project_id: int, window: Window, environment: str = "") -> Steps[Sequence[Marker]]:
    """Find the changes of a project in a window, oldest first, in steps (metrics.steps).

    Those that know no environment are in each.
    """
    values: dict[str, Any] = {
        "project": project_id,
        "start": window.start,
        "stop": window.end,
        "environment": environment,
        "release": DimensionKind.RELEASE.value,
        "version": DimensionKind.PROMPT_VERSION.value,
        "model": DimensionKind.MODEL.value,
        "open": BreakerState.OPEN.value,
        "most": MOST_OF_A_KIND,
    }
    [rows] = yield [Sql(_TEXT, tuple(values[name] for name in _PLACES))]
    found = [_marker(json.loads(packed)) for _, packed in rows if packed is not None]
    return sorted(found, key=lambda one: (one.at, one.kind, one.title))


def _marker(row: list[Any]) -> Marker:
    micros, *rest = row
    return Marker(EPOCH + timedelta(microseconds=micros), *rest)
