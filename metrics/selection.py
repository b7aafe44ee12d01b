"""Selections: a slice with its names replaced by what the rows hold, and one question put to it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from ingest.dimensions import ABSENT, OTHER_NAME
from ingest.vocabulary import DimensionKind, ErrorCategory
from metrics.facts import SCORE_FACT_NAMES
from metrics.slices import NONE, OTHER, Dimension, Slice
from metrics.steps import Sql, Steps
from metrics.windows import FOREVER, Window

# What a row is told apart by: an id of `dim`, an error category, a user's own id, the name of a score. None: all keys
# not named.
Key = int | str | None
# Told apart by what they are called, without a number.
UNNUMBERED: Final = ("user_id", "score")

INTERNED: Final[Mapping[str, DimensionKind]] = {
    "environment": DimensionKind.ENVIRONMENT,
    "feature": DimensionKind.FEATURE,
    "prompt_type": DimensionKind.PROMPT_TYPE,
    "prompt_version": DimensionKind.PROMPT_VERSION,
    "model": DimensionKind.MODEL,
    "key": DimensionKind.KEY,
    "release": DimensionKind.RELEASE,
}


@dataclass(frozen=True, slots=True)
class Question:
    """Which facts of which calls, or scores, are wanted, and how they are cut."""

    project_id: int
    filters: Mapping[str, int | str]
    window: Window
    now: datetime
    facts: frozenset[str]
    histograms: frozenset[str]
    step: timedelta | None = None
    by: Dimension | None = None
    months_until: datetime = FOREVER
    """The first day that may be missing in its month; months from there on are read by the day."""
    beside: Dimension | None = None
    """A second property the rows are told apart by; see `metrics.pairs`."""

    @property
    def is_of_scores(self) -> bool:
        return not self.facts.isdisjoint(SCORE_FACT_NAMES)

    @property
    def dimensions(self) -> frozenset[str]:
        """Return every dimension the rows must be told apart by."""
        return frozenset(self.filters) | frozenset(each for each in (self.by, self.beside) if each)


def resolve(slice_: Slice) -> Steps[dict[str, int | str] | None]:
    """Find the key of each condition; None when a name was never used, so that no call can match."""
    keys = {dimension: _known(dimension, name) for dimension, name in slice_.filters.items()}
    unknown = [dimension for dimension, key in keys.items() if key is None and dimension in INTERNED]
    if unknown:
        found = yield [
            _names(slice_.project_id, dimension, "AND name = %s", getattr(slice_, dimension)) for dimension in unknown
        ]
        keys |= {dimension: int(rows[0][0] or 0) for dimension, rows in zip(unknown, found, strict=True) if rows}
    return None if None in keys.values() else {dimension: key for dimension, key in keys.items() if key is not None}


def _known(dimension: str, name: str) -> Key:
    if dimension in UNNUMBERED:
        return name
    if name == NONE:
        return ABSENT
    if dimension == "error":
        return next((category.value for category in ErrorCategory if category.name.lower() == name), None)
    return None


def labels(project_id: int, dimension: Dimension) -> Steps[Mapping[Key, str]]:
    """Find the name of each key of a dimension; users and scores are named by their key and are not in it."""
    known: dict[Key, str] = {None: OTHER, ABSENT: NONE}
    if dimension == "error":
        known.update((category.value, category.name.lower()) for category in ErrorCategory if category)
    elif dimension in INTERNED:
        (rows,) = yield [_names(project_id, dimension)]
        known.update((int(key or 0), name or "") for key, name in rows)
    return known


def _names(project_id: int, dimension: str, also: str = "", *values: str) -> Sql:
    return Sql(
        f"SELECT id::text, name::text FROM dim WHERE project_id = %s AND kind = %s {also}",  # noqa: S608 — of constants
        (project_id, INTERNED[dimension].value, *values),
    )


def overflow(known: Mapping[Key, str]) -> Key:
    """Return the key that names beyond the cap were counted under, of all labels; it is never one of the top parts."""
    return next((key for key, name in known.items() if key is not None and name == OTHER_NAME), None)
