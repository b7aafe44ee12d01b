"""Facets: the one-dimensional cuts kept for every bucket. Adding one is adding an entry (and a `rebuild`).

A facet answers "by feature" or "of this model" from one row per bucket. Filters over several dimensions at once are
answered by the cubes instead, because the product of all dimensions has about as many rows as there are calls.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Facet:
    """One cut. `number` is what the rows are stored under and is never given to another facet."""

    number: int
    dimension: str
    """The field of `metrics.slices.Slice` it cuts by; empty: everything together."""
    column: str
    """The column of request_log that becomes the row's key; empty: the key is 0."""
    since_later: bool = False
    """The column is NULL in calls stored before there was one; they count as those that did not say."""

    @property
    def of_call(self) -> str:
        """Return the SQL for one call's key."""
        return f"coalesce({self.column}, 0)" if self.since_later else self.column


FACETS: Final = (
    Facet(0, "", ""),
    Facet(1, "feature", "feature_id"),
    Facet(2, "prompt_type", "prompt_type_id"),
    Facet(3, "model", "model_id"),
    Facet(4, "error", "error"),
    Facet(5, "prompt_version", "prompt_version_id"),
    Facet(6, "key", "key_id", since_later=True),
    Facet(7, "release", "release_id", since_later=True),
)

# What the rows of the cubes are told apart by: the slice's field and the column.
CUBE_DIMENSIONS: Final = {
    "environment": "environment_id",
    "feature": "feature_id",
    "prompt_type": "prompt_type_id",
    "prompt_version": "prompt_version_id",
    "model": "model_id",
    "error": "error",
}


def facet_of(dimension: str) -> Facet | None:
    """Return the facet that cuts by this dimension; None when only the cubes or the calls know it."""
    return next((facet for facet in FACETS if facet.dimension == dimension), None)
